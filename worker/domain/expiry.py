"""When points expire.

An expiry date is the last usable day in the programme's time zone (Voucherify: "2025-12-31 means
points are deducted at 2026-01-01 00:00 project time zone"), so every expiry is the first instant
at which a lot cannot be used: the midnight that ends that day.
"""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

    from worker.domain.program import ExpiryRule

_MONTHS_OF_PERIOD = {"month": 1, "quarter": 3, "year": 12}


def by_rule(rule: ExpiryRule, now: datetime, zone: tzinfo) -> datetime | None:
    """Return when a credit made `now` expires by the programme's rule; None for never.

    Raises OverflowError where that lies beyond the year 9999.
    """
    if rule.kind == "never":
        return None
    return _by_rule(rule, now.astimezone(zone).date(), zone)


# All credits of a day expire together.
@lru_cache(maxsize=256)
def _by_rule(rule: ExpiryRule, day: date, zone: tzinfo) -> datetime:
    day = _add_months(day, rule.months)
    if rule.kind == "after":
        day += timedelta(days=rule.days)
    else:
        span = _MONTHS_OF_PERIOD[rule.period]
        last_month = (day.month - 1) // span * span + span
        day = date(day.year, last_month, calendar.monthrange(day.year, last_month)[1])
    return end_of_day(day, zone)


def custom(moment: date | datetime, zone: tzinfo) -> datetime:
    """Return when a credit with `CUSTOM_DATE` expires.

    A date is the last usable day; a date-time is the instant itself, in the programme's zone
    where it names no offset. Raises OverflowError beyond the year 9999.
    """
    if not isinstance(moment, datetime):
        return end_of_day(moment, zone)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(UTC)


def end_of_day(day: date, zone: tzinfo) -> datetime:
    """Return the first instant, in UTC, after a day of the zone."""
    midnight = datetime.combine(day + timedelta(days=1), datetime.min.time(), zone)
    return midnight.astimezone(UTC)


def _add_months(day: date, months: int) -> date:
    """Add calendar months, clamped to the month's end: 31 January + 1 month = 28 February."""
    years, month_index = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month_index + 1
    if year > date.max.year:
        raise OverflowError("beyond the year 9999")
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
