"""The vectors of Capillary."""

from __future__ import annotations

from typing import Any, Final

from tests.dialect_vectors.vector import MEMBER, Json, Vector, credit

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


def _capillary(name: str, body: object, reply: Json, **more: Any) -> Vector:
    known = {"headers": _USER, "programme": ACME, "setup": (credit("770"),)}
    return Vector(name, CAPILLARY, body=body, reply=reply, **(known | more))


_AWARDED: Final = {"pointsAwardedId": 38768508, "pointsAwardedRefType": "bill_regular"}
_AWARD: Final = {"award_id": "38768508", "award_type": "bill_regular"}
_PROMOTED: Final = {"promotion_id": "79555"}
_COINS: Final = {"alternateCurrencyName": "coins", "valueToBeAdjusted": "10"}
_OTHER: Final = credit("5")
_OTHER_COINS: Final = credit("5", currency="coins")


def _aimed(number: str, aim: Json, label: Json) -> Vector:
    """Points are taken from what the message names, of which there are 20, beside 5 others."""
    body = _asked(**aim, pointsToBeAdjusted="10")
    setup = (_OTHER, credit("20", **label))
    return _capillary(number, body, _available("15.000"), setup=setup)


def _aimed_coins(number: str, aim: Json, label: Json) -> Vector:
    setup = (_OTHER_COINS, credit("20", currency="coins", **label))
    return _capillary(number, _asked(**aim, **_COINS), _value("coins", "15.000"), setup=setup)


VECTORS: Final = (
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
        setup=(credit("80155.500", currency="DocCoin"),),
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
        setup=(credit("101.53"),),
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
        setup=(credit("20", **_AWARD),),
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
        setup=(credit("770"), credit("5", category="PROMISED")),
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
        setup=(credit("770"), credit("5", category="PROMISED")),
    ),
    _capillary(
        "what is held is not available",
        _asked(pointsToBeAdjusted="100"),
        _available("600.000"),
        setup=(credit("770"), {"operation": "HOLD", "points": "70"}),
    ),
)
