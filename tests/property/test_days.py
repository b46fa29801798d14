"""Days, in any zone, on any day: when they end, and what caps count in them, by a plain walk."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given
from hypothesis import strategies as st

from tests.days import DayBook, day_of
from tests.property.histories import RULES, STARTS
from tests.property.tokens import first_instant_after, last_usable_day
from tests.unit.domain.desk import Desk, programme
from worker.domain.document import from_document
from worker.domain.expiry import by_rule, end_of_day

ALL_ZONES = st.sampled_from(sorted(available_timezones()))
# Before 2012 clocks of some zones were put back from the new day into the old one.
DAYS = st.dates(date(2012, 1, 1), date(2060, 12, 31))


@given(ALL_ZONES, DAYS)
def test_a_day_ends_with_the_first_instant_that_is_not_of_it(zone: str, day: date) -> None:
    assert end_of_day(day, ZoneInfo(zone)) == first_instant_after(day, zone)


@given(ALL_ZONES, RULES, DAYS, st.integers(0, 24 * 60 * 60 - 1))
def test_a_rule_leads_to_the_end_of_the_day_to_which_a_calendar_leads(
    zone: str, rule: dict[str, Any], day: date, second: int
) -> None:
    now = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=second)
    currency = {"code": "points", "expiry": rule}
    program = from_document("acme", 1, {"time_zone": zone, "currencies": [currency]})
    expires_at = by_rule(program.currencies[0].expiry, now, program.time_zone)
    if rule["rule"] == "never":
        assert expires_at is None
        return
    today = now.astimezone(ZoneInfo(zone)).date()
    assert expires_at == first_instant_after(last_usable_day(rule, today), zone)
    assert expires_at > now


AMOUNTS = st.integers(1, 80).map(str)
PERIODS = ("day", "week", "month", "quarter", "year")
CAPS: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.one_of(
        st.builds(lambda per, n: {"per": per, "points": n}, st.sampled_from(PERIODS), AMOUNTS),
        st.builds(lambda days, n: {"rolling_days": days, "points": n}, st.integers(1, 40), AMOUNTS),
    ),
    min_size=1,
    max_size=3,
)
GAPS = tuple(
    timedelta(**gap)
    for gap in (
        {"microseconds": 1},
        {"milliseconds": 1},
        {"minutes": 30},
        {"hours": 1},
        {"hours": 13},
        {"days": 1},
        {"days": 6},
        {"days": 25},
        {"days": 80},
    )
)


def moments(zone: str, start: datetime, seed: int) -> list[datetime]:
    """Return times in their order, half of them at a midnight of the zone or right before one."""
    chance = random.Random(seed)
    found = [start]
    while len(found) < 25:
        now = found[-1] + chance.choice(GAPS)
        midnight = first_instant_after(day_of(now, zone), zone)
        found.append(chance.choice((now, now, midnight, midnight - timedelta(milliseconds=1))))
    return found


@given(ALL_ZONES, CAPS, st.sampled_from(STARTS), st.integers(0, 2**32))
def test_caps_leave_of_credits_what_a_count_day_by_day_leaves(
    zone: str, caps: list[dict[str, Any]], start: datetime, seed: int
) -> None:
    chance = random.Random(seed)
    desk = Desk(programme(time_zone=zone, currencies=[{"code": "points", "earn_caps": caps}]))
    book = DayBook(zone, caps)
    for desk.now in moments(zone, start, seed):
        points = chance.randint(1, 30)
        outcome = desk.adjust(points)
        granted = book.credit(points, desk.now)
        assert (outcome.points, outcome.forfeited) == (granted, points - granted)


@given(ALL_ZONES, CAPS, st.sampled_from(STARTS), st.integers(0, 2**32))
def test_caps_let_automatic_debits_pass_that_a_count_day_by_day_lets_pass(
    zone: str, caps: list[dict[str, Any]], start: datetime, seed: int
) -> None:
    chance = random.Random(seed)
    desk = Desk(programme(time_zone=zone, currencies=[{"code": "points", "spend_caps": caps}]))
    book = DayBook(zone, caps)
    desk.now = start
    desk.adjust(10_000)
    for desk.now in moments(zone, start, seed):
        points = chance.randint(1, 30)
        refused = desk.refusal(-points, operation_type="AUTOMATIC")
        assert refused == (None if book.debit(points, desk.now) else "limit_exceeded")
