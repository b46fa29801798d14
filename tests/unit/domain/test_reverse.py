"""`REVERSE`: the books come to stand as if the change had been smaller."""

from __future__ import annotations

import pytest

from tests.unit.domain.desk import NOW, Desk, in_currency, programme
from tests.unit.domain.undoing import DAY, LATER, SOON, lots, refusal, three_lots, undo
from worker.domain.money import MINOR_UNITS_MAX
from worker.domain.outcome import Rejection
from worker.domain.wallet import Label, LotChange

# Of a debit.


def test_an_undone_debit_goes_back_to_the_lots_it_came_from() -> None:
    desk = three_lots()
    before = [(lot.lot_id, lot.remaining, lot.expires_at) for lot in desk.wallet.lots]
    desk.adjust(-25)
    outcome = undo(desk, "r4")
    assert (outcome.points, outcome.balance, outcome.total, outcome.version) == (25, 30, 30, 5)
    assert outcome.event_type == "POINTS_ADJUSTED"
    assert outcome.lots == [
        LotChange(3, 10, SOON),
        LotChange(2, 10, LATER),
        LotChange(1, 5, None),
    ]
    assert [(lot.lot_id, lot.remaining, lot.expires_at) for lot in desk.wallet.lots] == before
    assert desk.member.due_at == SOON


def test_the_points_that_a_debit_took_last_come_back_first() -> None:
    desk = three_lots()
    desk.adjust(-25)
    assert undo(desk, "r4", 7).lots == [LotChange(2, 2, LATER), LotChange(1, 5, None)]
    assert undo(desk, "r4", 3).lots == [LotChange(2, 3, LATER)]
    assert undo(desk, "r4").lots == [LotChange(3, 10, SOON), LotChange(2, 5, LATER)]
    assert lots(desk.wallet) == [(3, 10), (2, 10), (1, 10)]


def test_a_lot_comes_back_with_what_it_was_awarded_for() -> None:
    desk = Desk()
    desk.adjust(10, award_id="a", award_type="bill_regular", promotion_id="p")
    desk.adjust(-10)
    assert desk.wallet.lots == []
    undo(desk, "r2")
    assert [lot.label for lot in desk.wallet.lots] == [Label("a", "bill_regular", "p")]
    assert desk.refusal(-10, award_id="a") is None


def test_points_that_have_expired_meanwhile_do_not_come_back_and_are_told() -> None:
    desk = three_lots()
    desk.adjust(-25)
    desk.now = SOON
    outcome = undo(desk, "r4")
    assert (outcome.points, outcome.balance) == (15, 20)
    assert outcome.warnings == ["expired_meanwhile:10"]
    assert outcome.lots == [LotChange(2, 10, LATER), LotChange(1, 5, None)]
    assert refusal(desk, "r4") == "already_reversed"


def test_a_debit_of_which_all_has_expired_is_undone_without_any_points() -> None:
    desk = Desk(in_currency("coins", 2, rule="after", days=1))
    desk.adjust("12.50")
    desk.adjust("-12.50")
    desk.now += 3 * DAY
    outcome = undo(desk, "r2")
    assert (outcome.points, outcome.balance, outcome.version, outcome.lots) == (0, 0, 3, [])
    assert outcome.warnings == ["expired_meanwhile:12.50"]


def test_what_a_debit_owed_pays_off_the_deficit_first_of_all() -> None:
    desk = three_lots()
    desk.adjust(-50, allow_negative=True)
    outcome = undo(desk, "r4", 15)
    assert (outcome.points, outcome.balance, outcome.lots) == (15, -5, [])
    outcome = undo(desk, "r4", 10)
    assert (outcome.balance, desk.wallet.deficit) == (5, 0)
    assert outcome.lots == [LotChange(1, 5, None)]


def test_what_the_deficit_no_longer_needs_becomes_a_lot_by_the_programmes_rule() -> None:
    desk = Desk(in_currency(rule="after", days=2))
    desk.adjust(-10, allow_negative=True)
    desk.adjust(4)
    outcome = undo(desk, "r1")
    assert (outcome.points, outcome.balance, outcome.total) == (10, 4, 4)
    assert (outcome.lots, outcome.expires_at) == ([LotChange(3, 4, SOON)], SOON)
    assert desk.member.due_at == SOON


def test_a_deficit_that_others_made_is_paid_from_the_lots_that_come_back() -> None:
    """As if the debit had never been: the later one would have found its points."""
    desk = three_lots()
    desk.adjust(-30)
    desk.adjust(-12, allow_negative=True)
    outcome = undo(desk, "r4")
    assert (outcome.points, outcome.balance, desk.wallet.deficit) == (30, 18, 0)
    assert outcome.lots == [LotChange(2, 8, LATER), LotChange(1, 10, None)]
    assert lots(desk.wallet) == [(2, 8), (1, 10)]


def test_a_capture_is_undone_like_any_debit_and_its_hold_stays_ended() -> None:
    desk = three_lots()
    desk.ask(15, operation="HOLD")
    desk.ask(operation="CAPTURE", hold="r4")
    outcome = undo(desk, "r5")
    assert (outcome.points, outcome.balance, outcome.available) == (15, 30, 30)
    assert desk.refusal(operation="CAPTURE", hold="r4") == "hold_ended"


def test_a_set_balance_is_undone_by_the_change_that_it_made() -> None:
    desk = three_lots()
    desk.ask(5, operation="SET_BALANCE")
    desk.adjust(1)
    assert undo(desk, "r4").balance == 31
    desk.ask(40, operation="SET_BALANCE")
    assert undo(desk, "r7").balance == 31


# Of a credit.


def test_an_undone_credit_takes_from_its_own_lot_first() -> None:
    desk = three_lots()
    outcome = undo(desk, "r1", 4)
    assert (outcome.points, outcome.balance, outcome.total) == (-4, 26, 30)
    assert outcome.lots == [LotChange(1, -4, None)]
    desk.adjust(-11)
    assert undo(desk, "r3").lots == [LotChange(2, -9, LATER), LotChange(1, -1, None)]


def test_an_undone_credit_never_makes_a_deficit_without_permission() -> None:
    desk = Desk()
    desk.adjust(10)
    desk.adjust(-8)
    assert refusal(desk, "r1") == "insufficient_points"
    assert (desk.wallet.balance, desk.wallet.version) == (2, 2)
    assert undo(desk, "r1", 2).balance == 0
    assert undo(desk, "r1", allow_negative=True).balance == -8
    assert refusal(desk, "r1") == "already_reversed"


def test_held_points_are_not_taken_to_undo_a_credit() -> None:
    desk = Desk()
    desk.adjust(10)
    desk.ask(8, operation="HOLD")
    assert refusal(desk, "r1", 3) == "insufficient_points"
    assert refusal(desk, "r1", 2) is None


def test_what_a_credit_paid_off_may_be_owed_again_by_anybody() -> None:
    desk = Desk()
    desk.adjust(-6, allow_negative=True)
    desk.adjust(10)
    desk.adjust(-3)
    assert refusal(desk, "r2", 2) == "insufficient_points"
    assert refusal(desk, "r2") == "insufficient_points"
    desk.adjust(3)
    outcome = undo(desk, "r2")
    assert (outcome.points, outcome.balance, desk.wallet.deficit) == (-10, -6, 6)


def test_what_a_credit_paid_off_is_undone_after_what_it_put_in() -> None:
    desk = Desk()
    desk.adjust(-6, allow_negative=True)
    desk.adjust(10)
    assert undo(desk, "r2", 4).balance == 0
    assert undo(desk, "r2", 5).balance == -5
    assert undo(desk, "r2").balance == -6


def test_a_credit_that_a_cap_cut_is_undone_by_what_was_left_of_it() -> None:
    desk = Desk(programme(currencies=[{"code": "points", "balance_cap": "15"}]))
    desk.adjust(10)
    assert desk.adjust(10).forfeited == 5
    assert undo(desk, "r2").points == -5
    desk.adjust(5)
    assert desk.adjust(5).points == 0
    assert refusal(desk, "r5") == "already_reversed"


# Of which and how much.


def test_a_change_is_undone_once() -> None:
    desk = three_lots()
    desk.adjust(-10)
    undo(desk, "r4", 6)
    assert refusal(desk, "r4", 5) == "already_reversed"
    undo(desk, "r4", 4)
    assert refusal(desk, "r4", 1) == "already_reversed"
    assert refusal(desk, "r4") == "already_reversed"


@pytest.mark.parametrize(
    ("first", "then", "told"),
    [
        (6, 5, "Only 4 of it are left to undo; 5 asked."),
        (None, None, "It is undone already."),
        (None, 1, "It is undone already."),
    ],
)
def test_why_no_more_can_be_undone_is_told_in_words(
    first: int | None, then: int | None, told: str
) -> None:
    desk = three_lots()
    desk.adjust(-10)
    undo(desk, "r4", first)
    rejection = desk.ask(then, operation="REVERSE", reverses="r4").rejection
    assert rejection == Rejection("already_reversed", told)


def test_of_a_change_that_a_cap_cut_to_nothing_there_is_nothing_to_undo() -> None:
    desk = Desk(programme(currencies=[{"code": "points", "balance_cap": "0"}]))
    desk.adjust(5)
    rejection = desk.ask(operation="REVERSE", reverses="r1").rejection
    assert rejection == Rejection("already_reversed", "It moved nothing to undo.")


def test_no_more_is_undone_than_there_was() -> None:
    desk = three_lots()
    assert refusal(desk, "r1", 11, allow_negative=True) == "already_reversed"


def test_only_applied_changes_can_be_undone() -> None:
    desk = three_lots()
    desk.adjust(-31)
    desk.ask(30, operation="SET_BALANCE")
    desk.ask(5, operation="HOLD")
    desk.ask(operation="RELEASE", hold="r6")
    desk.ask(operation="EXPIRE")
    undo(desk, "r1")
    for request_id in ("r4", "r5", "r6", "r7", "r8", "r9", "nobody's"):
        assert refusal(desk, request_id) == "unknown_request"
    of_a_hold = desk.ask(operation="REVERSE", reverses="r5").rejection
    assert of_a_hold is not None
    assert "ADJUST, SET_BALANCE, CAPTURE or CONVERT" in of_a_hold.message


def test_the_wallet_is_that_of_the_original() -> None:
    currencies = [{"code": "points"}, {"code": "coins", "decimals": 2}]
    desk = Desk(programme(currencies=currencies))
    desk.adjust("7.25", currency="coins", category="PROMISED")
    assert refusal(desk, "r1", currency="points") == "invalid_payload"
    assert refusal(desk, "r1", category="REGULAR") == "invalid_payload"
    assert refusal(desk, "r1", "0.125") == "decimal_places_exceeded"
    outcome = undo(desk, "r1", "0.25", currency="coins")
    assert (outcome.points, outcome.category) == (-25, "PROMISED")


def test_caps_take_no_notice_of_what_is_undone() -> None:
    caps = [{"per": "day", "points": "40"}]
    currency = {"code": "points", "earn_caps": caps, "spend_caps": caps, "balance_cap": "40"}
    desk = Desk(programme(currencies=[currency]))
    desk.adjust(40)
    desk.adjust(-30)
    desk.adjust(30, bypass_caps=True)
    assert undo(desk, "r2", operation_type="AUTOMATIC").balance == 70
    assert undo(desk, "r1", operation_type="AUTOMATIC").balance == 30
    assert desk.adjust(1).points == 0
    assert desk.refusal(-10, operation_type="AUTOMATIC") is None
    assert desk.refusal(-1, operation_type="AUTOMATIC") == "limit_exceeded"


def test_an_operator_may_undo_no_more_a_day_than_move_otherwise() -> None:
    desk = Desk(programme(limits={"points_per_operator_per_day": "15"}))
    desk.adjust(10)
    desk.adjust(-10)
    assert refusal(desk, "r2", adjusted_by="op") is None
    assert refusal(desk, "r1", 6, adjusted_by="op") == "limit_exceeded"
    assert refusal(desk, "r1", 5, adjusted_by="op") is None


def test_what_nobody_could_write_down_is_not_undone() -> None:
    desk = three_lots()
    desk.adjust(-10)
    desk.wallet.balance = MINOR_UNITS_MAX - 9
    assert refusal(desk, "r4") == "limit_exceeded"
    desk.wallet.balance = -MINOR_UNITS_MAX + 9
    assert refusal(desk, "r1", allow_negative=True) == "limit_exceeded"
    far = Desk(in_currency(rule="after", years=7970))
    far.adjust(-5, allow_negative=True)
    far.adjust(5)
    far.now = NOW.replace(year=2030)
    assert refusal(far, "r1") == "limit_exceeded"
