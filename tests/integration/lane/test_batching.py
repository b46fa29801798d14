"""However requests are cut into batches, the same comes of them: what a batch reads is enough.

Nothing else tells whether a batch reads what its requests need, for what is missing looks like
what was never there.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from schemas.names import EVENT_TYPES
from tests.inside import USER, Clock, Desk, add_program, delivered, faults_in
from worker.domain.ordinals import Parking

if TYPE_CHECKING:
    import asyncpg

    from worker.broker import Delivery
    from worker.store.pool import Pool

MEMBERS = ("ann", "bob", "cid")
OPERATIONS = (
    *("ADJUST",) * 6,
    *(
        "SET_BALANCE",
        "REVERSE",
        "REVERSE",
        "HOLD",
        "HOLD",
        "CAPTURE",
        "RELEASE",
        "CONVERT",
        "CONVERT",
    ),
    "EXPIRE",
)
PARKING = Parking(wait_seconds=5 * 3600, per_member_max=4)
PROGRAM = {
    "status": "active",
    "time_zone": "Europe/Berlin",
    "currencies": [
        {
            "code": "points",
            "decimals": 0,
            "expiry": {"rule": "after", "days": 2},
            "balance_cap": "900",
            "earn_caps": [{"per": "day", "points": "400"}, {"rolling_days": 3, "points": "700"}],
            "spend_caps": [{"per": "week", "points": "500"}],
        },
        {"code": "coins", "decimals": 1, "expiry": {"rule": "never"}},
    ],
    "limits": {"points_per_operator_per_day": "900"},
    "promotions": [{"id": "p1", "identifier": "i1"}, {"id": "p2"}],
}


class Load:
    """Random requests of every operation, many of them about earlier ones, in bursts."""

    def __init__(self, seed: int, program_id: str) -> None:
        self._chance = random.Random(seed)
        self._program_id = program_id
        self._count = 0
        self._ids: dict[str, list[str]] = {member: ["nothing"] for member in MEMBERS}
        self._sent: list[dict[str, Any]] = []

    def burst(self, count: int) -> list[Delivery]:
        """Return so many requests."""
        return [delivered(self._request(), user_id=USER, reply_to="answers") for _ in range(count)]

    def _request(self) -> dict[str, Any]:
        chance = self._chance
        if self._sent and chance.random() < 0.1:
            return chance.choice(self._sent)
        self._count += 1
        member = chance.choice(MEMBERS)
        request: dict[str, Any] = {
            "request_id": f"r{self._count}",
            "program_id": self._program_id,
            "member_id": member,
            "operation": chance.choice(OPERATIONS),
        }
        request |= self._body(request["operation"], chance.choice(self._ids[member][-8:]))
        if chance.random() < 0.15:
            request |= {"ordinal": chance.randint(1, 12)}
        if chance.random() < 0.05:
            request |= {"dry_run": True}
        if chance.random() < 0.2 and request["operation"] != "EXPIRE":
            request |= {"adjusted_by": "op"}
        self._ids[member].append(request["request_id"])
        self._sent.append(request)
        return request

    def _body(self, operation: str, earlier: str) -> dict[str, Any]:
        chance = self._chance
        wallet = {
            "currency": chance.choice(["points", "points", "coins"]),
            "category": chance.choice(["REGULAR", "PROMISED"]),
        }
        part = {"points": chance.randint(1, 40)} if chance.random() < 0.5 else {}
        bodies: dict[str, dict[str, Any]] = {
            "ADJUST": wallet | self._adjustment(),
            "SET_BALANCE": wallet | {"points": chance.randint(0, 300)},
            "HOLD": wallet
            | {
                "points": chance.randint(1, 80),
                "ttl_seconds": chance.choice([3600, 10 * 3600, 172_800]),
            },
            "CAPTURE": {"hold": earlier} | part,
            "RELEASE": {"hold": earlier},
            "REVERSE": {"reverses": earlier} | part,
            "CONVERT": {"category": "PROMISED", "currency": wallet["currency"]} | part,
            "EXPIRE": {"operation_type": "AUTOMATIC"},
        }
        return bodies[operation]

    def _adjustment(self) -> dict[str, Any]:
        chance = self._chance
        points = chance.choice([1, 1, -1]) * chance.randint(1, 200)
        given: dict[str, Any] = {"points": points}
        if chance.random() < 0.2:
            given |= {"award_id": chance.choice("ab")}
        elif chance.random() < 0.2:
            given |= chance.choice([{"promotion_id": "p1"}, {"promotion_identifier": "i1"}])
        if points < 0 and chance.random() < 0.2:
            given |= {"allow_negative": True}
        if chance.random() < 0.2:
            given |= {"operation_type": "AUTOMATIC"}
        return given


async def journal(owner: asyncpg.Connection, program_id: str) -> list[tuple[Any, ...]]:
    """Return all that was journalled in a programme, in the order in which it happened."""
    rows = await owner.fetch(
        "SELECT member_id, sequence, request_id, step, subject, status, event_type, error_key,"
        " currency, category, points, balance, total, version, fingerprint, lots,"
        " replace(convert_from(outcome, 'UTF8'), $1, 'PROGRAM')"
        " FROM points.journal WHERE program_id = $1"
        " ORDER BY member_id, sequence, request_id, step",
        program_id,
    )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("seed", range(4))
async def test_one_by_one_or_together_the_same_comes_of_the_same_requests(
    pool: Pool, clock: Clock, owner: asyncpg.Connection, seed: int
) -> None:
    desk = Desk(pool, clock, PARKING)
    await add_program(owner, {**PROGRAM, "program_id": "alone"})
    await add_program(owner, {**PROGRAM, "program_id": "batch"})
    alone, batch = Load(seed, "alone"), Load(seed, "batch")
    chance = random.Random(seed)
    for _ in range(35):
        clock.time += timedelta(minutes=chance.choice([1, 30, 90, 600]))
        count = chance.randint(1, 12)
        answers = []
        for message in alone.burst(count):
            answers += await desk.outcomes(message)
        together = await desk.outcomes(*batch.burst(count))
        assert [_without_program(one) for one in together] == [
            _without_program(one) for one in answers
        ]
    assert await journal(owner, "batch") == await journal(owner, "alone")
    assert await faults_in(pool) == []
    kinds = await owner.fetchval("SELECT count(DISTINCT event_type) FROM points.journal")
    assert kinds == len(EVENT_TYPES)


def _without_program(outcome: dict[str, Any]) -> dict[str, Any]:
    return {**outcome, "program_id": None}
