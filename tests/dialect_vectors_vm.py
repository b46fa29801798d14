"""The vectors of Voucherify and Mastercard, in the form of `tests.dialect_vectors`."""

from __future__ import annotations

from typing import Any, Final
from unittest.mock import ANY

from tests.dialect_vectors import MEMBER, Json, Vector

# ------------------------------------------------------------------------------------ Voucherify

VOUCHERIFY: Final = "voucherify.balance"

CARDS: Final[Json] = {
    "program_id": "voucherify",
    "name": "Of loyalty cards",
    "currencies": [{"code": "points", "decimals": 0}],
}
CARDS_WITH_CENTS: Final[Json] = {
    **CARDS,
    "program_id": "voucherify-cents",
    "name": "With decimals, a cap of half a point, and debts",
    "allow_negative": True,
    "currencies": [
        {
            "code": "points",
            "decimals": 2,
            "earn_caps": [{"per": "month", "points": "99.50"}],
        }
    ],
}
CARDS_NO_MORE: Final[Json] = {
    **CARDS,
    "program_id": "voucherify-inactive",
    "name": "That has ended",
    "status": "inactive",
}
CARDS_OF_HOLDERS: Final[Json] = {
    **CARDS,
    "program_id": "voucherify-holders",
    "name": "For cards assigned to a holder",
    "enrolment": "required",
}


def _voucherify(
    name: str,
    body: object,
    reply: Json,
    *setup: Json,
    programme: Json | None = CARDS,
    **more: Any,
) -> Vector:
    program_id = programme["program_id"] if programme else more["program_id"]
    headers = {"member-id": MEMBER, "program-id": program_id}
    known = {"headers": headers, "programme": programme, "setup": setup}
    return Vector(name, VOUCHERIFY, body=body, reply=reply, **(known | more))


def _balance(points: int, total: int, balance: int) -> Json:
    return {
        "points": points,
        "total": total,
        "balance": balance,
        "type": "loyalty_card",
        "object": "balance",
        "related_object": {"type": "voucher", "id": MEMBER},
        "operation_type": "MANUAL",
    }


def _error(code: int, key: str, message: object, **more: object) -> Json:
    return {"code": code, "key": key, "message": message, "request_id": ANY, **more}


def _invalid(details: str) -> Json:
    return _error(400, "invalid_payload", "Invalid payload", details=details)


_UNREADABLE_DATE: Final = _invalid(
    "Property .expiration_date cannot be recognized as a ISO-8601 compliant date"
)


def _dated(expiration_date: object, **fields: object) -> Json:
    return {
        "points": 100,
        "expiration_type": "CUSTOM_DATE",
        "expiration_date": expiration_date,
        **fields,
    }


VOUCHERIFY_VECTORS: Final = (
    _voucherify(
        "VV1", {"points": -100}, _balance(-100, 13436, 13136), {"points": 13436}, {"points": -200}
    ),
    _voucherify("VV2 of a date to come", _dated("2090-05-30"), _balance(100, 100, 100)),
    _voucherify(
        "VV2 as the Python client sends it",
        _dated("2090-05-30T00:00:00"),
        _balance(100, 100, 100),
    ),
    _voucherify("VV3", _dated("30.05.2090"), _UNREADABLE_DATE),
    _voucherify("VV3 of no text", _dated(20900530), _UNREADABLE_DATE),
    _voucherify(
        "VV4",
        _dated("2023-05-30"),
        _error(
            400,
            "invalid_expiration_date",
            "Invalid Expiration Date",
            details="Expiration date cannot be set in the past",
        ),
    ),
    _voucherify(
        "VV5",
        {"points": 10000, "reason": "Regular customer", "source_id": "Source_1"},
        _balance(10000, 11000, 11000),
        {"points": 1000},
    ),
    _voucherify("VV6", {"points": 88}, _balance(88, 188, 188), {"points": 100}),
    _voucherify(
        "VV6 of a campaign",
        {"points": 88},
        _balance(88, 188, 188),
        {"points": 100},
        headers={"member-id": MEMBER, "campaign-id": "voucherify"},
    ),
    _voucherify("VV12", {"points": 0}, _error(400, "zero_points", ANY)),
    _voucherify("VV15", {}, _invalid("Payload must have required property 'points'")),
    _voucherify(
        "VV16 of a programme",
        {"points": 1},
        _error(423, "non_active_program", ANY),
        programme=CARDS_NO_MORE,
    ),
    _voucherify(
        "more than there is",
        {"points": -101},
        _error(400, "loyalty_card_points_exceeded", ANY),
        {"points": 100},
    ),
    _voucherify(
        "without a holder",
        {"points": 1},
        _error(
            404,
            "not_found",
            "Resource not found",
            details=ANY,
            resource_id=MEMBER,
            resource_type="voucher",
        ),
        programme=CARDS_OF_HOLDERS,
    ),
    _voucherify(
        "of no programme",
        {"points": 1},
        _error(
            404,
            "not_found",
            "Resource not found",
            details="Cannot find campaign with id camp_nobodys",
            resource_id="camp_nobodys",
            resource_type="campaign",
        ),
        programme=None,
        program_id="camp_nobodys",
    ),
    _voucherify(
        "fractions and debts are hidden from clients that refuse them",
        {"points": -100},
        _balance(-100, 99, 0),
        {"points": "99.50"},
        programme=CARDS_WITH_CENTS,
    ),
    _voucherify(
        "what a cap left over is rounded down",
        {"points": 200},
        _balance(99, 99, 99),
        programme=CARDS_WITH_CENTS,
    ),
    _voucherify(
        "nobody's card",
        {"points": 1},
        {"code": 400, "key": "missing_member_id", "message": ANY},
        headers={"program-id": "voucherify"},
        letter="missing_member_id",
    ),
)

# ------------------------------------------------------------------------------------ Mastercard

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


MASTERCARD_VECTORS: Final = (
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

VECTORS: Final = (*VOUCHERIFY_VECTORS, *MASTERCARD_VECTORS)
