"""What is refused: with which key, stored, told of, and repeated (`schemas.errors`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.traffic import take_all

if TYPE_CHECKING:
    from tests.end_to_end.conversation import Conversation

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAR = "2099-12-31"


async def test_every_fault_of_a_payload_is_listed_with_field_and_rule(talk: Conversation) -> None:
    member = talk.new_member()
    outcome = await talk.ask(
        talk.request(member, "12.1234567", pionts=5, reason="x" * 256, allow_negative="yes")
    )
    assert outcome["status"] == "REJECTED"
    assert outcome["error"]["key"] == "invalid_payload"
    assert outcome["error"]["code"] == 400
    fields = {detail["field"] for detail in outcome["error"]["details"]}
    assert fields == {"points", "pionts", "reason", "allow_negative"}
    assert all(detail["rule"] for detail in outcome["error"]["details"])
    assert "x" * 20 not in json.dumps(outcome["error"]), "values do not belong in messages"


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"points": 0}, "zero_points"),
        ({"points": "-0.000"}, "zero_points"),
        ({"points": "1.5"}, "decimal_places_exceeded"),
        ({"points": 1.25}, "decimal_places_exceeded"),
        ({"points": True}, "invalid_payload"),
        ({"points": None}, "invalid_payload"),
        ({"points": "1e2"}, "invalid_payload"),
        ({"points": 10**15}, "invalid_payload"),
        ({"points": "+5"}, "invalid_payload"),
        ({"points": [5]}, "invalid_payload"),
        ({"program_id": "acme"}, "unknown_program"),
        ({"currency": "pearls"}, "unknown_currency"),
        ({"expiration_type": "CUSTOM_DATE"}, "invalid_payload"),
        ({"expiration_date": FAR}, "invalid_payload"),
        ({"points": -5, "expiration_type": "NON_EXPIRING"}, "invalid_payload"),
        (
            {"expiration_type": "CUSTOM_DATE", "expiration_date": "2001-01-01"},
            "invalid_expiration_date",
        ),
        ({"expiration_type": "CUSTOM_DATE", "expiration_date": "2099-02-30"}, "invalid_payload"),
        ({"comment": "a line\nbreak"}, "invalid_payload"),
        ({"comment": "nul \u0000"}, "invalid_payload"),
        ({"metadata": {"x": "y" * 4096}}, "invalid_payload"),
        ({"metadata": {"x": "nul \u0000"}}, "invalid_payload"),
        ({"occurred_at": "yesterday"}, "invalid_payload"),
        ({"award_type": "bill_regular"}, "invalid_payload"),
        ({"points": -5, "award_id": "a"}, "invalid_award"),
        ({"promotion_id": "p", "promotion_identifier": "p"}, "invalid_payload"),
        ({"promotion_identifier": "p"}, "invalid_promotion"),
        ({"points": -5, "promotion_id": "p"}, "insufficient_points"),
        ({"expected_version": 3}, "version_mismatch"),
        ({"ordinal": 0}, "invalid_payload"),
        ({"ordinal_stream": "s"}, "invalid_payload"),
        ({"operation": "SET_BALANCE", "points": -1}, "insufficient_points"),
        ({"operation": "HOLD"}, "insufficient_points"),
        ({"operation": "HOLD", "points": 0}, "invalid_payload"),
        ({"operation": "REVERSE", "points": None, "reverses": "r"}, "unknown_request"),
        ({"operation": "RELEASE", "points": None, "hold": "r"}, "unknown_hold"),
        ({"operation": "CAPTURE", "points": None, "hold": "r"}, "unknown_hold"),
        ({"operation": "CONVERT"}, "invalid_payload"),
        ({"operation": "CONVERT", "category": "PROMISED"}, "insufficient_points"),
        ({"operation": "EXPIRE", "points": 5}, "invalid_payload"),
        ({"operation": "GIVE"}, "invalid_payload"),
        ({"ttl_seconds": 60}, "invalid_payload"),
        ({"hold": "h"}, "invalid_payload"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else value,
)
async def test_a_request_that_cannot_be_carried_out_is_refused_and_stored(
    talk: Conversation, fields: dict[str, Any], key: str
) -> None:
    member = talk.new_member()
    request = {**talk.request(member, 5), **fields}
    first = await talk.reply(talk.send(request))
    outcome = json.loads(first.body)
    assert (outcome["status"], outcome["error"]["key"]) == ("REJECTED", key)
    assert (outcome["points"], outcome["sequence"]) == ("0", 1)
    assert (await talk.reply(talk.send(request))).body == first.body
    (event,) = await talk.events(member, 1)
    assert json.loads(event.body)["data"] == outcome
    assert event.routing_key == f"{request.get('program_id', 'default')}.ADJUSTMENT_REJECTED"


@pytest.mark.parametrize("properties", [{"expiration": "60000"}, {"priority": 5}], ids=str)
async def test_a_message_that_the_broker_could_delete_or_prefer_is_refused(
    talk: Conversation, properties: dict[str, Any]
) -> None:
    outcome = await talk.ask(talk.request(talk.new_member(), 5), **properties)
    assert (outcome["status"], outcome["error"]["key"]) == ("REJECTED", "invalid_payload")


async def test_nothing_of_all_this_became_a_dead_letter(talk: Conversation) -> None:
    """The last test of this module: a business fact is an outcome, never a dead letter."""
    assert await take_all(talk.scene.amqp_url, f"{talk.scene.prefix}.dead") == []
