"""What is read of an earlier request that another one names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.inside import Clock, Desk, request, told
from worker.store.statements import statement

if TYPE_CHECKING:
    import asyncpg

    from worker.store.pool import Pool


async def test_of_a_conversion_both_sides_are_read_and_nothing_that_fell_due_with_it(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    clock = Clock(datetime(2030, 6, 15, 12, tzinfo=UTC))
    desk = Desk(pool, clock)
    day = {"expiration_type": "CUSTOM_DATE", "expiration_date": "2030-06-15"}
    await desk.apply(request("d", 5, **day))
    await desk.apply(request("p", 10, category="PROMISED"))
    clock.time += timedelta(days=1)
    conversion = {"member_id": "m", "operation": "CONVERT", "category": "PROMISED"}
    steps = told(await desk.apply({"request_id": "c", **conversion}))
    assert [one["points"] for one in steps] == ["-5", "10", "-10"]
    rows = await owner.fetch(statement("whole_originals"), ["default"], ["m"], ["c"])
    assert {(row["is_own"], row["points"]) for row in rows} == {(True, -10), (False, 10)}
