"""Whose request a message is: the three ids that everything else about it hangs on."""

from __future__ import annotations

import re
from typing import Final, NamedTuple, TypeGuard

from schemas import names, text
from schemas.errors import INVALID_PAYLOAD, MISSING_MEMBER_ID, MISSING_REQUEST_ID
from schemas.faults import shape
from schemas.reading import Unreadable

ID_BYTES_MAX: Final = 128
PROGRAM_ID_PATTERN: Final = r"[A-Za-z0-9_-]{1,64}"
PROGRAM_ID_RULE: Final = "must be 1 to 64 of the characters A-Z, a-z, 0-9, _ and -"

_program_id = re.compile(PROGRAM_ID_PATTERN).fullmatch


class Identity(NamedTuple):
    """The scope of idempotency: a request id is unique per programme and member."""

    program_id: str
    member_id: str
    request_id: str


def is_program_id(value: object) -> TypeGuard[str]:
    """Whether `value` is 1 to 64 of the characters that a programme's id may have."""
    return type(value) is str and _program_id(value) is not None


def is_id(value: object) -> TypeGuard[str]:
    """Whether `value` may be a member id or request id: a string of 1 to 128 bytes."""
    return text.is_text(value, 1, ID_BYTES_MAX)


def identity(document: object, message_id: str | None) -> Identity | Unreadable:
    """Find whose request a parsed document is, by the same rules as the model's.

    `message_id` stands in for an absent `request_id`; an empty one is none. Returns the reason
    of a dead letter if an id is absent (`missing_request_id`, `missing_member_id`) or is there
    but invalid (`invalid_payload`), also if the document is no object at all.
    """
    if type(document) is not dict:
        return Unreadable(
            INVALID_PAYLOAD, f"the body must be a JSON object; it is {shape(document)}"
        )
    request_id = document.get("request_id")
    if request_id is None:
        request_id = message_id or None
    member_id = document.get("member_id")
    program_id = document.get("program_id")
    if program_id is None:
        program_id = names.DEFAULT_PROGRAM_ID
    is_known = program_id == names.DEFAULT_PROGRAM_ID or is_program_id(program_id)
    if is_known and is_id(request_id) and is_id(member_id):
        return Identity(program_id, member_id, request_id)
    return _why_not(program_id, member_id, request_id)


def _why_not(program_id: object, member_id: object, request_id: object) -> Unreadable:
    if request_id is None:
        return Unreadable(
            MISSING_REQUEST_ID, "request_id is required, in the body or as the message_id"
        )
    if member_id is None:
        return Unreadable(MISSING_MEMBER_ID, "member_id is required")
    if not is_id(request_id):
        return _invalid("request_id", text.text_rule(1, ID_BYTES_MAX), request_id)
    if not is_id(member_id):
        return _invalid("member_id", text.text_rule(1, ID_BYTES_MAX), member_id)
    return _invalid("program_id", PROGRAM_ID_RULE, program_id)


def _invalid(field: str, rule: str, value: object) -> Unreadable:
    return Unreadable(INVALID_PAYLOAD, f"{field} {rule}; got {shape(value)}")
