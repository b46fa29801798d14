"""Limits: what one request, one reason code and one operator may move."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.unit.domain.desk import Desk, moment, programme
from worker.domain.member import OperatorDay

COINS = {"code": "coins", "decimals": 2}


def limited(**limits: str) -> Desk:
    return Desk(programme(limits=limits, currencies=[{"code": "points"}, COINS]))


@pytest.mark.parametrize("sign", ["", "-"])
def test_one_request_may_move_as_much_as_the_limit_says_and_not_more(sign: str) -> None:
    desk = limited(points_per_request="100")
    desk.ask(100, operation="SET_BALANCE")
    assert desk.refusal(f"{sign}101") == "limit_exceeded"
    assert desk.refusal(f"{sign}100") is None


def test_an_amount_is_compared_as_points_whatever_the_decimals() -> None:
    desk = limited(points_per_request="100.5")
    assert desk.refusal("100.51", currency="coins") == "limit_exceeded"
    assert desk.refusal("100.50", currency="coins") is None
    assert desk.refusal(101) == "limit_exceeded"


def test_the_change_that_a_target_makes_is_limited_and_not_the_target() -> None:
    desk = limited(points_per_request="100")
    assert desk.refusal(101, operation="SET_BALANCE") == "limit_exceeded"
    desk.adjust(100)
    desk.adjust(100)
    assert desk.refusal(150, operation="SET_BALANCE") is None
    assert desk.refusal(0, operation="SET_BALANCE") == "limit_exceeded"


def test_holds_and_conversions_are_limited_and_captures_and_reversals_are_not() -> None:
    desk = limited(points_per_request="100")
    for _ in range(2):
        desk.adjust(100)
        desk.adjust(100, category="PROMISED")
    assert desk.refusal(101, operation="HOLD") == "limit_exceeded"
    assert desk.refusal(operation="CONVERT", category="PROMISED") == "limit_exceeded"
    assert desk.refusal(100, operation="CONVERT", category="PROMISED") is None
    held = desk.ask(100, operation="HOLD")
    assert desk.refusal(operation="CAPTURE", hold=held.request_id) is None
    assert desk.refusal(operation="REVERSE", reverses="r1") is None


def test_what_is_asked_for_is_limited_even_where_a_cap_would_cut_it() -> None:
    program = programme(
        limits={"points_per_request": "100"}, currencies=[{"code": "points", "balance_cap": "5"}]
    )
    assert Desk(program).refusal(101) == "limit_exceeded"


def test_a_reason_code_may_have_a_limit_of_its_own() -> None:
    codes = [{"code": "GOODWILL", "max": "50"}, {"code": "OTHER"}]
    desk = Desk(programme(reason_codes=codes))
    assert desk.refusal(51, reason_code="GOODWILL") == "limit_exceeded"
    assert desk.refusal(50, reason_code="GOODWILL") is None
    assert desk.refusal(-50, reason_code="GOODWILL") is None
    assert desk.refusal(51, reason_code="OTHER") is None
    assert desk.refusal(51) is None


class TestOperators:
    def test_credits_and_debits_of_a_day_add_up(self) -> None:
        desk = limited(points_per_operator_per_day="100")
        desk.adjust(60, adjusted_by="kim")
        desk.adjust(-30, adjusted_by="kim")
        assert desk.refusal(11, adjusted_by="kim") == "limit_exceeded"
        assert desk.refusal(-11, adjusted_by="kim") == "limit_exceeded"
        assert desk.adjust(10, adjusted_by="kim").points == 10
        assert desk.member.operators == {
            ("kim", "points", date(2026, 1, 15)): OperatorDay(points=100)
        }

    def test_every_operator_every_currency_and_every_day_has_a_limit_of_its_own(self) -> None:
        desk = limited(points_per_operator_per_day="100")
        desk.adjust(100, adjusted_by="kim")
        assert desk.refusal(1, adjusted_by="kim") == "limit_exceeded"
        assert desk.refusal(100, adjusted_by="lee") is None
        assert desk.refusal("100.00", adjusted_by="kim", currency="coins") is None
        assert desk.refusal("0.01", adjusted_by="kim", currency="coins") == "limit_exceeded"
        desk.now = moment("2026-01-16T00:00:00Z")
        assert desk.refusal(100, adjusted_by="kim") is None

    def test_a_day_is_one_of_the_programmes_zone(self) -> None:
        limits = {"points_per_operator_per_day": "100"}
        desk = Desk(programme(limits=limits, time_zone="Europe/Berlin"))
        desk.now = moment("2026-03-29T21:59:59.999Z")
        desk.adjust(100, adjusted_by="kim")
        desk.now = moment("2026-03-29T22:00:00Z")
        assert desk.refusal(100, adjusted_by="kim") is None

    def test_what_other_members_were_given_counts_as_well(self) -> None:
        desk, other = (limited(points_per_operator_per_day="100") for _ in range(2))
        shared = {("kim", "points", date(2026, 1, 15)): OperatorDay()}
        desk.member.operators = dict(shared)
        other.member.operators = dict(shared)
        desk.adjust(70, adjusted_by="kim")
        assert other.refusal(31, adjusted_by="kim") == "limit_exceeded"
        assert other.refusal(30, adjusted_by="kim") is None

    def test_requests_without_an_operator_are_not_limited(self) -> None:
        desk = limited(points_per_operator_per_day="100")
        assert desk.refusal(101) is None
        assert desk.refusal(101, adjusted_by="") is None
        assert desk.member.operators == {}

    def test_only_what_really_moved_counts(self) -> None:
        program = programme(
            limits={"points_per_operator_per_day": "100"},
            currencies=[{"code": "points", "balance_cap": "40"}],
        )
        desk = Desk(program)
        assert desk.adjust(500, adjusted_by="kim").points == 40
        assert desk.adjust(-40, adjusted_by="kim").points == -40
        assert desk.refusal(-500, adjusted_by="kim", allow_negative=True) == "limit_exceeded"
        assert desk.refusal(500, adjusted_by="kim") == "limit_exceeded"
        assert desk.adjust(20, adjusted_by="kim").points == 20

    @pytest.mark.parametrize(
        ("fields", "moved"),
        [
            ({"points": 5, "operation": "SET_BALANCE"}, 15),
            ({"points": 5, "operation": "HOLD"}, 0),
            ({"operation": "RELEASE", "hold": "r2"}, 0),
            ({"operation": "CAPTURE", "hold": "r2"}, 8),
            ({"operation": "REVERSE", "reverses": "r1"}, 20),
            ({"operation": "CONVERT", "category": "PROMISED"}, 7),
            ({"operation": "EXPIRE"}, 0),
        ],
    )
    def test_every_operation_counts_by_what_it_moves(
        self, fields: dict[str, Any], moved: int
    ) -> None:
        desk = limited(points_per_operator_per_day="100")
        desk.adjust(20)
        if "reverses" not in fields and fields["operation"] != "SET_BALANCE":
            desk.ask(8, operation="HOLD")
        desk.adjust(7, category="PROMISED")
        outcome = desk.ask(adjusted_by="kim", **fields)
        assert outcome.rejection is None
        counted = [day.points for day in desk.member.operators.values()]
        assert counted == ([moved] if moved else [])

    @pytest.mark.parametrize(
        "fields",
        [
            {"points": 15, "operation": "SET_BALANCE"},
            {"operation": "CAPTURE", "hold": "r2"},
            {"operation": "REVERSE", "reverses": "r1"},
            {"operation": "CONVERT", "category": "PROMISED"},
        ],
    )
    def test_every_operation_that_moves_points_is_limited(self, fields: dict[str, Any]) -> None:
        desk = limited(points_per_operator_per_day="6")
        desk.adjust(20)
        desk.ask(8, operation="HOLD")
        desk.adjust(10)
        desk.adjust(7, category="PROMISED")
        assert desk.refusal(adjusted_by="kim", **fields) == "limit_exceeded"
        assert desk.refusal(**fields) is None
