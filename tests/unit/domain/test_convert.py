"""`CONVERT`: points of another category become regular ones."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.domain.desk import NOW, Desk, custom, in_currency, programme
from worker.domain.money import MINOR_UNITS_MAX
from worker.domain.outcome import Rejection
from worker.domain.wallet import Label, LotChange, Wallet

if TYPE_CHECKING:
    from worker.domain.outcome import Outcome

DAY = timedelta(days=1)


def promised(*credits_: int | tuple[int, dict[str, Any]], desk: Desk | None = None) -> Desk:
    """A desk at which these credits were promised, one request each."""
    desk = desk or Desk()
    for one in credits_:
        points, fields = one if isinstance(one, tuple) else (one, {})
        desk.adjust(points, category="PROMISED", **fields)
    return desk


def convert(desk: Desk, points: object = None, **fields: Any) -> tuple[Outcome, Outcome]:
    """Convert, and return what happened to the regular wallet and to the promised one."""
    regular, own = desk.outcomes(points, operation="CONVERT", category="PROMISED", **fields)
    return regular, own


def refusal(desk: Desk, points: object = None, **fields: Any) -> str | None:
    return desk.refusal(points, operation="CONVERT", category="PROMISED", **fields)


def promised_wallet(desk: Desk) -> Wallet:
    return desk.member.wallet("points", "PROMISED")


def test_all_that_is_available_becomes_regular_points() -> None:
    desk = promised(20, 10)
    regular, own = convert(desk)
    assert (own.points, own.balance, own.total, own.version) == (-30, 0, 30, 3)
    assert (regular.points, regular.balance, regular.total, regular.version) == (30, 30, 30, 1)
    assert own.lots == [LotChange(1, -20, None), LotChange(2, -10, None)]
    assert regular.lots == [LotChange(3, 30, None)]


def test_both_sides_are_events_and_the_regular_one_comes_first_as_caused() -> None:
    desk = promised(20)
    regular, own = convert(desk)
    assert (regular.sequence, own.sequence) == (2, 3)
    assert (regular.event_type, own.event_type) == ("POINTS_CONVERTED", "POINTS_CONVERTED")
    assert (regular.request_id, regular.caused_by, regular.category) == ("r2", "r2", "REGULAR")
    assert (own.request_id, own.caused_by, own.category) == ("r2", None, "PROMISED")


def test_a_part_is_converted_from_the_lots_that_expire_soonest() -> None:
    desk = promised(20, (10, custom("2026-02-01")))
    regular, own = convert(desk, 15)
    assert [(lot.lot_id, lot.points) for lot in own.lots] == [(2, -10), (1, -5)]
    assert (regular.points, own.balance) == (15, 15)


@pytest.mark.parametrize("points", [None, 21])
def test_points_that_are_not_there_are_never_converted(points: int | None) -> None:
    desk = promised(*([20] if points else []))
    assert refusal(desk, points) == "insufficient_points"
    assert refusal(desk, points, allow_negative=True) == "insufficient_points"
    assert ("points", "REGULAR") not in desk.member.wallets or not desk.wallet.version


def test_where_there_is_nothing_to_convert_it_is_said_so() -> None:
    desk = promised()
    rejection = desk.ask(operation="CONVERT", category="PROMISED").rejection
    assert rejection == Rejection("insufficient_points", "There is nothing to convert.")


def test_held_points_are_not_converted() -> None:
    desk = promised(20)
    desk.ask(15, operation="HOLD", category="PROMISED")
    assert refusal(desk, 6) == "insufficient_points"
    assert convert(desk)[0].points == 5
    assert refusal(desk) == "insufficient_points"


def test_converted_points_expire_by_the_programmes_rule_from_the_conversion_on() -> None:
    desk = promised((20, custom("2026-12-31")), desk=Desk(in_currency(rule="after", days=2)))
    regular, own = convert(desk)
    assert regular.expires_at == NOW.replace(hour=0) + 3 * DAY
    assert own.expires_at is None
    assert [lot.expires_at for lot in desk.wallet.lots] == [regular.expires_at]
    assert desk.member.due_at == regular.expires_at


def test_converted_points_expire_when_the_request_says() -> None:
    desk = promised(20, desk=Desk(in_currency(rule="after", days=2)))
    regular, _ = convert(desk, 5, **custom("2026-03-01"))
    assert regular.expires_at == NOW.replace(month=3, day=2, hour=0)
    regular, _ = convert(desk, 5, expiration_type="NON_EXPIRING")
    assert regular.expires_at is None


def test_converted_points_pay_off_a_regular_deficit_first() -> None:
    desk = promised(20)
    desk.adjust(-15, allow_negative=True)
    regular, _ = convert(desk)
    assert (regular.balance, regular.total, desk.wallet.deficit) == (5, 20, 0)
    assert regular.lots == [LotChange(3, 5, None)]


def test_a_label_is_kept_where_all_converted_points_have_it() -> None:
    award: dict[str, Any] = {"award_id": "a", "award_type": "bill_regular"}
    desk = promised((10, award), (10, award), 10)
    regular, _ = convert(desk, 15)
    assert regular.lots[0].label == Label("a", "bill_regular")
    regular, _ = convert(desk, 6)
    assert regular.lots[0].label == Label()


def test_what_is_due_in_both_wallets_happens_first() -> None:
    desk = promised((20, custom("2026-01-15")), 5)
    desk.adjust(7, **custom("2026-01-15"))
    desk.now += DAY
    first, second, regular, own = desk.outcomes(operation="CONVERT", category="PROMISED")
    assert (first.category, first.points) == ("PROMISED", -20)
    assert (second.category, second.points) == ("REGULAR", -7)
    assert (regular.points, regular.balance, own.points) == (5, 5, -5)


def test_caps_neither_cut_nor_count_a_conversion() -> None:
    caps = [{"per": "day", "points": "10"}]
    currency = {"code": "points", "earn_caps": caps, "spend_caps": caps, "balance_cap": "15"}
    desk = promised(10, desk=Desk(programme(currencies=[currency])))
    desk.adjust(10)
    desk.adjust(-9)
    regular, own = convert(desk, operation_type="AUTOMATIC")
    assert (regular.points, regular.balance, regular.forfeited) == (10, 11, 0)
    assert (own.points, regular.warnings, own.warnings) == (-10, [], [])
    assert (
        desk.refusal(-1, category="PROMISED", operation_type="AUTOMATIC", allow_negative=True)
        is None
    )


def test_limits_hold_for_conversions() -> None:
    limits = {"points_per_request": "15", "points_per_operator_per_day": "20"}
    desk = promised(15, 15, desk=Desk(programme(limits=limits)))
    assert refusal(desk) == "limit_exceeded"
    assert refusal(desk, 15, adjusted_by="op") is None
    assert refusal(desk, 6, adjusted_by="op") == "limit_exceeded"
    assert refusal(desk, 5, adjusted_by="op") is None


def test_a_conversion_that_nobody_could_write_down_is_refused() -> None:
    desk = promised(20)
    desk.wallet.balance = desk.wallet.total = MINOR_UNITS_MAX - 19
    assert refusal(desk) == "limit_exceeded"
    assert refusal(desk, 19) is None
    far = promised(20, desk=Desk(in_currency(rule="after", years=7970)))
    far.now = NOW.replace(year=2030)
    assert refusal(far) == "limit_exceeded"
    assert promised_wallet(far).version == 1
