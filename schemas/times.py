"""Dates and times of the contract: RFC 3339, and nothing that merely resembles it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final, TypeVar

DATE_PATTERN: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
LOCAL_TIME_PATTERN: Final = DATE_PATTERN + r"[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
OFFSET_PATTERN: Final = r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
UTC_PATTERN: Final = DATE_PATTERN + r"T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z"

DATE_RULE: Final = (
    "must be a date (2030-12-31) or an RFC 3339 date-time (2030-12-31T23:59:59Z, or without an "
    "offset for the programme's zone) of the years 0002 to 9998"
)
TIME_RULE: Final = (
    "must be an RFC 3339 date-time with its offset (2030-12-31T23:59:59Z) of the years 0002 to 9998"
)
UTC_RULE: Final = "must be an RFC 3339 date-time in UTC (2030-12-31T23:59:59Z)"

_DATE = re.compile(DATE_PATTERN)
_LOCAL_OR_OFFSET = re.compile(f"{LOCAL_TIME_PATTERN}{OFFSET_PATTERN}?")
_OFFSET = re.compile(LOCAL_TIME_PATTERN + OFFSET_PATTERN)
_UTC = re.compile(UTC_PATTERN)

# A day at either end of the calendar could not be carried into another zone, or to the day after.
_YEARS = range(2, 9999)

_Day = TypeVar("_Day", date, datetime)


def parse_date(value: object) -> date | datetime:
    """Read an expiration date: a date, a date-time, or a date-time without an offset.

    A date-time is read to the microsecond, what is finer is cut off; one with an offset is given
    in UTC. Raises `ValueError`.
    """
    if type(value) is str:
        try:
            if _DATE.fullmatch(value):
                return _within_calendar(date.fromisoformat(value))
            if _LOCAL_OR_OFFSET.fullmatch(value):
                return _in_utc(datetime.fromisoformat(value.upper()))
        except ValueError:
            raise ValueError(DATE_RULE) from None
    raise ValueError(DATE_RULE)


def parse_time(value: object) -> datetime:
    """Read a moment: a date-time with its offset, to the microsecond, given in UTC.

    Raises `ValueError`.
    """
    if type(value) is str and _OFFSET.fullmatch(value):
        try:
            return _in_utc(datetime.fromisoformat(value.upper()))
        except ValueError:
            raise ValueError(TIME_RULE) from None
    raise ValueError(TIME_RULE)


def parse_utc(value: object) -> datetime:
    """Read a time that the worker wrote: in UTC, with `Z`. Raises `ValueError`."""
    if type(value) is str and _UTC.fullmatch(value):
        return datetime.fromisoformat(value)
    raise ValueError(UTC_RULE)


def utc_text(moment: datetime) -> str:
    """Write an aware time as the contract has it: RFC 3339 in UTC, with `Z`."""
    return _utc_text(moment if moment.tzinfo is UTC else moment.astimezone(UTC))


# All that a batch brings about bears the same few times.
@lru_cache(maxsize=1024)
def _utc_text(moment: datetime) -> str:
    return moment.isoformat().removesuffix("+00:00") + "Z"


def _in_utc(moment: datetime) -> datetime:
    moment = _within_calendar(moment)
    return moment if moment.tzinfo is None else moment.astimezone(UTC)


def _within_calendar(moment: _Day) -> _Day:
    if moment.year not in _YEARS:
        raise ValueError
    return moment
