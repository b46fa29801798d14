"""REVERSE of a conversion: what it gave goes, and what it took comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.domain.desk import Desk, custom, programme
from tests.unit.domain.undoing import DAY, SOON, refusal
from worker.domain.wallet import LotChange

if TYPE_CHECKING:
    from worker.domain.outcome import Outcome


def converted(*, allow_negative: bool = False, **expiry: Any) -> Desk:
    """r1 and r2 promise 10 points each, the second until SOON; r3 converts 15 of them."""
    code = {"code": "points", "expiry": expiry}
    desk = Desk(programme(currencies=[code], allow_negative=allow_negative))
    desk.adjust(10, category="PROMISED", expiration_type="NON_EXPIRING")
    desk.adjust(10, category="PROMISED", **custom("2026-01-17"))
    desk.ask(15, operation="CONVERT", category="PROMISED")
    return desk


def undo_conversion(desk: Desk, points: object = None, **fields: Any) -> tuple[Outcome, Outcome]:
    regular, own = desk.outcomes(points, operation="REVERSE", reverses="r3", **fields)
    return regular, own


def test_an_undone_conversion_takes_back_what_it_gave_and_restores_what_it_took() -> None:
    desk = converted()
    regular, own = undo_conversion(desk)
    assert (regular.points, regular.balance, regular.total) == (-15, 0, 15)
    assert (own.points, own.balance, own.total) == (15, 20, 20)
    assert regular.lots == [LotChange(3, -15, None)]
    assert own.lots == [LotChange(2, 10, SOON), LotChange(1, 5, None)]
    assert (regular.caused_by, regular.request_id, own.caused_by) == ("r4", "r4", None)
    assert (regular.event_type, own.event_type) == ("POINTS_CONVERTED", "POINTS_CONVERTED")
    assert (regular.category, own.category) == ("REGULAR", "PROMISED")
    assert own.sequence == regular.sequence + 1


def test_a_part_of_a_conversion_is_undone_from_its_end() -> None:
    desk = converted()
    desk.adjust(20, **custom("2026-01-16"))
    regular, own = undo_conversion(desk, 7)
    assert regular.lots == [LotChange(3, -7, None)]
    assert own.lots == [LotChange(2, 2, SOON), LotChange(1, 5, None)]
    assert refusal(desk, "r3", 9) == "already_reversed"


def test_a_conversion_whose_points_were_spent_is_not_undone() -> None:
    desk = converted()
    desk.adjust(-1)
    assert refusal(desk, "r3") == "insufficient_points"
    promised = desk.member.wallet("points", "PROMISED")
    assert (promised.balance, promised.version, desk.wallet.version) == (5, 3, 2)
    assert undo_conversion(desk, 14)[0].balance == 0


@pytest.mark.parametrize("who", ["request", "programme"])
def test_a_conversion_whose_points_were_spent_is_undone_where_a_negative_balance_is_allowed(
    who: str,
) -> None:
    desk = converted(allow_negative=who == "programme")
    desk.adjust(-1)
    regular, own = undo_conversion(desk, allow_negative=who == "request")
    assert (regular.balance, own.balance) == (-1, 20)


def test_promised_points_that_have_expired_meanwhile_do_not_come_back() -> None:
    desk = converted()
    desk.now = SOON
    regular, own = undo_conversion(desk)
    assert (regular.points, own.points) == (-15, 5)
    assert own.warnings == ["expired_meanwhile:10"]


def test_converted_points_that_have_expired_are_taken_from_others_or_not_undone() -> None:
    desk = converted(rule="after", days=1)
    desk.now += 2 * DAY
    expired, own = desk.outcomes(operation="REVERSE", reverses="r3")
    assert (expired.category, expired.points, expired.caused_by) == ("REGULAR", -15, "r4")
    assert own.rejection is not None
    assert own.rejection.key == "insufficient_points"
    desk.adjust(20)
    regular, own = undo_conversion(desk)
    assert regular.lots == [LotChange(desk.wallet.lots[0].lot_id, -15, SOON + DAY)]
    assert own.points == 15
