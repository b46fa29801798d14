"""The end of a day, in any zone, on any day: as a walk along the zone's clocks finds it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given
from hypothesis import strategies as st

from tests.property.histories import RULES
from tests.property.tokens import first_instant_after, last_usable_day
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
