"""The outcome of a request: the reply, and the data of its event."""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas import errors, fields, names

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)

_WALLET_FIELDS: Final = ("balance", "available", "total", "version")


class Detail(BaseModel):
    """One fault of an invalid payload."""

    model_config = _STRICT

    field: str = Field(description="The field, or `body` for the whole.")
    rule: str = Field(description="The rule that it breaks.")
    got: str = Field(description="The shape of what came instead, never the value itself.")


def _codes(schema: dict[str, Any]) -> None:
    schema["properties"]["key"]["enum"] = list(errors.ERRORS)
    schema["anyOf"] = [
        {
            "properties": {
                "code": {"const": code},
                "key": {"enum": [key for key, its in errors.ERRORS.items() if its == code]},
            }
        }
        for code in sorted(set(errors.ERRORS.values()))
    ]


class Error(BaseModel):
    """Why a request was rejected, or a message could not be understood."""

    model_config = _STRICT | ConfigDict(json_schema_extra=_codes)

    code: int = Field(description="The key's code, like a status of HTTP.")
    key: str = Field(description="The stable name of the error.")
    message: str = Field(description="One sentence for people.")
    details: list[Detail] = Field(description="Every fault of an invalid payload, else empty.")

    @model_validator(mode="after")
    def _is_in_the_catalogue(self) -> Self:
        if errors.ERRORS.get(self.key) != self.code:
            raise ValueError("must be a key of the catalogue with its own code")
        return self


class Lot(BaseModel):
    """A lot of points that was made or consumed."""

    model_config = _STRICT

    lot_id: str = Field(min_length=1)
    points: fields.Decimal = Field(description="How many points of it.")
    expires_at: fields.Moment | None = Field(
        description="The first instant at which they cannot be used; null: never."
    )
    award_id: fields.Id | None = Field(None, description="The award that labels it.")
    promotion_id: fields.Id | None = Field(None, description="The promotion that labels it.")


def _describe(schema: dict[str, Any]) -> None:
    null = {"type": "null"}
    present = {"not": null}
    schema["allOf"] = [
        {
            "if": {"properties": {"status": {"const": names.REJECTED}}},
            "then": {"properties": {"error": present, "points": {"pattern": "^0(\\.0+)?$"}}},
            "else": {"properties": {"error": null}},
        },
        {
            "if": {"properties": {"balance": null}},
            "then": {"properties": dict.fromkeys(_WALLET_FIELDS, null)},
            "else": {"properties": dict.fromkeys(_WALLET_FIELDS, present)},
        },
        {
            "if": {"properties": {"request_id": null}},
            "then": {"properties": {"caused_by": present}},
        },
    ]


class Outcome(BaseModel):
    """What came of a request, or of something that it caused to happen.

    Every field is always there. Amounts are strings with as many decimals as the currency has.
    """

    model_config = _STRICT | ConfigDict(json_schema_extra=_describe)

    request_id: fields.Id | None = Field(
        description="The request; null for points that expired, see caused_by."
    )
    program_id: fields.ProgramId
    member_id: fields.Id
    operation: names.Operation | None = Field(description="Null if it could not be read.")
    status: names.Status
    currency: str | None = Field(description="Null if no currency was found.")
    category: names.Category | None
    requested: fields.Decimal | None = Field(description="The points of the request.")
    points: fields.Decimal = Field(
        description="The signed change really made; zero for HOLD and RELEASE."
    )
    forfeited: fields.Unsigned = Field(description="What a cap cut off.")
    balance: fields.Decimal | None = Field(
        description="The wallet's balance after the change; null, like available, total and "
        "version, if no wallet was reached."
    )
    available: fields.Decimal | None = Field(
        description="The balance less what is held: the most that a debit may take."
    )
    total: fields.Unsigned | None = Field(
        description="Points earned over the lifetime, never reduced."
    )
    version: fields.Counter | None = Field(
        description="The wallet's counter: one more for each change of it."
    )
    sequence: fields.Counter = Field(
        description="The member's counter: one more for each stored outcome that applied or "
        "rejected something, without gaps."
    )
    lots: list[Lot] = Field(
        max_length=names.LOTS_LISTED_MAX,
        description="The lots that were made or consumed; at most 100, then with the warning "
        f"`{names.LOTS_TRUNCATED}`.",
    )
    expires_at: fields.Moment | None = Field(description="When the points or the hold run out.")
    reason: str | None
    reason_code: str | None
    comment: str | None
    adjusted_by: str | None
    source: str | None
    source_id: str | None
    operation_type: names.OperationType | None
    reverses: str | None
    hold: str | None
    metadata: dict[str, Any] | None
    occurred_at: fields.Moment | None
    recorded_at: fields.Moment = Field(description="When the outcome was decided.")
    caused_by: fields.Id | None = Field(
        description="The request with which the outcome came, where that is another one."
    )
    error: Error | None = Field(description="Why it was rejected; null if it was not.")
    warnings: list[str]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.status == names.REJECTED) != (self.error is not None):
            raise ValueError("must have an error if rejected, and only then")
        if self.status == names.REJECTED and self.points.strip("0.") != "":
            raise ValueError("must have changed nothing if rejected")
        if len({getattr(self, name) is None for name in _WALLET_FIELDS}) > 1:
            raise ValueError("must tell all of balance, available, total and version, or none")
        if self.request_id is None and self.caused_by is None:
            raise ValueError("must have a request_id or a caused_by")
        return self
