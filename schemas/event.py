"""The event of an outcome: a CloudEvent 1.0 in structured JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas import fields, names
from schemas.identity import PROGRAM_ID_PATTERN
from schemas.outcome import Outcome  # noqa: TC001 - pydantic reads it at run time.

UUID5_PATTERN = r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def _describe(schema: dict[str, Any]) -> None:
    rejected = {"properties": {"data": {"properties": {"status": {"const": names.REJECTED}}}}}
    applied = {"properties": {"data": {"properties": {"status": {"const": names.APPLIED}}}}}
    schema["allOf"] = [
        {
            "if": {"properties": {"type": {"const": names.ADJUSTMENT_REJECTED}}},
            "then": rejected,
            "else": applied,
        }
    ]


class Event(BaseModel):
    """What happened to a member, told at least once and in order of `sequence`.

    Drop what you have seen by `id`; a gap in `sequence` says that something is still to come.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, json_schema_extra=_describe)

    specversion: Literal["1.0"]
    id: Annotated[str, Field(pattern=f"^{UUID5_PATTERN}$")] = Field(
        description="The same for the same happening, however often it is told."
    )
    source: Annotated[str, Field(pattern=f"^{names.SOURCE_PREFIX}{PROGRAM_ID_PATTERN}$")] = Field(
        description="`/points/` and the programme."
    )
    type: names.EventType
    subject: fields.Id = Field(description="The member.")
    time: fields.Moment = Field(description="When it was recorded.")
    datacontenttype: Literal["application/json"]
    dataschema: Literal["urn:points-worker:schema:outcome:v1"]
    partitionkey: fields.Id = Field(description="The member: what order is kept by.")
    sequence: Annotated[str, Field(pattern=f"^[0-9]{{{names.SEQUENCE_DIGITS}}}$")] = Field(
        description="The member's counter, padded with zeros so that it sorts as text."
    )
    data: Outcome

    @model_validator(mode="after")
    def _is_of_its_data(self) -> Self:
        data = self.data
        if self.subject != data.member_id or self.partitionkey != data.member_id:
            raise ValueError("must have its data's member as subject and partitionkey")
        if self.source != names.SOURCE_PREFIX + data.program_id:
            raise ValueError("must have its data's programme in source")
        if int(self.sequence) != data.sequence or data.sequence == 0:
            raise ValueError("must have its data's sequence, counted from 1")
        if self.time != data.recorded_at:
            raise ValueError("must have its data's recorded_at as time")
        expected = names.REJECTED if self.type == names.ADJUSTMENT_REJECTED else names.APPLIED
        if data.status != expected:
            raise ValueError("must be of a type that its data's status can have")
        return self
