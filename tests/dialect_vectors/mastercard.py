"""The vectors of Mastercard."""

from __future__ import annotations

from typing import Any, Final
from unittest.mock import ANY

from tests.dialect_vectors.vector import MEMBER, Json, Vector

MASTERCARD: Final = "mastercard.points_adjustment"

# The codes, and the name of the reply's field, are made up: the vendor does not publish its own.
BANK: Final[Json] = {
    "program_id": "mastercard",
    "name": "Of an issuer",
    "currencies": [{"code": "points", "decimals": 2}],
    "dialects": {
        "mastercard": {
            "adjustment_types": {"CR": "credit", "DR": "debit"},
            "response_field": "adjusted",
            "reason_codes": {"insufficient_points": "NOT_ENOUGH", "invalid_payload": "BAD_INPUT"},
        }
    },
}

ASKED: Final[Json] = {
    "bankAccountNumber": MEMBER,
    "pointsToAdjust": 100,
    "adjustmentTypeCode": "CR",
    "adjustmentReason": "Courtesy of the service centre",
    "adjustedBy": "agent-7",
}


def _mastercard(name: str, body: object, reply: Json, *setup: Json, **more: Any) -> Vector:
    known = {
        "headers": {"program-id": "mastercard"},
        "programme": BANK,
        "identifiers": (("bankAccountNumber", MEMBER),),
        "setup": setup,
    }
    return Vector(name, MASTERCARD, body=body, reply=reply, **(known | more))


def _errors(reason_code: str, *told: tuple[object, str], recoverable: str = "false") -> Json:
    items = [
        {
            "Source": "rewards-points-api",
            "ReasonCode": reason_code,
            "Description": description,
            "Recoverable": recoverable,
            "Details": details,
        }
        for description, details in told
    ]
    return {"Errors": {"Error": items}}


def _missing(reason_code: str, *fields: str) -> Json:
    return _errors(reason_code, *((f"{field} is required.", field) for field in fields))


def _without(*fields: str) -> Json:
    return {name: value for name, value in ASKED.items() if name not in fields}


VECTORS: Final = (
    *(
        _mastercard(f"MV1 without {field}", _without(field), _missing("BAD_INPUT", field))
        for field in ASKED
        if field != "bankAccountNumber"
    ),
    _mastercard(
        "MV1 without bankAccountNumber",
        _without("bankAccountNumber"),
        _missing("missing_member_id", "bankAccountNumber"),
        letter="missing_member_id",
        identifiers=(),
    ),
    _mastercard(
        "MV1 without any",
        {},
        _missing("missing_member_id", *ASKED),
        letter="missing_member_id",
        identifiers=(),
    ),
    _mastercard(
        "MV1 without two",
        _without("adjustmentReason", "adjustedBy"),
        _missing("BAD_INPUT", "adjustmentReason", "adjustedBy"),
    ),
    _mastercard("MV2 of a credit", ASKED, {"adjusted": 100}, {"points": "50"}),
    _mastercard(
        "MV2 of a debit",
        {**ASKED, "pointsToAdjust": "12.50", "adjustmentTypeCode": "DR"},
        {"adjusted": 12.5},
        {"points": "50"},
    ),
    _mastercard(
        "of an account of nobody",
        ASKED,
        _errors("member_not_found", (ANY, "null"), recoverable="true"),
        letter="member_not_found",
        identifiers=(),
    ),
    _mastercard(
        "of a type code that the programme does not know",
        {**ASKED, "adjustmentTypeCode": "XX"},
        _errors(
            "BAD_INPUT",
            ("adjustmentTypeCode must be one that the programme knows.", "adjustmentTypeCode"),
        ),
    ),
    _mastercard(
        "more than there is",
        {**ASKED, "adjustmentTypeCode": "DR"},
        _errors("NOT_ENOUGH", (ANY, "null"), recoverable="true"),
        {"points": "99.99"},
    ),
)
