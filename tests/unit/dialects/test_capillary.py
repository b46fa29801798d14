"""Capillary's negativePointsAdjustment: what is read from it, and what its caller is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from schemas.numbers import NumberText
from tests.unit.dialects.capillary import (
    BODY,
    CAPILLARY,
    PROGRAM,
    SOURCES,
    USER,
    letter,
    read,
    refused,
    translate,
)
from worker.dialects.capillary import IDENTIFIER_NAMES
from worker.dialects.dialect import Identifier, Inbound, Refused, Undeliverable

if TYPE_CHECKING:
    from tests.unit.dialects.counter import Json


class TestWhose:
    @pytest.mark.parametrize("user_id", ["4711", 4711], ids=["text", "number"])
    def test_the_user_id_is_the_member_id(self, user_id: object) -> None:
        inbound = read({"user-id": user_id})
        assert (inbound.member_id, inbound.identifier) == ("4711", None)

    def test_the_common_header_does_as_well(self) -> None:
        assert read({"member-id": "4711"}).member_id == "4711"

    @pytest.mark.parametrize("name", IDENTIFIER_NAMES)
    def test_an_identifier_is_left_to_be_resolved(self, name: str) -> None:
        inbound = read({"identifier-name": name, "identifier-value": "jo@example.com"})
        assert inbound.member_id is None
        assert inbound.identifier == Identifier(name, "jo@example.com")

    @pytest.mark.parametrize("name", ["id", "userId"])
    def test_an_identifier_may_be_the_user_id(self, name: str) -> None:
        inbound = read({"identifier-name": name, "identifier-value": 4711})
        assert (inbound.member_id, inbound.identifier) == ("4711", None)

    def test_an_identifier_shows_nowhere_else(self) -> None:
        inbound = read({"identifier-name": "mobile", "identifier-value": "+49 151 555"})
        assert "555" not in repr(inbound)
        assert b"555" not in inbound.content
        assert "555" not in str(inbound.context)

    @pytest.mark.parametrize(
        ("headers", "key"),
        [
            ({}, "missing_member_id"),
            ({"user-id": ""}, "missing_member_id"),
            ({"identifier-name": "mobile"}, "missing_member_id"),
            ({"identifier-value": "1"}, "invalid_identifier_type"),
            ({"identifier-name": "MOBILE", "identifier-value": "1"}, "invalid_identifier_type"),
            ({"user-id": "1", "identifier-name": "mobile"}, "invalid_payload"),
            ({"user-id": "1", "member-id": "2"}, "invalid_payload"),
            ({"user-id": "\x00"}, "invalid_payload"),
            ({"user-id": "x" * 129}, "invalid_payload"),
            ({"user-id": ["1"]}, "invalid_payload"),
            ({"user-id": True}, "invalid_payload"),
            ({"user-id": "1", "program-id": "?"}, "invalid_payload"),
        ],
    )
    def test_a_message_of_nobody_is_a_dead_letter(
        self, headers: dict[str, object], key: str
    ) -> None:
        assert letter(headers) == key

    @pytest.mark.parametrize(
        ("message_id", "key"),
        [(None, "missing_request_id"), ("", "missing_request_id"), ("\n", "invalid_payload")],
    )
    def test_a_message_without_an_id_is_a_dead_letter(
        self, message_id: str | None, key: str
    ) -> None:
        with pytest.raises(Undeliverable) as caught:
            CAPILLARY.read(BODY, USER, message_id)
        assert caught.value.key == key

    def test_the_programme_of_the_body_comes_before_that_of_the_header(self) -> None:
        headers = USER | {"program-id": "acme"}
        assert read(headers).program_id == "acme"
        assert read(headers, programId=973).program_id == "973"
        assert read(headers, programId="973").program_id == "973"
        assert read(USER).program_id == "default"

    @pytest.mark.parametrize("program_id", [True, "", "a b", [973], 1.5, {}])
    def test_a_programme_that_can_be_none_is_a_dead_letter(self, program_id: object) -> None:
        assert letter(USER, programId=program_id) == "invalid_payload"

    @pytest.mark.parametrize("body", [[], "text", 1, [BODY]])
    def test_a_body_that_is_no_object_is_refused_and_not_lost(self, body: object) -> None:
        inbound = read(body=body)
        assert inbound.member_id == "1"
        with pytest.raises(Refused) as caught:
            CAPILLARY.translate(inbound, PROGRAM)
        assert caught.value.rejection.details[0]["field"] == "body"


class TestWhat:
    def test_a_magnitude_becomes_a_debit(self) -> None:
        assert translate() == {
            "operation": "ADJUST",
            "points": "-10",
            "reason": "Extra points were issued",
        }

    @pytest.mark.parametrize(
        ("amount", "points"),
        [
            ("100.00", "-100"),
            (100, "-100"),
            (NumberText("0.50"), "-0.5"),
            ("1.234567", "-1.234567"),
        ],
    )
    def test_amounts_are_taken_as_numbers_and_as_texts(self, amount: object, points: str) -> None:
        assert translate(pointsToBeAdjusted=amount)["points"] == points

    def test_everything_else_has_its_place(self) -> None:
        body = {
            "valueToBeAdjusted": "10",
            "alternateCurrencyName": "coins",
            "pointsAwardedId": 38768508,
            "pointsAwardedRefType": "line_item_promotions",
            "promotionId": "0079555",
            "programId": 973,
            "pointCategoryTypes": "EXTERNAL_TRIGGER_BASED",
            "reasonOfReturn": "Returned",
        }
        inbound = read(USER | {"source": "TMALL"}, body)
        assert CAPILLARY.translate(inbound, PROGRAM) == {
            "operation": "ADJUST",
            "points": "-10",
            "currency": "coins",
            "award_id": "38768508",
            "award_type": "line_item_promotions",
            "promotion_id": "79555",
            "category": "EXTERNAL_TRIGGER_BASED",
            "reason": "Returned",
            "source": "TMALL",
        }

    def test_a_null_field_counts_as_absent(self) -> None:
        nulls = dict.fromkeys(
            ("valueToBeAdjusted", "alternateCurrencyName", "promotionId", "programId"), None
        )
        assert translate(**nulls) == translate()

    @pytest.mark.parametrize("source", SOURCES)
    def test_every_source_of_the_vendor_is_taken(self, source: str) -> None:
        assert translate(USER | {"source": source})["source"] == source

    @pytest.mark.parametrize("source", ["NOPE", "instore", "", 1, True, b"ALL", ["ALL"]])
    def test_no_other_source_is(self, source: object) -> None:
        assert refused(USER | {"source": source}).key == "invalid_source"

    def test_a_reason_has_fifty_characters_at_most(self) -> None:
        assert translate(reasonOfReturn="ü" * 50)["reason"] == "ü" * 50
        rejection = refused(reasonOfReturn="x" * 51)
        assert rejection.key == "invalid_payload"
        assert [detail["field"] for detail in rejection.details] == ["reasonOfReturn"]

    @pytest.mark.parametrize("reason", [None, "", "   "])
    def test_a_reason_must_be_there(self, reason: str | None) -> None:
        assert refused(reasonOfReturn=reason).key == "reason_required"

    @pytest.mark.parametrize("zero", ["0.0", 0, "0.00", "-0"])
    def test_nothing_cannot_be_deducted(self, zero: object) -> None:
        assert refused(pointsToBeAdjusted=zero).key == "zero_points"

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"pointsToBeAdjusted": None}, "pointsToBeAdjusted"),
            ({"pointsToBeAdjusted": -1}, "pointsToBeAdjusted"),
            ({"pointsToBeAdjusted": "-0.01"}, "pointsToBeAdjusted"),
            ({"pointsToBeAdjusted": "1e3"}, "pointsToBeAdjusted"),
            ({"pointsToBeAdjusted": True}, "pointsToBeAdjusted"),
            ({"pointsToBeAdjusted": "1.1234567"}, "pointsToBeAdjusted"),
            (
                {"valueToBeAdjusted": "10", "alternateCurrencyName": "coins"},
                "valueToBeAdjusted",
            ),
            ({"alternateCurrencyName": "coins"}, "alternateCurrencyName"),
            ({"pointsToBeAdjusted": None, "valueToBeAdjusted": "1"}, "alternateCurrencyName"),
            ({"alternateCurrencyName": 7}, "alternateCurrencyName"),
            ({"pointsAwardedId": 1}, "pointsAwardedRefType"),
            ({"pointsAwardedRefType": "bill_regular"}, "pointsAwardedId"),
            ({"pointsAwardedId": 1.5, "pointsAwardedRefType": "bill_regular"}, "pointsAwardedId"),
            ({"pointsAwardedId": 1, "pointsAwardedRefType": ["x"]}, "pointsAwardedRefType"),
            ({"promotionId": 1, "promotionIdentifier": "a"}, "promotionIdentifier"),
            ({"promotionIdentifier": "", "programId": 973}, "promotionIdentifier"),
            ({"promotionId": 1234567890}, "promotionId"),
            ({"promotionId": -1}, "promotionId"),
            ({"promotionId": "abc"}, "promotionId"),
            ({"promotionId": "²"}, "promotionId"),
            ({"promotionId": True}, "promotionId"),
            ({"pointCategoryTypes": "regular"}, "pointCategoryTypes"),
            ({"pointCategoryTypes": ["REGULAR"]}, "pointCategoryTypes"),
            ({"reasonOfReturn": 7}, "reasonOfReturn"),
            ({"reasonOfReturn": "a\nb"}, "reasonOfReturn"),
            ({"pointsToBeAdjustd": "10"}, "pointsToBeAdjustd"),
        ],
    )
    def test_what_is_wrong_is_told_by_its_field(self, changes: Json, field: str) -> None:
        rejection = refused(**changes)
        assert rejection.key == "invalid_payload"
        assert field in [detail["field"] for detail in rejection.details]

    def test_a_header_of_the_programme_is_not_the_bodys_field(self) -> None:
        headers = USER | {"program-id": "973"}
        assert refused(headers, promotionIdentifier="a").key == "program_required"

    def test_codes_come_in_the_order_of_the_contract(self) -> None:
        changes: Json = {
            "pointsToBeAdjusted": "0",
            "promotionIdentifier": "a",
            "reasonOfReturn": None,
            "pointsAwardedId": 1,
            "pointsAwardedRefType": "bill",
        }
        headers = USER | {"source": "NOPE"}
        found = [refused(headers, **changes).key]
        changes["pointsToBeAdjusted"] = "1"
        found.append(refused(headers, **changes).key)
        changes["programId"] = 973
        found.append(refused(headers, **changes).key)
        changes["reasonOfReturn"] = "Returned"
        found.append(refused(headers, **changes).key)
        found.append(refused(**changes).key)
        assert found == [
            "zero_points",
            "program_required",
            "reason_required",
            "invalid_source",
            "invalid_award_type",
        ]


class TestContent:
    def test_spellings_of_an_amount_are_the_same_request(self) -> None:
        contents = {read(pointsToBeAdjusted=amount).content for amount in (10, "10", "10.00")}
        assert len(contents) == 1

    def test_a_null_field_is_no_content(self) -> None:
        assert read(promotionId=None).content == read().content

    def test_it_says_nothing_of_whom_it_is_asked_for(self) -> None:
        by_identifier: dict[str, object] = {"identifier-name": "mobile", "identifier-value": "1"}
        assert read(by_identifier).content == read(USER).content == read({"user-id": "2"}).content

    @pytest.mark.parametrize(
        "other",
        [
            read(pointsToBeAdjusted="11"),
            read(reasonOfReturn="another"),
            read(promotionId=1),
            read(USER | {"source": "ALL"}),
            read(body=[BODY]),
            read(body={"reasonOfReturn": "\ud800"}),
        ],
    )
    def test_anything_else_is_another_request(self, other: Inbound) -> None:
        assert other.content != read().content
