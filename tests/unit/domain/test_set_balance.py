"""`SET_BALANCE`: bring a balance to a target by a change under the rules for adjustments."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.unit.domain.desk import Desk, custom, in_currency, moment, programme
from worker.domain.outcome import Rejection
from worker.domain.wallet import LotChange

SET: dict[str, Any] = {"operation": "SET_BALANCE"}


def test_a_higher_target_earns_what_the_balance_lacks() -> None:
    desk = Desk(in_currency(decimals=2))
    desk.adjust("1.50")
    outcome = desk.ask("4", **SET, **custom("2026-06-30"))
    assert (outcome.status, outcome.event_type) == ("APPLIED", "POINTS_ADJUSTED")
    assert (outcome.operation, outcome.points) == ("SET_BALANCE", 250)
    assert (outcome.balance, outcome.total, outcome.version, outcome.sequence) == (400, 400, 2, 2)
    assert outcome.lots == [LotChange(2, 250, moment("2026-07-01T00:00:00Z"))]
    assert outcome.expires_at == moment("2026-07-01T00:00:00Z")


def test_a_lower_target_spends_what_the_balance_has_too_much() -> None:
    desk = Desk()
    desk.adjust(10, **custom("2026-06-30"))
    desk.adjust(10)
    outcome = desk.ask(5, **SET)
    assert (outcome.points, outcome.balance, outcome.total) == (-15, 5, 20)
    assert [(change.lot_id, change.points) for change in outcome.lots] == [(1, -10), (2, -5)]
    assert outcome.expires_at is None


def test_a_target_that_is_met_already_is_no_change() -> None:
    desk = Desk()
    desk.adjust(7)
    desk.now += timedelta(seconds=5)
    decision = desk.decide(7, **SET)
    assert decision.is_stored
    outcome = decision.own
    assert (outcome.status, outcome.event_type, outcome.rejection) == ("NO_CHANGE", None, None)
    assert (outcome.points, outcome.lots, outcome.warnings) == (0, [], [])
    assert (outcome.balance, outcome.version, outcome.sequence) == (7, 1, 1)
    assert (desk.member.sequence, desk.member.last_recorded_at) == (1, desk.now)
    assert desk.refusal(operation="REVERSE", reverses="r2") == "unknown_request"


def test_the_target_is_compared_after_what_is_due() -> None:
    desk = Desk()
    desk.adjust(7, **custom("2026-01-20"))
    desk.now += timedelta(days=30)
    expired, own = desk.outcomes(7, **SET)
    assert (expired.points, own.points, own.balance) == (-7, 7, 7)
    desk.now += timedelta(days=30)
    assert desk.ask(7, **SET).status == "NO_CHANGE"


def test_a_target_may_be_zero() -> None:
    desk = Desk()
    desk.adjust(7)
    assert desk.ask(0, **SET).points == -7
    assert desk.ask(0, **SET).status == "NO_CHANGE"


def test_a_target_below_zero_needs_the_permission_to_owe() -> None:
    desk = Desk()
    desk.adjust(7)
    assert desk.ask(-3, **SET).rejection == Rejection(
        "insufficient_points", "10 to deduct, 7 available."
    )
    assert desk.ask(-3, allow_negative=True, **SET).balance == -3
    assert Desk(programme(allow_negative=True)).ask(-3, **SET).balance == -3


def test_a_target_below_zero_needs_the_permission_even_on_the_way_up() -> None:
    desk = Desk()
    desk.adjust(-10, allow_negative=True)
    assert desk.refusal(-4, **SET) == "insufficient_points"
    assert desk.ask(-10, **SET).status == "NO_CHANGE"
    assert desk.ask(-4, allow_negative=True, **SET).points == 6
    assert desk.ask(0, **SET).points == 4


def test_a_target_does_not_take_what_is_held() -> None:
    desk = Desk()
    desk.adjust(10)
    desk.ask(4, operation="HOLD")
    assert desk.refusal(3, **SET) == "insufficient_points"
    assert desk.ask(4, **SET).available == 0


def test_a_change_that_the_books_cannot_hold_is_refused() -> None:
    desk = Desk(in_currency(decimals=6))
    assert desk.refusal("9000000000000.000001", **SET) == "limit_exceeded"
    assert desk.ask("9000000000000", **SET).rejection is None
    assert desk.refusal("-1", allow_negative=True, **SET) == "limit_exceeded"
