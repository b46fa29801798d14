"""What a delivery says: who it is about, what it asks, and why it cannot be had."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest

from schemas.topology import bucket_of
from tests.inside import delivered, request
from worker.envelope.reading import Reader, Reading
from worker.store.keys import RequestKey

LIMIT = 1_024
READER = Reader(LIMIT, "worker")


def read(message: Any, **properties: Any) -> Reading:
    return READER.read(delivered(message, **properties), lambda _: True)


def test_a_request_is_known_by_programme_member_and_request_id() -> None:
    assert read(request("r", 1)).key == RequestKey("default", "m", "r")
    assert read(request("r", 1, "n", program_id="p")).key == RequestKey("p", "n", "r")


def test_the_message_id_stands_in_for_a_missing_request_id_only() -> None:
    assert read({"member_id": "m", "points": 1}, message_id="x").key == ("default", "m", "x")
    assert read(request("r", 1), message_id="x").key == ("default", "m", "r")


@pytest.mark.parametrize("length", [LIMIT, LIMIT + 1])
def test_a_body_may_be_as_long_as_the_limit_and_no_longer(length: int) -> None:
    frame = b'{"request_id": "r", "member_id": "m", "points": 1, "comment": "%s"}'
    reading = read(frame % (b"x" * (length - len(frame) + 2)))
    assert len(reading.delivery.body) == length
    assert (reading.letter is not None) == (length > LIMIT)
    assert (reading.request is None) == (length > LIMIT)


def test_a_body_that_is_too_large_keeps_its_ids_and_its_body_as_fingerprint() -> None:
    reading = read(request("r", 1, comment="x" * LIMIT))
    assert reading.key == RequestKey("default", "m", "r")
    assert reading.refusal is not None
    assert reading.refusal.key == "too_large"
    assert reading.fingerprint == b"\x00" + sha256(reading.delivery.body).digest()


def test_a_body_that_is_too_large_and_cannot_be_read_is_too_large() -> None:
    reading = read(b"x" * (LIMIT + 1))
    assert reading.key is None
    assert reading.letter is not None
    assert reading.letter.key == "too_large"


def test_only_a_member_of_an_own_bucket_is_read() -> None:
    asked: list[int] = []

    def owns(bucket: int) -> bool:
        asked.append(bucket)
        return False

    reading = READER.read(delivered(request("r", 1)), owns)
    assert asked == [bucket_of("m")]
    assert (reading.key, reading.request, reading.refusal) == (None, None, None)
    assert reading.letter is not None
    assert reading.letter.key == "routing_key_mismatch"


@pytest.mark.parametrize(
    ("properties", "key"),
    [
        ({"content_type": "application/json"}, None),
        ({"content_type": "Application/JSON ; charset=utf-8"}, None),
        ({"content_type": ""}, None),
        ({"content_type": "application/jsonp"}, "unsupported_content_type"),
        ({"content_type": "text/plain"}, "unsupported_content_type"),
        ({"type": ""}, None),
        ({"type": "adjustment.request.v1"}, None),
        ({"type": "adjustment.request.v2"}, "unknown_type"),
        ({"type": "wll.event"}, "unknown_type"),
    ],
    ids=str,
)
def test_content_type_and_type_say_whether_this_is_a_request(
    properties: dict[str, Any], key: str | None
) -> None:
    reading = read(request("r", 1), **properties)
    assert (reading.letter.key if reading.letter else None) == key
    assert (reading.refusal.key if reading.refusal else None) == key
    assert reading.key == RequestKey("default", "m", "r")


@pytest.mark.parametrize(
    ("properties", "field"),
    [
        ({"expiration": "1"}, "expiration"),
        ({"expiration": "0"}, "expiration"),
        ({"expiration": ""}, "expiration"),
        ({"priority": 5}, "priority"),
        ({"priority": 255}, "priority"),
        ({"priority": 4}, None),
        ({"priority": 0}, None),
        ({"headers": {"x-refused-property": "priority"}, "user_id": "worker"}, "priority"),
        ({"headers": {"x-refused-property": "priority"}, "user_id": "anyone"}, None),
        ({"headers": {"x-refused-property": "priority"}}, None),
        ({"were_headers_cut": True}, "headers"),
        ({"headers": {"x-refused-property": "headers"}, "user_id": "worker"}, "headers"),
        ({"headers": {"x-refused-property": "headers"}, "user_id": "anyone"}, None),
    ],
    ids=str,
)
def test_what_lets_the_broker_drop_or_prefer_a_message_or_was_cut_is_refused(
    properties: dict[str, Any], field: str | None
) -> None:
    refusal = read(request("r", 1), **properties).refusal
    assert (refusal.details[0]["field"] if refusal else None) == field
    assert (refusal.key if refusal else None) == (field and "invalid_payload")


def test_properties_have_no_part_in_the_fingerprint() -> None:
    plain = read(request("r", 1))
    assert read(request("r", 1), priority=9, message_id="x").fingerprint == plain.fingerprint
    assert read(request("r", 1), expiration="5").fingerprint == plain.fingerprint


def test_the_fingerprint_of_what_cannot_be_validated_is_of_its_body() -> None:
    one, other = read(request("r", "x")), read(request("r", "x ", reason=None))
    assert one.fingerprint == b"\x00" + sha256(one.delivery.body).digest()
    assert not one.has_fingerprint(other.fingerprint)
    assert one.has_fingerprint(one.fingerprint)


def test_a_valid_request_is_recognised_by_content_or_by_its_very_body() -> None:
    """A worker of another version may have been able to read less of the same body."""
    reading = read(request("r", 1))
    assert reading.fingerprint[:1] == b"\x01"
    assert reading.has_fingerprint(read(request("r", "1.0")).fingerprint)
    assert reading.has_fingerprint(b"\x00" + sha256(reading.delivery.body).digest())
    assert not reading.has_fingerprint(read(request("r", 2)).fingerprint)


def test_a_condemned_message_is_read_no_further_than_its_ids() -> None:
    reading = READER.read(
        delivered(request("r", "nonsense", misspelt=1)), lambda _: True, is_condemned=True
    )
    assert reading.key == RequestKey("default", "m", "r")
    assert reading.request is None
    assert reading.refusal is not None
    assert reading.letter is not None
    assert reading.refusal.key == reading.letter.key == "killed_the_worker"
    assert reading.has_fingerprint(b"whatever was stored")


def test_a_condemned_message_without_ids_is_only_set_aside() -> None:
    reading = READER.read(delivered(b"rubbish"), lambda _: True, is_condemned=True)
    assert reading.key is None
    assert reading.letter is not None


def test_every_fault_of_a_request_is_told_and_never_its_values() -> None:
    reading = read(request("r", "12x", operation="STEAL", misspelt="secret", comment="\x00"))
    assert reading.refusal is not None
    fields = {detail["field"] for detail in reading.refusal.details}
    assert fields == {"points", "operation", "misspelt", "comment"}
    assert "secret" not in repr(reading.refusal)
    assert "12x" not in repr(reading.refusal)


@pytest.mark.parametrize(("size", "has_ids"), [(16 * 2_000, True), (16 * 2_000 + 1, False)])
def test_no_ids_are_looked_for_in_a_body_far_beyond_the_limit(size: int, *, has_ids: bool) -> None:
    body = json.dumps(request("r", 1)).encode().ljust(size)
    reading, document = Reader(2_000, "worker").identify(delivered(body))
    assert (reading.key is not None, document is not None) == (has_ids, has_ids)
    assert reading.letter is not None
    assert reading.letter.key == "too_large"


@pytest.mark.parametrize(
    ("user_id", "headers", "publisher", "is_trusted"),
    [
        ("worker", {}, "worker", True),
        ("worker", {"x-original-user-id": "till"}, "till", False),
        ("worker", {"x-original-user-id": ""}, None, False),
        ("worker", {"x-original-user-id": "worker"}, "worker", False),
        ("till", {}, "till", False),
        ("till", {"x-original-user-id": "worker"}, "till", False),
        (None, {"x-original-user-id": "worker"}, None, False),
        ("", {}, None, False),
    ],
)
def test_only_the_workers_own_requests_are_trusted_and_what_it_passes_on_is_not(
    user_id: str | None, headers: dict[str, object], publisher: str | None, *, is_trusted: bool
) -> None:
    arrival = read(request("r", 1), user_id=user_id, headers=headers).arrival
    assert (arrival.publisher, arrival.is_trusted) == (publisher, is_trusted)


@pytest.mark.parametrize(
    ("fields", "ordinal"),
    [
        ({}, None),
        ({"ordinal": 3}, ("", 3)),
        ({"ordinal": 3, "ordinal_stream": "s"}, ("s", 3)),
        ({"ordinal": 3, "pionts": 1}, ("", 3)),
        ({"ordinal": 3, "ordinal_stream": "s", "points": "five"}, ("s", 3)),
        ({"ordinal": 0}, None),
        ({"ordinal": True}, None),
        ({"ordinal": "3"}, None),
        ({"ordinal": 10**18}, None),
        ({"ordinal": 3, "ordinal_stream": ""}, None),
        ({"ordinal": 3, "ordinal_stream": "s" * 65}, None),
        ({"ordinal_stream": "s"}, None),
    ],
)
def test_an_ordinal_that_can_be_read_counts_also_where_the_request_is_wrong(
    fields: dict[str, Any], ordinal: tuple[str, int] | None
) -> None:
    assert read({**request("r", 1), **fields}).arrival.ordinal == ordinal


def test_a_request_is_either_there_or_refused() -> None:
    good = read(request("r", 1)).arrival
    assert (good.request is None, good.refusal) == (False, None)
    for bad in (read(request("r", "x")), read(request("r", 1), expiration="1000")):
        assert bad.arrival.request is None
        assert bad.arrival.refusal is not None


DIGEST = "ab" * 32
REFUSAL = '{"key": "zero_points", "message": "Nothing.", "details": []}'
IDS = {"request_id": "r", "member_id": "m", "program_id": "p"}


def test_what_the_door_says_of_a_vendors_message_is_believed_of_the_worker_alone() -> None:
    headers = {"x-content-digest": DIGEST, "x-refusal": REFUSAL}
    ours = read(IDS, user_id="worker", headers=headers)
    assert ours.fingerprint == b"\x02" + bytes.fromhex(DIGEST)
    assert ours.refusal is not None
    assert ours.refusal.key == "zero_points"
    for user_id in ("till", None):
        theirs = read(IDS, user_id=user_id, headers=headers)
        assert theirs.fingerprint[:1] == b"\x00"
        assert theirs.refusal is not None
        assert theirs.refusal.key == "invalid_payload"


def test_a_vendors_message_is_recognised_by_what_was_asked_or_by_its_very_body() -> None:
    """The door may have been able to read it one time and not the other."""
    of_the_body = b"\x02" + bytes.fromhex("cd" * 32)
    told: dict[str, object] = {"x-body-digest": "cd" * 32, "x-refusal": REFUSAL}
    unread = read(IDS, user_id="worker", headers=told)
    assert unread.fingerprint == of_the_body
    whole = read(IDS, user_id="worker", headers={**told, "x-content-digest": DIGEST})
    assert whole.fingerprint == b"\x02" + bytes.fromhex(DIGEST)
    assert whole.has_fingerprint(of_the_body)
    assert whole.has_fingerprint(whole.fingerprint)
    assert not unread.has_fingerprint(whole.fingerprint)
    theirs = read(IDS, user_id="till", headers=told)
    assert not theirs.has_fingerprint(of_the_body)


def test_what_killed_workers_at_the_door_takes_whatever_is_stored_for_its_own() -> None:
    refusal = REFUSAL.replace("zero_points", "killed_the_worker")
    headers = {"x-body-digest": DIGEST, "x-refusal": refusal}
    assert read(IDS, user_id="worker", headers=headers).has_fingerprint(b"whatever was stored")
    assert not read(IDS, user_id="till", headers=headers).has_fingerprint(b"whatever was stored")


@pytest.mark.parametrize(
    "headers",
    [
        {"x-body-digest": "ab", "x-refusal": "no JSON"},
        {"x-content-digest": "ab", "x-refusal": "no JSON"},
        {"x-content-digest": "xy" * 32, "x-refusal": '{"key": "unheard of"}'},
        {"x-content-digest": 7, "x-refusal": "[]"},
        {"x-refusal": '{"key": "zero_points"}'},
    ],
)
def test_what_the_door_cannot_have_said_is_not_heeded(headers: dict[str, object]) -> None:
    reading = read(request("r", 1), user_id="worker", headers=headers)
    assert reading.fingerprint[:1] == b"\x01"
    assert reading.refusal is None
