"""What comes without its bucket's key is sent on in order, and nothing ever goes round."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from schemas.names import REQUEST_TYPE
from schemas.topology import bucket_key
from tests.brokers import session_at
from tests.crew import Crew, data_of, ids_of
from tests.inside import delivered, request, user_of
from tests.integration.door.forwarding import Forwarding
from tests.proxy import Proxy
from tests.waiting import until
from worker.dialects import DIALECTS
from worker.door.forwarding import forward

if TYPE_CHECKING:
    import asyncpg

    from worker.store.pool import Pool

MEMBER = "m"


@pytest.fixture
def forwarding(crew: Crew, pool: Pool) -> Forwarding:
    return Forwarding(crew, pool)


async def test_the_order_of_a_member_is_kept_through_the_door(
    crew: Crew, owner: asyncpg.Connection
) -> None:
    members = [f"m{n}" for n in range(7)]
    messages = [request(f"r{n}", 1, members[n % 7]) for n in range(350)]
    async with crew.running():
        await crew.send(*messages, routing_key="anything")
        events = await crew.taken(crew.events, 350)
        await until(lambda: crew.counted("in_hand") == 0, what="everything is acknowledged")
    for member in members:
        told = [data_of(event) for event in events if data_of(event)["member_id"] == member]
        assert [item["request_id"] for item in told] == [
            message["request_id"] for message in messages if message["member_id"] == member
        ]
        assert [item["balance"] for item in told] == [str(n) for n in range(1, 51)]
    assert crew.counted("publications_total", kind="forward") == 350
    assert await owner.fetchval("SELECT count(*) FROM points.journal") == 350


async def test_the_door_acknowledges_only_what_the_broker_has_confirmed(
    crew: Crew, forwarding: Forwarding
) -> None:
    """A door that dies in between has lost nothing: the request goes on twice, and that is all."""
    lanes = [crew.name(f"partition.1.00{lane}") for lane in (0, 1)]
    async with Proxy(crew.amqp_url) as proxy:
        consuming = await session_at(crew.amqp_url, "consuming")
        publishing = await session_at(proxy.url, "publishing")
        intake = await consuming.intake(crew.name("door"), prefetch=100)
        publisher = await publishing.publisher()
        async with asyncio.TaskGroup() as group:
            group.create_task(forwarding.door(intake, publisher).run())
            proxy.hold()
            await crew.send(request("r", 1), routing_key="anything")

            async def has_gone_on() -> bool:
                return sum([await crew.depth(lane) for lane in lanes]) == 1

            await until(has_gone_on, what="the request lies in its lane")
            assert intake.in_hand == 1
            proxy.release()
            await until(lambda: intake.in_hand == 0, what="the door is done")
            intake.stop()
        await consuming.close()
        await publishing.close()


async def test_a_forwarded_request_is_what_it_was(forwarding: Forwarding) -> None:
    body = b' {"request_id":"r", "points":  1.50,"member_id":"\xc3\xbc"} '
    (message,) = await forwarding.forwarded(
        body,
        content_type="application/json; charset=utf-8",
        message_type="adjustment.request.v1",
        message_id="m-1",
        correlation_id="c-1",
        reply_to="answers",
        priority=3,
        headers={"traceparent": "00-aa-bb-01", "mine": 7, "CC": ["elsewhere"]},
    )
    properties = message.properties
    assert message.body == body
    assert message.routing_key == bucket_key("ü")
    assert properties.content_type == "application/json; charset=utf-8"
    assert properties.message_type == "adjustment.request.v1"
    assert (properties.message_id, properties.correlation_id) == ("m-1", "c-1")
    assert (properties.reply_to, properties.priority) == ("answers", 3)
    assert properties.delivery_mode == 2
    assert properties.user_id == user_of(forwarding.crew.amqp_url)
    assert message.headers == {"traceparent": "00-aa-bb-01", "mine": 7, "x-original-user-id": ""}


async def test_the_first_publishers_checked_user_is_passed_on_and_no_claim_of_anyones(
    forwarding: Forwarding,
) -> None:
    user = user_of(forwarding.crew.amqp_url)
    claim = {"x-original-user-id": "somebody else"}
    (nobody,) = await forwarding.forwarded(request("a", 1), headers=claim)
    assert nobody.headers["x-original-user-id"] == ""
    (checked,) = await forwarding.forwarded(request("a", 1), user_id=user, headers=claim)
    # Only the worker's own user is believed, and this is it.
    assert checked.headers["x-original-user-id"] == "somebody else"


@pytest.mark.parametrize(
    ("properties", "field"),
    [({"expiration": "3600000"}, "expiration"), ({"priority": 9}, "priority")],
    ids=["expiration", "priority"],
)
async def test_a_property_that_could_cost_the_message_is_named_and_taken_off(
    forwarding: Forwarding, properties: dict[str, Any], field: str
) -> None:
    (message,) = await forwarding.forwarded(request("r", 1), **properties)
    assert message.headers["x-refused-property"] == field
    assert message.properties.expiration is None
    assert (message.properties.priority or 0) <= 4


async def test_nobody_but_the_door_can_name_a_refused_property(forwarding: Forwarding) -> None:
    claim = {"x-refused-property": "expiration"}
    (message,) = await forwarding.forwarded(request("r", 1), headers=claim)
    assert "x-refused-property" not in message.headers


@pytest.mark.parametrize("properties", [{"expiration": "3600000"}, {"priority": 5}], ids=str)
@pytest.mark.parametrize("routing_key", [None, "anything"], ids=["by_bucket", "by_door"])
async def test_expiration_and_priority_are_refused_on_both_ways_and_stored(
    crew: Crew, owner: asyncpg.Connection, properties: dict[str, Any], routing_key: str | None
) -> None:
    async with crew.running():
        await crew.send(request("r", 5), routing_key=routing_key, **properties)
        (event,) = await crew.taken(crew.events, 1)
        # Sent again without it, it is a repeat of what was refused.
        await crew.send(request("r", 5))
        replies = await crew.taken(crew.replies, 2)
    assert data_of(event)["error"]["key"] == "invalid_payload"
    assert data_of(event)["error"]["details"][0]["field"] in properties
    assert [json.loads(reply.body) for reply in replies] == [data_of(event)] * 2
    assert await owner.fetchval("SELECT error_key FROM points.journal") == "invalid_payload"


@pytest.mark.parametrize("routing_key", [None, "anything"], ids=["by_bucket", "by_door"])
async def test_a_request_of_whose_headers_some_find_no_room_is_refused_on_both_ways_and_stored(
    crew: Crew, owner: asyncpg.Connection, routing_key: str | None
) -> None:
    async with crew.running():
        headers = {"traceparent": "x" * 66_000}
        await crew.send(request("r", 5), routing_key=routing_key, headers=headers)
        (event,) = await crew.taken(crew.events, 1)
        (reply,) = await crew.taken(crew.replies, 1)
    error = data_of(event)["error"]
    assert (error["key"], error["details"][0]["field"]) == ("invalid_payload", "headers")
    assert json.loads(reply.body) == data_of(event)
    assert await owner.fetchval("SELECT error_key FROM points.journal") == "invalid_payload"


async def test_what_the_door_cannot_read_is_set_aside_and_answered_among_its_neighbours(
    crew: Crew,
) -> None:
    async with crew.running():
        await crew.send(request("r1", 1), b"rubbish", request("r2", 2), routing_key="somewhere")
        assert ids_of(await crew.taken(crew.events, 2)) == ["r1", "r2"]
        (letter,) = await crew.taken(crew.name("dead"), 1)
        replies = await crew.taken(crew.replies, 3)
    assert letter.body == b"rubbish"
    assert letter.headers["x-error-key"] == "malformed_json"
    assert letter.headers["x-original-queue"] == crew.name("door")
    assert letter.headers["x-original-routing-key"] == "somewhere"
    errors = [item for item in replies if item.properties.message_type == "adjustment.error.v1"]
    assert [json.loads(item.body)["error"]["key"] for item in errors] == ["malformed_json"]
    assert crew.counted("dead_letters_total", key="malformed_json") == 1


async def test_of_an_unknown_type_the_door_tells_which_types_there_are(crew: Crew) -> None:
    async with crew.running():
        await crew.send(b'{"points": 20}', routing_key="somewhere", message_type="voucherify")
        (letter,) = await crew.taken(crew.name("dead"), 1)
        (reply,) = await crew.taken(crew.replies, 1)
    told = letter.headers["x-error-message"]
    error = json.loads(reply.body)["error"]
    assert (letter.headers["x-error-key"], error["key"]) == ("unknown_type", "unknown_type")
    assert error["message"].rstrip(".") == told
    types = set(str(told).removeprefix("type must be one of ").split(", "))
    assert types == {REQUEST_TYPE, *DIALECTS}


def test_a_forwarded_request_must_be_taken() -> None:
    """What the door acknowledges would else be lost."""
    onward = forward(delivered(request("r", 1)), "m", {}, prefix="desk", user="worker")
    assert onward.must_be_taken
    assert onward.mandatory
