"""The adjustment request: what publishers may send, and how it is read."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

from schemas import fields, names, text
from schemas.faults import again, broken
from schemas.numbers import Amount, parse
from schemas.reading import write_json
from schemas.rules import RULES, TIED_FIELDS

if TYPE_CHECKING:
    from pydantic_core import InitErrorDetails

# A hold for longer than ten years is a mistake in the unit.
TTL_SECONDS_MAX: Final = 10 * 366 * 86_400

Flag = Annotated[bool, Field(strict=True)]


def _describe(schema: dict[str, Any]) -> None:
    """Add to the generated schema that null counts as absent, and the rules between fields."""
    for name, field in schema["properties"].items():
        kinds = field.get("anyOf", [])
        if name in schema["required"] or {"type": "null"} in kinds:
            continue
        about = {key: field.pop(key) for key in ("default", "description") if key in field}
        field_schema = dict(field)
        field.clear()
        field.update(anyOf=[field_schema, {"type": "null"}], **about)
    schema["allOf"] = [rule.schema for rule in RULES]


class AdjustmentRequest(BaseModel):
    """One adjustment of one member's points.

    Validate what `read_json` returned. A null field counts as absent; an unknown field is
    refused, so that a misspelt one never silently does nothing.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, title="Adjustment request", json_schema_extra=_describe
    )

    request_id: fields.Id | None = Field(
        None,
        description="Idempotency key, unique per programme and member; the AMQP message_id "
        "stands in when it is absent.",
    )
    program_id: fields.ProgramId = Field(names.DEFAULT_PROGRAM_ID, description="The programme.")
    member_id: fields.Id = Field(description="The member whose points change.")
    operation: names.Operation = Field("ADJUST", description="What is to be done.")
    points: Annotated[Amount, fields.AMOUNT] | None = Field(
        None,
        description="ADJUST: the signed change; SET_BALANCE: the target; HOLD: how much to set "
        "aside; CAPTURE, REVERSE, CONVERT: how much of it (default: all). At most 15 digits "
        "before and 6 after the point; trailing zeros do not count; nothing is rounded.",
    )
    currency: Annotated[str, fields.string(1, 64)] | None = Field(
        None, description="The currency; default: the programme's first."
    )
    category: names.Category = Field(
        "REGULAR",
        description="The wallet: each category has its own. CONVERT moves from it to REGULAR.",
    )
    expiration_type: names.ExpirationType = Field(
        "PROGRAM_RULES", description="Credits only: when the points expire."
    )
    expiration_date: Annotated[date | datetime, fields.DAY] | None = Field(
        None,
        description="With CUSTOM_DATE: the last usable day in the programme's zone, or the instant "
        "at which the points expire (without an offset: in the programme's zone).",
    )
    award_id: fields.Id | None = Field(
        None, description="Credit: labels the lot; debit: only from that award."
    )
    award_type: names.AwardType | None = Field(None, description="The kind of that award.")
    promotion_id: fields.Id | None = Field(
        None, description="Credit: labels the lot; debit: only from that promotion."
    )
    promotion_identifier: fields.Id | None = Field(
        None, description="Another name of the promotion, instead of promotion_id."
    )
    reason: Annotated[str, fields.string(0, 255)] | None = Field(
        None, description="Why; required or not by programme."
    )
    reason_code: Annotated[str, fields.string(0, 64)] | None = Field(
        None, description="Why, as one of the programme's codes."
    )
    comment: Annotated[str, fields.string(0, 2000)] | None = Field(
        None, description="Carried into the event."
    )
    adjusted_by: Annotated[str, fields.string(0, 128)] | None = Field(
        None, description="The operator."
    )
    source: Annotated[str, fields.string(0, 128)] | None = Field(None, description="The channel.")
    source_id: Annotated[str, fields.string(0, 128)] | None = Field(
        None, description="The merchant's own transaction id."
    )
    operation_type: names.OperationType = Field(
        "MANUAL", description="Whether a person or a program decided."
    )
    reverses: fields.Id | None = Field(
        None,
        description="REVERSE: the request id of what is to be undone: an ADJUST, SET_BALANCE, "
        "CAPTURE or CONVERT.",
    )
    hold: fields.Id | None = Field(
        None,
        description="CAPTURE, RELEASE: the request id of the HOLD. Either ends it: what a CAPTURE "
        "leaves is free again.",
    )
    ttl_seconds: Annotated[int, Field(strict=True, ge=1, le=TTL_SECONDS_MAX)] = Field(
        names.DEFAULT_TTL_SECONDS, description="HOLD: lapses after so many seconds."
    )
    expected_version: fields.Counter | None = Field(
        None, description="Apply only if the wallet is at this version, after due expiry."
    )
    ordinal: fields.Positive | None = Field(
        None, description="The publishers' own counter per member and stream: 1, 2, 3 …"
    )
    ordinal_stream: Annotated[str, fields.string(1, 64)] | None = Field(
        None, description="The stream that the ordinal counts in."
    )
    bypass_caps: Flag = Field(
        default=False, description="Caps neither cut, refuse nor count it. Needs permission."
    )
    allow_negative: Flag = Field(
        default=False, description="It may take what is not there, below zero. Needs permission."
    )
    dry_run: Flag = Field(default=False, description="Answer as if, and change nothing.")
    occurred_at: Annotated[datetime, fields.MOMENT] | None = Field(
        None, description="When it happened; carried through."
    )
    metadata: Annotated[dict[str, Any], fields.METADATA] | None = Field(
        None, description="Carried through as it is; at most 4096 bytes as compact JSON."
    )

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, document: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        """Leave out what is null, read the fields, then hold them to the rules between them."""
        if type(document) is not dict:
            raise ValueError("must be a JSON object")
        if None in document.values():
            document = {
                name: value
                for name, value in document.items()
                if value is not None or name not in _DEFAULTS
            }
        try:
            request = read(document)
        except ValidationError as error:
            raise cls._every_fault(error, document, read) from None
        if (
            request.operation != names.ADJUST
            or request.points is None
            or not TIED_FIELDS.isdisjoint(request.model_fields_set)
        ):
            found = _broken_rules(request, document, frozenset())
            if found:
                raise ValidationError.from_exception_data(cls.__name__, found)
        return request

    @classmethod
    def _every_fault(
        cls,
        error: ValidationError,
        document: dict[str, Any],
        read: ModelWrapValidatorHandler[Self],
    ) -> ValidationError:
        """Add the rules between fields that are broken whatever the faulty fields should be.

        A publisher is told of every fault at once, not of the next one after each correction.
        """
        found = [again(fault) for fault in error.errors(include_url=False)]
        if any(text.flaw(name) == text.LONE_SURROGATE for name in document):
            # Pydantic stops at such a name, so the other fields are read without it.
            named = {n: v for n, v in document.items() if text.flaw(n) != text.LONE_SURROGATE}
            found = [broken("", "must have no name with a lone surrogate", document)]
            try:
                read(named)
            except ValidationError as other:
                found += [again(fault) for fault in other.errors(include_url=False)]
        faulty = frozenset(str(fault["loc"][0]) for fault in found if fault.get("loc"))
        sound = {n: v for n, v in document.items() if n in _DEFAULTS and n not in faulty}
        if "points" in sound:
            sound["points"] = parse(sound["points"])
        found += _broken_rules(cls.model_construct(**sound), document, faulty)
        return ValidationError.from_exception_data(cls.__name__, found)


_DEFAULTS: Final[dict[str, Any]] = {
    name: None if field.is_required() else field.default
    for name, field in AdjustmentRequest.model_fields.items()
}


def _broken_rules(
    request: AdjustmentRequest, document: dict[str, Any], faulty: frozenset[str]
) -> list[InitErrorDetails]:
    return [
        broken(rule.field, rule.sentence, document.get(rule.field))
        for rule in RULES
        if faulty.isdisjoint(rule.looks_at) and rule.broken(request)
    ]


_KEY_FIELDS: Final = frozenset({"program_id", "member_id", "request_id"})


def canonical(request: AdjustmentRequest) -> bytes:
    """Write what a request asks for in one form, from which its fingerprint is made.

    Compact JSON, names sorted, amounts and times in their shortest form; the three ids, absent
    fields and fields that say what is the default anyway are left out.
    """
    content: dict[str, Any] = {}
    values = request.__dict__
    for name in request.model_fields_set:
        value = values[name]
        if name in _KEY_FIELDS or value == _DEFAULTS[name]:
            continue
        if type(value) is Amount:
            value = str(value)
        elif isinstance(value, date):
            value = value.isoformat()
        content[name] = value
    return write_json(content, sort_keys=True)
