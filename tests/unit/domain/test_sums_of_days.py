"""Days whose sums would grow beyond what the books hold: refused, never found out on writing."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.unit.domain.desk import Desk, programme
from worker.domain.member import OperatorDay
from worker.domain.money import MINOR_UNITS_MAX
from worker.domain.wallet import Day

TODAY = date(2026, 1, 15)
MOST = "9000000000000"
"""As many points as the books hold, in a currency with six decimals."""
FAR_BEYOND = "999999999999999"


def desk_with(**document: Any) -> Desk:
    currency = {"code": "points", "decimals": 6, **document.pop("currency", {})}
    return Desk(programme(currencies=[currency], **document))


@pytest.mark.parametrize("points", ["0.000001", "-0.000001"])
def test_an_operator_moves_no_more_a_day_than_the_books_hold_whatever_the_limit(
    points: str,
) -> None:
    desk = desk_with(limits={"points_per_operator_per_day": FAR_BEYOND})
    key = ("kim", "points", TODAY)
    desk.member.operators[key] = OperatorDay(MINOR_UNITS_MAX - 1)
    desk.adjust("0.000001", adjusted_by="kim")
    assert desk.refusal(points, adjusted_by="kim") == "limit_exceeded"
    assert desk.refusal(points, adjusted_by="lee") is None
    assert desk.member.operators[key] == OperatorDay(MINOR_UNITS_MAX)


@pytest.mark.parametrize("operation_type", ["MANUAL", "AUTOMATIC"])
def test_a_wallet_spends_no_more_a_day_than_the_books_hold_whatever_the_cap(
    operation_type: str,
) -> None:
    desk = desk_with(currency={"spend_caps": [{"per": "day", "points": FAR_BEYOND}]})
    desk.adjust(MOST)
    desk.adjust(f"-{MOST}", operation_type=operation_type)
    assert desk.ask(operation="REVERSE", reverses="r2").status == "APPLIED"
    desk.ask(1, operation="HOLD")
    for fields in ({"points": -1}, {"operation": "CAPTURE", "hold": "r4"}):
        assert desk.refusal(operation_type=operation_type, **fields) == "limit_exceeded"
    assert desk.wallet.days == {TODAY: Day(earned=MINOR_UNITS_MAX, spent=MINOR_UNITS_MAX)}
    assert desk.refusal(-1, operation_type=operation_type, bypass_caps=True) is None


def test_where_no_caps_are_counted_points_may_come_and_go_without_end() -> None:
    desk = desk_with()
    desk.adjust(MOST)
    for number in range(2, 8, 2):
        assert desk.refusal(f"-{MOST}") is None
        assert desk.refusal(operation="REVERSE", reverses=f"r{number}") is None
