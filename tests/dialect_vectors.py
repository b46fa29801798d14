"""What vendors' documents show of their messages, as a table: what comes in, and what the reply is.

Each vector is one member's. `MEMBER` stands for a member id of the test's choosing wherever it is
the whole of a string; `for_member` puts it in. Where a reply tells something in the worker's own
words, which no vendor has a claim on, it holds `ANY`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final
from unittest.mock import ANY

MEMBER: Final = "{member}"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Vector:
    """One message of a dialect, the AMQP `type`, and the body of the reply to it.

    `programme` is the document that holds, None where none is applied. `setup` are the canonical
    requests that come before for the same member and programme, without those two ids, all of them
    applied. `identifiers` are those by which the member is known. Where the message becomes a
    dead letter, `letter` is its key. `program_id` is the programme that the message names.
    """

    name: str
    dialect: str
    headers: dict[str, object]
    body: object
    reply: Json
    programme: Json | None = None
    setup: tuple[Json, ...] = ()
    identifiers: tuple[tuple[str, str], ...] = ()
    letter: str | None = None
    program_id: str = field(default="")

    def __post_init__(self) -> None:
        if not self.program_id:
            program_id = self.programme["program_id"] if self.programme else "default"
            object.__setattr__(self, "program_id", program_id)

    def for_member(self, member_id: str) -> Vector:
        """Return the vector with a member id in its place."""
        return replace(
            self,
            headers=_filled(self.headers, member_id),
            body=_filled(self.body, member_id),
            reply=_filled(self.reply, member_id),
            identifiers=tuple(
                (name, _filled(value, member_id)) for name, value in self.identifiers
            ),
        )


def _filled(value: Any, member_id: str) -> Any:
    if isinstance(value, dict):
        return {name: _filled(item, member_id) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, member_id) for item in value]
    return member_id if isinstance(value, str) and value == MEMBER else value


# ------------------------------------------------------------------------------------- Capillary

CAPILLARY: Final = "capillary.negative_points_adjustment"

ACME: Final[Json] = {
    "program_id": "973",
    "name": "Of the vendor's examples",
    "currencies": [
        {"code": "points", "decimals": 2},
        {"code": "coins", "decimals": 3},
        {"code": "DocCoin", "decimals": 3},
    ],
    "promotions": [{"id": "79555", "identifier": "b86ca53f-4c5e-46d3-8d33-b61c4f49392c"}],
}
OVERDRAFT: Final[Json] = {
    "program_id": "974",
    "name": "With ALLOW_NEGATIVE_BALANCE_ON_RETURN, without alternate currencies",
    "allow_negative": True,
    "currencies": [{"code": "points", "decimals": 2}],
}
ENROLLED_ONLY: Final[Json] = {
    "program_id": "975",
    "name": "For customers who enrolled",
    "enrolment": "required",
    "currencies": [{"code": "points", "decimals": 2}],
}

_REASON: Final = "Extra points were issued"
_USER: Final = {"user-id": MEMBER, "program-id": "973"}
_IDENTIFIER: Final = "b86ca53f-4c5e-46d3-8d33-b61c4f49392c"
_POINTS_MESSAGE: Final = "points deducted successfully for the user "


def _asked(**fields: object) -> Json:
    return {"pointCategoryTypes": "REGULAR", "reasonOfReturn": _REASON, **fields}


def _available(points: str) -> Json:
    return {
        "status": "success",
        "pointsAvailable": points,
        "message": _POINTS_MESSAGE,
        "warnings": [],
    }


def _value(currency: str, value: str) -> Json:
    message = f"{currency} deducted successfully for the user "
    return {"status": "success", "valueAvailable": value, "message": message, "warnings": []}


def _errors(code: int, message: object) -> Json:
    return {"errors": [{"status": False, "code": code, "message": message}]}


def _credit(points: str, **fields: object) -> Json:
    return {"points": points, **fields}


def _capillary(name: str, body: object, reply: Json, **more: Any) -> Vector:
    known = {"headers": _USER, "programme": ACME, "setup": (_credit("770"),)}
    return Vector(name, CAPILLARY, body=body, reply=reply, **(known | more))


_AWARDED: Final = {"pointsAwardedId": 38768508, "pointsAwardedRefType": "bill_regular"}
_AWARD: Final = {"award_id": "38768508", "award_type": "bill_regular"}
_PROMOTED: Final = {"promotion_id": "79555"}
_COINS: Final = {"alternateCurrencyName": "coins", "valueToBeAdjusted": "10"}
_OTHER: Final = _credit("5")
_OTHER_COINS: Final = _credit("5", currency="coins")


def _aimed(number: str, aim: Json, label: Json) -> Vector:
    """Points are taken from what the message names, of which there are 20, beside 5 others."""
    body = _asked(**aim, pointsToBeAdjusted="10")
    setup = (_OTHER, _credit("20", **label))
    return _capillary(number, body, _available("15.000"), setup=setup)


def _aimed_coins(number: str, aim: Json, label: Json) -> Vector:
    setup = (_OTHER_COINS, _credit("20", currency="coins", **label))
    return _capillary(number, _asked(**aim, **_COINS), _value("coins", "15.000"), setup=setup)


CAPILLARY_VECTORS: Final = (
    _capillary("CV1", _asked(pointsToBeAdjusted="100.00"), _available("670.000")),
    _aimed("CV2", _AWARDED, _AWARD),
    _aimed("CV3", {"promotionId": 79555}, _PROMOTED),
    _aimed("CV4", {"promotionIdentifier": _IDENTIFIER, "programId": 973}, _PROMOTED),
    _aimed("CV5", {"programId": 973}, {}),
    _aimed_coins("CV6", _AWARDED, _AWARD),
    _aimed_coins("CV7", {"promotionId": 79555}, _PROMOTED),
    _aimed_coins("CV8", {"promotionIdentifier": _IDENTIFIER, "programId": 973}, _PROMOTED),
    _aimed_coins("CV9", {"programId": 973}, {}),
    _capillary(
        "CV10",
        _asked(alternateCurrencyName="DocCoin", valueToBeAdjusted="10"),
        _value("DocCoin", "80145.500"),
        setup=(_credit("80155.500", currency="DocCoin"),),
    ),
    _capillary(
        "CV11",
        _asked(programId=973, pointsToBeAdjusted="10.123"),
        _errors(
            8906,
            "decimal places passed: 3 is greater than the configured round decimals: 2 for"
            " programId: 973",
        ),
    ),
    _capillary(
        "CV12",
        _asked(pointsToBeAdjusted="10"),
        _errors(8003, "Invalid source"),
        headers={**_USER, "source": "NOPE"},
    ),
    _capillary(
        "CV13",
        _asked(pointsToBeAdjusted="10"),
        _errors(8015, "Customer not found for the given identifiers"),
        headers={"user-id": MEMBER, "program-id": "975"},
        programme=ENROLLED_ONLY,
        setup=(),
    ),
    _capillary(
        "CV13 by an identifier of nobody",
        _asked(pointsToBeAdjusted="10"),
        _errors(8015, "Customer not found for the given identifiers"),
        headers={
            "identifier-name": "mobile",
            "identifier-value": "+49 000 0000",
            "program-id": "973",
        },
        setup=(),
        letter="member_not_found",
    ),
    _capillary(
        "CV14",
        _asked(pointsToBeAdjusted="10"),
        _errors(8013, "Lookup,Invalid identifier passed"),
        headers={"identifier-name": "loyaltyCard", "identifier-value": "1", "program-id": "973"},
        setup=(),
        letter="invalid_identifier_type",
    ),
    _capillary(
        "CV15",
        _asked(pointsToBeAdjusted="101.54"),
        _errors(
            8907,
            "points to be deducted 101.54 is greater than available points for program and"
            " NegativeBalanceOnReturn config is disabled for org.",
        ),
        setup=(_credit("101.53"),),
    ),
    _capillary(
        "CV16",
        _asked(pointsToBeAdjusted="100"),
        _available("-100.000"),
        headers={"user-id": MEMBER, "program-id": "974"},
        programme=OVERDRAFT,
        setup=(),
    ),
    _capillary(
        "CV17",
        _asked(pointsToBeAdjusted="0"),
        _errors(8888, "Points to be adjusted cannot be zero"),
    ),
    _capillary(
        "CV18",
        _asked(promotionIdentifier=_IDENTIFIER, pointsToBeAdjusted="10"),
        _errors(8887, "Provide Program Id with Promotion Identifier"),
    ),
    _capillary(
        "CV19",
        _asked(promotionId=12345, pointsToBeAdjusted="10"),
        _errors(8874, "promotion id passed is invalid"),
    ),
    _capillary(
        "CV20",
        _asked(pointsAwardedId=1, pointsAwardedRefType="bill_regular", pointsToBeAdjusted="10"),
        _errors(8877, "points awarded Id passed is invalid"),
    ),
    _capillary(
        "CV21",
        _asked(pointsAwardedId=38768508, pointsAwardedRefType="bill", pointsToBeAdjusted="10"),
        _errors(9975, "Points awarded ref type is invalid"),
        setup=(_credit("20", **_AWARD),),
    ),
    _capillary(
        "CV22",
        _asked(**_COINS),
        _errors(8911, "No alternate currency with name coins found for programId in org"),
        headers={"user-id": MEMBER, "program-id": "974"},
        programme=OVERDRAFT,
        setup=(),
    ),
    _capillary(
        "CV23 without a reason",
        {"pointsToBeAdjusted": "10"},
        _errors(8882, "Reason for adjustment cannot be null"),
    ),
    _capillary(
        "CV23 with a null one",
        _asked(pointsToBeAdjusted="10", reasonOfReturn=None),
        _errors(8882, "Reason for adjustment cannot be null"),
    ),
    _capillary(
        "CV24",
        _asked(programId=97, pointsToBeAdjusted="10"),
        _errors(
            1218,
            "Customer not enrolled in loyalty program : customer not found for programId 97",
        ),
        programme=None,
        program_id="97",
        setup=(),
    ),
    _capillary(
        "CV25",
        {"pointsToBeAdjusted": "100.00", "reasonOfReturn": _REASON},
        _available("670.000"),
        setup=(_credit("770"), _credit("5", category="PROMISED")),
    ),
    _capillary(
        "a promotion id of ten digits",
        _asked(promotionId=1234567890, pointsToBeAdjusted="10"),
        _errors(400, "Input is invalid"),
    ),
    _capillary(
        "by an identifier",
        _asked(pointsToBeAdjusted=100),
        _available("670.000"),
        headers={
            "identifier-name": "externalId",
            "identifier-value": MEMBER,
            "program-id": "973",
            "source": "INSTORE",
        },
        identifiers=(("externalId", MEMBER),),
    ),
    _capillary(
        "points of a category",
        _asked(pointCategoryTypes="PROMISED", pointsToBeAdjusted="1.5"),
        _available("3.500"),
        setup=(_credit("770"), _credit("5", category="PROMISED")),
    ),
    _capillary(
        "what is held is not available",
        _asked(pointsToBeAdjusted="100"),
        _available("600.000"),
        setup=(_credit("770"), {"operation": "HOLD", "points": "70"}),
    ),
)

# ----------------------------------------------------------------------------------------- Beans

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


BEANS_VECTORS: Final = (
    _beans(
        "BV1",
        {"type": "credit", "points": 50, "description": "Refund in points instead of cash"},
        _balance("committed", "50", "150", "0"),
        _credit("100"),
    ),
    _beans(
        "BV2",
        {"type": "debit", "points": 50, "description": "Redeemed after the order was placed"},
        _balance("committed", "-50", "50", "0"),
        _credit("100"),
    ),
    _beans(
        "BV3 pending",
        {"type": "debit", "points": 80, "description": "An order", "pending": True},
        _balance("pending", "0", "100", "80"),
        _credit("100"),
    ),
    _beans(
        "BV3 committed",
        {"type": "commit", "debit": "order-1"},
        _balance("committed", "-80", "20", "0"),
        _credit("100"),
        _PENDING,
    ),
    _beans(
        "BV3 cancelled",
        {"type": "cancel", "debit": "order-1", "description": "The customer cancelled"},
        _balance("cancelled", "0", "100", "0"),
        _credit("100"),
        _PENDING,
    ),
    _beans(
        "BV3 committed when it has ended",
        {"type": "commit", "debit": "order-1"},
        _refused(409, "hold_ended"),
        _credit("100"),
        _PENDING,
        {"operation": "RELEASE", "hold": "order-1"},
    ),
    _beans(
        "BV4 pending",
        {"type": "debit", "points": 80, "description": "Another order", "pending": True},
        _refused(422, "insufficient_points"),
        _credit("100"),
        _PENDING,
    ),
    _beans(
        "BV4 at once",
        {"type": "debit", "points": 21},
        _refused(422, "insufficient_points"),
        _credit("100"),
        _PENDING,
    ),
)

# --------------------------------------------------------------------------- White Label Loyalty

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

WLL_VECTORS: Final = (
    _wll("WV1", _SORRY, _adjusted(_SORRY, "20", "120", "120"), _credit("100")),
    _wll("WV2", _MINUS_20, _adjusted(_MINUS_20, "-20", "80", "100"), _credit("100")),
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
        _credit("900"),
        programme=CAPPED,
    ),
    _wll(
        "what bypassed a cap does not count under it",
        _PLUS_200,
        _adjusted(_PLUS_200, "200", "1100", "1100"),
        _credit("900", bypass_caps=True),
        programme=CAPPED,
    ),
    _wll("WV7", _MINUS_100, _adjusted(_MINUS_100, "-100", "0", "100"), _credit("100")),
    _wll("reactors run together", _PURCHASE, _adjusted(_PURCHASE, "40", "40", "40")),
)

VECTORS: Final = (*CAPILLARY_VECTORS, *BEANS_VECTORS, *WLL_VECTORS)
