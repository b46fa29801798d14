"""The messages of the five vendors' systems, and the replies to them, as JSON Schemas.

Their bodies are the vendors' own; how the worker reads them, and what of the replies is its own, is
told in `worker/dialects/README.md`. Beyond JSON Schema are the same things as in a request, and
what only a programme knows.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, get_args

from schemas import fields, names, numbers
from schemas.identity import ID_BYTES_MAX
from schemas.program import INTRINSIC_EVENT_TYPES

Schema = dict[str, Any]

CAPILLARY: Final = "capillary.negative_points_adjustment"
BEANS: Final = "beans.balance"
WLL: Final = "wll.event"
VOUCHERIFY: Final = "voucherify.balance"
MASTERCARD: Final = "mastercard.points_adjustment"


class Dialect(NamedTuple):
    """What a vendor's messages hold: headers, body, and the body of the reply."""

    headers: Schema
    body: Schema
    reply: Schema


def _text(bytes_min: int, bytes_max: int, description: str = "") -> Schema:
    schema = dict(fields.string(bytes_min, bytes_max).schema)
    return schema | ({"description": description} if description else {})


def _not_blank(bytes_max: int, description: str = "") -> Schema:
    """Return a text that counts as missing where it is blank."""
    return _text(1, bytes_max, description) | {"pattern": r"\S"}


def _object(required: tuple[str, ...], /, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _all(**properties: Schema) -> Schema:
    return _object(tuple(properties), **properties)


def _headers(**headers: str) -> Schema:
    """Return the headers; those whose description begins with Required are."""
    texts = {name.replace("_", "-"): text for name, text in headers.items()}
    texts["program-id"] = "The programme; default: default."
    schema: Schema = {"type": "object"}
    schema["properties"] = {
        name: {"type": "string", "description": text} for name, text in texts.items()
    }
    required = [name for name, text in texts.items() if text.startswith("Required")]
    return schema | ({"required": required} if required else {})


_ID: Final = _text(1, ID_BYTES_MAX)
_STRINGS: Final[Schema] = {"type": "array", "items": {"type": "string"}}
_DECIMAL: Final[Schema] = dict(fields.DECIMAL.schema)
_UNSIGNED: Final[Schema] = dict(fields.UNSIGNED.schema)
_AMOUNT: Final[Schema] = dict(fields.AMOUNT.schema)
_MAGNITUDE: Final[Schema] = {
    "anyOf": [
        {"type": "number", "minimum": 0, "exclusiveMaximum": 10**numbers.WHOLE_DIGITS_MAX},
        {"type": "string", "pattern": f"^{numbers.AMOUNT_PATTERN.removeprefix('-?')}$"},
    ]
}
_WHOLE_MAX: Final = 10**numbers.WHOLE_DIGITS_MAX - 1
_MEMBER: Final = "Required: the member id."
# What a vendor shows no form of is an outcome's error.
_ERROR: Final[Schema] = _all(
    code={"type": "integer"},
    key={"type": "string"},
    message={"type": "string"},
    details={
        "type": "array",
        "items": _all(**{name: {"type": "string"} for name in ("field", "rule", "got")}),
    },
)

# ------------------------------------------------------------------------------------- Capillary

_THREE_DECIMALS: Final[Schema] = {"type": "string", "pattern": r"^-?[0-9]+\.[0-9]{3}$"}
_TOLD: Final[Schema] = {"message": {"type": "string"}, "warnings": _STRINGS}
_SUCCESS: Final[Schema] = {"status": {"const": "success"}}

_CAPILLARY: Final = Dialect(
    headers={
        **_headers(
            user_id="The member id; or:",
            identifier_name="externalId, mobile, email, id or userId.",
            identifier_value="The identifier.",
            source="One of the 12 that the vendor lists.",
        ),
        "anyOf": [
            {"required": ["user-id"]},
            {"required": ["identifier-name", "identifier-value"]},
            {"required": [names.MEMBER_ID_HEADER]},
        ],
    },
    body={
        **_object(
            ("reasonOfReturn",),
            pointsToBeAdjusted=_MAGNITUDE,
            valueToBeAdjusted=_MAGNITUDE,
            alternateCurrencyName=_text(1, 64),
            pointsAwardedId={"anyOf": [{"type": "integer"}, _ID]},
            pointsAwardedRefType={"enum": list(get_args(names.AwardType))},
            programId={"anyOf": [{"type": "integer"}, dict(fields.PROGRAM_ID.schema)]},
            promotionId={
                "anyOf": [
                    {"type": "integer", "minimum": 0, "maximum": 999_999_999},
                    {"type": "string", "pattern": "^[0-9]{1,9}$"},
                ]
            },
            promotionIdentifier=_ID,
            pointCategoryTypes={"enum": list(get_args(names.Category)), "default": names.REGULAR},
            reasonOfReturn=_not_blank(200) | {"maxLength": 50},
        ),
        "oneOf": [
            {"required": ["pointsToBeAdjusted"]},
            {"required": ["valueToBeAdjusted", "alternateCurrencyName"]},
        ],
        # As AsyncAPI's older dialect of JSON Schema reads it too.
        "allOf": [
            {"if": {"required": [name]}, "then": {"required": [other]}}
            for name, other in (
                ("valueToBeAdjusted", "alternateCurrencyName"),
                ("alternateCurrencyName", "valueToBeAdjusted"),
                ("pointsAwardedId", "pointsAwardedRefType"),
                ("pointsAwardedRefType", "pointsAwardedId"),
                ("promotionIdentifier", "programId"),
            )
        ],
        "not": {"required": ["promotionId", "promotionIdentifier"]},
    },
    reply={
        "anyOf": [
            _all(**_SUCCESS, pointsAvailable=_THREE_DECIMALS, **_TOLD),
            _all(**_SUCCESS, valueAvailable=_THREE_DECIMALS, **_TOLD),
            _all(
                errors={
                    "type": "array",
                    "minItems": 1,
                    "items": _all(
                        status={"const": False},
                        code={"type": "integer"},
                        message={"type": "string"},
                    ),
                }
            ),
        ]
    },
)

# ----------------------------------------------------------------------------------------- Beans

_BEANS: Final = Dialect(
    headers=_headers(member_id=_MEMBER),
    body={
        "anyOf": [
            _object(
                ("type", "points"),
                type={"const": "credit"},
                points=_MAGNITUDE,
                description=_text(0, 255),
                pending={"const": False},
            ),
            _object(
                ("type", "points"),
                type={"const": "debit"},
                points=_MAGNITUDE,
                description=_text(0, 255),
                pending={"type": "boolean", "default": False},
            ),
            _object(
                ("type", "debit"),
                type={"enum": ["commit", "cancel"]},
                debit=_text(1, ID_BYTES_MAX, "The message_id of the pending debit."),
                description=_text(0, 255),
            ),
        ]
    },
    reply={
        "anyOf": [
            _all(
                status={"enum": ["committed", "pending", "cancelled"]},
                points=_DECIMAL,
                balance=_DECIMAL,
                pending=_UNSIGNED,
                warnings=_STRINGS,
            ),
            _all(status={"const": "refused"}, error=_ERROR),
        ]
    },
)

# --------------------------------------------------------------------------- White Label Loyalty

_EVENT_TYPE: Final[Schema] = {"type": ["string", "null"]}

_WLL: Final = Dialect(
    headers=_headers(member_id=_MEMBER),
    body=_all(
        eventType={
            "allOf": [
                _text(1, 128, "One that a reactor of the programme waits for."),
                {"not": {"enum": list(INTRINSIC_EVENT_TYPES)}},
            ]
        },
        payload={"type": "object", "properties": {"comment": _text(0, 2000)}},
    ),
    reply={
        "anyOf": [
            _all(
                eventType=_EVENT_TYPE,
                payload={"type": ["object", "null"]},
                pointsAdjusted=_DECIMAL,
                forfeited=_UNSIGNED,
                balance=_DECIMAL,
                lifetime=_UNSIGNED,
                warnings=_STRINGS,
            ),
            _all(eventType=_EVENT_TYPE, error=_ERROR),
        ]
    },
)

# ------------------------------------------------------------------------------------ Voucherify

_VOUCHERIFY: Final = Dialect(
    headers=_headers(member_id=_MEMBER, campaign_id="Stands for program-id where that is absent."),
    body={
        **_object(
            ("points",),
            points={"type": "integer", "minimum": -_WHOLE_MAX, "maximum": _WHOLE_MAX},
            expiration_type={"enum": list(get_args(names.ExpirationType))},
            expiration_date=dict(fields.DAY.schema),
            reason=_text(0, 255),
            source_id=_text(0, ID_BYTES_MAX),
        ),
        "if": {"properties": {"points": {"minimum": 0}}},
        "then": {
            "if": {
                "properties": {"expiration_type": {"const": names.CUSTOM_DATE}},
                "required": ["expiration_type"],
            },
            "then": {"required": ["expiration_date"]},
            "else": {"properties": {"expiration_date": False}},
        },
    },
    reply={
        "anyOf": [
            _all(
                points={"type": "integer"},
                total={"type": "integer", "minimum": 0},
                balance={"type": "integer", "minimum": 0},
                type={"const": "loyalty_card"},
                object={"const": "balance"},
                related_object=_all(type={"const": "voucher"}, id=_ID),
                operation_type={"enum": list(get_args(names.OperationType))},
            ),
            _object(
                ("code", "key", "message"),
                code={"type": "integer"},
                key={"type": "string"},
                message={"type": "string"},
                details={"type": "string"},
                request_id={"type": "string", "pattern": "^v-[0-9a-f]{18}$"},
                resource_id={"type": "string"},
                resource_type={"enum": ["voucher", "campaign"]},
            ),
        ]
    },
)

# ------------------------------------------------------------------------------------ Mastercard

_ENCRYPTED: Final[Schema] = _all(
    encryptedData={
        "type": "string",
        "pattern": r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){4}$",
        "description": "The body, as a JWE in its compact form.",
    }
)

_MASTERCARD: Final = Dialect(
    headers=_headers(reply_kid="Asks for an encrypted reply, for the caller's key of this id."),
    body={
        "anyOf": [
            _all(
                bankAccountNumber=_not_blank(255),
                pointsToAdjust=_MAGNITUDE,
                adjustmentTypeCode=_not_blank(64, "One that the programme says the direction of."),
                adjustmentReason=_not_blank(255),
                adjustedBy=_not_blank(ID_BYTES_MAX),
            ),
            _ENCRYPTED,
        ]
    },
    reply={
        "anyOf": [
            {
                "type": "object",
                "description": "The number of points adjusted, in the programme's response_field.",
                "additionalProperties": {"type": "number", "minimum": 0},
                "minProperties": 1,
                "maxProperties": 1,
            },
            _all(
                Errors=_all(
                    Error={
                        "type": "array",
                        "minItems": 1,
                        "items": _all(
                            Source={"type": "string"},
                            ReasonCode={"type": "string"},
                            Description={"type": "string"},
                            Recoverable={"enum": ["true", "false"]},
                            Details={"type": "string"},
                        ),
                    }
                )
            ),
            _ENCRYPTED,
        ]
    },
)

DIALECTS: Final[dict[str, Dialect]] = {
    CAPILLARY: _CAPILLARY,
    BEANS: _BEANS,
    WLL: _WLL,
    VOUCHERIFY: _VOUCHERIFY,
    MASTERCARD: _MASTERCARD,
}
"""By the AMQP `type`, of a message and of the reply to it."""
