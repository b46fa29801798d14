"""What Capillary's systems are answered: to the letter where the vendor shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.dialects.capillary import CAPILLARY, outcome, read, refused, rejected, reply
from worker.dialects.dialect import Undeliverable

if TYPE_CHECKING:
    from tests.unit.dialects.counter import Json


class TestReply:
    @pytest.mark.parametrize(
        ("available", "shown"),
        [
            ("670", "670.000"),
            ("670.00", "670.000"),
            ("-100.00", "-100.000"),
            ("80145.500", "80145.500"),
            ("1.2349", "1.234"),
            ("-0.0005", "-0.001"),
            ("9000000000000000000", "9000000000000000000.000"),
        ],
    )
    def test_what_is_available_has_three_decimals(self, available: str, shown: str) -> None:
        assert reply(outcome(available=available)) == {
            "status": "success",
            "pointsAvailable": shown,
            "message": "points deducted successfully for the user ",
            "warnings": [],
        }

    def test_warnings_are_handed_on(self) -> None:
        assert reply(outcome(warnings=["lots_truncated"]))["warnings"] == ["lots_truncated"]

    def test_the_currency_is_named_as_it_was_sent(self) -> None:
        inbound = read(body={"alternateCurrencyName": "{amount}", "valueToBeAdjusted": 1})
        assert "{amount} deducted" in reply(outcome(), inbound)["message"]
        assert "with name {amount} found" in _only(reply(rejected("unknown_currency"), inbound))[1]

    @pytest.mark.parametrize(
        ("key", "code", "message"),
        [
            (
                "decimal_places_exceeded",
                8906,
                (
                    "decimal places passed: 3 is greater than the configured round decimals: 2"
                    " for programId: 973"
                ),
            ),
            ("invalid_source", 8003, "Invalid source"),
            ("member_not_found", 8015, "Customer not found for the given identifiers"),
            ("invalid_identifier_type", 8013, "Lookup,Invalid identifier passed"),
            (
                "insufficient_points",
                8907,
                (
                    "points to be deducted 101.540 is greater than available points for program and"
                    " NegativeBalanceOnReturn config is disabled for org."
                ),
            ),
            ("zero_points", 8888, "Points to be adjusted cannot be zero"),
            ("program_required", 8887, "Provide Program Id with Promotion Identifier"),
            ("invalid_promotion", 8874, "promotion id passed is invalid"),
            ("invalid_award", 8877, "points awarded Id passed is invalid"),
            ("invalid_award_type", 9975, "Points awarded ref type is invalid"),
            ("reason_required", 8882, "Reason for adjustment cannot be null"),
            (
                "not_enrolled",
                1218,
                "Customer not enrolled in loyalty program : customer not found for programId 973",
            ),
            (
                "unknown_program",
                1218,
                "Customer not enrolled in loyalty program : customer not found for programId 973",
            ),
        ],
    )
    def test_the_vendors_codes_come_in_its_own_words(
        self, key: str, code: int, message: str
    ) -> None:
        amount = "1.234" if key == "decimal_places_exceeded" else "101.540"
        inbound = read(pointsToBeAdjusted=amount)
        assert _only(reply(rejected(key), inbound)) == (code, message)

    def test_the_alternate_currencys_decimals_are_told(self) -> None:
        inbound = read(body={"alternateCurrencyName": "coins", "valueToBeAdjusted": "1.23450"})
        assert (
            "passed: 4 is greater than the configured round decimals: 3"
            in (_only(reply(rejected("decimal_places_exceeded"), inbound))[1])
        )

    def test_without_the_figures_the_vendors_code_keeps_the_workers_words(self) -> None:
        body = CAPILLARY.reply(rejected("decimal_places_exceeded"), {}, None)
        assert _only(body) == (8906, "What the worker says.")

    @pytest.mark.parametrize(
        ("key", "code"),
        [("request_id_conflict", 409), ("limit_exceeded", 422), ("program_inactive", 423)],
    )
    def test_what_has_no_code_there_keeps_the_workers(self, key: str, code: int) -> None:
        assert _only(reply(rejected(key, code))) == (code, "What the worker says.")

    def test_every_fault_of_a_body_is_an_error(self) -> None:
        details = refused(pointsToBeAdjusted="x", reasonOfReturn=7).details
        errors = reply(rejected("invalid_payload", details=details))["errors"]
        assert [error["code"] for error in errors] == [400, 400]
        assert [error["message"].split()[0] for error in errors] == [
            "pointsToBeAdjusted",
            "reasonOfReturn",
        ]

    def test_a_dead_letter_is_answered_in_the_same_envelope(self) -> None:
        with pytest.raises(Undeliverable) as caught:
            read({})
        fault = caught.value
        code, message = _only(CAPILLARY.error(fault.key, fault.message, {}, fault.details))
        assert code == 400
        assert message.startswith("header user-id")


def _only(body: Json) -> tuple[int, str]:
    (error,) = body["errors"]
    assert error["status"] is False
    return error["code"], error["message"]
