"""Awards and promotions label the lots of credits, and debits may be aimed at them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.domain.desk import Desk, custom, programme
from worker.domain.outcome import Rejection
from worker.domain.wallet import Label, LotChange

REGULAR = {"award_id": "38768508", "award_type": "bill_regular"}
AWARD = {"award_id": "38768508"}


class TestAwards:
    def test_a_credit_labels_its_lot_and_makes_the_award_known(self) -> None:
        desk = Desk()
        outcome = desk.adjust(10, **REGULAR)
        label = Label("38768508", "bill_regular")
        assert outcome.lots == [LotChange(1, 10, None, label)]
        assert desk.member.awards == {"38768508": "bill_regular"}

    def test_a_debit_takes_only_from_the_award_it_names(self) -> None:
        desk = Desk()
        desk.adjust(10, **custom("2026-02-01"))
        desk.adjust(10, **REGULAR)
        desk.adjust(10, award_id="other")
        outcome = desk.adjust(-4, **AWARD)
        assert [(change.lot_id, change.points) for change in outcome.lots] == [(2, -4)]
        assert desk.open_lots == [(1, 10), (2, 6), (3, 10)]

    def test_a_debit_takes_what_expires_soonest_of_the_award_first(self) -> None:
        desk = Desk()
        desk.adjust(10, **AWARD)
        desk.adjust(10, **AWARD, **custom("2026-03-01"))
        desk.adjust(10, **AWARD, **custom("2026-02-01"))
        outcome = desk.adjust(-25, **AWARD)
        assert [(one.lot_id, one.points) for one in outcome.lots] == [(3, -10), (2, -10), (1, -5)]

    def test_a_debit_never_goes_beyond_the_award_whoever_may_owe(self) -> None:
        desk = Desk(programme(allow_negative=True))
        desk.adjust(100)
        desk.adjust(10, **AWARD)
        rejection = desk.adjust(-11, **AWARD, allow_negative=True).rejection
        assert rejection == Rejection("insufficient_points", "11 to deduct, 10 available.")

    def test_a_debit_never_takes_held_points_whatever_the_award_has(self) -> None:
        desk = Desk()
        desk.adjust(10, **AWARD)
        desk.ask(7, operation="HOLD")
        assert desk.refusal(-4, **AWARD, allow_negative=True) == "insufficient_points"
        assert desk.adjust(-3, **AWARD).balance == 7

    def test_an_award_that_was_never_made_is_invalid(self) -> None:
        desk = Desk()
        desk.adjust(10, **AWARD)
        assert desk.refusal(-1, award_id="8877") == "invalid_award"

    def test_an_award_that_is_used_up_is_known_but_empty(self) -> None:
        desk = Desk()
        desk.adjust(10, **AWARD)
        desk.adjust(-10)
        assert desk.refusal(-1, **AWARD) == "insufficient_points"

    def test_an_award_of_another_wallet_is_known_but_empty_here(self) -> None:
        desk = Desk()
        desk.adjust(10, category="PROMISED", **AWARD)
        assert desk.refusal(-1, **AWARD) == "insufficient_points"

    @pytest.mark.parametrize("points", [1, -1])
    def test_an_award_has_one_type_for_good(self, points: int) -> None:
        desk = Desk()
        desk.adjust(10, **REGULAR)
        other = {**AWARD, "award_type": "bill_promotions"}
        assert desk.refusal(points, **other) == "invalid_award_type"
        assert desk.refusal(points, **REGULAR) is None
        assert desk.refusal(points, **AWARD) is None
        assert desk.member.awards == {"38768508": "bill_regular"}

    def test_an_award_without_a_type_has_none_of_the_types(self) -> None:
        desk = Desk()
        desk.adjust(10, **AWARD)
        assert desk.refusal(-1, **REGULAR) == "invalid_award_type"

    def test_a_credit_that_only_pays_off_a_deficit_makes_the_award_known_without_a_lot(
        self,
    ) -> None:
        desk = Desk()
        desk.adjust(-10, allow_negative=True)
        assert desk.adjust(10, **AWARD).lots == []
        assert desk.refusal(-1, **AWARD) == "insufficient_points"

    def test_a_refused_credit_makes_no_award_known(self) -> None:
        desk = Desk(programme(limits={"points_per_request": "5"}))
        desk.adjust(10, **AWARD)
        assert desk.refusal(-1, **AWARD) == "invalid_award"

    def test_a_target_labels_what_it_adds_and_is_aimed_at_what_it_takes(self) -> None:
        desk = Desk()
        desk.adjust(10)
        added = desk.ask(15, operation="SET_BALANCE", **AWARD)
        assert added.lots == [LotChange(2, 5, None, Label("38768508"))]
        assert desk.refusal(9, operation="SET_BALANCE", **AWARD) == "insufficient_points"
        taken = desk.ask(11, operation="SET_BALANCE", **AWARD)
        assert [(change.lot_id, change.points) for change in taken.lots] == [(2, -4)]


CATALOGUE: dict[str, Any] = {
    "promotions": [{"id": "79555", "identifier": "b86ca53f"}, {"id": "79556"}]
}


class TestPromotions:
    def test_a_credit_labels_its_lot_and_a_debit_takes_only_such_lots(self) -> None:
        desk = Desk(programme(**CATALOGUE))
        desk.adjust(10)
        made = desk.adjust(10, promotion_id="79555")
        assert made.lots == [LotChange(2, 10, None, Label(promotion_id="79555"))]
        taken = desk.adjust(-4, promotion_id="79555")
        assert [(change.lot_id, change.points) for change in taken.lots] == [(2, -4)]
        assert desk.refusal(-7, promotion_id="79555") == "insufficient_points"

    def test_an_identifier_is_another_name_of_the_same_promotion(self) -> None:
        desk = Desk(programme(**CATALOGUE))
        made = desk.adjust(10, promotion_identifier="b86ca53f")
        assert made.lots[0].label == Label(promotion_id="79555")
        assert desk.adjust(-4, promotion_id="79555").points == -4
        assert desk.adjust(-4, promotion_identifier="b86ca53f").points == -4

    @pytest.mark.parametrize("points", [1, -1])
    @pytest.mark.parametrize(
        "fields", [{"promotion_id": "8874"}, {"promotion_identifier": "79555"}]
    )
    def test_a_promotion_that_is_not_in_the_catalogue_is_invalid(
        self, points: int, fields: dict[str, str]
    ) -> None:
        desk = Desk(programme(**CATALOGUE))
        desk.adjust(10)
        assert desk.refusal(points, **fields) == "invalid_promotion"
        assert desk.refusal(10, operation="SET_BALANCE", **fields) == "invalid_promotion"

    def test_without_a_catalogue_any_id_is_taken_and_no_identifier(self) -> None:
        desk = Desk()
        assert desk.refusal(1, promotion_id="anything") is None
        assert desk.refusal(1, promotion_identifier="anything") == "invalid_promotion"

    def test_a_promotion_that_gave_nothing_is_not_invalid_but_empty(self) -> None:
        desk = Desk(programme(**CATALOGUE))
        desk.adjust(10)
        assert desk.refusal(-1, promotion_id="79556") == "insufficient_points"

    def test_a_debit_may_name_both_award_and_promotion(self) -> None:
        desk = Desk()
        desk.adjust(10, **AWARD)
        desk.adjust(10, promotion_id="p")
        desk.adjust(10, promotion_id="p", **AWARD)
        taken = desk.adjust(-10, promotion_id="p", **AWARD)
        assert [(change.lot_id, change.points) for change in taken.lots] == [(3, -10)]
        assert desk.refusal(-1, promotion_id="p", **AWARD) == "insufficient_points"


def test_an_unaimed_debit_takes_labelled_lots_like_any_others() -> None:
    desk = Desk()
    desk.adjust(10, **AWARD)
    desk.adjust(10)
    assert [change.lot_id for change in desk.adjust(-15).lots] == [1, 2]
