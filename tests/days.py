"""What caps leave of credits, worked out day by day along the clocks of a zone.

It shares no code with the worker: periods are walked through one day after the other, and a day
is what lies between two of its zone's midnights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from tests.property.tokens import first_instant_after

DAY = timedelta(days=1)
_QUARTERS = (1, 4, 7, 10)


def day_of(instant: datetime, zone: str) -> date:
    """Return the day that it is in a zone, found by the midnights around it."""
    day = instant.date() - DAY
    while first_instant_after(day, zone) <= instant:
        day += DAY
    return day


def days_of(cap: dict[str, Any], today: date) -> set[date]:
    """Return the days of a cap's period, from its first one up to today."""
    days = {today}
    while not _begins(cap, min(days), len(days)):
        days.add(min(days) - DAY)
    return days


def _begins(cap: dict[str, Any], day: date, length: int) -> bool:
    match cap.get("per"):
        case None:
            return bool(length == cap["rolling_days"])
        case "day":
            return True
        case "week":
            return day.isoweekday() == 1
        case "month":
            return day.day == 1
        case "quarter":
            return day.day == 1 and day.month in _QUARTERS
        case _:
            return (day.month, day.day) == (1, 1)


@dataclass
class DayBook:
    """What one wallet has earned or spent, with the day of each, under some caps."""

    zone: str
    caps: list[dict[str, Any]]
    moved: list[tuple[date, int]] = field(default_factory=list)

    def credit(self, points: int, now: datetime) -> int:
        """Return what the caps leave of a credit."""
        today = day_of(now, self.zone)
        granted = min([points, *(max(self._room(cap, today), 0) for cap in self.caps)])
        self.moved.append((today, granted))
        return granted

    def debit(self, points: int, now: datetime) -> bool:
        """Return whether the caps let an automatic debit pass."""
        today = day_of(now, self.zone)
        passes = all(self._room(cap, today) >= points for cap in self.caps)
        if passes:
            self.moved.append((today, points))
        return passes

    def _room(self, cap: dict[str, Any], today: date) -> int:
        days = days_of(cap, today)
        return int(cap["points"]) - sum(points for day, points in self.moved if day in days)
