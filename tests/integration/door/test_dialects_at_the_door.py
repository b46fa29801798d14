"""What vendors' systems send goes on as canonical requests, in order, to the right member."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from schemas.dialects import BEANS, CAPILLARY, WLL
from schemas.topology import bucket_key
from tests.inside import request, settings_of, user_of
from tests.integration.door.forwarding import BODY_BYTES_MAX, KEY, MOBILE, Forwarding
from tests.proxy import Proxy
from tests.waiting import until
from worker.dialects import DIALECTS
from worker.identifiers import fingerprint, key_digest
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

    from tests.crew import Crew
    from tests.traffic import Received
    from worker.store.pool import Pool

DEDUCTION = {"pointsToBeAdjusted": "10.50", "reasonOfReturn": "Extra points were issued"}
BY_MOBILE = {"identifier-name": "mobile", "identifier-value": MOBILE}


@pytest.fixture
def forwarding(crew: Crew, pool: Pool) -> Forwarding:
    return Forwarding(crew, pool, key=KEY)


async def identify(
    owner: asyncpg.Connection, member_id: str, name: str = "mobile", value: str = MOBILE
) -> None:
    """Say whom an identifier belongs to, from now on."""
    await owner.execute(
        "INSERT INTO points.identifiers VALUES ('default', $1, $2, $3)"
        " ON CONFLICT (program_id, name, fingerprint) DO UPDATE SET member_id = $3",
        name,
        fingerprint(KEY, name, value),
        member_id,
    )


def vendors(
    message_type: str, headers: Mapping[str, object] | None = None, message_id: str = "r-1"
) -> dict[str, Any]:
    """Return the properties of a vendor's message; by default member m's."""
    given = {"member-id": "m"} if headers is None else headers
    return {"message_type": message_type, "message_id": message_id, "headers": given}


def body_of(message: Received) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(message.body)
    return document


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


async def test_an_identifier_leads_to_its_member_and_goes_no_further(
    forwarding: Forwarding, owner: asyncpg.Connection
) -> None:
    await identify(owner, "m-7")
    (message,) = await forwarding.forwarded(
        json.dumps(DEDUCTION).encode(),
        **vendors(CAPILLARY, BY_MOBILE),
    )
    assert body_of(message)["member_id"] == "m-7"
    assert message.routing_key == bucket_key("m-7")
    everything = f"{message.body!r} {message.headers} {message.properties.message_id}"
    assert MOBILE not in everything
    stored = await owner.fetch("SELECT * FROM points.resolutions")
    assert [(row["program_id"], row["request_id"], row["member_id"]) for row in stored] == [
        ("default", "r-1", "m-7")
    ]
    assert MOBILE not in str(stored)


async def test_a_repeat_reaches_the_member_whom_the_first_one_reached(
    forwarding: Forwarding, owner: asyncpg.Connection
) -> None:
    await identify(owner, "first")
    body = json.dumps(DEDUCTION).encode()
    (first,) = await forwarding.forwarded(body, **vendors(CAPILLARY, BY_MOBILE))
    await identify(owner, "second")
    (again,) = await forwarding.forwarded(body, **vendors(CAPILLARY, BY_MOBILE))
    (other,) = await forwarding.forwarded(body, **vendors(CAPILLARY, BY_MOBILE, "r-2"))
    assert body_of(first) == body_of(again)
    assert body_of(first)["member_id"] == "first"
    assert body_of(other)["member_id"] == "second"
    # Nobody has it any more, and the repeat is still the first member's.
    await owner.execute("DELETE FROM points.identifiers")
    (last,) = await forwarding.forwarded(body, **vendors(CAPILLARY, BY_MOBILE))
    assert body_of(last) == body_of(first)


async def test_a_batch_with_one_request_twice_resolves_it_once(
    crew: Crew, forwarding: Forwarding, owner: asyncpg.Connection
) -> None:
    await identify(owner, "m-7")
    body = json.dumps(DEDUCTION).encode()
    messages = await forwarding.forwarded(body, body, **vendors(CAPILLARY, BY_MOBILE))
    assert [body_of(message)["member_id"] for message in messages] == ["m-7"] * 2


@pytest.mark.parametrize(
    ("headers", "key", "code"),
    [
        (BY_MOBILE, "member_not_found", 8015),
        ({**BY_MOBILE, "identifier-name": "card"}, "invalid_identifier_type", 8013),
        ({**BY_MOBILE, "identifier-value": "a\x07b"}, "invalid_payload", 400),
    ],
    ids=["unknown", "unknown_kind", "impossible"],
)
async def test_an_identifier_of_nobody_becomes_a_dead_letter_with_the_vendors_error(
    crew: Crew,
    forwarding: Forwarding,
    owner: asyncpg.Connection,
    headers: dict[str, object],
    key: str,
    code: int,
) -> None:
    body = json.dumps(DEDUCTION).encode()
    await forwarding.forwarded(body, count=0, **vendors(CAPILLARY, headers))
    (letter,) = await crew.taken(crew.name("dead"), 1)
    (reply,) = await crew.taken(crew.replies, 1)
    assert letter.body == body
    assert letter.headers["x-error-key"] == key
    assert letter.headers.items() >= headers.items()
    assert letter.properties.message_type == CAPILLARY
    assert MOBILE not in letter.headers["x-error-message"]
    assert (reply.properties.message_type, reply.properties.correlation_id) == (CAPILLARY, "r-1")
    (error,) = body_of(reply)["errors"]
    assert (error["status"], error["code"]) == (False, code)
    assert await owner.fetchval("SELECT count(*) FROM points.resolutions") == 0


async def test_without_a_key_and_without_identifiers_nobody_has_this_one(
    crew: Crew, pool: Pool
) -> None:
    forwarding = Forwarding(crew, pool)
    body = json.dumps(DEDUCTION).encode()
    await forwarding.forwarded(body, count=0, **vendors(CAPILLARY, BY_MOBILE))
    (letter,) = await crew.taken(crew.name("dead"), 1)
    assert letter.headers["x-error-key"] == "member_not_found"


@pytest.mark.parametrize("is_kept", [True, False], ids=["known", "known_once"])
async def test_without_a_key_a_request_by_identifier_waits_and_the_worker_says_so(
    crew: Crew, pool: Pool, owner: asyncpg.Connection, *, is_kept: bool
) -> None:
    """Also where the identifier was taken away: this may be the repeat of a request by it."""
    await identify(owner, "m-7")
    if not is_kept:
        repeat = vendors(CAPILLARY, BY_MOBILE, "held")
        await Forwarding(crew, pool, key=KEY).forwarded(json.dumps(DEDUCTION).encode(), **repeat)
        await owner.execute("DELETE FROM points.identifiers")
    await crew.send(request("before", 1, "m"), routing_key="x")
    body = json.dumps(DEDUCTION).encode()
    await crew.send(body, routing_key="x", **vendors(CAPILLARY, BY_MOBILE, "held"))
    await crew.send(request("behind", 1, "m"), routing_key="x")
    async with Forwarding(crew, pool).open(3) as intake:
        await until(
            lambda: any(fault.condition == "door" for fault in crew.status.faults()),
            what="the worker says so",
        )
        (reason,) = (f.reason for f in crew.status.faults() if f.condition == "door")
        assert "POINTS_IDENTIFIER_KEY" in reason
        # What stands before it has gone on; it, and what stands behind it, wait.
        assert intake.in_hand == 2
    assert [body_of(item)["request_id"] for item in await Forwarding(crew, pool).in_lanes(1)] == [
        "before"
    ]
    async with Forwarding(crew, pool, key=KEY).open(2) as intake:
        await until(lambda: intake.in_hand == 0, what="a worker with the key goes on")
    found = {body_of(item)["request_id"] for item in await Forwarding(crew, pool).in_lanes(2)}
    assert found == {"held", "behind"}


async def test_with_another_key_than_that_of_the_identifiers_a_request_by_one_waits(
    crew: Crew, pool: Pool, owner: asyncpg.Connection
) -> None:
    """It would find nobody, and a dead letter would be made of what can be done."""
    await identify(owner, "m-7")
    await owner.execute("INSERT INTO points.identifier_key (digest) VALUES ($1)", key_digest(KEY))
    other = Forwarding(crew, pool, key=KEY[::-1])
    await crew.send(
        json.dumps(DEDUCTION).encode(), routing_key="x", **vendors(CAPILLARY, BY_MOBILE)
    )
    async with other.open(1) as intake:
        await until(
            lambda: any(fault.condition == "door" for fault in crew.status.faults()),
            what="the worker says so",
        )
        (reason,) = (f.reason for f in crew.status.faults() if f.condition == "door")
        assert "POINTS_IDENTIFIER_KEY is another than" in reason
        assert intake.in_hand == 1
    async with Forwarding(crew, pool, key=KEY).open(1) as intake:
        await until(lambda: intake.in_hand == 0, what="a worker with the right key goes on")
    (onward,) = await other.in_lanes(1)
    assert body_of(onward)["member_id"] == "m-7"


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
    crew: Crew, database_url: str
) -> None:
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
            proxy.release()
            await until(lambda: intake.in_hand == 0, what="the door goes on")
            assert not any(fault.condition == "postgres" for fault in crew.status.faults())
        await close_pool(pool)
    messages = await forwarding.in_lanes(4)
    assert [body_of(message)["request_id"] for message in messages] == [f"r{n}" for n in range(4)]
