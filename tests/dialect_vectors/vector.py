"""What a vector is: a message of a dialect, and the body of the reply to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

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


def credit(points: str, **fields: object) -> Json:
    return {"points": points, **fields}
