"""One request of each kind: its reply, its event, what stays for a repeat."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.load import bucket_key
from tests.traffic import received_of, take_all
from tests.waiting import until

if TYPE_CHECKING:
    from tests.end_to_end.conversation import Conversation

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAR = "2099-12-31"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_credit_is_answered_with_every_field_of_the_contract(talk: Conversation) -> None:
    member = talk.new_member()
    request = talk.request(
        member,
        "670.00",
        category="PROMISED",
        expiration_type="CUSTOM_DATE",
        expiration_date=FAR,
        reason="Goodwill",
        reason_code="G-1",
        comment="Zoë called; 🙂",
        adjusted_by="operator-7",
        source="call centre",
        source_id="T-99",
        operation_type="AUTOMATIC",
        occurred_at="2025-12-24T18:00:00+01:00",
        metadata={"till": 4, "lines": [1, 2.5, None, {"deep": "ü"}]},
    )
    outcome = await talk.ask(request)
    recorded_at = datetime.fromisoformat(outcome.pop("recorded_at"))
    assert abs(datetime.now(UTC) - recorded_at) < timedelta(minutes=1)
    assert datetime.fromisoformat(outcome.pop("occurred_at")) == datetime(
        2025, 12, 24, 17, tzinfo=UTC
    )
    lots = outcome.pop("lots")
    assert [(lot["points"], lot["expires_at"]) for lot in lots] == [("670", "2100-01-01T00:00:00Z")]
    assert outcome == {
        **{name: request[name] for name in request if name not in _CHANGED},
        "program_id": "default",
        "operation": "ADJUST",
        "status": "APPLIED",
        "currency": "points",
        "requested": "670",
        "points": "670",
        "forfeited": "0",
        "balance": "670",
        "available": "670",
        "total": "670",
        "version": 1,
        "sequence": 1,
        "expires_at": "2100-01-01T00:00:00Z",
        "reverses": None,
        "hold": None,
        "caused_by": None,
        "error": None,
        "warnings": [],
    }


_CHANGED = {"points", "expiration_type", "expiration_date", "occurred_at"}


async def test_an_event_carries_the_replys_object_in_a_cloudevents_envelope(
    talk: Conversation,
) -> None:
    member = talk.new_member()
    outcome = await talk.ask(talk.request(member, 100), headers={"traceparent": TRACE})
    (event,) = await talk.events(member, 1)
    envelope = json.loads(event.body)
    assert envelope.pop("data") == outcome
    assert str(uuid.UUID(envelope["id"])) == envelope["id"]
    assert uuid.UUID(envelope["id"]).version == 5
    assert envelope.pop("id") == event.properties.message_id
    assert envelope.pop("time") == outcome["recorded_at"]
    assert envelope.pop("dataschema")
    assert envelope == {
        "specversion": "1.0",
        "source": "/points/default",
        "type": "POINTS_ADJUSTED",
        "subject": member,
        "datacontenttype": "application/json",
        "partitionkey": member,
        "sequence": "0000000000000000001",
    }
    assert event.routing_key == "default.POINTS_ADJUSTED"
    assert event.exchange == f"{talk.scene.prefix}.events"
    assert event.properties.content_type == "application/cloudevents+json"
    assert event.properties.message_type == "POINTS_ADJUSTED"
    assert event.properties.delivery_mode == 2
    assert event.headers["member-id"] == member
    assert event.headers["bucket"] == bucket_key(member)
    assert event.headers["traceparent"] == TRACE


async def test_a_reply_is_persistent_json_under_the_requests_correlation_id(
    talk: Conversation,
) -> None:
    reply = await talk.reply(talk.send(talk.request(talk.new_member(), 5), message_id="m-own"))
    assert reply.properties.delivery_mode == 2
    assert reply.properties.content_type == "application/json"
    assert reply.properties.message_type == "adjustment.result.v1"
    assert reply.exchange == ""
    assert reply.routing_key == talk.downstream.reply_to


async def test_the_message_id_is_the_correlation_id_of_a_request_without_one(
    talk: Conversation,
) -> None:
    request = talk.request(talk.new_member(), 5)
    name = f"message-of-{request['request_id']}"
    outcome = await talk.ask(request, correlation_id=None, message_id=name)
    assert outcome["request_id"] == request["request_id"]


async def test_the_message_id_is_the_request_id_of_a_request_without_one(
    talk: Conversation,
) -> None:
    member = talk.new_member()
    request = {"member_id": member, "points": 5}
    first = await talk.ask(request, message_id="till-4711")
    assert first["request_id"] == "till-4711"
    repeat = await talk.ask({**request, "request_id": "till-4711"})
    assert repeat == first


async def test_a_request_without_a_reply_address_is_applied_and_told_of(
    talk: Conversation,
) -> None:
    member = talk.new_member()
    talk.send(talk.request(member, 5), reply=False)
    (event,) = await talk.events(member, 1)
    assert json.loads(event.body)["data"]["balance"] == "5"


async def test_a_reply_that_nobody_can_take_holds_nothing_up(talk: Conversation) -> None:
    member = talk.new_member()
    talk.send(talk.request(member, 5), reply_to="no.such.queue")
    talk.send(talk.request(member, 6), reply_to="x" * 255)
    assert (await talk.credit(member, 7))["balance"] == "18"
    assert len(await talk.events(member, 3)) == 3


async def test_a_direct_reply_to_consumer_gets_its_answer(talk: Conversation) -> None:
    """The pseudo queue of the broker needs the request to come over the consumer's channel."""
    channel = talk._channel
    replies: list[bytes] = []

    async def keep(message: Any) -> None:
        replies.append(received_of(message).body)

    await channel.basic_consume("amq.rabbitmq.reply-to", keep, no_ack=True)
    member = talk.new_member()
    talk.send(talk.request(member, 5), reply_to="amq.rabbitmq.reply-to")
    await talk.settle(member)
    await talk.events(member, 2)
    # It goes another way than what else a batch causes, and may come after it.
    await until(lambda: replies, what="the reply")
    assert [json.loads(body)["balance"] for body in replies] == ["5"]


async def test_a_debit_takes_the_soonest_expiring_points_first(talk: Conversation) -> None:
    member = talk.new_member()
    never = await talk.credit(member, 10)
    late = await talk.credit(member, 10, expiration_type="CUSTOM_DATE", expiration_date=FAR)
    soon = await talk.credit(
        member, 10, expiration_type="CUSTOM_DATE", expiration_date="2098-06-30T12:00:00+02:00"
    )
    also_never = await talk.credit(member, 10, expiration_type="NON_EXPIRING")
    debit = await talk.ask(talk.request(member, -35))
    assert debit["balance"] == "5"
    assert debit["total"] == "40"
    assert [(lot["lot_id"], lot["points"]) for lot in debit["lots"]] == [
        (soon["lots"][0]["lot_id"], "-10"),
        (late["lots"][0]["lot_id"], "-10"),
        (never["lots"][0]["lot_id"], "-10"),
        (also_never["lots"][0]["lot_id"], "-5"),
    ]
    assert debit["lots"][0]["expires_at"] == "2098-06-30T10:00:00Z"


async def test_a_debit_of_more_than_there_is_is_refused_whole(talk: Conversation) -> None:
    member = talk.new_member()
    await talk.credit(member, 10)
    outcome = await talk.ask(talk.request(member, -11))
    assert (outcome["status"], outcome["points"], outcome["balance"]) == ("REJECTED", "0", "10")
    assert (outcome["error"]["key"], outcome["error"]["code"]) == ("insufficient_points", 422)
    assert (outcome["version"], outcome["sequence"], outcome["requested"]) == (1, 2, "-11")
    event = (await talk.events(member, 2))[1]
    assert event.properties.message_type == "ADJUSTMENT_REJECTED"
    assert event.routing_key == "default.ADJUSTMENT_REJECTED"
    assert json.loads(event.body)["data"] == outcome


async def test_a_deficit_that_was_allowed_is_paid_off_by_later_credits_first(
    talk: Conversation,
) -> None:
    member = talk.new_member()
    await talk.credit(member, 30)
    owing = await talk.ask(talk.request(member, -50, allow_negative=True))
    assert (owing["status"], owing["balance"]) == ("APPLIED", "-20")
    part = await talk.credit(member, 15)
    assert (part["balance"], part["lots"], part["total"]) == ("-5", [], "45")
    rest = await talk.credit(member, 10)
    assert (rest["balance"], rest["lots"][0]["points"], rest["total"]) == ("5", "5", "55")


async def test_every_category_is_a_wallet_of_its_own(talk: Conversation) -> None:
    member = talk.new_member()
    await talk.credit(member, 10)
    await talk.credit(member, 20, category="PROMISED")
    third = await talk.credit(member, 30, category="EXTERNAL_TRIGGER_BASED")
    assert (third["balance"], third["version"], third["sequence"]) == ("30", 1, 3)
    debit = await talk.ask(talk.request(member, -15))
    assert debit["error"]["key"] == "insufficient_points"
    assert (debit["balance"], debit["category"]) == ("10", "REGULAR")


async def test_a_repeat_gets_the_first_answer_byte_for_byte(talk: Conversation) -> None:
    member = talk.new_member()
    request = talk.request(member, 100, reason="Goodwill")
    first = await talk.reply(talk.send(request))
    await talk.credit(member, 50)
    respelt = {"points": "100.00", "operation": "ADJUST", "comment": None, **request}
    respelt["points"] = "100.00"
    for repeat in (request, respelt, dict(reversed(request.items()))):
        assert (await talk.reply(talk.send(repeat))).body == first.body
    assert (await talk.credit(member, 1))["balance"] == "151"
    assert len(await talk.events(member, 3)) == 3


async def test_a_rejection_is_repeated_although_it_would_pass_by_now(talk: Conversation) -> None:
    member = talk.new_member()
    request = talk.request(member, -10)
    first = await talk.reply(talk.send(request))
    await talk.credit(member, 100)
    assert (await talk.reply(talk.send(request))).body == first.body


async def test_another_content_under_a_used_id_is_a_conflict_that_leaves_no_trace(
    talk: Conversation,
) -> None:
    member = talk.new_member()
    request = talk.request(member, 100)
    first = await talk.reply(talk.send(request))
    for other in ({"points": 101}, {"reason": "x"}, {"pionts": 1}):
        conflict = await talk.ask({**request, **other})
        assert conflict["status"] == "REJECTED"
        assert (conflict["error"]["key"], conflict["error"]["code"]) == ("request_id_conflict", 409)
    assert (await talk.reply(talk.send(request))).body == first.body
    assert (await talk.credit(member, 1))["sequence"] == 2
    assert len(await talk.events(member, 2)) == 2


async def test_the_same_id_belongs_to_each_member_separately(talk: Conversation) -> None:
    one, two = talk.new_member(), talk.new_member()
    for member in (one, two):
        outcome = await talk.ask({"request_id": "same", "member_id": member, "points": 5})
        assert (outcome["status"], outcome["sequence"]) == ("APPLIED", 1)


@pytest.mark.parametrize(
    "points", [b"10", b'"10"', b"10.0", b'"10.000000"', b"10.00", b'"010"'], ids=bytes.decode
)
async def test_an_amount_may_be_spelt_in_many_ways(talk: Conversation, points: bytes) -> None:
    member = talk.new_member()
    body = b'{"request_id": "r", "member_id": "%s", "points": %s}' % (member.encode(), points)
    reply = await talk.reply(talk.send(body, routing_key=bucket_key(member)))
    assert json.loads(reply.body)["points"] == "10"


async def test_a_message_of_priority_four_is_applied(talk: Conversation) -> None:
    outcome = await talk.ask(talk.request(talk.new_member(), 5), priority=4)
    assert outcome["status"] == "APPLIED"


async def test_a_message_without_type_is_a_request(talk: Conversation) -> None:
    outcome = await talk.ask(talk.request(talk.new_member(), 5), message_type=None)
    assert outcome["status"] == "APPLIED"


@pytest.mark.parametrize("member", ["Zoë-🙂-Ωmega", "with spaces, and ;", "x" * 128, "{}", "0"])
@pytest.mark.parametrize("routing_key", [None, "anything", ""])
async def test_any_member_id_finds_its_lane_by_either_way(
    talk: Conversation, member: str, routing_key: str | None
) -> None:
    outcome = await talk.ask(talk.request(member, 5), routing_key=routing_key)
    assert (outcome["status"], outcome["member_id"]) == ("APPLIED", member)
    assert (await talk.events(member, 1))[0].headers["bucket"] == bucket_key(member)


async def test_a_request_through_the_door_keeps_all_that_came_with_it(talk: Conversation) -> None:
    member = talk.new_member()
    request = talk.request(member, 5)
    del request["request_id"]
    outcome = await talk.ask(
        request, routing_key=member, message_id="door-1", headers={"traceparent": TRACE}
    )
    assert outcome["request_id"] == "door-1"
    (event,) = await talk.events(member, 1)
    assert event.headers["traceparent"] == TRACE


async def test_nothing_of_all_this_became_a_dead_letter(talk: Conversation) -> None:
    """The last test of this module: a business fact is an outcome, never a dead letter."""
    assert await take_all(talk.scene.amqp_url, f"{talk.scene.prefix}.dead") == []
