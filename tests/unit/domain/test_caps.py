"""Caps: what a wallet may earn, spend and hold, by periods of the programme's zone."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from tests.unit.domain.desk import Desk, custom, moment, programme
from worker.domain.caps import first_day
from worker.domain.program import Cap
from worker.domain.wallet import Day


def capped(zone: str = "UTC", **caps: Any) -> Desk:
    """A desk of a programme whose one currency has these caps."""
    return Desk(programme(time_zone=zone, currencies=[{"code": "points", **caps}]))


def earning(*caps: dict[str, Any], zone: str = "UTC") -> Desk:
    return capped(zone, earn_caps=list(caps))


def spending(*caps: dict[str, Any]) -> Desk:
    return capped(spend_caps=list(caps))


def test_a_debit_beyond_a_spend_cap_is_told_what_is_left_of_it() -> None:
    desk = spending({"per": "month", "points": "100"})
    desk.adjust(500)
    for taken, left in ((90, 10), (40, 0)):
        desk.adjust(-taken)
        rejection = desk.ask(-11, operation_type="AUTOMATIC").rejection
        assert rejection is not None
        assert rejection.message == (
            f"11 to deduct, {left} left of the programme's spend_cap_month of 100."
        )


class TestWhiteLabelLoyalty:
    def test_a_credit_beyond_an_earn_cap_is_cut_and_the_excess_forfeited(self) -> None:
        desk = earning({"per": "month", "points": "1000"})
        desk.adjust(900)
        outcome = desk.adjust(200)
        assert (outcome.status, outcome.points, outcome.forfeited) == ("APPLIED", 100, 100)
        assert (outcome.balance, outcome.total, outcome.version) == (1000, 1000, 2)
        assert [change.points for change in outcome.lots] == [100]
        assert outcome.warnings == ["earn_cap_month"]

    def test_a_credit_that_bypasses_the_caps_is_neither_cut_nor_counted(self) -> None:
        desk = earning({"per": "month", "points": "1000"})
        desk.adjust(900)
        outcome = desk.adjust(200, bypass_caps=True)
        assert (outcome.points, outcome.forfeited, outcome.warnings) == (200, 0, [])
        assert desk.adjust(200).points == 100

    def test_a_person_may_deduct_beyond_a_spend_cap_and_it_counts(self) -> None:
        desk = spending({"rolling_days": 7, "points": "50"})
        desk.adjust(1000)
        assert desk.refusal(-51, operation_type="AUTOMATIC") == "limit_exceeded"
        assert desk.adjust(-60, operation_type="MANUAL").points == -60
        assert desk.refusal(-1, operation_type="AUTOMATIC") == "limit_exceeded"

    def test_a_monthly_earn_cap_and_a_seven_day_spend_cap_run_in_parallel(self) -> None:
        desk = capped(
            earn_caps=[{"per": "month", "points": "100"}],
            spend_caps=[{"rolling_days": 7, "points": "30"}],
        )
        assert desk.adjust(120).points == 100
        assert desk.adjust(-30, operation_type="AUTOMATIC").points == -30
        assert desk.refusal(-1, operation_type="AUTOMATIC") == "limit_exceeded"
        assert desk.adjust(10).points == 0

    def test_the_balance_is_capped_at_any_one_time(self) -> None:
        desk = capped(balance_cap="500")
        desk.adjust(490)
        outcome = desk.adjust(20)
        assert (outcome.points, outcome.forfeited, outcome.balance) == (10, 10, 500)
        assert outcome.warnings == ["balance_cap"]
        desk.adjust(-100)
        assert desk.adjust(20).warnings == []


def test_a_credit_that_is_cut_to_nothing_is_applied_all_the_same() -> None:
    desk = capped(balance_cap="5")
    desk.adjust(5)
    outcome = desk.adjust(3, **custom("2026-06-30"))
    assert (outcome.status, outcome.event_type) == ("APPLIED", "POINTS_ADJUSTED")
    assert (outcome.points, outcome.forfeited, outcome.lots) == (0, 3, [])
    assert (outcome.balance, outcome.total, outcome.version, outcome.sequence) == (5, 5, 2, 2)
    assert desk.member.due_at is None


def test_a_balance_that_is_over_its_cap_already_is_left_as_it_is() -> None:
    desk = capped(balance_cap="5")
    desk.adjust(9, bypass_caps=True)
    outcome = desk.adjust(1)
    assert (outcome.points, outcome.forfeited, outcome.balance) == (0, 1, 9)


def test_what_pays_off_a_deficit_counts_to_the_balance_cap_by_the_balance_it_leads_to() -> None:
    desk = capped(balance_cap="5")
    desk.adjust(-10, allow_negative=True)
    outcome = desk.adjust(20)
    assert (outcome.points, outcome.balance, outcome.forfeited) == (15, 5, 5)


def test_the_tightest_cap_cuts_and_every_one_that_would_is_named() -> None:
    desk = capped(
        balance_cap="90",
        earn_caps=[
            {"per": "year", "points": "1000"},
            {"per": "day", "points": "95"},
            {"rolling_days": 7, "points": "80"},
        ],
    )
    outcome = desk.adjust(100)
    assert (outcome.points, outcome.forfeited) == (80, 20)
    assert outcome.warnings == ["earn_cap_day", "earn_cap_7_days", "balance_cap"]
    assert desk.adjust(-80).warnings == []
    assert desk.adjust(15).warnings == ["earn_cap_7_days"]


def test_each_wallet_has_its_caps_to_itself() -> None:
    desk = earning({"per": "day", "points": "10"})
    assert desk.adjust(15).points == 10
    assert desk.adjust(15, category="PROMISED").points == 10


def test_what_was_earned_stays_earned_when_it_is_spent() -> None:
    desk = earning({"per": "day", "points": "10"})
    desk.adjust(10)
    desk.adjust(-10)
    assert desk.adjust(1).points == 0


def test_setting_a_balance_is_capped_as_the_change_that_it_makes() -> None:
    desk = capped(
        earn_caps=[{"per": "day", "points": "10"}], spend_caps=[{"per": "day", "points": "4"}]
    )
    outcome = desk.ask(25, operation="SET_BALANCE")
    assert (outcome.points, outcome.forfeited, outcome.balance) == (10, 15, 10)
    automatic = {"operation": "SET_BALANCE", "operation_type": "AUTOMATIC"}
    assert desk.refusal(5, **automatic) == "limit_exceeded"
    assert desk.ask(6, **automatic).points == -4
    assert desk.refusal(5, **automatic) == "limit_exceeded"


def test_a_capture_counts_as_spent_and_a_hold_does_not() -> None:
    desk = spending({"per": "day", "points": "10"})
    desk.adjust(100)
    desk.ask(8, operation="HOLD")
    desk.ask(8, operation="HOLD")
    automatic = {"operation": "CAPTURE", "operation_type": "AUTOMATIC"}
    assert desk.ask(hold="r2", **automatic).points == -8
    assert desk.refusal(hold="r3", **automatic) == "limit_exceeded"
    assert desk.ask(hold="r3", operation="CAPTURE").points == -8


def test_reversals_conversions_and_expiry_neither_count_nor_are_cut() -> None:
    both = [{"per": "day", "points": "10"}]
    desk = capped(earn_caps=both, spend_caps=both, balance_cap="10")
    desk.adjust(10)
    desk.adjust(-10)
    desk.adjust(20, category="PROMISED", bypass_caps=True)
    assert desk.ask(operation="CONVERT", category="PROMISED").points == -20
    assert desk.ask(operation="REVERSE", reverses="r2").balance == 30
    desk.now += timedelta(days=1)
    desk.adjust(1, bypass_caps=True, **custom("2026-01-16"))
    desk.now += timedelta(days=1)
    assert desk.outcomes(-10, operation_type="AUTOMATIC")[0].operation == "EXPIRE"


def test_a_debit_that_bypasses_the_caps_is_neither_refused_nor_counted() -> None:
    desk = spending({"per": "day", "points": "10"})
    desk.adjust(100)
    assert desk.adjust(-50, operation_type="AUTOMATIC", bypass_caps=True).points == -50
    assert desk.adjust(-10, operation_type="AUTOMATIC").points == -10


def test_a_refused_request_counts_for_nothing() -> None:
    desk = spending({"per": "day", "points": "10"})
    desk.adjust(5)
    desk.adjust(-6)
    assert desk.adjust(-5, operation_type="AUTOMATIC").points == -5


def test_days_are_counted_only_where_a_cap_needs_them() -> None:
    desk = capped(balance_cap="10")
    desk.adjust(5)
    assert (desk.wallet.days, desk.wallet.touched_days) == ({}, set())
    desk = earning({"per": "year", "points": "10"})
    desk.adjust(5)
    desk.adjust(-2)
    assert desk.wallet.days == {date(2026, 1, 15): Day(earned=5, spent=2)}
    assert desk.wallet.touched_days == {date(2026, 1, 15)}


def test_what_a_credit_was_cut_to_is_what_counts() -> None:
    desk = capped(earn_caps=[{"per": "day", "points": "10"}], balance_cap="4")
    desk.adjust(9)
    desk.adjust(-4)
    assert desk.wallet.days == {date(2026, 1, 15): Day(earned=4, spent=4)}
    assert desk.adjust(9).points == 4


@pytest.mark.parametrize(
    ("per", "zone", "last", "first"),
    [
        ("day", "UTC", "2026-01-15T23:59:59.999Z", "2026-01-16T00:00:00Z"),
        ("day", "Europe/Berlin", "2026-01-15T22:59:59.999999Z", "2026-01-15T23:00:00Z"),
        # The day of 23 hours, and the day of 25.
        ("day", "Europe/Berlin", "2026-03-29T21:59:59.999Z", "2026-03-29T22:00:00Z"),
        ("day", "Europe/Berlin", "2026-10-25T22:59:59.999Z", "2026-10-25T23:00:00Z"),
        ("day", "Pacific/Kiritimati", "2026-01-15T09:59:59.999Z", "2026-01-15T10:00:00Z"),
        # Weeks begin on Monday: 18 January 2026 was a Sunday.
        ("week", "UTC", "2026-01-18T23:59:59.999Z", "2026-01-19T00:00:00Z"),
        ("week", "America/Los_Angeles", "2026-01-19T07:59:59.999Z", "2026-01-19T08:00:00Z"),
        # The first week of a year may begin in the year before: 2026 begins on a Thursday.
        ("week", "UTC", "2026-01-04T23:59:59.999Z", "2026-01-05T00:00:00Z"),
        ("month", "UTC", "2026-02-28T23:59:59.999Z", "2026-03-01T00:00:00Z"),
        ("month", "UTC", "2028-02-29T23:59:59.999Z", "2028-03-01T00:00:00Z"),
        ("month", "Europe/Berlin", "2026-03-31T21:59:59.999Z", "2026-03-31T22:00:00Z"),
        ("quarter", "UTC", "2026-06-30T23:59:59.999Z", "2026-07-01T00:00:00Z"),
        ("year", "Pacific/Kiritimati", "2026-12-31T09:59:59.999Z", "2026-12-31T10:00:00Z"),
    ],
)
def test_a_period_ends_with_its_last_day_in_the_programmes_zone(
    per: str, zone: str, last: str, first: str
) -> None:
    desk = earning({"per": per, "points": "10"}, zone=zone)
    desk.now = moment(last) - timedelta(hours=1)
    assert desk.adjust(8).points == 8
    desk.now = moment(last)
    assert desk.adjust(8).points == 2
    desk.now = moment(first)
    assert desk.adjust(8).points == 8


@pytest.mark.parametrize(
    ("per", "today", "first"),
    [
        ("day", "2026-05-20", "2026-05-20"),
        ("week", "2026-05-18", "2026-05-18"),
        ("week", "2026-05-24", "2026-05-18"),
        ("week", "2026-01-01", "2025-12-29"),
        ("month", "2026-05-20", "2026-05-01"),
        ("quarter", "2026-01-31", "2026-01-01"),
        ("quarter", "2026-05-20", "2026-04-01"),
        ("quarter", "2026-12-31", "2026-10-01"),
        ("year", "2026-12-31", "2026-01-01"),
    ],
)
def test_a_calendar_period_begins_on_its_first_day(per: Any, today: str, first: str) -> None:
    assert first_day(Cap(1, per=per), date.fromisoformat(today)) == date.fromisoformat(first)


def test_so_many_days_are_today_and_those_before_it() -> None:
    assert first_day(Cap(1, rolling_days=1), date(2026, 3, 1)) == date(2026, 3, 1)
    assert first_day(Cap(1, rolling_days=7), date(2026, 3, 1)) == date(2026, 2, 23)
    assert first_day(Cap(1, rolling_days=366), date(1, 3, 1)) == date.min


def test_rolling_days_let_go_of_one_day_after_the_other() -> None:
    desk = earning({"rolling_days": 3, "points": "10"})
    got = []
    for asked in (4, 4, 4, 4, 4, 10):
        got.append(desk.adjust(asked).points)
        desk.now += timedelta(days=1)
    assert got == [4, 4, 2, 4, 4, 2]
