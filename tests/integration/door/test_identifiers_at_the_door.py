"""A vendor's identifier leads to the member it led to first, and is told nobody (I2)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from schemas.dialects import CAPILLARY
from schemas.topology import bucket_key
from tests.inside import request
from tests.integration.door.forwarding import KEY, MOBILE, Forwarding
from tests.integration.door.said import BY_MOBILE, DEDUCTION, body_of, vendors
from tests.waiting import until
from worker.identifiers import fingerprint, key_digest

if TYPE_CHECKING:
    import asyncpg

    from tests.crew import Crew
    from worker.store.pool import Pool


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
