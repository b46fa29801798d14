"""An operation pays for the lots that it takes and the requests that it names, not for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.inside import Desk, request, settings_of
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from worker.store.pool import Pool

MANY = 100_000
LOTS = "points.lots"
JOURNAL = "points.journal, points.early_requests"


class Measured:
    """A desk with one connection, whose work on tables the database counts."""

    def __init__(self, owner: asyncpg.Connection, pool: Pool) -> None:
        self._owner = owner
        self._pool = pool
        self.desk = Desk(pool)

    async def fill(self, member_id: str, lots: int) -> None:
        """Give a member so many lots of ten points, none of which ever expires."""
        await self._owner.execute(
            "INSERT INTO points.members (program_id, member_id, sequence)"
            " VALUES ('default', $1, $2)",
            member_id,
            lots,
        )
        await self._owner.execute(
            "INSERT INTO points.wallets"
            " SELECT 'default', $1, 'points', 'REGULAR', 10 * n, 0, 10 * n, n"
            " FROM cast($2 AS bigint) AS n",
            member_id,
            lots,
        )
        await self._owner.execute(
            "INSERT INTO points.lots SELECT 'default', $1, 'points', 'REGULAR', 'infinity', n,"
            " 10, 10 FROM generate_series(1, $2::int) AS n",
            member_id,
            lots,
        )

    async def blocks(self, tables: str, *messages: dict[str, Any]) -> int:
        """Apply a batch, all of which must be done; return how many blocks of tables it read."""
        before = await self._blocks(tables)
        outcomes = await self.desk.outcomes(*messages)
        assert {outcome["status"] for outcome in outcomes} == {"APPLIED"}
        return await self._blocks(tables) - before

    async def _blocks(self, tables: str) -> int:
        for session in (self._owner, self._pool):
            await session.execute("SELECT pg_stat_force_next_flush()")
        return int(
            await self._owner.fetchval(
                "SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)"
                " FROM pg_statio_user_tables"
                " WHERE relid = ANY (string_to_array($1, ', ')::regclass[])",
                tables,
            )
        )


@pytest.fixture
async def measured(database_url: str, owner: asyncpg.Connection) -> AsyncIterator[Measured]:
    # Nobody else may look at the tables while this counts, nor find out how large they are.
    for table in f"{LOTS}, {JOURNAL}".split(", "):
        await owner.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    pool = await open_pool(settings_of("amqp://nobody", database_url, "desk", pool_size_max=1))
    yield Measured(owner, pool)
    await close_pool(pool)


def asked(request_id: str, operation: str, **more: Any) -> dict[str, Any]:
    """Return a request of another operation than ADJUST."""
    return {"request_id": request_id, "operation": operation, **more}


def steps(lots: int) -> list[list[dict[str, Any]]]:
    """Batches of the operations that take no lots, or the next ones, where there are so many."""
    return [
        [asked("h", "HOLD", points=25), asked("g", "HOLD", points=5)],
        [asked("c", "CAPTURE", hold="h")],
        [asked("r", "RELEASE", hold="g")],
        [asked("hc", "HOLD", points=15), asked("ch", "CAPTURE", hold="hc", points=12)],
        [asked("down", "SET_BALANCE", points=10 * lots - 60)],
        [asked("up", "SET_BALANCE", points=10 * lots)],
    ]


async def test_holds_and_set_balances_on_many_lots_cost_what_they_cost_on_few(
    measured: Measured, owner: asyncpg.Connection
) -> None:
    await measured.fill("few", 10)
    await measured.fill("many", MANY)
    await owner.execute("VACUUM ANALYZE points.lots")
    costs: dict[str, list[int]] = {"few": [], "many": []}
    for member_id, lots in (("few", 10), ("many", MANY)):
        for batch in steps(lots):
            of_member = [{**one, "member_id": member_id} for one in batch]
            costs[member_id].append(await measured.blocks(LOTS, *of_member))
    # Each look-up goes down an index that is at most two levels higher.
    for few, many in zip(costs["few"], costs["many"], strict=True):
        assert 0 < many <= 2 * few


async def test_a_conversion_reads_the_lots_that_it_takes_and_no_others(
    measured: Measured, owner: asyncpg.Connection
) -> None:
    costs = []
    for member_id, lots in (("few", 10), ("many", MANY)):
        await measured.fill(member_id, lots)
        promised = request("p", 50, member_id, category="PROMISED")
        await measured.desk.apply(promised)
        part = asked("part", "CONVERT", points=5, category="PROMISED")
        rest = asked("rest", "CONVERT", category="PROMISED")
        batch = [{**one, "member_id": member_id} for one in (part, rest)]
        await owner.execute("VACUUM ANALYZE points.lots")
        costs.append(await measured.blocks(LOTS, *batch, request("d", -15, member_id)))
    few, many = costs
    assert 0 < many <= 2 * few


async def test_what_is_due_of_a_member_with_many_lots_costs_what_it_costs_of_one_with_few(
    measured: Measured, owner: asyncpg.Connection
) -> None:
    """A hold that lapses, and points that expire, whoever gives the occasion."""
    costs: dict[str, list[int]] = {"few": [], "many": []}
    for member_id, lots in (("few", 10), ("many", MANY)):
        await measured.fill(member_id, lots)
        await measured.desk.apply(request("h", 5, member_id, operation="HOLD", ttl_seconds=60))
    await owner.execute("VACUUM ANALYZE points.lots")
    for member_id, cost in costs.items():
        for occasion in (asked("e", "EXPIRE"), request("d", -5)):
            await owner.execute("UPDATE points.holds SET lapses_at = '2020-01-01'")
            await owner.execute(
                "UPDATE points.lots SET expires_at = '2020-01-01' WHERE (member_id, lot_id) IN"
                " (SELECT member_id, max(lot_id) FROM points.lots GROUP BY member_id)"
            )
            await owner.execute("UPDATE points.members SET due_at = '2020-01-01'")
            cost.append(await measured.blocks(LOTS, {**occasion, "member_id": member_id}))
    for few, many in zip(costs["few"], costs["many"], strict=True):
        assert 0 < many <= 2 * few


async def test_what_requests_name_is_found_without_reading_all_else_that_was_ever_done(
    measured: Measured,
) -> None:
    """Also while nothing is known of the journal's size: so it is with a new database."""
    await measured.desk.apply(
        request("plain", 5), request("released", 5, ordinal=2), request("releasing", 5, ordinal=1)
    )

    def undo(request_id: str, reverses: str) -> dict[str, Any]:
        undone = asked(request_id, "REVERSE", reverses=reverses, points=1)
        return {**undone, "member_id": "m"}

    few = [await measured.blocks(JOURNAL, undo(f"few-{of}", of)) for of in ("plain", "released")]
    for part in range(8):
        await measured.desk.apply(*(request(f"{part}.{n}", 1) for n in range(500)))
    many = [await measured.blocks(JOURNAL, undo(f"many-{of}", of)) for of in ("plain", "released")]
    assert max(many) <= 2 * min(few)
