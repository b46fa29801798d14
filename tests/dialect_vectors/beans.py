"""The vectors of Beans."""

from __future__ import annotations

from typing import Final
from unittest.mock import ANY

from tests.dialect_vectors.vector import MEMBER, Json, Vector, credit

BEANS: Final = "beans.balance"

SHOP: Final[Json] = {
    "program_id": "beans",
    "name": "Of an online shop",
    "currencies": [{"code": "beans", "decimals": 0}],
}

_PENDING: Final[Json] = {"request_id": "order-1", "operation": "HOLD", "points": "80"}


def _beans(name: str, body: object, reply: Json, *setup: Json) -> Vector:
    headers: dict[str, object] = {"member-id": MEMBER, "program-id": "beans"}
    return Vector(name, BEANS, headers, body, reply, SHOP, setup)


def _balance(status: str, points: str, balance: str, pending: str) -> Json:
    return {
        "status": status,
        "points": points,
        "balance": balance,
        "pending": pending,
        "warnings": [],
    }


def _refused(code: int, key: str) -> Json:
    return {"status": "refused", "error": {"code": code, "key": key, "message": ANY, "details": []}}


VECTORS: Final = (
    _beans(
        "BV1",
        {"type": "credit", "points": 50, "description": "Refund in points instead of cash"},
        _balance("committed", "50", "150", "0"),
        credit("100"),
    ),
    _beans(
        "BV2",
        {"type": "debit", "points": 50, "description": "Redeemed after the order was placed"},
        _balance("committed", "-50", "50", "0"),
        credit("100"),
    ),
    _beans(
        "BV3 pending",
        {"type": "debit", "points": 80, "description": "An order", "pending": True},
        _balance("pending", "0", "100", "80"),
        credit("100"),
    ),
    _beans(
        "BV3 committed",
        {"type": "commit", "debit": "order-1"},
        _balance("committed", "-80", "20", "0"),
        credit("100"),
        _PENDING,
    ),
    _beans(
        "BV3 cancelled",
        {"type": "cancel", "debit": "order-1", "description": "The customer cancelled"},
        _balance("cancelled", "0", "100", "0"),
        credit("100"),
        _PENDING,
    ),
    _beans(
        "BV3 committed when it has ended",
        {"type": "commit", "debit": "order-1"},
        _refused(409, "hold_ended"),
        credit("100"),
        _PENDING,
        {"operation": "RELEASE", "hold": "order-1"},
    ),
    _beans(
        "BV4 pending",
        {"type": "debit", "points": 80, "description": "Another order", "pending": True},
        _refused(422, "insufficient_points"),
        credit("100"),
        _PENDING,
    ),
    _beans(
        "BV4 at once",
        {"type": "debit", "points": 21},
        _refused(422, "insufficient_points"),
        credit("100"),
        _PENDING,
    ),
)
