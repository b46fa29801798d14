"""When a day, a month or a year is over: for points that expire, and for caps and limits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.domain.desk import Desk, custom, moment, programme

INSTANT = timedelta(microseconds=1)
MILLISECOND = timedelta(milliseconds=1)


def desk_at(now: str, zone: str, currency: dict[str, Any] | None = None, **document: Any) -> Desk:
    """A desk of a programme in a zone, at a time."""
    currencies = [{"code": "points", **(currency or {})}]
    return Desk(programme(time_zone=zone, currencies=currencies, **document), now=moment(now))


@pytest.mark.parametrize(
    ("zone", "day", "over"),
    [
        ("UTC", "2028-02-29", "2028-03-01T00:00:00Z"),
        ("Asia/Kolkata", "2026-01-31", "2026-01-31T18:30:00Z"),
        ("Pacific/Kiritimati", "2026-12-31", "2026-12-31T10:00:00Z"),
        ("Pacific/Pago_Pago", "2026-12-31", "2027-01-01T11:00:00Z"),
        # Both changes of the clocks, and the days before them.
        ("Europe/Berlin", "2026-03-28", "2026-03-28T23:00:00Z"),
        ("Europe/Berlin", "2026-03-29", "2026-03-29T22:00:00Z"),
        ("Europe/Berlin", "2026-10-24", "2026-10-24T22:00:00Z"),
        ("Europe/Berlin", "2026-10-25", "2026-10-25T23:00:00Z"),
        ("America/St_Johns", "2026-03-07", "2026-03-08T03:30:00Z"),
        ("America/St_Johns", "2026-03-08", "2026-03-09T02:30:00Z"),
        ("America/St_Johns", "2026-11-01", "2026-11-02T03:30:00Z"),
        ("Australia/Lord_Howe", "2026-04-04", "2026-04-04T13:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-05T13:30:00Z"),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-04T13:00:00Z"),
        # The first hour of the next day comes twice.
        ("America/Havana", "2026-10-31", "2026-11-01T04:00:00Z"),
    ],
)
def test_points_can_be_used_to_the_last_instant_of_their_day_and_no_longer(
    zone: str, day: str, over: str
) -> None:
    desk = desk_at("2026-01-01T00:00:00Z", zone)
    desk.adjust(10, **custom(day))
    desk.now = moment(over) - INSTANT
    assert desk.adjust(-1).points == -1
    desk.now = moment(over)
    expired, refused = desk.outcomes(-1)
    assert (expired.operation, expired.points, expired.balance) == ("EXPIRE", -9, 0)
    assert refused.rejection is not None
    assert refused.rejection.key == "insufficient_points"


@pytest.mark.parametrize(
    ("zone", "rule", "midnight", "before", "after"),
    [
        (
            "Asia/Kolkata",
            {"rule": "end_of", "period": "month"},
            "2026-01-31T18:30:00Z",
            "2026-01-31T18:30:00Z",
            "2026-02-28T18:30:00Z",
        ),
        (
            "America/St_Johns",
            {"rule": "end_of", "period": "quarter"},
            "2026-04-01T02:30:00Z",
            "2026-04-01T02:30:00Z",
            "2026-07-01T02:30:00Z",
        ),
        (
            "Pacific/Kiritimati",
            {"rule": "end_of", "period": "year"},
            "2026-12-31T10:00:00Z",
            "2026-12-31T10:00:00Z",
            "2027-12-31T10:00:00Z",
        ),
        # From the last day of January, and from the first of February, to the leap day and beyond.
        (
            "Europe/Berlin",
            {"rule": "after", "months": 1},
            "2028-01-31T23:00:00Z",
            "2028-02-29T23:00:00Z",
            "2028-03-01T23:00:00Z",
        ),
        (
            "Australia/Lord_Howe",
            {"rule": "after", "years": 1},
            "2028-02-28T13:00:00Z",
            "2029-02-28T13:00:00Z",
            "2029-02-28T13:00:00Z",
        ),
        # A day of 23 hours, and one of 25: a day later is a day later.
        (
            "Europe/Berlin",
            {"rule": "after", "days": 1},
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
            "2026-03-30T22:00:00Z",
        ),
        (
            "Europe/Berlin",
            {"rule": "after", "days": 1},
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
            "2026-10-26T23:00:00Z",
        ),
    ],
)
def test_a_credit_of_the_last_instant_before_midnight_is_one_of_the_old_day(
    zone: str, rule: dict[str, Any], midnight: str, before: str, after: str
) -> None:
    desk = desk_at(midnight, zone, {"expiry": rule})
    desk.now -= INSTANT
    assert [lot.expires_at for lot in desk.adjust(5).lots] == [moment(before)]
    desk.now += INSTANT
    lots = {lot.expires_at: lot.points for outcome in desk.outcomes(7) for lot in outcome.lots}
    assert lots[moment(after)] == 7


BOUNDARIES = pytest.mark.parametrize(
    ("period", "zone", "midnight"),
    [
        ("day", "UTC", "2028-02-29T00:00:00Z"),
        ("day", "Asia/Kolkata", "2026-05-04T18:30:00Z"),
        ("day", "Europe/Berlin", "2026-03-28T23:00:00Z"),
        ("day", "Europe/Berlin", "2026-03-29T22:00:00Z"),
        ("day", "Europe/Berlin", "2026-10-24T22:00:00Z"),
        ("day", "Europe/Berlin", "2026-10-25T23:00:00Z"),
        ("day", "Australia/Lord_Howe", "2026-04-05T13:30:00Z"),
        ("day", "America/Havana", "2026-11-01T04:00:00Z"),
        ("week", "Europe/Berlin", "2026-10-25T23:00:00Z"),
        ("week", "America/St_Johns", "2026-03-09T02:30:00Z"),
        ("week", "Pacific/Kiritimati", "2027-01-03T10:00:00Z"),
        ("month", "UTC", "2028-03-01T00:00:00Z"),
        ("month", "Asia/Kolkata", "2026-01-31T18:30:00Z"),
        ("month", "Pacific/Kiritimati", "2026-02-28T10:00:00Z"),
        ("month", "America/St_Johns", "2026-02-01T03:30:00Z"),
        ("quarter", "Australia/Lord_Howe", "2026-09-30T13:30:00Z"),
        ("quarter", "Pacific/Pago_Pago", "2026-07-01T11:00:00Z"),
        ("year", "Pacific/Kiritimati", "2026-12-31T10:00:00Z"),
        ("year", "America/St_Johns", "2027-01-01T03:30:00Z"),
    ],
)


@BOUNDARIES
def test_what_is_earned_before_midnight_counts_in_the_old_period_and_not_in_the_new(
    period: str, zone: str, midnight: str
) -> None:
    desk = desk_at(midnight, zone, {"earn_caps": [{"per": period, "points": "100"}]})
    desk.now -= MILLISECOND
    assert desk.adjust(70).points == 70
    assert desk.adjust(70).points == 30
    desk.now += MILLISECOND
    assert desk.adjust(90).points == 90
    assert desk.adjust(90).points == 10


@BOUNDARIES
def test_what_is_spent_before_midnight_counts_in_the_old_period_and_not_in_the_new(
    period: str, zone: str, midnight: str
) -> None:
    desk = desk_at(midnight, zone, {"spend_caps": [{"per": period, "points": "10"}]})
    automatic = {"operation_type": "AUTOMATIC"}
    desk.adjust(100, bypass_caps=True)
    desk.now -= MILLISECOND
    assert desk.adjust(-10, **automatic).points == -10
    assert desk.refusal(-1, **automatic) == "limit_exceeded"
    desk.now += MILLISECOND
    assert desk.adjust(-10, **automatic).points == -10
    assert desk.refusal(-1, **automatic) == "limit_exceeded"


@pytest.mark.parametrize(
    ("zone", "midnights"),
    [
        (
            "Europe/Berlin",
            ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z"),
        ),
        (
            "Australia/Lord_Howe",
            ("2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z", "2026-04-06T13:30:00Z"),
        ),
        ("Asia/Kolkata", ("2028-02-28T18:30:00Z", "2028-02-29T18:30:00Z", "2028-03-01T18:30:00Z")),
    ],
)
def test_rolling_days_are_days_of_the_zone_and_not_so_many_hours(
    zone: str, midnights: tuple[str, ...]
) -> None:
    first, _, third = midnights
    caps = {"earn_caps": [{"rolling_days": 2, "points": "10"}]}
    for at, counts in ((moment(first) - MILLISECOND, False), (moment(first), True)):
        desk = desk_at("2026-01-01T00:00:00Z", zone, caps)
        desk.now = at
        assert desk.adjust(10).points == 10
        # A millisecond before the third midnight it is the second day after the first one.
        desk.now = moment(third) - MILLISECOND
        assert desk.adjust(10).points == (0 if counts else 10)
        if counts:
            desk.now = moment(third)
            assert desk.adjust(10).points == 10


def test_an_hour_that_comes_twice_is_of_one_day() -> None:
    """In Havana the clocks go back from one to midnight: the day has begun already."""
    desk = desk_at(
        "2026-11-01T04:30:00Z", "America/Havana", {"earn_caps": [{"per": "day", "points": "10"}]}
    )
    assert desk.adjust(10).points == 10
    desk.now += timedelta(hours=1)
    assert desk.adjust(10).points == 0


@BOUNDARIES
def test_an_operators_day_is_over_at_midnight(period: str, zone: str, midnight: str) -> None:
    desk = desk_at(midnight, zone, limits={"points_per_operator_per_day": "100"})
    desk.now -= MILLISECOND
    assert desk.adjust(100, adjusted_by="o").points == 100
    assert desk.refusal(1, adjusted_by="o") == "limit_exceeded"
    desk.now += MILLISECOND
    assert desk.adjust(100, adjusted_by="o").points == 100
    assert desk.refusal(-1, adjusted_by="o") == "limit_exceeded"
