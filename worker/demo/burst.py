"""A burst: adjustments for a few members, back to back, as several services publish them."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field

from schemas.names import MEMBER_ID_HEADER, REQUEST_TYPE
from schemas.topology import bucket_key

REPEATS_PER_HUNDRED = 5
OVERDRAFTS_PER_HUNDRED = 4
DEBITS_PER_HUNDRED = 35


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it is published; equal ids are one request, sent again."""

    member_id: str
    request_id: str
    body: bytes
    routing_key: str
    type: str = REQUEST_TYPE
    headers: dict[str, object] = field(default_factory=dict)


def member_name(name: str, run: str) -> str:
    """Return a member's id: names of one run of the demo end alike, and are nobody else's."""
    return f"{name}@{run}"


def message(
    member_id: str, request_id: str, fields: dict[str, object], *, by_door: bool = False
) -> Message:
    """Return a request as a message: by its bucket key, or by the member's id through the door."""
    document = {"request_id": request_id, "member_id": member_id, **fields}
    routing_key = member_id if by_door else bucket_key(member_id)
    return Message(member_id, request_id, json.dumps(document).encode(), routing_key)


def message_in_dialect(
    dialect: str, member_id: str, request_id: str, body: dict[str, object]
) -> Message:
    """Return a vendor's message, which goes through the door."""
    headers: dict[str, object] = {MEMBER_ID_HEADER: member_id}
    return Message(member_id, request_id, json.dumps(body).encode(), member_id, dialect, headers)


def burst(count: int, members: int, *, run: str, seed: int = 1) -> list[Message]:
    """Return `count` messages in the order of publishing; the same seed gives the same burst.

    Every fourth member's services do not compute bucket keys: theirs come through the door.
    Request ids count up, so that order can be seen in them.
    """
    chance = random.Random(seed)  # noqa: S311 - a load and not a secret.
    names = [member_name(f"member-{number:02d}", run) for number in range(1, members + 1)]
    messages: list[Message] = []
    while len(messages) < count:
        draw = chance.randrange(100)
        if messages and draw < REPEATS_PER_HUNDRED:
            messages.append(chance.choice(messages))
            continue
        number = chance.randrange(members)
        points = chance.randint(1, 500)
        if draw < REPEATS_PER_HUNDRED + OVERDRAFTS_PER_HUNDRED:
            points = -chance.randint(1_000_000, 9_000_000)
        elif draw < REPEATS_PER_HUNDRED + OVERDRAFTS_PER_HUNDRED + DEBITS_PER_HUNDRED:
            points = -chance.randint(1, 400)
        messages.append(
            message(
                names[number],
                f"r-{len(messages) + 1:07d}",
                {"points": points, "source": "till", "reason": "Demonstration"},
                by_door=number % 4 == 3,
            )
        )
    return messages
