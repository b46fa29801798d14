"""The models and constants hold the names that the contract promises, written out once more."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

from schemas import errors, names
from schemas.event import Event
from schemas.outcome import Error, Lot, Outcome
from schemas.request import AdjustmentRequest

REQUEST_FIELDS = """
    request_id program_id member_id operation points currency category expiration_type
    expiration_date award_id award_type promotion_id promotion_identifier reason reason_code
    comment adjusted_by source source_id operation_type reverses hold ttl_seconds
    expected_version ordinal ordinal_stream bypass_caps allow_negative dry_run occurred_at
    metadata
"""

OUTCOME_FIELDS = """
    request_id program_id member_id operation status currency category requested points
    forfeited balance available total version sequence lots expires_at reason reason_code
    comment adjusted_by source source_id operation_type reverses hold metadata occurred_at
    recorded_at caused_by error warnings
"""

EVENT_FIELDS = """
    specversion id source type subject time datacontenttype dataschema partitionkey sequence data
"""

REJECTIONS = """
    request_id_conflict 409
    invalid_payload 400 invalid_expiration_date 400 zero_points 400
    unknown_program 404 program_inactive 423 program_required 400
    not_permitted 403
    member_not_found 404 not_enrolled 404 invalid_identifier_type 400 member_inactive 423
    unknown_currency 404 decimal_places_exceeded 400
    reason_required 400 invalid_reason_code 400 invalid_source 400
    ordinal_used 409 ordinal_gap 409 version_mismatch 409
    invalid_award_type 400 invalid_award 404 invalid_promotion 404 unknown_request 404
    unknown_hold 404 already_reversed 409 hold_ended 409
    limit_exceeded 422
    insufficient_points 422
"""

DEAD_LETTERS = """
    malformed_json not_utf8 unsupported_content_type unknown_type too_large missing_request_id
    missing_member_id routing_key_mismatch decryption_failed killed_the_worker
"""


def test_a_request_has_the_fields_of_the_contract() -> None:
    assert REQUEST_FIELDS.split() == list(AdjustmentRequest.model_fields)


def test_only_the_member_is_required_of_every_request() -> None:
    required = [n for n, field in AdjustmentRequest.model_fields.items() if field.is_required()]

    assert required == ["member_id"]


def test_an_outcome_has_the_fields_of_the_contract_and_all_are_required() -> None:
    assert OUTCOME_FIELDS.split() == list(Outcome.model_fields)
    assert all(field.is_required() for field in Outcome.model_fields.values())


def test_the_parts_of_an_outcome_have_the_fields_of_the_contract() -> None:
    assert list(Lot.model_fields) == ["lot_id", "points", "expires_at", "award_id", "promotion_id"]
    assert list(Error.model_fields) == ["code", "key", "message", "details"]


def test_an_event_has_the_attributes_of_the_contract() -> None:
    assert EVENT_FIELDS.split() == list(Event.model_fields)


def test_the_errors_stand_in_the_order_in_which_they_are_looked_for() -> None:
    words = REJECTIONS.split()
    expected = [(key, int(code)) for key, code in zip(words[::2], words[1::2], strict=True)]

    rejections = [item for item in errors.ERRORS.items() if item[0] not in errors.DEAD_LETTER_KEYS]
    assert expected == rejections


def test_the_reasons_for_dead_letters_are_those_of_the_contract() -> None:
    assert DEAD_LETTERS.split() == list(errors.DEAD_LETTER_KEYS)
    assert set(errors.DEAD_LETTER_KEYS) <= set(errors.ERRORS)


def test_the_enumerations_hold_what_the_contract_lists() -> None:
    listed = {
        names.Operation: "ADJUST SET_BALANCE REVERSE HOLD CAPTURE RELEASE CONVERT EXPIRE",
        names.Status: "APPLIED REJECTED NO_CHANGE SIMULATED",
        names.Category: "REGULAR PROMISED EXTERNAL_TRIGGER_BASED",
        names.ExpirationType: "PROGRAM_RULES NON_EXPIRING CUSTOM_DATE",
        names.OperationType: "MANUAL AUTOMATIC",
        names.AwardType: "bill_regular bill_promotions line_item_regular line_item_promotions "
        "customer_promotions",
        names.EventType: "POINTS_ADJUSTED ADJUSTMENT_REJECTED POINTS_EXPIRED POINTS_HELD "
        "POINTS_RELEASED POINTS_CONVERTED",
    }
    for kind, expected in listed.items():
        assert tuple(expected.split()) == get_args(kind)


def test_the_defaults_of_a_request_are_those_of_the_contract() -> None:
    request = AdjustmentRequest.model_validate({"member_id": "1", "points": 1})

    assert (
        request.program_id,
        request.operation,
        request.category,
        request.expiration_type,
        request.operation_type,
        request.ttl_seconds,
    ) == ("default", "ADJUST", "REGULAR", "PROGRAM_RULES", "MANUAL", 172_800)
    assert (request.bypass_caps, request.allow_negative, request.dry_run) == (False, False, False)


def test_message_types_and_content_types_are_those_of_the_contract() -> None:
    assert names.REQUEST_TYPE == "adjustment.request.v1"
    assert names.RESULT_TYPE == "adjustment.result.v1"
    assert names.ERROR_TYPE == "adjustment.error.v1"
    assert names.JSON_CONTENT_TYPE == "application/json"
    assert names.EVENT_CONTENT_TYPE == "application/cloudevents+json"


def test_the_contract_can_be_imported_without_the_worker() -> None:
    _import_in_a_new_interpreter("schemas.export", but_not="worker")


def test_names_errors_and_topology_need_nothing_but_the_standard_library() -> None:
    for module in ("schemas.names", "schemas.errors", "schemas.topology"):
        _import_in_a_new_interpreter(module, but_not="pydantic")


def _import_in_a_new_interpreter(module: str, but_not: str) -> None:
    program = f"import sys, {module}; sys.exit({but_not!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
