"""What vendors' systems send goes on as canonical requests, in order, to the right member."""

from __future__ import annotations

import json
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from structlog.testing import LogCapture

from schemas.dialects import BEANS, CAPILLARY, WLL
from schemas.topology import bucket_key
from tests.inside import request, settings_of, user_of
from tests.integration.door.forwarding import BODY_BYTES_MAX, KEY, Forwarding
from tests.integration.door.said import DEDUCTION, body_of, vendors
from tests.proxy import Proxy
from tests.waiting import until
from worker.dialects import DIALECTS
from worker.door import door
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from tests.crew import Crew
    from worker.store.pool import Pool


@pytest.fixture
def forwarding(crew: Crew, pool: Pool) -> Forwarding:
    return Forwarding(crew, pool, key=KEY)


async def test_a_vendors_message_goes_on_as_a_canonical_request(
    crew: Crew, forwarding: Forwarding
) -> None:
    properties = vendors(
        CAPILLARY, {"user-id": "7", "source": "INSTORE", "traceparent": "00-aa-bb-01"}
    )
    body = json.dumps(DEDUCTION).encode()
    (message,) = await forwarding.forwarded(body, **properties, correlation_id="c-1", priority=3)
    assert body_of(message) == {
        "request_id": "r-1",
        "program_id": "default",
        "member_id": "7",
        "operation": "ADJUST",
        "points": "-10.5",
        "reason": "Extra points were issued",
        "source": "INSTORE",
    }
    assert message.routing_key == bucket_key("7")
    sent = message.properties
    assert (sent.message_type, sent.content_type) == ("adjustment.request.v1", "application/json")
    assert (sent.message_id, sent.correlation_id) == ("r-1", "c-1")
    assert (sent.reply_to, sent.priority) == (crew.replies, 3)
    assert sent.user_id == user_of(crew.amqp_url)
    inbound = DIALECTS[CAPILLARY].read(DEDUCTION, properties["headers"], "r-1")
    headers = dict(message.headers)
    assert json.loads(headers.pop("x-dialect")) == {"name": CAPILLARY, **inbound.context}
    assert headers == {
        "traceparent": "00-aa-bb-01",
        "x-original-user-id": "",
        "x-content-digest": sha256(inbound.content).hexdigest(),
        "x-body-digest": sha256(body).hexdigest(),
    }


async def test_what_a_dialect_finds_wrong_travels_with_the_ids_alone(
    forwarding: Forwarding,
) -> None:
    body = {**DEDUCTION, "pointsToBeAdjusted": "0"}
    (message,) = await forwarding.forwarded(
        json.dumps(body).encode(), **vendors(CAPILLARY, {"user-id": "7"})
    )
    assert body_of(message) == {"request_id": "r-1", "program_id": "default", "member_id": "7"}
    refusal = json.loads(message.headers["x-refusal"])
    assert refusal.keys() == {"key", "message", "details"}
    assert refusal["key"] == "zero_points"


async def test_messages_by_contract_and_by_dialect_keep_their_order(
    crew: Crew, forwarding: Forwarding
) -> None:
    body = json.dumps({"type": "credit", "points": 1}).encode()
    for n in range(10):
        if n % 3:
            await crew.send(body, routing_key="x", **vendors(BEANS, message_id=f"r{n}"))
        else:
            await crew.send(request(f"r{n}", 1, "m"), routing_key="x")
    async with forwarding.open(10) as intake:
        await until(lambda: intake.in_hand == 0, what="the door is done")
    messages = await forwarding.in_lanes(10)
    assert [body_of(message)["request_id"] for message in messages] == [f"r{n}" for n in range(10)]


@pytest.mark.parametrize(
    ("body", "properties", "key"),
    [
        (b"{", {"headers": {}}, "malformed_json"),
        (b"\xff", {"headers": {}}, "not_utf8"),
        (b"[" + b" " * BODY_BYTES_MAX + b"]", {"headers": {}}, "too_large"),
        (b"{}", {"headers": {}, "content_type": "text/plain"}, "unsupported_content_type"),
        (b"{}", {"message_id": "x" * 129}, "invalid_payload"),
        (b"{}", {"headers": {}}, "missing_member_id"),
        (b"{}", {"headers": {"member-id": "m", "program-id": "no id"}}, "invalid_payload"),
    ],
    ids=["json", "utf8", "large", "content_type", "long_id", "no_member", "program"],
)
async def test_what_cannot_be_tied_to_a_request_is_set_aside_and_answered_in_its_dialect(
    crew: Crew, forwarding: Forwarding, body: bytes, properties: dict[str, Any], key: str
) -> None:
    for number, message_type in enumerate(DIALECTS):
        given = {**vendors(message_type), "correlation_id": f"c-{number}", **properties}
        await crew.send(body, routing_key="x", **given)
    async with forwarding.open(len(DIALECTS)) as intake:
        await until(lambda: intake.in_hand == 0, what="the door is done")
    letters = await crew.taken(crew.name("dead"), len(DIALECTS))
    replies = await crew.taken(crew.replies, len(DIALECTS))
    for number, message_type in enumerate(DIALECTS):
        letter, reply = letters[number], replies[number]
        assert letter.body == body
        assert letter.properties.message_type == message_type
        assert letter.headers["x-error-key"] == key
        assert reply.properties.message_type == message_type
        assert reply.properties.correlation_id == f"c-{number}"
        assert reply.properties.content_type == "application/json"
        assert isinstance(body_of(reply), dict)


async def test_a_vendors_message_without_an_address_gets_no_reply(
    crew: Crew, forwarding: Forwarding
) -> None:
    await forwarding.forwarded(b"{", count=0, **vendors(BEANS, {}), reply_to=None)
    await crew.taken(crew.name("dead"), 1)
    assert await crew.depth(crew.replies) == 0


@pytest.mark.parametrize("name", ["x-dialect", "x-content-digest", "x-body-digest", "x-refusal"])
@pytest.mark.parametrize("message_type", ["adjustment.request.v1", BEANS])
async def test_nobody_but_the_door_can_say_what_a_dialect_made_of_a_message(
    forwarding: Forwarding, name: str, message_type: str
) -> None:
    body = json.dumps({"type": "credit", "points": 1}).encode()
    claim = json.dumps({"name": WLL, "key": "zero_points", "message": "", "details": []})
    if message_type == BEANS:
        given = vendors(BEANS, {"member-id": "m", name: claim})
        (message,) = await forwarding.forwarded(body, **given)
    else:
        (message,) = await forwarding.forwarded(request("r", 1), headers={name: claim})
    assert message.headers.get(name) != claim


async def test_a_property_that_could_cost_a_vendors_message_is_named_and_taken_off(
    forwarding: Forwarding,
) -> None:
    body = json.dumps({"type": "credit", "points": 1}).encode()
    (message,) = await forwarding.forwarded(body, **vendors(BEANS), expiration="3600000")
    assert message.headers["x-refused-property"] == "expiration"
    assert message.properties.expiration is None


async def test_a_lone_surrogate_is_refused_and_breaks_nothing(forwarding: Forwarding) -> None:
    body = b'{"eventType": "\\ud800", "payload": {"comment": "\\udfff"}}'
    (message,) = await forwarding.forwarded(body, **vendors(WLL))
    assert json.loads(message.headers["x-refusal"])["key"] == "invalid_payload"
    body = json.dumps({**DEDUCTION, "reasonOfReturn": "\ud800"}).encode()
    (message,) = await forwarding.forwarded(body, **vendors(CAPILLARY))
    assert json.loads(message.headers["x-refusal"])["key"] == "invalid_payload"


async def test_while_postgres_is_away_the_door_waits_says_so_and_keeps_the_order(
    crew: Crew, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A command that ran in this process may have set the level higher than this line's.
    logs = LogCapture()
    log = structlog.wrap_logger(None, [logs], wrapper_class=structlog.stdlib.BoundLogger)
    monkeypatch.setattr(door, "_log", log)

    def batches() -> list[Any]:
        return [line for line in logs.entries if line["event"] == "door_batch"]

    body = json.dumps({"type": "credit", "points": 1}).encode()
    async with Proxy(database_url) as proxy:
        pool = await open_pool(settings_of(crew.amqp_url, proxy.url, crew.prefix))
        proxy.hold()
        await crew.send(request("r0", 1, "m"), routing_key="x")
        for n in (1, 2):
            await crew.send(body, routing_key="x", **vendors(BEANS, message_id=f"r{n}"))
        await crew.send(request("r3", 1, "m"), routing_key="x")
        forwarding = Forwarding(crew, pool)
        async with forwarding.open(4) as intake:

            def is_told() -> bool:
                proxy.cut()
                return any(fault.condition == "postgres" for fault in crew.status.faults())

            await until(is_told, what="the door says so")
            assert intake.in_hand == 4
            back_at = time.perf_counter()
            proxy.release()
            await until(batches, what="the door goes on")
            passed_ms = (time.perf_counter() - back_at) * 1000
            assert intake.in_hand == 0
            assert not any(fault.condition == "postgres" for fault in crew.status.faults())
        (batch,) = batches()
        assert batch["requests"] == 4
        # The time that it waited is none of publishing.
        assert 0 < batch["publish_ms"] <= passed_ms
        await close_pool(pool)
    messages = await forwarding.in_lanes(4)
    assert [body_of(message)["request_id"] for message in messages] == [f"r{n}" for n in range(4)]
