"""A batch is held while something is wrong that passes, and comes out whole and in order."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.inside import Desk, documents, events, request, settings_of, waiting
from tests.integration.lane.held import Held
from tests.waiting import until
from worker.broker import SessionLost
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.lane.applying import Applied

BATCH = [
    request("a", 100),
    request("b", -30),
    request("c", 5, "other"),
    request("d", -70),
    request("e", -1),
]

RAISING = """
CREATE SEQUENCE public.failures;
GRANT USAGE ON SEQUENCE public.failures TO points_worker;
CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A sequence counts on although the transaction is rolled back.
    IF nextval('public.failures') <= {times} THEN
        RAISE EXCEPTION 'as the test wants it' USING ERRCODE = '{code}';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER fail BEFORE INSERT ON points.journal
FOR EACH STATEMENT EXECUTE FUNCTION public.fail();
"""
CALM = "DROP FUNCTION IF EXISTS public.fail CASCADE; DROP SEQUENCE IF EXISTS public.failures"


@pytest.fixture
def held(desk: Desk) -> Held:
    return Held(desk)


@pytest.fixture
async def calmed(owner: asyncpg.Connection) -> AsyncIterator[None]:
    """Take away afterwards what makes the journal fail."""
    yield
    await owner.execute(CALM)


def check_batch(applied: Applied) -> None:
    """Check that BATCH was applied, once and in order."""
    seen = [(item["status"], item["balance"], item["sequence"]) for item in documents(applied)]
    assert seen == [
        ("APPLIED", "100", 1),
        ("APPLIED", "70", 2),
        ("APPLIED", "5", 1),
        ("APPLIED", "0", 3),
        ("REJECTED", "0", 4),
    ]
    told = [json.loads(event.body)["data"]["request_id"] for event in events(applied)]
    assert told == ["a", "b", "c", "d", "e"]


PASSING = {
    "deadlock": "40P01",
    "serialization_failure": "40001",
    "unique_violation": "23505",
    "admin_shutdown": "57P01",
    "crash_shutdown": "57P02",
    "cannot_connect_now": "57P03",
    "read_only": "25006",
    "connection_failure": "08006",
    "too_many_connections": "53300",
    "disk_full": "53100",
    "out_of_memory": "53200",
    "io_error": "58030",
    "insufficient_privilege": "42501",
}
TIMED_OUT = {"lock_not_available": "55P03", "query_canceled": "57014"}


@pytest.mark.usefixtures("calmed")
@pytest.mark.parametrize("code", PASSING.values(), ids=list(PASSING))
async def test_a_fault_that_passes_holds_the_whole_batch_until_it_has_passed(
    held: Held, owner: asyncpg.Connection, code: str
) -> None:
    await owner.execute(RAISING.format(times=4, code=code))
    check_batch(await held.apply(*BATCH))
    assert held.sizes == [5] * 5
    assert held.pauses == [0.5, 1, 2, 3]
    assert held.told == ["postgres"] * 4
    assert not held.status.faults()
    assert sum(held.retries().values()) == 4


@pytest.mark.usefixtures("calmed")
@pytest.mark.parametrize("code", TIMED_OUT.values(), ids=list(TIMED_OUT))
async def test_a_batch_that_takes_too_long_is_halved_and_stays_in_order(
    held: Held, owner: asyncpg.Connection, code: str
) -> None:
    await owner.execute(RAISING.format(times=2, code=code))
    check_batch(await held.apply(*BATCH))
    assert held.sizes == [5, 2, 1, 1, 3]
    assert not held.status.faults()


async def test_a_request_alone_that_takes_too_long_is_tried_again(
    held: Held, owner: asyncpg.Connection
) -> None:
    await owner.execute(RAISING.format(times=2, code="57014"))
    (outcome,) = documents(await held.apply(request("r", 5)))
    await owner.execute(CALM)
    assert outcome["status"] == "APPLIED"
    assert held.sizes == [1, 1, 1]


async def test_a_connection_that_the_server_ends_is_replaced(
    held: Held, owner: asyncpg.Connection
) -> None:
    await held.apply(request("before", 1, "before"))
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'points-worker'"
    )
    check_batch(await held.apply(*BATCH))


async def test_a_connection_that_the_server_ends_in_the_midst_undoes_the_batch(
    held: Held, owner: asyncpg.Connection, database_url: str
) -> None:
    somebody = await asyncpg.connect(database_url)
    keeping = somebody.transaction()
    await keeping.start()
    await somebody.execute("INSERT INTO points.members VALUES ('default', 'other')")
    async with asyncio.TaskGroup() as group:
        applying = group.create_task(held.apply(*BATCH))
        await waiting(owner, 1)
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        await until(lambda: held.pauses, what="the batch is held")
        await keeping.rollback()
    await somebody.close()
    check_batch(applying.result())
    assert held.sizes == [5, 5]


async def test_a_server_that_became_read_only_is_waited_for(
    held: Held, owner: asyncpg.Connection, database_url: str
) -> None:
    name = database_url.rpartition("/")[2].partition("?")[0]

    async def becomes_writable() -> None:
        await owner.execute("SET default_transaction_read_only = off")
        await owner.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        # A real server that is promoted ends its sessions; the limit lasts as long as they do.
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'points-worker'"
        )

    held.when_paused = becomes_writable
    await owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        check_batch(await held.apply(*BATCH))
    finally:
        await becomes_writable()
    assert held.pauses


async def test_the_victim_of_a_deadlock_tries_again(
    held: Held, owner: asyncpg.Connection, database_url: str
) -> None:
    name = database_url.rpartition("/")[2].partition("?")[0]
    await held.apply(request("x", 1), request("y", 1, "other"))
    await owner.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '2s'")
    somebody = await asyncpg.connect(database_url, server_settings={"deadlock_timeout": "60s"})
    # New connections of the worker's have the shorter patience, so it is the victim. It looks for a
    # deadlock once, so somebody has so long to make it one.
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'points-worker'"
    )
    lock = "SELECT FROM points.members WHERE member_id = $1 FOR UPDATE"
    async with asyncio.TaskGroup() as group, somebody.transaction():
        await somebody.execute(lock, "other")
        applying = group.create_task(held.apply(request("r", 5), request("s", 5, "other")))
        await waiting(owner, 1)
        await somebody.execute(lock, "m")
    await somebody.close()
    await owner.execute(f"ALTER DATABASE {name} RESET deadlock_timeout")
    assert [item["balance"] for item in documents(applying.result())] == ["6", "6"]
    assert "DeadlockDetectedError" in held.retries()


async def test_a_request_that_another_worker_journals_first_is_found_done(
    held: Held, owner: asyncpg.Connection, desk: Desk, database_url: str
) -> None:
    """A unique violation of our own keys: whoever tries again sees what the other did."""
    (reading,) = desk.read(request("r", 5))
    somebody = await asyncpg.connect(database_url)
    async with asyncio.TaskGroup() as group, somebody.transaction():
        await somebody.execute(
            "INSERT INTO points.journal VALUES ('default', 'm', 'r', 0, 1, 'REJECTED',"
            " 'ADJUSTMENT_REJECTED', 'invalid_payload', NULL, NULL, 0, NULL, NULL, NULL, $1,"
            " now(), '{}')",
            reading.fingerprint,
        )
        applying = group.create_task(held.apply(request("r", 5)))
        await waiting(owner, 1)
    await somebody.close()
    assert applying.result().duplicates == 1
    assert applying.result().answers[0].outcome == b"{}"
    assert "UniqueViolationError" in held.retries()


async def test_a_lock_that_somebody_keeps_costs_its_own_members_half_of_the_batch_only(
    owner: asyncpg.Connection, database_url: str
) -> None:
    settings = settings_of("amqp://nobody", database_url, "desk", lock_timeout_seconds=0.2)
    pool = await open_pool(settings)
    held = Held(Desk(pool))
    somebody = await asyncpg.connect(database_url)
    keeping = somebody.transaction()
    await keeping.start()
    await somebody.execute("INSERT INTO points.members VALUES ('default', 'kept')")

    async def ends_at_the_third_pause() -> None:
        if len(held.pauses) == 3:
            await keeping.rollback()

    held.when_paused = ends_at_the_third_pause
    applied = await held.apply(
        request("a", 1), request("b", 2), request("c", 3, "kept"), request("d", 4)
    )
    await somebody.close()
    await close_pool(pool)
    assert [item["balance"] for item in documents(applied)] == ["1", "3", "3", "7"]
    assert held.sizes == [4, 2, 2, 1, 1, 1]


async def test_a_batch_is_forgotten_when_its_session_ends_meanwhile(
    held: Held, owner: asyncpg.Connection
) -> None:
    async def ends() -> None:
        raise SessionLost("gone")

    held.when_paused = ends
    await owner.execute(RAISING.format(times=1, code="40001"))
    with pytest.raises(SessionLost):
        await held.apply(*BATCH)
    await owner.execute(CALM)
    assert await owner.fetchval("SELECT count(*) FROM points.members") == 0
    assert not held.status.faults()
    held.when_paused = None
    check_batch(await held.apply(*BATCH))


async def test_what_is_no_fault_of_the_database_or_a_request_is_a_bug_and_comes_out(
    held: Held, owner: asyncpg.Connection
) -> None:
    await owner.execute(RAISING.format(times=1, code="42P01"))
    with pytest.raises(asyncpg.UndefinedTableError):
        await held.apply(*BATCH)
    await owner.execute(CALM)
