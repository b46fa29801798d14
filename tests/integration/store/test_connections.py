"""Every connection of the worker is limited in time and in what it may do (I6)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.inside import Desk, request, settings_of
from tests.waiting import until
from worker.store.faults import PassingFault
from worker.store.keys import MemberKey
from worker.store.pool import close_pool, open_pool
from worker.store.transaction import Books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.store.pool import Pool

LIMITS = {
    "statement_timeout_seconds": 1.5,
    "lock_timeout_seconds": 0.5,
    "idle_transaction_timeout_seconds": 1.5,
    "pool_size_max": 3,
}
MEMBER = {MemberKey("default", "m"): None}


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    return emptied_database_url


@pytest.fixture
async def limited(database_url: str) -> AsyncIterator[Pool]:
    """A pool with short limits."""
    opened = await open_pool(settings_of("amqp://nobody", database_url, "desk", **LIMITS))
    yield opened
    await close_pool(opened)


async def asked_of_each(pool: Pool, question: str) -> list[Any]:
    """Return the answer of each connection that the pool can open."""
    connections = [await pool.acquire() for _ in range(pool.get_max_size())]
    answers = [await connection.fetchval(question) for connection in connections]
    for connection in connections:
        await pool.release(connection)
    return answers


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("role", "points_worker"),
        ("statement_timeout", "1500ms"),
        ("lock_timeout", "500ms"),
        ("idle_in_transaction_session_timeout", "1500ms"),
        ("tcp_keepalives_idle", "10"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
        ("application_name", "points-worker"),
    ],
)
async def test_the_limits_are_in_force_on_every_connection_and_stay_so(
    limited: Pool, setting: str, value: str
) -> None:
    assert await asked_of_each(limited, f"SHOW {setting}") == [value] * 3
    # A connection that comes back from its first use is the same as before.
    assert await asked_of_each(limited, f"SHOW {setting}") == [value] * 3


async def test_a_connection_opened_after_another_was_cut_has_the_same_limits(
    limited: Pool, owner: asyncpg.Connection
) -> None:
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1"
    await asked_of_each(limited, "SELECT 1")
    await owner.execute(f"{cut} AND datname = current_database()", "points-worker")
    await until(lambda: limited.get_size() == 0, what="the pool notices")
    assert await asked_of_each(limited, "SELECT current_user::text") == ["points_worker"] * 3
    assert await asked_of_each(limited, "SHOW lock_timeout") == ["500ms"] * 3


async def test_a_worker_that_stands_still_in_a_transaction_loses_its_locks(
    limited: Pool, owner: asyncpg.Connection
) -> None:
    async def freed() -> bool:
        with suppress(asyncpg.LockNotAvailableError):
            await owner.execute("SELECT FROM points.members FOR UPDATE NOWAIT")
            return True
        return False

    async def stand_still() -> None:
        async with Books(limited).transaction() as transaction:
            await transaction.lock(MEMBER)
            assert not await freed()
            await until(freed, what="the end of the silent session")

    await Desk(limited).apply(request("r", 5))
    with pytest.raises(PassingFault):
        await stand_still()


async def test_a_wait_for_a_lock_ends_in_time_as_a_fault_that_passes(
    limited: Pool, owner: asyncpg.Connection
) -> None:
    async with owner.transaction():
        await owner.execute("INSERT INTO points.members VALUES ('default', 'm')")
        with pytest.raises(PassingFault) as caught:
            await Desk(limited).apply(request("r", 5))
    assert caught.value.timed_out
    assert (await Desk(limited).outcomes(request("r", 5)))[0]["sequence"] == 1


async def test_a_statement_that_takes_too_long_is_a_fault_that_passes(limited: Pool) -> None:
    async def take_long() -> None:
        async with Books(limited).transaction() as transaction:
            await transaction._connection.execute("SELECT pg_sleep(30)")

    with pytest.raises(PassingFault) as caught:
        await take_long()
    assert caught.value.timed_out


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE points.journal SET points = 0",
        "DELETE FROM points.journal",
        "TRUNCATE points.journal",
        "ALTER TABLE points.journal DISABLE TRIGGER ALL",
        "DROP TABLE points.journal",
        "DELETE FROM points.members",
        "DELETE FROM points.wallets",
        "UPDATE points.programs SET version = 2",
        "UPDATE points.topology SET prefetch = 1",
        "DELETE FROM points.migrations",
        "CREATE TABLE points.mine (id int)",
    ],
)
async def test_the_workers_role_cannot_rewrite_history(pool: Pool, statement: str) -> None:
    await Desk(pool).apply(request("r", 5))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(statement)
