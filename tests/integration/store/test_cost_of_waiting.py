"""What waits for its turn costs those batches that may decide it, and no others."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from tests.inside import Desk, request, settings_of
from worker.domain.ordinals import Parking
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from worker.store.pool import Pool

MANY = 1_000
WAITING = "points.early_requests"
BODY_BYTES = 3_000
"""More than Postgres keeps in a row: it is put aside, and reading it is counted for itself."""


class Measured:
    """A desk with one connection, whose work on what waits the database counts."""

    def __init__(self, owner: asyncpg.Connection, pool: Pool) -> None:
        self._owner = owner
        self._pool = pool
        self.desk = Desk(pool, parking=Parking(per_member_max=2 * MANY))
        self.desk.reader._body_bytes_max = 2 * BODY_BYTES

    async def rows(self, *messages: dict[str, Any]) -> int:
        """Apply a batch; return how many rows of what waits it looked at."""
        return await self._work("idx_tup_fetch + seq_tup_read", *messages)

    async def bodies(self, *messages: dict[str, Any]) -> int:
        """Apply a batch; return how many blocks of bodies it read."""
        return await self._work("toast_blks_hit + toast_blks_read", *messages)

    async def _work(self, counted: str, *messages: dict[str, Any]) -> int:
        before = await self._count(counted)
        await self.desk.apply(*messages)
        return await self._count(counted) - before

    async def _count(self, counted: str) -> int:
        for session in (self._owner, self._pool):
            await session.execute("SELECT pg_stat_force_next_flush()")
        return int(
            await self._owner.fetchval(
                f"SELECT {counted} FROM pg_stat_user_tables JOIN pg_statio_user_tables"
                " USING (relid) WHERE relid = $1::text::regclass",
                WAITING,
            )
        )


def nth(number: int, **more: Any) -> dict[str, Any]:
    """Return a numbered request with so much content that no compression helps."""
    metadata = {f"k{n}": secrets.token_hex(90) for n in range(BODY_BYTES // 180)}
    return request(f"r{number}", 1, ordinal=number, metadata=metadata, **more)


@pytest.fixture
async def measured(database_url: str, owner: asyncpg.Connection) -> AsyncIterator[Measured]:
    """One member with whom many requests wait, in the stream "s" from number 10 on."""
    await owner.execute(f"ALTER TABLE {WAITING} SET (autovacuum_enabled = false)")
    pool = await open_pool(settings_of("amqp://nobody", database_url, "desk", pool_size_max=1))
    measured = Measured(owner, pool)
    for start in range(10, 10 + MANY, 500):
        numbers = range(start, start + 500)
        parked = await measured.desk.apply(*(nth(n, ordinal_stream="s") for n in numbers))
        assert parked.parked == len(numbers)
    await owner.execute(f"VACUUM ANALYZE {WAITING}")
    yield measured
    await close_pool(pool)


async def test_what_waits_costs_a_batch_of_its_member_nothing_that_has_no_number(
    measured: Measured,
) -> None:
    assert await measured.rows(request("plain", 1)) == 0
    assert await measured.rows(request("h", 1, operation="HOLD"), request("d", -1)) == 0


async def test_a_repeat_of_what_waits_costs_no_more_than_itself(measured: Measured) -> None:
    again = nth(10, ordinal_stream="s")
    assert await measured.rows({**again, "ordinal": None}) <= 3
    assert await measured.bodies(again) == 0


async def test_the_content_of_what_waits_is_read_by_those_that_release_or_end_it(
    measured: Measured, owner: asyncpg.Connection
) -> None:
    in_s = {"ordinal_stream": "s"}
    assert await measured.bodies(request("a", 1, ordinal=1, **in_s)) == 0
    assert await measured.bodies(request("b", 1, ordinal=1)) == 0
    assert await measured.bodies({"request_id": "e", "member_id": "m", "operation": "EXPIRE"}) == 0
    await owner.execute(f"UPDATE {WAITING} SET deadline = '2020-01-01' WHERE ordinal = 500")
    await owner.execute("UPDATE points.members SET due_at = '2020-01-01'")
    assert await measured.bodies(request("plain", 1)) == 0
    one = await measured.bodies({"request_id": "f", "member_id": "m", "operation": "EXPIRE"})
    assert 0 < one < 20
    gap = [request(f"g{n}", 1, ordinal=n, **in_s) for n in range(2, 10)]
    assert await measured.bodies(*gap) > 100 * one
