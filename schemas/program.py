"""The programme document as JSON Schema, for editors and for those who generate such documents.

The document is written in TOML, which has the same values. What is told of it here is what
`points-worker program apply` holds it to, as far as JSON Schema can tell: not that a code or id is
given once only, that a machine knows a time zone, or how many decimals go with a currency.
"""

from __future__ import annotations

from typing import Any, Final

from schemas import errors, fields, names, numbers

Schema = dict[str, Any]

PERIODS: Final = ("month", "quarter", "year")
CAP_PERIODS: Final = ("day", "week", *PERIODS)
PERMISSIONS: Final = (
    "adjust", "set_balance", "reverse", "hold", "convert", "bypass_caps", "allow_negative",
)  # fmt: skip
SIGNS: Final = ("credit", "debit")
INTRINSIC_EVENT_TYPES: Final = (
    "REGISTERED_ACCOUNT", "PURCHASED_REWARD", "CLOSED_ACCOUNT", "CONSENT_GIVEN", "CONSENT_REVOKED",
    "POINTS_ADJUSTED",
)  # fmt: skip
"""What White Label Loyalty makes itself: no reactor can wait for it."""
TAKEN_FIELDS: Final = ("Errors", "encryptedData")
"""What Mastercard's replies hold beside an answer."""


def _text(bytes_max: int, description: str = "") -> Schema:
    schema = dict(fields.string(1, bytes_max).schema)
    return schema | ({"description": description} if description else {})


def _one_of(choices: tuple[str, ...], default: str | None = None) -> Schema:
    return {"enum": list(choices)} | ({"default": default} if default else {})


def _count(most: int = 2**31 - 1, least: int = 0) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def _table(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def _list(items: Schema, description: str, *, at_least: int = 0) -> Schema:
    schema: Schema = {"type": "array", "items": items, "description": description}
    return schema | ({"minItems": at_least} if at_least else {})


# Amounts are texts: TOML's decimals are floats.
_SIZE: Final = numbers.AMOUNT_PATTERN.removeprefix("-?")
_AMOUNT: Final[Schema] = {"type": "string", "pattern": f"^{numbers.AMOUNT_PATTERN}$"}
_LIMIT: Final[Schema] = {"type": "string", "pattern": rf"^({_SIZE}|-0+(\.0+)?)$"}

_EXPIRY: Final[Schema] = {
    "description": "When points under PROGRAM_RULES expire, always with the end of a day in the"
    " time zone: so long after the day of the credit, or with the last day of the period in which"
    " the day after_months later lies. Default: never.",
    "anyOf": [
        _table(rule={"const": "never", "default": "never"}),
        {
            **_table(
                ("rule",), rule={"const": "after"}, days=_count(), months=_count(), years=_count()
            ),
            "anyOf": [{"required": [unit]} for unit in ("days", "months", "years")],
        },
        _table(
            ("rule", "period"),
            rule={"const": "end_of"},
            period=_one_of(PERIODS),
            after_months=_count(),
        ),
    ],
}
_CAP: Final[Schema] = {
    **_table(
        ("points",), points=_LIMIT, per=_one_of(CAP_PERIODS), rolling_days=_count(366, least=1)
    ),
    "oneOf": [{"required": ["per"]}, {"required": ["rolling_days"]}],
}
_CURRENCY: Final[Schema] = _table(
    ("code",),
    code=_text(64),
    decimals=_count(names.DECIMALS_MAX) | {"default": 0, "description": "Can never change."},
    expiry=_EXPIRY,
    balance_cap=_LIMIT,
    earn_caps=_list(_CAP, "What exceeds one is forfeited."),
    spend_caps=_list(_CAP, "An AUTOMATIC debit beyond one is refused."),
)
_NOT_BLANK: Final[Schema] = {"pattern": r"\S"}
_MASTERCARD: Final[Schema] = _table(
    adjustment_types={
        "type": "object",
        "propertyNames": _text(64) | _NOT_BLANK,
        "additionalProperties": _one_of(SIGNS),
    },
    response_field={"allOf": [_text(64) | _NOT_BLANK, {"not": {"enum": list(TAKEN_FIELDS)}}]},
    reason_codes=_table(**{key: _text(64) for key in errors.ERRORS}),
)

PROGRAM: Final[Schema] = {
    "title": "Programme",
    "description": "A programme document, for `points-worker program apply`.",
    **_table(
        ("program_id", "currencies"),
        program_id=dict(fields.PROGRAM_ID.schema),
        name=dict(fields.string(0, 255).schema),
        status=_one_of(("active", "inactive"), "active"),
        time_zone=_text(255, "A name of the IANA database; default: UTC."),
        enrolment=_one_of(("automatic", "required"), "automatic"),
        allow_negative={
            "type": "boolean",
            "default": False,
            "description": "Whether any debit may take a balance below zero.",
        },
        reason=_one_of(("optional", "required"), "optional"),
        reason_max_length=_count(255, least=1) | {"default": 255, "description": "In characters."},
        reason_codes=_list(
            _table(("code",), code=_text(64), sign=_one_of(SIGNS), max=_LIMIT), "Empty: any code."
        ),
        sources=_list(_text(128), "Empty: any; a request may name none.") | {"uniqueItems": True},
        currencies=_list(_CURRENCY, "The first is the default.", at_least=1),
        limits=_table(points_per_request=_LIMIT, points_per_operator_per_day=_LIMIT),
        promotions=_list(
            _table(("id",), id=_text(128), identifier=_text(128)), "Empty: any promotion_id."
        ),
        reactors=_list(
            _table(
                ("event_type", "property", "multiplier"),
                event_type={"allOf": [_text(128), {"not": {"enum": list(INTRINSIC_EVENT_TYPES)}}]},
                property=_text(128),
                multiplier=_AMOUNT | {"not": {"pattern": r"^-?0+(\.0+)?$"}},
                reason_code=_text(64, "That of the adjustment: an event cannot name one."),
            ),
            "What messages of type wll.event become.",
        ),
        publishers=_list(
            _table(
                ("user_id",),
                user_id=_text(255),
                may=_list(
                    _one_of(PERMISSIONS),
                    "What it may do: each operation by its name; hold is CAPTURE and RELEASE too,"
                    " EXPIRE needs none. bypass_caps and allow_negative are for requests that set"
                    " these fields, beside the operation's own.",
                )
                | {"uniqueItems": True},
            ),
            "None: whomever the broker lets in may do anything.",
        ),
        dialects=_table(mastercard=_MASTERCARD),
    ),
}
