"""The vectors of Voucherify."""

from __future__ import annotations

from typing import Any, Final
from unittest.mock import ANY

from tests.dialect_vectors.vector import MEMBER, Json, Vector

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


VECTORS: Final = (
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
