"""Days, months and years at a lane whose clock the test sets, in programmes of many zones."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.crew import Crew, data_of
from tests.days import DayBook, day_of
from tests.inside import Clock, Desk, add_program, faults_in, request
from tests.property.tokens import first_instant_after
from worker.lane.applying import Applier

if TYPE_CHECKING:
    import asyncpg

    from worker.store.pool import Pool

MILLISECOND = timedelta(milliseconds=1)
CAPS: list[dict[str, Any]] = [
    {"per": "week", "points": "90"},
    {"per": "month", "points": "200"},
    {"per": "quarter", "points": "350"},
    {"per": "year", "points": "900"},
    {"rolling_days": 45, "points": "250"},
]
GAPS = [timedelta(minutes=30), timedelta(hours=13), *(timedelta(days=n) for n in (1, 3, 20))]


@pytest.mark.parametrize(
    "zone",
    [
        "UTC",
        "Europe/Berlin",
        "Asia/Kolkata",
        "Pacific/Kiritimati",
        "America/St_Johns",
        "Australia/Lord_Howe",
    ],
)
async def test_stored_days_leave_of_credits_what_a_count_day_by_day_leaves(
    timed: Desk, clock: Clock, owner: asyncpg.Connection, pool: Pool, zone: str
) -> None:
    await add_program(
        owner,
        {
            "program_id": "capped",
            "time_zone": zone,
            "currencies": [{"code": "points", "earn_caps": CAPS}],
        },
    )
    book, chance = DayBook(zone, CAPS), random.Random(zone)
    clock.time = datetime(2030, 9, 20, 12, tzinfo=UTC)
    for number in range(80):
        clock.time += chance.choice(GAPS)
        midnight = first_instant_after(day_of(clock.time, zone), zone)
        clock.time = chance.choice((clock.time, midnight - MILLISECOND, midnight))
        points = chance.randint(1, 60)
        (outcome,) = await timed.outcomes(request(f"r{number}", points, program_id="capped"))
        granted = book.credit(points, clock.time)
        assert (outcome["points"], outcome["forfeited"]) == (str(granted), str(points - granted))
    assert await faults_in(pool) == []


@pytest.mark.parametrize(
    ("zone", "midnight", "month_later"),
    [
        # The end of a leap day, and months in which the clocks change.
        ("America/St_Johns", "2028-03-01T03:30:00Z", "2028-04-01T02:30:00Z"),
        ("Asia/Kolkata", "2028-02-29T18:30:00Z", "2028-03-31T18:30:00Z"),
        ("Australia/Lord_Howe", "2028-03-31T13:00:00Z", "2028-04-30T13:30:00Z"),
    ],
)
async def test_a_real_lane_counts_a_credit_in_the_month_of_its_last_millisecond(
    amqp_url: str,
    database_url: str,
    prefix: str,
    owner: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
    midnight: str,
    month_later: str,
) -> None:
    at = datetime.fromisoformat(midnight)
    clock = Clock(at - MILLISECOND)
    monkeypatch.setattr("worker.crew.Applier", partial(Applier, clock=clock))
    currency = {
        "code": "points",
        "expiry": {"rule": "end_of", "period": "month"},
        "earn_caps": [{"per": "month", "points": "100"}],
    }
    await add_program(owner, {"program_id": "monthly", "time_zone": zone, "currencies": [currency]})
    credit = partial(request, member_id="m", program_id="monthly")
    async with Crew(amqp_url, database_url, prefix, sweep_seconds=0) as crew, crew.running():
        await crew.send(credit("old", 70), credit("beyond", 70))
        replies = await crew.taken(crew.replies, 2)
        clock.time = at
        await crew.send(credit("new", 90), credit("debit", -91))
        replies += await crew.taken(crew.replies, 2)
        events = [data_of(event) for event in await crew.taken(crew.events, 5)]
    old, beyond, new, debit = (json.loads(reply.body) for reply in replies)
    assert [one["lots"][0]["expires_at"] for one in (old, beyond)] == [midnight] * 2
    assert (beyond["points"], beyond["forfeited"]) == ("30", "40")
    assert (new["points"], new["forfeited"], new["balance"]) == ("90", "0", "90")
    assert new["lots"][0]["expires_at"] == month_later
    assert debit["error"]["key"] == "insufficient_points"
    assert [(one["operation"], one["points"], one["caused_by"]) for one in events] == [
        ("ADJUST", "70", None),
        ("ADJUST", "30", None),
        ("EXPIRE", "-100", "new"),
        ("ADJUST", "90", None),
        ("ADJUST", "0", None),
    ]
