"""`decide`: what comes of a request that reaches its wallet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.domain.desk import NOW, Desk, custom, in_currency, moment, programme, request
from worker.domain.decide import conflict
from worker.domain.member import Arrival
from worker.domain.money import MINOR_UNITS_MAX
from worker.domain.outcome import Rejection, Step
from worker.domain.wallet import LotChange

MOST = MINOR_UNITS_MAX
MOST_AT_ONCE = 10**15 - 1


def test_an_applied_outcome_shows_the_wallet_after_it() -> None:
    desk = Desk(in_currency(decimals=2))
    desk.adjust("10.50")
    outcome = desk.adjust("-0.25")
    assert (outcome.status, outcome.event_type) == ("APPLIED", "POINTS_ADJUSTED")
    assert (outcome.request_id, outcome.caused_by, outcome.operation) == ("r2", None, "ADJUST")
    assert (outcome.points, outcome.balance, outcome.available) == (-25, 1025, 1025)
    assert (outcome.total, outcome.version, outcome.sequence) == (1050, 2, 2)
    assert (outcome.category, outcome.currency) == ("REGULAR", desk.program.currencies[0])  # type: ignore[union-attr]
    assert (outcome.recorded_at, outcome.rejection) == (NOW, None)
    assert outcome.request == request(points="-0.25")


def test_a_lot_is_named_by_the_sequence_of_the_credit_that_made_it() -> None:
    desk = Desk()
    desk.adjust(0)
    outcome = desk.adjust(5)
    assert (outcome.sequence, outcome.lots) == (2, [LotChange(2, 5, None)])


def test_every_category_and_every_currency_is_a_wallet_of_its_own() -> None:
    desk = Desk(programme(currencies=[{"code": "points"}, {"code": "coins"}]))
    places = [
        {"currency": currency, "category": category}
        for currency in ("points", "coins")
        for category in ("REGULAR", "PROMISED", "EXTERNAL_TRIGGER_BASED")
    ]
    for number, place in enumerate(places, start=1):
        outcome = desk.adjust(number, **place)
        assert (outcome.balance, outcome.version, outcome.sequence) == (number, 1, number)
    for number, place in enumerate(places, start=1):
        assert desk.refusal(-number - 1, **place) == "insufficient_points"
        assert desk.adjust(-number, **place).balance == 0


def test_the_first_currency_is_the_default_one() -> None:
    desk = Desk(programme(currencies=[{"code": "miles"}, {"code": "coins"}]))
    desk.adjust(3, currency="miles")
    assert desk.adjust(4).balance == 7


def test_a_debit_may_take_all_there_is_and_not_one_more() -> None:
    desk = Desk()
    desk.adjust(100)
    assert desk.refusal(-101) == "insufficient_points"
    assert desk.adjust(-100).balance == 0


def test_an_overdraft_is_refused_whole_and_shows_what_there_is() -> None:
    desk = Desk(in_currency(decimals=2))
    desk.adjust("1.50")
    outcome = desk.adjust("-2")
    assert outcome.rejection == Rejection("insufficient_points", "2.00 to deduct, 1.50 available.")
    assert (outcome.status, outcome.event_type) == ("REJECTED", "ADJUSTMENT_REJECTED")
    assert (outcome.points, outcome.balance, outcome.version, outcome.lots) == (0, 150, 1, [])
    assert outcome.sequence == 2


@pytest.mark.parametrize(
    ("program", "fields"),
    [(programme(allow_negative=True), {}), (programme(), {"allow_negative": True})],
)
def test_programme_or_request_may_allow_a_negative_balance(
    program: Any, fields: dict[str, Any]
) -> None:
    desk = Desk(program)
    desk.adjust(10)
    outcome = desk.adjust(-15, **fields)
    assert (outcome.points, outcome.balance, outcome.available) == (-15, -5, -5)
    assert outcome.lots == [LotChange(1, -10, None)]
    assert desk.adjust(7).lots == [LotChange(3, 2, None)]


def test_a_request_that_allows_a_negative_balance_does_so_for_itself_only() -> None:
    desk = Desk()
    desk.adjust(-5, allow_negative=True)
    assert desk.refusal(-1) == "insufficient_points"


def test_what_is_due_expires_first_as_an_outcome_that_the_request_caused() -> None:
    desk = Desk()
    desk.adjust(10, **custom("2026-01-20"))
    desk.adjust(30)
    desk.now = moment("2026-01-21T00:00:00Z")
    expired, own = desk.outcomes(-30)
    assert (expired.request_id, expired.caused_by) == (None, "r3")
    assert (expired.operation, expired.status) == ("EXPIRE", "APPLIED")
    assert expired.event_type == "POINTS_EXPIRED"
    assert (expired.points, expired.balance, expired.total) == (-10, 30, 40)
    assert (expired.version, expired.sequence) == (3, 3)
    assert expired.lots == [LotChange(1, -10, moment("2026-01-21T00:00:00Z"))]
    assert (expired.request, expired.recorded_at) == (None, desk.now)
    assert (own.points, own.balance, own.version, own.sequence) == (-30, 0, 4, 4)


def test_points_are_usable_to_the_last_moment_of_their_last_day() -> None:
    desk = Desk(programme(time_zone="America/Los_Angeles"))
    desk.adjust(10, **custom("2026-01-20"))
    desk.now = moment("2026-01-21T07:59:59.999999Z")
    (own,) = desk.outcomes(-4)
    assert own.balance == 6
    desk.now = moment("2026-01-21T08:00:00Z")
    assert desk.refusal(-1) == "insufficient_points"
    assert desk.wallet.balance == 0


def test_a_refused_request_makes_what_is_due_expire_all_the_same() -> None:
    desk = Desk()
    desk.adjust(10, **custom("2026-01-20"))
    desk.now += timedelta(days=30)
    expired, own = desk.outcomes(-5)
    assert (expired.points, expired.sequence) == (-10, 2)
    assert own.rejection is not None
    assert (own.rejection.key, own.balance, own.sequence) == ("insufficient_points", 0, 3)
    assert len(desk.outcomes(-5)) == 1


def test_what_is_due_in_another_wallet_stays_until_that_one_is_asked_for() -> None:
    desk = Desk()
    desk.adjust(10, category="PROMISED", **custom("2026-01-20"))
    desk.now += timedelta(days=30)
    assert len(desk.outcomes(1)) == 1
    assert len(desk.outcomes(1, category="PROMISED")) == 2


def test_a_credit_by_the_programmes_rule_expires_at_the_end_of_the_last_usable_day() -> None:
    desk = Desk(in_currency(rule="after", months=1))
    desk.now = moment("2026-01-31T12:00:00Z")
    outcome = desk.adjust(5)
    assert outcome.expires_at == moment("2026-03-01T00:00:00Z")
    assert outcome.lots == [LotChange(1, 5, moment("2026-03-01T00:00:00Z"))]


def test_each_currency_has_a_rule_of_its_own() -> None:
    rules = {"points": {"rule": "after", "days": 1}, "coins": {"rule": "never"}}
    desk = Desk(programme(currencies=[{"code": c, "expiry": r} for c, r in rules.items()]))
    assert desk.adjust(1).expires_at == moment("2026-01-17T00:00:00Z")
    assert desk.adjust(1, currency="coins").expires_at is None


def test_a_request_may_say_when_its_credit_expires_whatever_the_rule() -> None:
    desk = Desk(in_currency(rule="after", days=1))
    assert desk.adjust(1, expiration_type="NON_EXPIRING").expires_at is None
    assert desk.adjust(1, **custom("2026-02-28")).expires_at == moment("2026-03-01T00:00:00Z")
    assert desk.adjust(1, expiration_type="PROGRAM_RULES").expires_at == moment(
        "2026-01-17T00:00:00Z"
    )
    assert desk.open_lots == [(3, 1), (2, 1), (1, 1)]


def test_a_debit_has_no_expiry() -> None:
    desk = Desk(in_currency(rule="after", days=1))
    desk.adjust(5)
    assert desk.adjust(-1).expires_at is None


def test_figures_may_reach_the_limit_and_not_pass_it() -> None:
    desk = Desk(in_currency(decimals=4))
    desk.adjust("900000000000000")
    assert (desk.wallet.balance, desk.wallet.total) == (MOST, MOST)
    outcome = desk.adjust("0.0001")
    assert outcome.rejection is not None
    assert (outcome.rejection.key, outcome.balance) == ("limit_exceeded", MOST)
    assert desk.adjust("-900000000000000").balance == 0


def test_the_lifetime_total_may_not_pass_the_limit_where_the_balance_does_not() -> None:
    desk = Desk(in_currency(decimals=4))
    desk.adjust("900000000000000")
    desk.adjust("-1")
    assert desk.refusal("1") == "limit_exceeded"


def test_a_deficit_may_reach_the_limit_and_not_pass_it() -> None:
    desk = Desk(in_currency(decimals=4))
    assert desk.adjust("-900000000000000", allow_negative=True).balance == -MOST
    assert desk.refusal("-0.0001", allow_negative=True) == "limit_exceeded"
    assert desk.adjust("900000000000000").balance == 0


@pytest.mark.parametrize("sign", ["", "-"])
def test_an_amount_beyond_the_limit_is_refused_whatever_the_balance(sign: str) -> None:
    desk = Desk(in_currency(decimals=6))
    assert desk.refusal(f"{sign}{MOST_AT_ONCE}.999999", allow_negative=True) == "limit_exceeded"
    assert desk.refusal(f"{sign}9000000000000.000001") == "limit_exceeded"


def test_a_credit_that_a_rule_takes_beyond_the_calendar_is_refused_and_changes_nothing() -> None:
    desk = Desk(in_currency(rule="after", years=8000))
    outcome = desk.adjust(5)
    assert outcome.rejection is not None
    assert outcome.rejection.key == "limit_exceeded"
    assert (outcome.points, outcome.balance, outcome.version, outcome.lots) == (0, 0, 0, [])
    assert desk.adjust(5, expiration_type="NON_EXPIRING").balance == 5


def test_every_stored_outcome_takes_the_members_next_sequence_and_its_time() -> None:
    desk = Desk()
    for points, fields in ((5, {}), (0, {}), (-9, {}), (1, {"currency": "pearls"}), (-1, {})):
        desk.now += timedelta(seconds=1)
        assert desk.adjust(points, **fields).sequence == desk.asked
        assert (desk.member.sequence, desk.member.last_recorded_at) == (desk.asked, desk.now)


def test_a_conflict_takes_no_sequence_makes_no_event_and_changes_nothing() -> None:
    desk = Desk()
    desk.adjust(5)
    arrival = Arrival("r1", request(points=6), b"")
    decision = conflict(desk.member, arrival, NOW + timedelta(days=1))
    assert (decision.is_stored, decision.steps) == (False, [Step(decision.own, arrival)])
    answer = decision.own
    assert answer.rejection is not None
    assert (answer.status, answer.rejection.key) == ("REJECTED", "request_id_conflict")
    assert (answer.event_type, answer.sequence, answer.points) == (None, 1, 0)
    assert (desk.member.sequence, desk.member.last_recorded_at) == (1, NOW)
    unread = Arrival("r1", None, b"", refusal=Rejection("malformed_json", "It is not JSON."))
    assert conflict(desk.member, unread, NOW).own.operation is None


def test_a_request_is_carried_out_only_at_the_version_it_expects() -> None:
    desk = Desk()
    assert desk.adjust(5, expected_version=0).version == 1
    outcome = desk.adjust(5, expected_version=0)
    assert outcome.rejection == Rejection(
        "version_mismatch", "The wallet is at version 1, not at 0."
    )
    assert (outcome.balance, outcome.version, outcome.sequence) == (5, 1, 2)
    assert desk.adjust(5, expected_version=1).version == 2


def test_the_version_is_looked_at_after_what_is_due_has_happened() -> None:
    desk = Desk()
    desk.adjust(5, **custom("2026-01-20"))
    desk.now += timedelta(days=30)
    assert desk.refusal(1, expected_version=1) == "version_mismatch"
    assert desk.adjust(1, expected_version=2).version == 3


def test_a_new_lot_that_expires_moves_up_when_the_member_falls_due() -> None:
    desk = Desk()
    desk.adjust(5)
    assert desk.member.due_at is None
    desk.adjust(5, **custom("2026-02-20"))
    desk.adjust(5, **custom("2026-01-20"))
    assert desk.member.due_at == moment("2026-01-21T00:00:00Z")
    desk.now = moment("2026-01-21T00:00:00Z")
    desk.adjust(1)
    assert desk.member.due_at == moment("2026-02-21T00:00:00Z")


def test_the_lapse_of_a_hold_comes_after_points_that_fell_due_and_before_the_request() -> None:
    desk = Desk()
    desk.adjust(10, **custom("2026-01-20"))
    desk.adjust(20)
    desk.decide(8, operation="HOLD", ttl_seconds=60)
    desk.decide(4, operation="HOLD", ttl_seconds=30)
    desk.now += timedelta(days=30)
    steps = desk.decide(-20).steps
    assert [
        (step.outcome.request_id, step.outcome.operation, step.outcome.caused_by, step.subject)
        for step in steps
    ] == [
        (None, "EXPIRE", "r5", None),
        ("r4", "RELEASE", "r5", "r4"),
        ("r3", "RELEASE", "r5", "r3"),
        ("r5", "ADJUST", None, None),
    ]
    assert [step.outcome.sequence for step in steps] == [5, 6, 7, 8]
    assert [step.outcome.version for step in steps] == [5, 6, 7, 8]
    assert [step.outcome.available for step in steps] == [8, 12, 20, 0]
    assert [step.arrival is not None for step in steps] == [False, False, False, True]


def test_undoing_a_conversion_lets_fall_due_what_is_due_in_both_wallets() -> None:
    desk = Desk()
    desk.adjust(10, category="PROMISED", **custom("2026-02-20"))
    desk.adjust(5, category="PROMISED", **custom("2026-01-18"))
    desk.adjust(7, **custom("2026-01-18"))
    desk.decide(operation="CONVERT", category="PROMISED", points=8)
    desk.adjust(1, category="PROMISED", **custom("2026-01-19"))
    desk.now += timedelta(days=10)
    outcomes = desk.outcomes(operation="REVERSE", reverses="r4", points=3)
    assert [(one.operation, one.category, one.points) for one in outcomes] == [
        ("EXPIRE", "PROMISED", -1),
        ("EXPIRE", "REGULAR", -7),
        ("REVERSE", "REGULAR", -3),
        ("REVERSE", "PROMISED", 3),
    ]


def test_a_request_may_be_undone_by_the_next_one_in_the_same_batch() -> None:
    desk = Desk()
    desk.adjust(10)
    assert desk.ask(operation="REVERSE", reverses="r1").balance == 0
    assert desk.refusal(operation="REVERSE", reverses="r2") == "unknown_request"
