"""The vectors of White Label Loyalty."""

from __future__ import annotations

from typing import Final

from tests.dialect_vectors.vector import MEMBER, Json, Vector, credit

WLL: Final = "wll.event"

REWARDS: Final[Json] = {
    "program_id": "wll",
    "name": "With reactors",
    "currencies": [{"code": "points", "decimals": 0}],
    "reactors": [
        {"event_type": "MANUAL_ADJUSTMENT", "property": "points", "multiplier": "1"},
        {"event_type": "PURCHASE", "property": "totalSpend", "multiplier": "2"},
        {"event_type": "PURCHASE", "property": "items", "multiplier": "5"},
    ],
}
CAPPED: Final[Json] = {
    **REWARDS,
    "program_id": "wll-capped",
    "name": "With a cap on what is earned in a month",
    "currencies": [
        {"code": "points", "decimals": 0, "earn_caps": [{"per": "month", "points": "1000"}]}
    ],
}


def _wll(
    name: str,
    body: Json,
    reply: Json,
    *setup: Json,
    programme: Json = REWARDS,
) -> Vector:
    headers: dict[str, object] = {"member-id": MEMBER, "program-id": programme["program_id"]}
    return Vector(name, WLL, headers, body, reply, programme, setup)


def _event(payload: Json, event_type: str = "MANUAL_ADJUSTMENT") -> Json:
    return {"eventType": event_type, "payload": payload}


def _adjusted(
    event: Json,
    points: str,
    balance: str,
    lifetime: str,
    forfeited: str = "0",
    warnings: tuple[str, ...] = (),
) -> Json:
    return {
        **event,
        "pointsAdjusted": points,
        "forfeited": forfeited,
        "balance": balance,
        "lifetime": lifetime,
        "warnings": list(warnings),
    }


_SORRY: Final = _event({"points": 20, "comment": "Sorry for the wait"})
_MINUS_20: Final = _event({"points": -20})
_SEVEN: Final = _event({"points": 7})
_PLUS_200: Final = _event({"points": 200})
_MINUS_100: Final = _event({"points": -100})
_PURCHASE: Final = _event({"totalSpend": "12.50", "items": 3, "shop": "Berlin"}, "PURCHASE")

VECTORS: Final = (
    _wll("WV1", _SORRY, _adjusted(_SORRY, "20", "120", "120"), credit("100")),
    _wll("WV2", _MINUS_20, _adjusted(_MINUS_20, "-20", "80", "100"), credit("100")),
    _wll(
        "WV3",
        _event({"points": 20}, "POINTS_ADJUSTED"),
        {
            "eventType": "POINTS_ADJUSTED",
            "error": {
                "code": 400,
                "key": "invalid_payload",
                "message": "eventType must not be an intrinsic type: those cannot be reported.",
                "details": [
                    {
                        "field": "eventType",
                        "rule": "must not be an intrinsic type: those cannot be reported",
                        "got": "a string of 15 characters",
                    }
                ],
            },
        },
    ),
    _wll("WV4", _SEVEN, _adjusted(_SEVEN, "7", "7", "7")),
    _wll(
        "WV5",
        _PLUS_200,
        _adjusted(_PLUS_200, "100", "1000", "1000", "100", ("earn_cap_month",)),
        credit("900"),
        programme=CAPPED,
    ),
    _wll(
        "what bypassed a cap does not count under it",
        _PLUS_200,
        _adjusted(_PLUS_200, "200", "1100", "1100"),
        credit("900", bypass_caps=True),
        programme=CAPPED,
    ),
    _wll("WV7", _MINUS_100, _adjusted(_MINUS_100, "-100", "0", "100"), credit("100")),
    _wll("reactors run together", _PURCHASE, _adjusted(_PURCHASE, "40", "40", "40")),
)
