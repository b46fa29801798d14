"""When points expire: the first instant after the last usable day, in the programme's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.unit.domain.desk import in_currency, moment
from worker.domain.expiry import by_rule, custom, end_of_day

UTC_ZONE = ZoneInfo("UTC")


def last_day(now: str, zone: str = "UTC", **rule: Any) -> str | None:
    """The last usable day of a credit made `now` under a rule, checked to end at midnight."""
    expires_at = by_rule(in_currency(**rule).currencies[0].expiry, moment(now), ZoneInfo(zone))
    if expires_at is None:
        return None
    assert expires_at.tzinfo is UTC
    day = date.fromordinal(expires_at.astimezone(ZoneInfo(zone)).toordinal() - 1)
    assert end_of_day(day, ZoneInfo(zone)) == expires_at
    return day.isoformat()


@pytest.mark.parametrize(
    ("zone", "day", "ends_at"),
    [
        ("UTC", "2025-12-31", "2026-01-01T00:00:00Z"),
        ("UTC", "2028-02-28", "2028-02-29T00:00:00Z"),
        ("UTC", "2028-02-29", "2028-03-01T00:00:00Z"),
        ("UTC", "9998-12-31", "9999-01-01T00:00:00Z"),
        ("Pacific/Kiritimati", "2026-01-01", "2026-01-01T10:00:00Z"),
        ("America/Los_Angeles", "2026-01-01", "2026-01-02T08:00:00Z"),
        # The day of 23 hours, the day of 25, and their eves.
        ("Europe/Berlin", "2026-03-28", "2026-03-28T23:00:00Z"),
        ("Europe/Berlin", "2026-03-29", "2026-03-29T22:00:00Z"),
        ("Europe/Berlin", "2026-10-24", "2026-10-24T22:00:00Z"),
        ("Europe/Berlin", "2026-10-25", "2026-10-25T23:00:00Z"),
        ("America/Los_Angeles", "2026-03-08", "2026-03-09T07:00:00Z"),
        ("America/Los_Angeles", "2026-11-01", "2026-11-02T08:00:00Z"),
        # Daylight saving of half an hour.
        ("Australia/Lord_Howe", "2026-01-01", "2026-01-01T13:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-05T13:30:00Z"),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-04T13:00:00Z"),
        # Clocks that go forward at midnight: the next day begins at one o'clock.
        ("America/Sao_Paulo", "2018-11-03", "2018-11-04T03:00:00Z"),
        # Clocks that go back at midnight: the last hour of the day comes twice.
        ("America/Sao_Paulo", "2018-02-17", "2018-02-18T03:00:00Z"),
        # Clocks that go back from one to midnight: the next day's first hour comes twice.
        ("America/Havana", "2026-10-31", "2026-11-01T04:00:00Z"),
        # The day that Samoa left out when it changed sides of the date line, and its neighbours.
        ("Pacific/Apia", "2011-12-28", "2011-12-29T10:00:00Z"),
        ("Pacific/Apia", "2011-12-29", "2011-12-30T10:00:00Z"),
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),
        ("Pacific/Apia", "2011-12-31", "2011-12-31T10:00:00Z"),
    ],
)
def test_a_day_ends_with_its_last_instant_in_the_zone(zone: str, day: str, ends_at: str) -> None:
    assert end_of_day(date.fromisoformat(day), ZoneInfo(zone)) == moment(ends_at)


@pytest.mark.parametrize(
    ("now", "months", "last"),
    [
        ("2026-01-31T12:00:00Z", 1, "2026-02-28"),
        ("2028-01-31T12:00:00Z", 1, "2028-02-29"),
        ("2026-03-31T12:00:00Z", 1, "2026-04-30"),
        ("2026-01-31T12:00:00Z", 2, "2026-03-31"),
        ("2026-11-30T12:00:00Z", 3, "2027-02-28"),
        ("2026-12-31T12:00:00Z", 1, "2027-01-31"),
        ("2026-12-15T12:00:00Z", 12, "2027-12-15"),
        ("2026-06-15T12:00:00Z", 0, "2026-06-15"),
    ],
)
def test_months_are_calendar_months_clamped_to_their_last_day(
    now: str, months: int, last: str
) -> None:
    assert last_day(now, rule="after", months=months) == last


@pytest.mark.parametrize(
    ("years", "last"), [(1, "2029-02-28"), (3, "2031-02-28"), (4, "2032-02-29")]
)
def test_a_year_after_a_leap_day_ends_on_the_last_of_february(years: int, last: str) -> None:
    assert last_day("2028-02-29T00:00:00Z", rule="after", years=years) == last


@pytest.mark.parametrize(
    ("now", "days", "last"),
    [
        ("2026-01-15T00:00:00Z", 0, "2026-01-15"),
        ("2026-01-15T23:59:59Z", 30, "2026-02-14"),
        ("2028-02-28T12:00:00Z", 1, "2028-02-29"),
        ("2026-12-31T12:00:00Z", 1, "2027-01-01"),
    ],
)
def test_days_are_counted_from_the_day_of_the_credit(now: str, days: int, last: str) -> None:
    assert last_day(now, rule="after", days=days) == last


def test_days_over_a_change_of_the_clocks_are_days_and_not_hours() -> None:
    assert last_day("2026-03-28T22:30:00Z", "Europe/Berlin", rule="after", days=1) == "2026-03-29"
    assert last_day("2026-10-24T22:30:00Z", "Europe/Berlin", rule="after", days=1) == "2026-10-26"


@pytest.mark.parametrize(
    ("period", "after_months", "now", "last"),
    [
        ("month", 0, "2026-01-31T12:00:00Z", "2026-01-31"),
        ("month", 0, "2026-02-01T12:00:00Z", "2026-02-28"),
        ("month", 1, "2028-01-31T12:00:00Z", "2028-02-29"),
        ("month", 13, "2026-12-31T12:00:00Z", "2028-01-31"),
        ("quarter", 0, "2026-01-01T12:00:00Z", "2026-03-31"),
        ("quarter", 0, "2026-03-31T12:00:00Z", "2026-03-31"),
        ("quarter", 0, "2026-04-01T12:00:00Z", "2026-06-30"),
        ("quarter", 0, "2026-09-30T12:00:00Z", "2026-09-30"),
        ("quarter", 3, "2026-11-30T12:00:00Z", "2027-03-31"),
        ("year", 0, "2026-01-01T12:00:00Z", "2026-12-31"),
        ("year", 0, "2026-12-31T12:00:00Z", "2026-12-31"),
        ("year", 1, "2026-12-31T12:00:00Z", "2027-12-31"),
        ("year", 12, "2026-06-15T12:00:00Z", "2027-12-31"),
    ],
)
def test_end_of_a_period_is_the_last_day_of_the_period_in_which_the_day_lies(
    period: str, after_months: int, now: str, last: str
) -> None:
    assert last_day(now, rule="end_of", period=period, after_months=after_months) == last


@pytest.mark.parametrize(
    ("zone", "last"),
    [
        ("UTC", "2026-12-31"),
        ("Europe/Berlin", "2027-12-31"),
        ("Pacific/Kiritimati", "2027-12-31"),
        ("America/Los_Angeles", "2026-12-31"),
    ],
)
def test_the_day_of_a_credit_is_that_of_the_programmes_zone(zone: str, last: str) -> None:
    assert last_day("2026-12-31T23:30:00Z", zone, rule="end_of", period="year") == last


def test_points_of_a_currency_without_a_rule_never_expire() -> None:
    assert last_day("2026-01-15T12:00:00Z", rule="never") is None
    assert last_day("2026-01-15T12:00:00Z") is None


@pytest.mark.parametrize(
    "rule",
    [
        {"rule": "after", "days": 1_000_000_000},
        {"rule": "after", "days": 3_000_000},
        {"rule": "after", "months": 120_000},
        {"rule": "after", "years": 7974},
        {"rule": "end_of", "period": "year", "after_months": 12 * 7973},
    ],
)
def test_a_rule_that_leads_beyond_the_year_9999_is_an_overflow(rule: dict[str, Any]) -> None:
    with pytest.raises(OverflowError):
        last_day("2026-01-15T12:00:00Z", **rule)


def test_a_rule_may_lead_to_the_day_before_the_last_of_the_calendar() -> None:
    assert last_day("2026-12-30T12:00:00Z", rule="after", years=7973) == "9999-12-30"


def test_a_custom_day_is_the_last_usable_one_in_the_zone() -> None:
    day = date(2023, 5, 30)
    assert custom(day, UTC_ZONE) == moment("2023-05-31T00:00:00Z")
    assert custom(day, ZoneInfo("America/Los_Angeles")) == moment("2023-05-31T07:00:00Z")
    assert custom(day, ZoneInfo("Pacific/Kiritimati")) == moment("2023-05-30T10:00:00Z")


def test_a_custom_date_time_is_the_instant_itself() -> None:
    aware = datetime.fromisoformat("2030-06-01T12:00:00+05:30")
    assert custom(aware, ZoneInfo("America/Los_Angeles")) == moment("2030-06-01T06:30:00Z")


def test_a_custom_date_time_without_offset_is_in_the_programmes_zone() -> None:
    naive = datetime.fromisoformat("2030-06-01T12:00:00")
    assert custom(naive, UTC_ZONE) == moment("2030-06-01T12:00:00Z")
    assert custom(naive, ZoneInfo("America/Los_Angeles")) == moment("2030-06-01T19:00:00Z")
    # What Voucherify's own client sends for a date: midnight, so the day itself is not usable.
    midnight = datetime.fromisoformat("2023-05-30T00:00:00")
    assert custom(midnight, UTC_ZONE) == moment("2023-05-30T00:00:00Z")


@pytest.mark.parametrize(
    ("naive", "instant"),
    [
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
    ],
)
def test_a_time_that_the_clocks_leave_out_or_show_twice_is_one_instant(
    naive: str, instant: str
) -> None:
    assert custom(datetime.fromisoformat(naive), ZoneInfo("Europe/Berlin")) == moment(instant)


@pytest.mark.parametrize(
    "beyond", [date(9999, 12, 31), datetime.fromisoformat("9999-12-31T23:00:00")]
)
def test_a_custom_date_beyond_the_calendar_is_an_overflow(beyond: date) -> None:
    with pytest.raises(OverflowError):
        custom(beyond, ZoneInfo("America/Los_Angeles"))


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_every_custom_date_that_a_request_can_name_has_an_end(zone: str) -> None:
    for day in (date(2, 1, 1), date(9998, 12, 31)):
        assert custom(day, ZoneInfo(zone)).tzinfo is UTC
        at_noon = datetime(day.year, day.month, day.day, 12)  # noqa: DTZ001 (naive on purpose)
        assert custom(at_noon, ZoneInfo(zone)).tzinfo is UTC
