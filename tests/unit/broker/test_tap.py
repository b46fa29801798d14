"""The tap: whatever pieces the bytes arrive in, each frame reaches the one whom it is for."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pamqp.frame
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from worker.broker.content import Deliveries
from worker.broker.wire import Tap

if TYPE_CHECKING:
    from worker.broker.messages import Delivery

OURS, THEIRS = 3, 4
HEARTBEAT = Heartbeat().marshal()


def message(channel: int, tag: int, body: bytes) -> bytes:
    frames: list[Any] = [
        commands.Basic.Deliver("c", tag, False, "x", "k"),  # noqa: FBT003 - pamqp's order.
        ContentHeader(body_size=len(body)),
        *(ContentBody(body[at : at + 10]) for at in range(0, len(body), 10)),
    ]
    return b"".join(pamqp.frame.marshal(frame, channel) for frame in frames)


async def passed_on(tap: Tap) -> bytes:
    tap.feed_eof()
    return await tap.read()


def fed(pieces: list[bytes], received: list[Delivery]) -> bytes:
    """Feed a tap that has a sink for one channel; return what it passed on to aiormq."""

    async def feed() -> bytes:
        tap = Tap(asyncio.get_running_loop())
        tap.sinks[OURS] = Deliveries("q", received.append, headers_bytes_max=2048)
        for piece in pieces:
            tap.feed_data(piece)
        return await passed_on(tap)

    return asyncio.run(feed())


@given(
    st.lists(
        st.tuples(st.sampled_from([OURS, THEIRS]), st.binary(max_size=35)), min_size=1, max_size=6
    ),
    st.lists(st.integers(0, 2_000), max_size=12),
)
def test_frames_reach_their_channel_however_they_are_cut(
    messages: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    frames = [message(channel, tag, body) for tag, (channel, body) in enumerate(messages, 1)]
    stream = b"".join(frames)
    edges = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
    received: list[Delivery] = []

    rest = fed([stream[a:b] for a, b in pairwise(edges)], received)

    ours = [(tag, body) for tag, (channel, body) in enumerate(messages, 1) if channel == OURS]
    assert ours == [(delivery.tag, delivery.body) for delivery in received]
    theirs = b"".join(
        frame for frame, (channel, _) in zip(frames, messages, strict=True) if channel == THEIRS
    )
    assert theirs == rest.replace(HEARTBEAT, b"")


def test_deliveries_count_as_a_sign_of_life_for_aiormq() -> None:
    rest = fed([message(OURS, 1, b"x"), message(OURS, 2, b"x")], [])

    assert rest == HEARTBEAT


def test_a_torn_frame_at_the_end_is_shown_to_aiormq() -> None:
    assert fed([message(OURS, 1, b"x")[:10]], []) == message(OURS, 1, b"x")[:10]


def test_a_server_of_another_protocol_is_left_to_aiormq() -> None:
    assert fed([b"AMQP\x00\x00\x09\x01"], []) == b"AMQP\x00\x00\x09\x01"


async def test_an_alarm_of_the_broker_is_noted_and_passed_on() -> None:
    tap = Tap(asyncio.get_running_loop())
    heard: list[bool] = []
    tap.when_blocked = heard.append
    blocked = pamqp.frame.marshal(commands.Connection.Blocked("low on memory"), 0)
    unblocked = pamqp.frame.marshal(commands.Connection.Unblocked(), 0)

    tap.feed_data(blocked)
    assert tap.blocked
    tap.feed_data(unblocked)

    assert not tap.blocked
    assert heard == [True, False]
    assert await passed_on(tap) == blocked + unblocked


async def test_the_broker_s_reason_for_closing_is_kept() -> None:
    tap = Tap(asyncio.get_running_loop())

    tap.feed_data(pamqp.frame.marshal(commands.Connection.Close(320, "CONNECTION_FORCED", 0, 0), 0))

    assert tap.goodbye == (320, "CONNECTION_FORCED")
