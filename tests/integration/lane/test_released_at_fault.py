"""Of what one request releases, only what the books cannot hold is refused (I5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from schemas import errors
from tests.inside import Clock, Desk, documents, faults_in, request, told
from tests.integration.lane.held import Held
from tests.integration.lane.operations import HOUR, asked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from worker.store.pool import Pool

UNLUCKY: dict[str, Any] = {"metadata": {"luck": "unlucky"}}
FIRST, LAST = 2, 9


@pytest.fixture
def held(timed: Desk) -> Held:
    return Held(timed)


@pytest.fixture(autouse=True)
async def _unlucky(owner: asyncpg.Connection, pool: Pool) -> AsyncIterator[None]:
    """Let the journal hold nothing of bad luck; what it holds adds up afterwards (I4)."""
    await owner.execute(
        "ALTER TABLE points.journal ADD CONSTRAINT no_bad_luck"
        " CHECK (position('unlucky'::bytea IN outcome) = 0)"
    )
    yield
    await owner.execute("ALTER TABLE points.journal DROP CONSTRAINT no_bad_luck")
    assert await faults_in(pool) == []


def nth(number: int, *, is_unlucky: bool = False, **more: Any) -> dict[str, Any]:
    """Return the request with this ordinal, one that the journal can hold or cannot."""
    if is_unlucky:
        more |= UNLUCKY
    return request(f"r{number}", 10**number, ordinal=number, **more)


def shapes(outcomes: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (one["request_id"], one["error"]["key"] if one["error"] else one["status"])
        for one in outcomes
    ]


@pytest.mark.parametrize(
    "culprits",
    [{2}, {5}, {9}, {2, 3}, {4, 8}, {3, 6, 9}, {*range(FIRST, LAST + 1)}],
    ids=lambda culprits: "-".join(map(str, sorted(culprits))),
)
async def test_whoever_releases_a_request_at_fault_is_carried_out_with_all_others_that_it_releases(
    held: Held, owner: asyncpg.Connection, culprits: set[int]
) -> None:
    early = [nth(n, is_unlucky=n in culprits) for n in range(FIRST, LAST + 1)]
    assert (await held.apply(*early)).parked == len(early)
    first = await held.apply(nth(1))
    assert shapes(told(first)) == [
        (f"r{n}", errors.INVALID_PAYLOAD if n in culprits else "APPLIED")
        for n in range(1, LAST + 1)
    ]
    for one in told(first):
        assert one["error"] is None or "no_bad_luck" in one["error"]["message"]
    assert told(first)[-1]["balance"] == (
        None if LAST in culprits else str(sum(10**n for n in {*range(1, LAST + 1)} - culprits))
    )
    assert (first.letters, held.pauses) == ({}, [])
    # All their numbers are used up, and the answers stay (I2, I3).
    assert await owner.fetchval("SELECT next FROM points.streams") == LAST + 1
    again = await held.apply(nth(1))
    assert again.publications == first.publications
    repeated = await held.apply(*early)
    assert documents(repeated) == told(first)[1:]


async def test_a_releaser_at_fault_is_refused_itself_and_what_it_releases_is_carried_out(
    held: Held,
) -> None:
    await held.apply(nth(2), nth(3, is_unlucky=True), nth(4))
    applied = await held.apply(nth(1, is_unlucky=True))
    assert shapes(told(applied)) == [
        ("r1", errors.INVALID_PAYLOAD),
        ("r2", "APPLIED"),
        ("r3", errors.INVALID_PAYLOAD),
        ("r4", "APPLIED"),
    ]
    assert not applied.letters


async def test_a_request_at_fault_that_nobody_waits_for_leaves_those_that_wait_alone(
    held: Held,
) -> None:
    await held.apply(nth(3))
    (outcome,) = documents(await held.apply(request("r", 1, **UNLUCKY)))
    assert outcome["error"]["key"] == errors.INVALID_PAYLOAD
    applied = await held.apply(nth(2), nth(1))
    assert shapes(told(applied)) == [("r1", "APPLIED"), ("r2", "APPLIED"), ("r3", "APPLIED")]


async def test_one_that_was_parked_and_released_by_one_batch_is_refused_alone(held: Held) -> None:
    applied = await held.apply(nth(2, is_unlucky=True), nth(3), request("r", 1), nth(1))
    assert shapes(told(applied)) == [
        ("r", "APPLIED"),
        ("r1", "APPLIED"),
        ("r2", errors.INVALID_PAYLOAD),
        ("r3", "APPLIED"),
    ]


async def test_a_request_at_fault_that_has_waited_too_long_holds_up_nothing_that_is_due(
    held: Held, clock: Clock, owner: asyncpg.Connection
) -> None:
    await held.apply(nth(3), nth(4, is_unlucky=True), request("c", 5))
    await held.apply(asked("h", "HOLD", 5, ttl_seconds=60))
    clock.time += 2 * HOUR
    swept = await held.apply(asked("sweep", "EXPIRE"))
    assert shapes(told(swept)) == [
        ("h", "APPLIED"),
        ("r3", errors.ORDINAL_GAP),
        ("r4", errors.ORDINAL_GAP),
        ("sweep", "APPLIED"),
    ]
    assert [one["metadata"] for one in told(swept)] == [None] * 4
    assert await owner.fetchval("SELECT due_at FROM points.members") is None


async def test_a_fault_that_passes_meanwhile_is_waited_for(
    held: Held, owner: asyncpg.Connection
) -> None:
    await held.apply(*(nth(n, is_unlucky=n == 4) for n in range(FIRST, LAST + 1)))
    await owner.execute(
        """
        CREATE SEQUENCE public.looks;
        GRANT USAGE ON SEQUENCE public.looks TO points_worker;
        CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('public.looks') IN (2, 3, 5) THEN
                RAISE EXCEPTION 'as the test wants it' USING ERRCODE = '40001';
            END IF;
            RETURN NEW;
        END
        $$;
        CREATE TRIGGER fail BEFORE INSERT ON points.journal
        FOR EACH STATEMENT EXECUTE FUNCTION public.fail();
        """
    )
    applied = await held.apply(nth(1))
    await owner.execute("DROP FUNCTION public.fail CASCADE; DROP SEQUENCE public.looks")
    assert [key for _, key in shapes(told(applied))].count("APPLIED") == LAST - 1
    assert shapes(told(applied))[3] == ("r4", errors.INVALID_PAYLOAD)
    assert (len(held.pauses), held.status.faults()) == (3, [])
