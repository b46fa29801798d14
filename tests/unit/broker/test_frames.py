"""Frames by hand: the same bytes as pamqp's, and no message that stops the reader."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from worker.broker.content import Deliveries
from worker.broker.encoding import encode_ack, encode_publication
from worker.broker.errors import Unpublishable
from worker.broker.messages import Delivery, Publication

FRAME_MAX = 131_072
CHANNEL = 7

short_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60).filter(
    lambda text: len(text.encode()) <= 255
)
optional_text = st.none() | short_text
scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
    | st.none()
    | st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)).map(  # noqa: DTZ001
        lambda moment: moment.replace(microsecond=0)
    )
    | st.binary(max_size=20).map(bytearray)
)
header_names = st.text("abcxyz-é", min_size=1, max_size=30)
tables = st.dictionaries(
    header_names,
    st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(header_names, inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=5,
)
publications = st.builds(
    Publication,
    exchange=st.text("abc.XYZ_:-", max_size=40),
    routing_key=short_text,
    body=st.binary(max_size=600),
    must_be_taken=st.booleans(),
    mandatory=st.booleans(),
    content_type=optional_text,
    type=optional_text,
    message_id=optional_text,
    correlation_id=optional_text,
    reply_to=optional_text,
    user_id=optional_text,
    priority=st.none() | st.integers(0, 9),
    headers=st.none() | tables,
)


def by_pamqp(publication: Publication, frame_max: int) -> bytes:
    """What pamqp makes of a publication."""
    properties = commands.Basic.Properties(
        content_type=publication.content_type,
        headers=publication.headers,  # type: ignore[arg-type]
        delivery_mode=2,
        priority=publication.priority,
        correlation_id=publication.correlation_id,
        reply_to=publication.reply_to,
        message_id=publication.message_id,
        message_type=publication.type,
        user_id=publication.user_id,
    )
    body = publication.body
    piece_max = frame_max - 8
    frames: list[Any] = [
        commands.Basic.Publish(
            exchange=publication.exchange,
            routing_key=publication.routing_key,
            mandatory=publication.mandatory,
        ),
        ContentHeader(body_size=len(body), properties=properties),
        *(ContentBody(body[at : at + piece_max]) for at in range(0, len(body), piece_max)),
    ]
    return b"".join(pamqp.frame.marshal(frame, CHANNEL) for frame in frames)


def delivered(publication: Publication, *, frame_max: int = FRAME_MAX) -> bytes:
    """The frames with which a broker would deliver a publication."""
    deliver = commands.Basic.Deliver(
        consumer_tag="ctag",
        delivery_tag=2**40,
        redelivered=True,
        exchange=publication.exchange,
        routing_key=publication.routing_key,
    )
    published = by_pamqp(publication, frame_max)
    content = published[7 + int.from_bytes(published[3:7], "big") + 1 :]
    return pamqp.frame.marshal(deliver, CHANNEL) + content


def read(frames: bytes) -> list[Delivery]:
    """What a sink makes of whole frames."""
    received: list[Delivery] = []
    sink = Deliveries("some.queue", received.append, headers_bytes_max=FRAME_MAX // 2)
    at = 0
    while at < len(frames):
        stop = at + 7 + int.from_bytes(frames[at + 3 : at + 7], "big")
        assert sink.frame(frames[at], frames, at + 7, stop)
        at = stop + 1
    return received


@given(publications, st.sampled_from([4096, FRAME_MAX]))
def test_a_publication_is_encoded_as_pamqp_does(publication: Publication, frame_max: int) -> None:
    assert by_pamqp(publication, frame_max) == encode_publication(publication, CHANNEL, frame_max)


@pytest.mark.parametrize("size", [0, 1, 4088, 4089, 8176, 8177, 20_000])
def test_a_body_is_cut_into_frames_as_pamqp_does(size: int) -> None:
    publication = Publication("x", "k", bytes(size), must_be_taken=True)

    assert by_pamqp(publication, 4096) == encode_publication(publication, CHANNEL, 4096)


def test_acknowledgements_are_encoded_as_pamqp_does() -> None:
    for multiple in (True, False):
        ack = commands.Basic.Ack(delivery_tag=2**33, multiple=multiple)
        assert pamqp.frame.marshal(ack, CHANNEL) == encode_ack(CHANNEL, 2**33, multiple=multiple)


@given(publications, st.sampled_from([4096, FRAME_MAX]))
def test_a_delivery_is_what_was_published(publication: Publication, frame_max: int) -> None:
    (delivery,) = read(delivered(publication, frame_max=frame_max))

    for name in ("exchange", "routing_key", "body", "priority"):
        assert getattr(publication, name) == getattr(delivery, name)
    for name in ("content_type", "type", "message_id", "correlation_id", "reply_to", "user_id"):
        assert (getattr(publication, name) or None) == getattr(delivery, name)
    assert (publication.headers or {}) == delivery.headers
    assert not delivery.were_headers_cut
    assert (delivery.tag, delivery.redelivered, delivery.queue) == (2**40, True, "some.queue")


def test_floats_and_decimals_in_headers_go_out_as_they_came_in() -> None:
    headers: dict[str, object] = {"float": 0.1, "huge": 1e300, "decimal": Decimal("-12.34")}
    publication = Publication("x", "k", b"body", must_be_taken=True, headers=headers)
    frames = encode_publication(publication, CHANNEL, FRAME_MAX)
    deliver = commands.Basic.Deliver("c", 1, False, "x", "k")  # noqa: FBT003 - pamqp's order.
    content = frames[8 + int.from_bytes(frames[3:7], "big") :]

    (delivery,) = read(pamqp.frame.marshal(deliver, CHANNEL) + content)

    assert headers == delivery.headers


def test_the_delivery_count_comes_from_its_header() -> None:
    for headers, count in (({"x-delivery-count": 4}, 4), ({}, 0), ({"x-delivery-count": "4"}, 0)):
        publication = Publication("x", "k", b"", must_be_taken=True, headers=dict(headers))
        (delivery,) = read(delivered(publication))
        assert count == delivery.delivery_count


def raw_delivery(flags: int, properties: bytes) -> bytes:
    """A second delivery with properties that no library would write."""
    deliver = commands.Basic.Deliver("c", 1, True, "x", "k")  # noqa: FBT003 - pamqp's order.
    payload = b"\0\x3c\0\0" + (4).to_bytes(8, "big") + flags.to_bytes(2, "big") + properties
    header = b"\x02\0\x07" + len(payload).to_bytes(4, "big") + payload + b"\xce"
    return (
        pamqp.frame.marshal(deliver, CHANNEL)
        + header
        + pamqp.frame.marshal(ContentBody(b"body"), CHANNEL)
    )


def table(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


@pytest.mark.parametrize(
    "content",
    [
        b"\x01tT" + b"\xff" * 8,
        b"\x01s" + b"S" + table(b"\xff\xfe"),
        b"\x02\xff\xfe" + b"t\x01",
        b"\x01q" + b"?" + b"\0" * 9,
        b"\x01a" + b"A" + table(b"F" + table(b"\x01b" + b"D\xff" + b"\xff" * 4)),
    ],
    ids=["year beyond all", "no UTF-8", "no UTF-8 in a name", "unknown type", "nested decimal"],
)
def test_headers_that_pamqp_chokes_on_are_delivered_all_the_same(content: bytes) -> None:
    (delivery,) = read(raw_delivery(0x2000, table(b"\x05firsts\0\x01" + content)))

    assert delivery.body == b"body"
    assert delivery.headers["first"] == 1
    publication = Publication("x", "k", b"", must_be_taken=True, headers=delivery.headers)
    encode_publication(publication, CHANNEL, FRAME_MAX)


def test_tables_nested_too_deeply_are_left_out_and_stop_nothing() -> None:
    content = b"\x01zt\x01"
    for _ in range(5_000):
        content = b"\x01aF" + table(content)
    (delivery,) = read(raw_delivery(0x2000, table(b"\x05firsts\0\x01" + content)))

    assert delivery.headers["first"] == 1
    publication = Publication("x", "k", b"", must_be_taken=True, headers=delivery.headers)
    encode_publication(publication, CHANNEL, FRAME_MAX)


def test_headers_are_read_as_far_as_they_can_be_passed_on_with_headers_of_ours() -> None:
    huge = b"\x04huge" + b"S" + table(b"x" * 70_000)
    many = b"".join(b"\x04%04d" % n + b"S" + table(b"x" * 1_000) for n in range(55))
    count = b"\x10x-delivery-count" + b"l" + (7).to_bytes(8, "big")

    (delivery,) = read(raw_delivery(0x2000, table(huge + many + count)))

    assert "huge" not in delivery.headers
    assert delivery.were_headers_cut
    assert delivery.headers["0000"] == "x" * 1_000
    assert delivery.delivery_count == 7
    headers = delivery.headers | {"x-error-message": "y" * 60_000}
    encode_publication(
        Publication("x", "k", b"", must_be_taken=True, headers=headers), CHANNEL, FRAME_MAX
    )


def test_a_message_tells_whether_headers_of_it_could_not_be_read() -> None:
    (whole,) = read(raw_delivery(0x2000, table(b"\x05firsts\0\x01")))
    (cut,) = read(raw_delivery(0x2000, table(b"\x05firsts\0\x01" + b"\x01q" + b"?" + b"\0" * 9)))
    assert (whole.were_headers_cut, cut.were_headers_cut) == (False, True)
    assert cut.headers == whole.headers


def test_properties_that_are_no_utf_8_go_out_as_the_bytes_they_were() -> None:
    properties = b"\x04id\xff\xfe" + b"\x02\xc3\x28"

    (delivery,) = read(raw_delivery(0x0200 | 0x0080, properties))

    publication = Publication("", delivery.reply_to or "", b"", must_be_taken=False)
    publication.message_id = delivery.message_id
    frames = encode_publication(publication, CHANNEL, FRAME_MAX)
    assert b"\x04id\xff\xfe" in frames
    assert b"\x02\xc3\x28" in frames


@pytest.mark.parametrize(
    "publication",
    [
        Publication("", "x" * 256, b"", must_be_taken=False),
        Publication("", "é" * 128, b"", must_be_taken=False),
        Publication("", "\ud800", b"", must_be_taken=False),
        Publication("", "k", b"", must_be_taken=False, correlation_id="x" * 256),
        Publication("", "k", b"", must_be_taken=False, priority=256),
        Publication("", "k", b"", must_be_taken=False, headers={"x": object()}),
        Publication("", "k", b"", must_be_taken=False, headers={"x": 2**64}),
        Publication("", "k", b"", must_be_taken=False, headers={"x" * 256: 1}),
        Publication("", "k", b"", must_be_taken=False, headers={"x": "y" * FRAME_MAX}),
    ],
)
def test_what_amqp_cannot_carry_is_refused_before_it_is_sent(publication: Publication) -> None:
    with pytest.raises(Unpublishable) as refusal:
        encode_publication(publication, CHANNEL, FRAME_MAX)

    assert "xxx" not in str(refusal.value)
