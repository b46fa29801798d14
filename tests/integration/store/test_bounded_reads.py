"""Of a member's lots only those are read that requests may take; it makes no difference to them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.inside import Clock, Desk, faults_in, request
from worker.lane import needs

if TYPE_CHECKING:
    from collections.abc import Iterator

    import asyncpg

    from worker.store.pool import Pool

START = datetime(2030, 1, 31, 9, tzinfo=UTC)
CATEGORIES = ("REGULAR", "REGULAR", "PROMISED")
TABLES = {
    "members": "sequence, due_at",
    "wallets": "currency, category, balance, deficit, total, version, held",
    "lots": "currency, category, expires_at, lot_id, remaining",
    "holds": "hold_id, currency, category, points, lapses_at",
    "early_requests": "request_id, ended_by, ended_step",
}
BATCHES = 40


class History:
    """Random batches for one member with many small lots, of operations that may take many."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._holds = ["none"]
        self._asked = 0
        self._ordinals = list(range(1, 1000))
        self.now = START

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        yield [self._named(self._credit(3)) for _ in range(60)]
        for _ in range(BATCHES):
            self.now += timedelta(minutes=self._random.choice((0, 0, 0, 10, 200, 3000)))
            yield [self._named(self._some()) for _ in range(self._random.choice((1, 2, 5, 12)))]

    def _named(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._asked += 1
        name = f"r{self._asked}"
        if asked.get("operation") == "HOLD":
            self._holds = [*self._holds[-7:], name]
        if self._random.random() < 0.2:
            asked["ordinal"] = self._ordinals.pop(self._random.choice((0, 0, 0, 1, 2)))
        if self._random.random() < 0.1:
            asked["allow_negative"] = True
        return {"request_id": name, **asked}

    def _credit(self, most: int) -> dict[str, Any]:
        pick = self._random
        expiry: dict[str, Any] = {}
        if pick.random() < 0.7:
            day = f"{pick.choice(('2031-01', '2030-04', '2030-03'))}-{pick.randint(1, 28):02}"
            expiry = {"expiration_type": "CUSTOM_DATE", "expiration_date": day}
        return {"points": pick.randint(1, most), "category": pick.choice(CATEGORIES), **expiry}

    def _some(self) -> dict[str, Any]:
        pick = self._random
        points, category = {"points": pick.randint(1, 40)}, {"category": pick.choice(CATEGORIES)}
        hold = {"hold": pick.choice(self._holds)}
        minutes = pick.choice((300, 3000))
        return pick.choice(
            [
                self._credit(20),
                {"points": -pick.randint(1, 40), **category},
                {"operation": "SET_BALANCE", "points": pick.randint(0, 150), **category},
                {"operation": "SET_BALANCE", "points": pick.randint(0, 150), **category},
                {"operation": "HOLD", "ttl_seconds": 60 * minutes, **points, **category},
                {"operation": "HOLD", "ttl_seconds": 60 * minutes, **points, **category},
                {"operation": "CAPTURE", **hold},
                {"operation": "CAPTURE", **hold, **points},
                {"operation": "RELEASE", **hold},
                {"operation": "EXPIRE"},
            ]
        )


async def applied(pool: Pool, member_id: str, seed: int) -> tuple[Any, ...]:
    """Apply a history to a member; return all answers, and what the books hold in the end."""
    history = History(seed)
    desk = Desk(pool, lambda _: history.now)
    told = []
    for batch in history:
        told += await desk.outcomes(*({**one, "member_id": member_id} for one in batch))
    for outcome in told:
        del outcome["member_id"]
    kept = [
        await pool.fetch(
            f"SELECT {columns} FROM points.{table} WHERE member_id = $1 ORDER BY {columns}",
            member_id,
        )
        for table, columns in TABLES.items()
    ]
    return told, kept


@pytest.mark.parametrize("seed", range(8))
async def test_whoever_reads_a_member_whole_decides_the_same(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    bounded = await applied(pool, "bounded", seed)
    monkeypatch.setattr(needs, "_is_bounded", lambda _: False)
    assert await applied(pool, "whole", seed) == bounded
    assert await faults_in(pool) == []
    keys = {(outcome["error"] or {}).get("key") for outcome in bounded[0]}
    assert keys >= {None, "insufficient_points", "hold_ended"}


async def test_who_ends_a_hold_that_has_ended_is_shown_the_wallet_of_the_hold(desk: Desk) -> None:
    await desk.apply(
        request("regular", 7),
        request("promised", 10, category="PROMISED"),
        request("h", 5, category="PROMISED", operation="HOLD"),
    )
    ends = [
        {"request_id": end, "member_id": "m", "operation": "RELEASE", "hold": "h"}
        for end in ("one", "two", "later")
    ]
    ended, refused = await desk.outcomes(*ends[:2])
    (later,) = await desk.outcomes(ends[2])
    assert ended["error"] is None
    for one in (refused, later):
        assert one["error"]["key"] == "hold_ended"
    for one in (ended, refused, later):
        assert (one["category"], one["balance"], one["version"]) == ("PROMISED", "10", 3)


async def test_a_debit_that_uses_up_all_lots_it_needs_knows_when_the_next_one_expires(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    clock = Clock(START)
    desk = Desk(pool, clock)
    for month in ("02", "03"):
        expiry = {"expiration_type": "CUSTOM_DATE", "expiration_date": f"2031-{month}-28"}
        await desk.apply(request(month, 5, **expiry))
    await desk.apply(request("h", 1, operation="HOLD", ttl_seconds=60))
    clock.time += timedelta(hours=1)
    await desk.apply(request("d", -5))
    assert await owner.fetchval("SELECT due_at FROM points.members") == datetime(
        2031, 3, 29, tzinfo=UTC
    )
