"""What the vendors' documents show, as canonical requests: what goes in and what comes out.

Each vendor's own wording and message format is the business of its dialect.
"""

from __future__ import annotations

from datetime import timedelta

from tests.unit.domain.desk import Desk, custom, in_currency, moment, programme
from worker.domain.money import to_text
from worker.domain.wallet import LotChange


class TestWhiteLabelLoyalty:
    def test_adding_counts_as_earned_and_the_event_carries_the_comment(self) -> None:
        outcome = Desk().adjust(20, comment="Sorry for the wait")
        assert (outcome.points, outcome.balance, outcome.total) == (20, 20, 20)
        assert outcome.event_type == "POINTS_ADJUSTED"
        assert outcome.request is not None
        assert outcome.request.comment == "Sorry for the wait"

    def test_deducting_counts_as_spent_and_leaves_what_was_earned(self) -> None:
        desk = Desk()
        desk.adjust(50)
        outcome = desk.adjust(-20)
        assert (outcome.points, outcome.balance, outcome.total) == (-20, 30, 50)
        assert outcome.event_type == "POINTS_ADJUSTED"

    def test_an_opposite_adjustment_undoes_the_balance_and_not_what_was_earned(self) -> None:
        desk = Desk()
        outcomes = [desk.adjust(100), desk.adjust(-100)]
        assert (outcomes[-1].balance, outcomes[-1].total) == (0, 100)
        assert [outcome.event_type for outcome in outcomes] == ["POINTS_ADJUSTED"] * 2


class TestVoucherify:
    def test_a_removal_lowers_the_balance_and_repeats_the_total(self) -> None:
        desk = Desk()
        desk.adjust(13436)
        desk.adjust(-200, reason="Redemption")
        outcome = desk.adjust(-100)
        assert (outcome.points, outcome.total, outcome.balance) == (-100, 13436, 13136)

    def test_a_custom_date_is_the_last_usable_day(self) -> None:
        desk = Desk(now=moment("2023-01-01T00:00:00Z"))
        outcome = desk.adjust(100, **custom("2023-05-30"))
        assert outcome.lots == [LotChange(1, 100, moment("2023-05-31T00:00:00Z"))]
        desk.now = moment("2023-05-30T23:59:59Z")
        assert desk.adjust(-1).balance == 99
        desk.now = moment("2023-05-31T00:00:00Z")
        assert desk.adjust(1).balance == 1

    def test_a_custom_date_cannot_be_in_the_past(self) -> None:
        desk = Desk(now=moment("2023-06-15T00:00:00Z"))
        rejection = desk.adjust(100, **custom("2023-05-30")).rejection
        assert rejection is not None
        assert rejection.key == "invalid_expiration_date"
        assert "cannot be set in the past" in rejection.message

    def test_the_last_day_of_the_year_ends_with_the_programmes_own_year(self) -> None:
        desk = Desk(programme(time_zone="Europe/Warsaw"), now=moment("2025-06-01T00:00:00Z"))
        outcome = desk.adjust(100, **custom("2025-12-31"))
        assert outcome.expires_at == moment("2026-01-01T00:00:00+01:00")


class TestCapillary:
    def test_a_deduction_shows_what_is_available_with_the_currencys_decimals(self) -> None:
        desk = Desk(in_currency(decimals=3))
        desk.adjust("770.000")
        outcome = desk.adjust("-100.00", reason="Extra points were issued")
        assert outcome.available is not None
        assert to_text(outcome.available, 3) == "670.000"

    def test_an_alternate_currency_is_deducted_like_points(self) -> None:
        desk = Desk(programme(currencies=[{"code": "points"}, {"code": "DocCoin", "decimals": 3}]))
        desk.adjust("80155.500", currency="DocCoin")
        outcome = desk.adjust("-10", currency="DocCoin")
        assert outcome.available is not None
        assert to_text(outcome.available, 3) == "80145.500"

    def test_more_decimals_than_configured_are_refused_with_both_figures(self) -> None:
        desk = Desk(in_currency(decimals=2))
        rejection = desk.adjust("-10.125").rejection
        assert rejection is not None
        assert rejection.key == "decimal_places_exceeded"
        assert "3 decimals" in rejection.message
        assert "2." in rejection.message

    def test_more_than_is_available_is_refused_where_no_negative_balance_is_allowed(self) -> None:
        desk = Desk(in_currency(decimals=3))
        desk.adjust("101.539")
        assert desk.refusal("-101.54") == "insufficient_points"

    def test_a_negative_balance_is_shown_where_it_is_allowed(self) -> None:
        program = programme(allow_negative=True, currencies=[{"code": "points", "decimals": 3}])
        outcome = Desk(program).adjust("-100")
        assert outcome.available is not None
        assert to_text(outcome.available, 3) == "-100.000"

    def test_zero_is_refused(self) -> None:
        for zero in (0, "0", "0.000", "-0"):
            assert Desk(in_currency(decimals=3)).refusal(zero) == "zero_points"

    def test_a_deduction_may_be_taken_from_one_award(self) -> None:
        desk = Desk()
        desk.adjust(50)
        desk.adjust(30, award_id="38768508", award_type="bill_regular")
        reason = {"reason": "Extra points were issued"}
        outcome = desk.adjust(-10, award_id="38768508", award_type="bill_regular", **reason)
        assert [(change.lot_id, change.points) for change in outcome.lots] == [(2, -10)]

    def test_a_deduction_may_be_taken_from_one_promotion_by_either_name(self) -> None:
        identifier = "b86ca53f-4c5e-46d3-8d33-b61c4f49392c"
        desk = Desk(programme(promotions=[{"id": "79555", "identifier": identifier}]))
        desk.adjust(50)
        desk.adjust(30, promotion_id="79555")
        for fields in ({"promotion_id": "79555"}, {"promotion_identifier": identifier}):
            outcome = desk.adjust(-10, **fields)
            assert [(change.lot_id, change.points) for change in outcome.lots] == [(2, -10)]

    def test_what_is_named_and_not_there_is_refused_by_its_own_error(self) -> None:
        desk = Desk(programme(promotions=[{"id": "79555"}], sources=["INSTORE"]))
        desk.adjust(50, award_id="38768508", award_type="bill_regular")
        assert desk.refusal(-1, source="NOPE") == "invalid_source"
        assert desk.refusal(-1, promotion_id="79556") == "invalid_promotion"
        assert desk.refusal(-1, award_id="1") == "invalid_award"
        other = {"award_id": "38768508", "award_type": "customer_promotions"}
        assert desk.refusal(-1, **other) == "invalid_award_type"
        assert desk.refusal(-1, currency="coins") == "unknown_currency"

    def test_a_reason_and_an_enrolment_may_be_required(self) -> None:
        assert Desk(programme(reason="required")).refusal(-1) == "reason_required"
        desk = Desk(programme(enrolment="required"))
        assert desk.refusal(-1) == "member_not_found"
        desk.member.is_known_elsewhere = True
        assert desk.refusal(-1) == "not_enrolled"

    def test_points_of_no_category_are_regular(self) -> None:
        desk = Desk()
        desk.adjust(5, category="REGULAR")
        assert desk.adjust(-5).balance == 0


class TestBeans:
    def test_a_pending_debit_that_is_not_completed_is_released_within_48_hours(self) -> None:
        desk = Desk()
        desk.adjust(100)
        assert desk.ask(60, operation="HOLD").available == 40
        desk.now += timedelta(hours=48)
        lapsed, own = desk.outcomes(-100)
        assert (lapsed.request_id, lapsed.event_type) == ("r2", "POINTS_RELEASED")
        assert (lapsed.available, own.balance) == (100, 0)

    def test_two_redemptions_at_once_cannot_exceed_the_balance(self) -> None:
        desk = Desk()
        desk.adjust(100)
        assert desk.refusal(60, operation="HOLD") is None
        assert desk.refusal(60, operation="HOLD") == "insufficient_points"
        assert desk.refusal(-60) == "insufficient_points"
        assert desk.ask(operation="CAPTURE", hold="r2").balance == 40
