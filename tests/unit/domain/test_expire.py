"""`EXPIRE`: all that is due for a member happens, in one order, each as an outcome of its own."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.domain.desk import Desk, custom, moment, programme
from worker.domain.wallet import LotChange

CURRENCIES = {"currencies": [{"code": "points"}, {"code": "coins", "decimals": 2}]}


def test_points_of_all_wallets_then_holds_then_early_requests_and_then_the_request() -> None:
    desk = Desk(programme(**CURRENCIES))
    desk.adjust(5, category="PROMISED", **custom("2026-01-20"))
    desk.adjust("1.25", currency="coins", **custom("2026-01-20"))
    desk.adjust(7, **custom("2026-01-20"))
    desk.adjust(9)
    desk.ask(2, operation="HOLD", ttl_seconds=60)
    desk.ask(3, operation="HOLD", ttl_seconds=30)
    desk.decide(1, ordinal=2)
    desk.now = moment("2026-01-21T00:00:00Z")
    decision = desk.decide(operation="EXPIRE")
    assert [
        (
            step.outcome.request_id,
            step.outcome.operation,
            step.outcome.event_type,
            step.outcome.currency and step.outcome.currency.code,
            step.outcome.category,
            step.outcome.points,
            step.outcome.caused_by,
            step.subject,
        )
        for step in decision.steps
    ] == [
        (None, "EXPIRE", "POINTS_EXPIRED", "coins", "REGULAR", -125, "r8", None),
        (None, "EXPIRE", "POINTS_EXPIRED", "points", "PROMISED", -5, "r8", None),
        (None, "EXPIRE", "POINTS_EXPIRED", "points", "REGULAR", -7, "r8", None),
        ("r6", "RELEASE", "POINTS_RELEASED", "points", "REGULAR", 0, "r8", "r6"),
        ("r5", "RELEASE", "POINTS_RELEASED", "points", "REGULAR", 0, "r8", "r5"),
        ("r7", "ADJUST", "ADJUSTMENT_REJECTED", None, None, 0, "r8", "r7"),
        ("r8", "EXPIRE", "POINTS_EXPIRED", None, None, 0, None, None),
    ]
    assert [step.outcome.sequence for step in decision.steps] == [*range(7, 14)]
    assert decision.own.status == "APPLIED"
    assert decision.own.balance is None
    assert decision.steps[0].outcome.lots == [LotChange(2, -125, moment("2026-01-21T00:00:00Z"))]
    assert (desk.wallet.balance, desk.wallet.available) == (9, 9)
    assert desk.member.due_at is None
    assert (desk.member.holds, desk.member.waiting) == ({}, {})


def test_where_nothing_is_due_nothing_changes_and_no_event_is_made() -> None:
    desk = Desk()
    desk.adjust(5, **custom("2026-01-20"))
    desk.ask(2, operation="HOLD", ttl_seconds=60)
    desk.now += timedelta(seconds=59)
    decision = desk.decide(operation="EXPIRE")
    (step,) = decision.steps
    assert decision.is_stored
    assert (step.outcome.status, step.outcome.event_type) == ("NO_CHANGE", None)
    assert (step.outcome.sequence, step.outcome.balance) == (2, None)
    assert (desk.wallet.balance, desk.wallet.held, desk.wallet.version) == (5, 2, 2)


def test_what_fell_due_once_does_not_fall_due_again() -> None:
    desk = Desk()
    desk.adjust(5, **custom("2026-01-20"))
    desk.now += timedelta(days=30)
    assert len(desk.outcomes(operation="EXPIRE")) == 2
    (again,) = desk.outcomes(operation="EXPIRE")
    assert again.status == "NO_CHANGE"


def test_the_order_is_the_same_however_the_member_was_read() -> None:
    desks = Desk(programme(**CURRENCIES)), Desk(programme(**CURRENCIES))
    for desk in desks:
        for place in (
            {"currency": "points"},
            {"currency": "coins", "category": "PROMISED"},
            {"currency": "coins"},
        ):
            desk.adjust(5, **place, **custom("2026-01-20"))
            desk.ask(2, operation="HOLD", ttl_seconds=60, **place)
        desk.now += timedelta(days=30)
    member = desks[1].member
    member.wallets = dict(reversed(member.wallets.items()))
    member.holds = dict(reversed(member.holds.items()))
    assert desks[0].outcomes(operation="EXPIRE") == desks[1].outcomes(operation="EXPIRE")


def test_it_needs_a_programme_and_a_currency_of_it() -> None:
    desk = Desk()
    desk.adjust(5, **custom("2026-01-20"))
    desk.now += timedelta(days=30)
    assert desk.refusal(operation="EXPIRE", currency="pearls") == "unknown_currency"
    assert desk.wallet.balance == 5
    desk.program = None
    assert desk.refusal(operation="EXPIRE") == "unknown_program"


def test_a_wallet_in_a_currency_that_the_programme_does_not_have_is_left_alone() -> None:
    desk = Desk(programme(**CURRENCIES))
    desk.adjust(5, currency="coins", **custom("2026-01-20"))
    desk.now += timedelta(days=30)
    desk.program = programme()
    assert desk.ask(operation="EXPIRE").status == "NO_CHANGE"
    desk.program = programme(**CURRENCIES)
    assert desk.ask(operation="EXPIRE").status == "APPLIED"
