"""Rules of a request that tie several fields together.

Each is written once, for the model and for JSON Schema, and is found broken without knowing more
than the request itself. A null field counts as absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from schemas.names import (
    ADJUST,
    CAPTURE,
    CONVERT,
    CUSTOM_DATE,
    EXPIRE,
    EXTERNAL_TRIGGER_BASED,
    HOLD,
    NON_EXPIRING,
    PROGRAM_RULES,
    PROMISED,
    REGULAR,
    RELEASE,
    REVERSE,
    SET_BALANCE,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.request import AdjustmentRequest

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the field it blames, all the fields it looks at, and the sentence that tells it."""

    field: str
    looks_at: frozenset[str]
    sentence: str
    broken: Callable[[AdjustmentRequest], bool]
    schema: Schema


def _given(name: str) -> Schema:
    return {"required": [name], "properties": {name: {"not": {"type": "null"}}}}


def _absent(name: str) -> Schema:
    return {"properties": {name: {"type": "null"}}}


def _operation(*names: str) -> Schema:
    if ADJUST in names:
        return {"properties": {"operation": {"enum": [*names, None]}}}
    return {"required": ["operation"], "properties": {"operation": {"enum": list(names)}}}


def _where(condition: Schema, then: Schema) -> Schema:
    return {"if": condition, "then": then}


_POSITIVE: Schema = {"properties": {"points": {"exclusiveMinimum": 0, "pattern": "^[^-]*[1-9]"}}}
_NEGATIVE: Schema = {
    "required": ["points"],
    "properties": {
        "points": {
            "anyOf": [
                {"type": "number", "exclusiveMaximum": 0},
                {"type": "string", "pattern": "^-.*[1-9]"},
            ]
        }
    },
}
_EXPIRING: Schema = {
    "anyOf": [
        _given("expiration_date"),
        {
            "required": ["expiration_type"],
            "properties": {"expiration_type": {"enum": [NON_EXPIRING, CUSTOM_DATE]}},
        },
    ]
}
_CUSTOM_DATE: Schema = {
    "required": ["expiration_type"],
    "properties": {"expiration_type": {"const": CUSTOM_DATE}},
}
_CREDIT: Schema = {
    "anyOf": [
        _operation(SET_BALANCE, CONVERT),
        {"allOf": [_operation(ADJUST), {"not": _NEGATIVE}]},
    ]
}


def _expires_without_credit(request: AdjustmentRequest) -> bool:
    if request.expiration_type == PROGRAM_RULES and request.expiration_date is None:
        return False
    if request.operation == ADJUST:
        # By zero it is no debit either; that fault has a key of its own.
        return request.points is not None and request.points.digits < 0
    return request.operation not in (SET_BALANCE, CONVERT)


RULES: Final = (
    Rule(
        "points",
        frozenset({"operation", "points"}),
        "is required with ADJUST, SET_BALANCE and HOLD",
        lambda r: r.points is None and r.operation in (ADJUST, SET_BALANCE, HOLD),
        _where(_operation(ADJUST, SET_BALANCE, HOLD), _given("points")),
    ),
    Rule(
        "points",
        frozenset({"operation", "points"}),
        "has no meaning with RELEASE and EXPIRE",
        lambda r: r.points is not None and r.operation in (RELEASE, EXPIRE),
        _where(_operation(RELEASE, EXPIRE), _absent("points")),
    ),
    Rule(
        "points",
        frozenset({"operation", "points"}),
        "must be more than zero with HOLD, CAPTURE, REVERSE and CONVERT",
        lambda r: (
            r.points is not None
            and r.points.digits <= 0
            and r.operation in (HOLD, CAPTURE, REVERSE, CONVERT)
        ),
        _where(_operation(HOLD, CAPTURE, REVERSE, CONVERT), _POSITIVE),
    ),
    Rule(
        "reverses",
        frozenset({"operation", "reverses"}),
        "is required with REVERSE",
        lambda r: r.reverses is None and r.operation == REVERSE,
        _where(_operation(REVERSE), _given("reverses")),
    ),
    Rule(
        "reverses",
        frozenset({"operation", "reverses"}),
        "goes with REVERSE only",
        lambda r: r.reverses is not None and r.operation != REVERSE,
        _where(_given("reverses"), _operation(REVERSE)),
    ),
    Rule(
        "hold",
        frozenset({"operation", "hold"}),
        "is required with CAPTURE and RELEASE",
        lambda r: r.hold is None and r.operation in (CAPTURE, RELEASE),
        _where(_operation(CAPTURE, RELEASE), _given("hold")),
    ),
    Rule(
        "hold",
        frozenset({"operation", "hold"}),
        "goes with CAPTURE and RELEASE only",
        lambda r: r.hold is not None and r.operation not in (CAPTURE, RELEASE),
        _where(_given("hold"), _operation(CAPTURE, RELEASE)),
    ),
    Rule(
        "ttl_seconds",
        frozenset({"operation", "ttl_seconds"}),
        "goes with HOLD only",
        lambda r: "ttl_seconds" in r.model_fields_set and r.operation != HOLD,
        _where(_given("ttl_seconds"), _operation(HOLD)),
    ),
    Rule(
        "category",
        frozenset({"operation", "category"}),
        "must name the category to convert from, which is not REGULAR, with CONVERT",
        lambda r: r.operation == CONVERT and r.category == REGULAR,
        _where(
            _operation(CONVERT),
            {
                "required": ["category"],
                "properties": {"category": {"enum": [PROMISED, EXTERNAL_TRIGGER_BASED]}},
            },
        ),
    ),
    Rule(
        "promotion_id",
        frozenset({"promotion_id", "promotion_identifier"}),
        "excludes promotion_identifier: give one or the other",
        lambda r: r.promotion_id is not None and r.promotion_identifier is not None,
        _where(_given("promotion_id"), _absent("promotion_identifier")),
    ),
    Rule(
        "award_type",
        frozenset({"award_type", "award_id"}),
        "needs award_id",
        lambda r: r.award_type is not None and r.award_id is None,
        _where(_given("award_type"), _given("award_id")),
    ),
    Rule(
        "expiration_date",
        frozenset({"expiration_type", "expiration_date"}),
        "is required with expiration_type CUSTOM_DATE",
        lambda r: r.expiration_type == CUSTOM_DATE and r.expiration_date is None,
        _where(_CUSTOM_DATE, _given("expiration_date")),
    ),
    Rule(
        "expiration_date",
        frozenset({"expiration_type", "expiration_date"}),
        "goes with expiration_type CUSTOM_DATE only",
        lambda r: r.expiration_type != CUSTOM_DATE and r.expiration_date is not None,
        _where(_given("expiration_date"), _CUSTOM_DATE),
    ),
    Rule(
        "expiration_type",
        frozenset({"operation", "points", "expiration_type", "expiration_date"}),
        "goes with credits only: a positive ADJUST, SET_BALANCE or CONVERT",
        _expires_without_credit,
        _where(_EXPIRING, _CREDIT),
    ),
    Rule(
        "ordinal_stream",
        frozenset({"ordinal", "ordinal_stream"}),
        "needs ordinal",
        lambda r: r.ordinal_stream is not None and r.ordinal is None,
        _where(_given("ordinal_stream"), _given("ordinal")),
    ),
)

# An ADJUST of some amount can break a rule only if it gives one of these fields.
TIED_FIELDS: Final = frozenset(rule.field for rule in RULES) - {"points", "category"}
