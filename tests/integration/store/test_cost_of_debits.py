"""A debit pays for the lots that it takes, not for those that it leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.inside import Desk, request, settings_of
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from worker.store.pool import Pool

MANY = 100_000


class Work(NamedTuple):
    """What Postgres did with the lots: rows fetched and blocks looked at."""

    rows: int
    blocks: int


class Measured:
    """A desk with one connection, whose work on the lots the database counts."""

    def __init__(self, owner: asyncpg.Connection, pool: Pool) -> None:
        self._owner = owner
        self._pool = pool
        self._desk = Desk(pool)

    async def fill(self, member_id: str, lots: int, *, expires_at: str = "infinity") -> None:
        """Give a member so many lots of one point."""
        await self._owner.execute(
            "INSERT INTO points.members (program_id, member_id, sequence)"
            " VALUES ('default', $1, $2)",
            member_id,
            lots,
        )
        await self._owner.execute(
            "INSERT INTO points.wallets VALUES ('default', $1, 'points', 'REGULAR', $2, 0, $2, $2)",
            member_id,
            lots,
        )
        await self._owner.execute(
            "INSERT INTO points.lots SELECT 'default', $1, 'points', 'REGULAR',"
            f" '{expires_at}'::timestamptz, n, 1, 1 FROM generate_series(1, $2::int) AS n",
            member_id,
            lots,
        )
        await self._owner.execute("VACUUM ANALYZE points.lots")

    async def apply(self, *messages: dict[str, Any]) -> tuple[Work, list[dict[str, Any]]]:
        """Apply a batch; return the work that it made, and its outcomes."""
        before = await self._work()
        outcomes = await self._desk.outcomes(*messages)
        after = await self._work()
        return Work(after.rows - before.rows, after.blocks - before.blocks), outcomes

    async def _work(self) -> Work:
        # What the owner's session did before, as VACUUM, is not to be counted later.
        for session in (self._owner, self._pool):
            await session.execute("SELECT pg_stat_force_next_flush()")
        row = await self._owner.fetchrow(
            "SELECT idx_tup_fetch + seq_tup_read,"
            " heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read"
            " FROM pg_stat_user_tables JOIN pg_statio_user_tables USING (relid)"
            " WHERE relid = 'points.lots'::regclass"
        )
        assert row is not None
        return Work(*row)


@pytest.fixture
async def measured(database_url: str, owner: asyncpg.Connection) -> AsyncIterator[Measured]:
    # Nobody else may look at the lots while this counts.
    await owner.execute("ALTER TABLE points.lots SET (autovacuum_enabled = false)")
    pool = await open_pool(settings_of("amqp://nobody", database_url, "desk", pool_size_max=1))
    yield Measured(owner, pool)
    await close_pool(pool)


async def test_a_debit_on_a_wallet_with_many_lots_costs_what_it_costs_with_few(
    measured: Measured,
) -> None:
    await measured.fill("few", 10)
    await measured.fill("many", MANY)
    few, few_outcomes = await measured.apply(request("r", -3, "few"))
    many, many_outcomes = await measured.apply(request("r", -3, "many"))
    assert [outcome["status"] for outcome in few_outcomes + many_outcomes] == ["APPLIED"] * 2
    # Three lots are read, perhaps a fourth is looked at, and three are deleted.
    assert many.rows <= few.rows <= 10
    # Each look-up goes down an index that is at most two levels higher.
    assert many.blocks <= 2 * few.blocks


async def test_an_overdraft_is_refused_without_reading_the_lots(measured: Measured) -> None:
    await measured.fill("many", 10_000)
    work, (outcome,) = await measured.apply(request("r", -10_001, "many"))
    assert outcome["error"]["key"] == "insufficient_points"
    # Only the next lot to be used is looked at, in case it is due.
    assert work.rows <= 2


async def test_a_credit_reads_no_more_than_the_next_lot(measured: Measured) -> None:
    await measured.fill("many", 10_000)
    work, (outcome,) = await measured.apply(request("r", 5, "many"))
    assert outcome["balance"] == "10005"
    assert work.rows <= 2


async def test_lots_that_are_due_are_read_whatever_the_request_needs(measured: Measured) -> None:
    await measured.fill("late", 50, expires_at="2020-01-01")
    work, (outcome,) = await measured.apply(request("r", 5, "late"))
    assert (outcome["balance"], outcome["sequence"]) == ("5", 52)
    assert work.rows >= 50
