"""What cannot be understood becomes a dead letter with its reason, answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.load import bucket_key

if TYPE_CHECKING:
    from tests.end_to_end.conversation import Conversation

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN_BUCKET = "bucket.000"


@pytest.mark.parametrize("routing_key", [OWN_BUCKET, "through-the-door"])
@pytest.mark.parametrize(
    ("body", "properties", "key", "code"),
    [
        (b'{"request_id": "r", ', {}, "malformed_json", 400),
        (b"", {}, "malformed_json", 400),
        (b'{"request_id": "r", "member_id": "m", "points": NaN}', {}, "malformed_json", 400),
        (b'{"points": 1, "points": 2, "member_id": "m"}', {}, "malformed_json", 400),
        (b"[" * 5_000, {}, "malformed_json", 400),
        (b'{"request_id": "r", "member_id": "\xff"}', {}, "not_utf8", 400),
        (b"<points/>", {"content_type": "text/xml"}, "unsupported_content_type", 415),
        (b'{"hello": 1}', {"message_type": "adjustment.request.v9"}, "unknown_type", 400),
        (b'{"member_id": "m", "points": 1}', {}, "missing_request_id", 400),
        (b'{"member_id": "m", "request_id": null}', {}, "missing_request_id", 400),
        (b'{"request_id": "r", "points": 1}', {}, "missing_member_id", 400),
        (b'{"request_id": "r", "member_id": "", "points": 1}', {}, "invalid_payload", 400),
        (b'{"request_id": "r", "member_id": 7, "points": 1}', {}, "invalid_payload", 400),
        (b'{"request_id": ["r"], "member_id": "m"}', {}, "invalid_payload", 400),
        (b'{"request_id": "r\\n", "member_id": "m"}', {}, "invalid_payload", 400),
        (b'{"request_id": "r\\ud800", "member_id": "m"}', {}, "invalid_payload", 400),
        (b'{"request_id": "r", "member_id": "m", "program_id": "a b"}', {}, "invalid_payload", 400),
        (b"[1, 2]", {}, "invalid_payload", 400),
        (b'"text"', {}, "invalid_payload", 400),
    ],
    ids=lambda value: value[:40].decode(errors="replace") if isinstance(value, bytes) else None,
)
async def test_a_message_that_cannot_be_understood_is_set_aside_unchanged_and_answered(
    talk: Conversation,
    routing_key: str,
    body: bytes,
    properties: dict[str, Any],
    key: str,
    code: int,
) -> None:
    # Letters are told apart by their body, which white space makes unique and leaves as it means.
    body += b" " * (1 + len(talk.downstream.replies))
    reply = await talk.reply(talk.send(body, routing_key=routing_key, **properties))
    letter = await talk.letter(body)
    assert letter.exchange == f"{talk.scene.prefix}.dead"
    assert letter.headers["x-error-key"] == key
    assert letter.headers["x-error-message"]
    assert letter.headers["x-original-exchange"] == f"{talk.scene.prefix}.adjustments"
    assert letter.headers["x-original-routing-key"] == routing_key
    queue = "partition.1.000" if routing_key == OWN_BUCKET else "door"
    assert letter.headers["x-original-queue"] == f"{talk.scene.prefix}.{queue}"
    assert letter.properties.delivery_mode == 2
    assert letter.properties.correlation_id == reply.properties.correlation_id
    assert reply.properties.message_type == "adjustment.error.v1"
    error = json.loads(reply.body)["error"]
    assert (error["key"], error["code"]) == (key, code)
    assert error["message"] == letter.headers["x-error-message"]


@pytest.mark.parametrize("routing_key", [OWN_BUCKET, "through-the-door"])
@pytest.mark.parametrize("by_own_user", [True, False], ids=["own_user", "anyone"])
async def test_only_the_workers_own_user_is_believed_about_who_published_first(
    talk: Conversation, routing_key: str, *, by_own_user: bool
) -> None:
    own_user = unquote(urlsplit(talk.scene.amqp_url).username or "guest")
    body = f"no JSON by {routing_key}, {by_own_user}".encode()
    talk.send(
        body,
        routing_key=routing_key,
        user_id=own_user if by_own_user else None,
        headers={"x-original-user-id": "till-service"},
    )
    named = (await talk.letter(body)).headers.get("x-original-user-id")
    assert named == ("till-service" if by_own_user else "")


async def test_a_message_on_a_lane_of_another_bucket_is_set_aside_and_stores_nothing(
    talk: Conversation,
) -> None:
    member = talk.new_member()
    request = talk.request(member, 5)
    bucket = int(bucket_key(member)[-3:])
    wrong_key = f"bucket.{(bucket + 1) % 256:03d}"
    correlation_id = talk.send(request, routing_key=wrong_key)
    letter = await talk.letter(json.dumps(request).encode())
    assert letter.headers["x-error-key"] == "routing_key_mismatch"
    reply = await talk.reply(correlation_id)
    assert reply.properties.message_type == "adjustment.error.v1"
    assert (await talk.ask(request))["status"] == "APPLIED"
    assert len(await talk.events(member, 1)) == 1


@pytest.mark.parametrize("by_door", [False, True], ids=["by_bucket_key", "through_the_door"])
@pytest.mark.parametrize(
    ("key", "code", "comment", "properties"),
    [
        ("too_large", 413, "x" * 70_000, {}),
        ("unknown_type", 400, "typed", {"message_type": "adjustment.request.v9"}),
        ("unsupported_content_type", 415, "text", {"content_type": "text/plain"}),
    ],
    ids=["too_large", "unknown_type", "unsupported_content_type"],
)
async def test_a_message_whose_ids_can_be_read_is_stored_as_refused_when_it_is_set_aside(
    talk: Conversation,
    key: str,
    code: int,
    comment: str,
    properties: dict[str, Any],
    *,
    by_door: bool,
) -> None:
    """A repeat can then never be applied later (I5)."""
    member = talk.new_member()
    request = talk.request(member, 5, comment=comment)
    routing_key = member if by_door else bucket_key(member)
    first = await talk.reply(talk.send(request, routing_key=routing_key, **properties))
    outcome = json.loads(first.body)
    assert (outcome["status"], outcome["error"]["key"]) == ("REJECTED", key)
    assert outcome["error"]["code"] == code
    letter = await talk.letter(json.dumps(request).encode())
    assert letter.headers["x-error-key"] == key
    (event,) = await talk.events(member, 1)
    assert json.loads(event.body)["data"] == outcome
    smaller = await talk.ask({**request, "comment": "x"})
    assert smaller["error"]["key"] == "request_id_conflict"


async def test_a_dead_letter_without_a_reply_address_is_not_answered(talk: Conversation) -> None:
    body = b"nobody waits for this"
    unasked = talk.send(body, routing_key=OWN_BUCKET, reply=False)
    await talk.letter(body)
    await talk.settle(talk.new_member())
    assert unasked not in talk.downstream.answered


async def test_neighbours_of_a_dead_letter_are_applied_in_order(talk: Conversation) -> None:
    member = talk.new_member()
    key = bucket_key(member)
    talk.send(talk.request(member, 1))
    talk.send(b"rubbish between", routing_key=key)
    talk.send(talk.request(member, 2))
    await talk.letter(b"rubbish between")
    events = await talk.events(member, 2)
    assert [json.loads(event.body)["data"]["balance"] for event in events] == ["1", "3"]
