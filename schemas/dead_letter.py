"""What could not be understood: the headers of a dead letter, and the reply that tells of it."""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas import errors, names
from schemas.outcome import Error  # noqa: TC001 - pydantic reads it at run time.

REASONS: Final = (
    *errors.DEAD_LETTER_KEYS,
    errors.INVALID_PAYLOAD,
    # Of a vendor's message that names its member by an identifier.
    errors.MEMBER_NOT_FOUND,
    errors.INVALID_IDENTIFIER_TYPE,
)


def _describe_headers(schema: dict[str, Any]) -> None:
    properties = schema["properties"]
    properties[names.ERROR_KEY_HEADER]["anyOf"][0]["enum"] = list(REASONS)
    present = {"not": {"type": "null"}}
    schema["anyOf"] = [
        {
            "required": list(_OF_THE_WORKER.values()),
            "properties": dict.fromkeys(_OF_THE_WORKER.values(), present),
        },
        {
            "required": [names.FIRST_DEATH_REASON_HEADER],
            "properties": {
                names.ERROR_KEY_HEADER: {"type": "null"},
                names.FIRST_DEATH_REASON_HEADER: present,
            },
        },
    ]


_OF_THE_WORKER: Final = {
    "error_key": names.ERROR_KEY_HEADER,
    "error_message": names.ERROR_MESSAGE_HEADER,
    "original_exchange": names.ORIGINAL_EXCHANGE_HEADER,
    "original_routing_key": names.ORIGINAL_ROUTING_KEY_HEADER,
    "original_queue": names.ORIGINAL_QUEUE_HEADER,
    "died_at": names.DIED_AT_HEADER,
}


class DeadLetterHeaders(BaseModel):
    """The headers of a dead letter, whose body is the message's own, unchanged.

    One that the worker made says why and where from; one that the broker made itself carries its
    reason for the first death. The message's own headers stand beside them.
    """

    model_config = ConfigDict(
        extra="allow", frozen=True, strict=True, json_schema_extra=_describe_headers
    )

    error_key: str | None = Field(
        None, alias=names.ERROR_KEY_HEADER, description="Why the worker could not take it."
    )
    error_message: str | None = Field(
        None, alias=names.ERROR_MESSAGE_HEADER, description="The same in a sentence."
    )
    original_exchange: str | None = Field(
        None,
        alias=names.ORIGINAL_EXCHANGE_HEADER,
        description="The exchange that it was published to; empty for the default one.",
    )
    original_routing_key: str | None = Field(None, alias=names.ORIGINAL_ROUTING_KEY_HEADER)
    original_queue: str | None = Field(None, alias=names.ORIGINAL_QUEUE_HEADER)
    died_at: str | None = Field(
        None, alias=names.DIED_AT_HEADER, description="When the worker set it aside, in UTC."
    )
    original_user_id: str | None = Field(
        None,
        alias=names.ORIGINAL_USER_ID_HEADER,
        description="The user whom the broker checked, if the publisher named one.",
    )
    first_death_reason: str | None = Field(
        None,
        alias=names.FIRST_DEATH_REASON_HEADER,
        description="Set by the broker on letters that it made itself.",
    )

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if self.error_key is None:
            if self.first_death_reason is None:
                raise ValueError("must have a reason, the worker's or the broker's")
        elif self.error_key not in REASONS:
            raise ValueError("must have one of the reasons for a dead letter")
        elif any(getattr(self, name) is None for name in _OF_THE_WORKER):
            raise ValueError("must say why and where it comes from")
        return self


def _describe_reply(schema: dict[str, Any]) -> None:
    error = schema["properties"]["error"]
    schema["properties"]["error"] = {
        "allOf": [error, {"properties": {"key": {"enum": list(REASONS)}}}]
    }


class ErrorReply(BaseModel):
    """The reply, of type `adjustment.error.v1`, to a message that became a dead letter.

    It belongs to the message whose correlation id it carries.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, json_schema_extra=_describe_reply
    )

    error: Error

    @model_validator(mode="after")
    def _is_of_a_dead_letter(self) -> Self:
        if self.error.key not in REASONS:
            raise ValueError("must have one of the reasons for a dead letter")
        return self
