"""A seeded load: what upstream services publish for many members at once, in one order.

Nine in ten requests are plain credits and debits; the rest is what goes wrong in practice: debits
of more than there is, requests sent twice (as they were, or spelt differently), ids used again for
something else, payloads that break a rule, points that expire on a given day.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterator

REPEATS_PER_HUNDRED = 5


@dataclass(frozen=True, slots=True)
class Message:
    """One message as upstream publishes it; `number` is its place in the order of publishing."""

    number: int
    member_id: str
    request_id: str
    body: bytes

    @property
    def correlation_id(self) -> str:
        """Tells the reply to this message from the reply to a repeat of it."""
        return f"c-{self.number}"


def bucket_key(member_id: str) -> str:
    """The routing key of the shortest way, computed as the contract tells publishers to."""
    return f"bucket.{crc32(member_id.encode()) % 256:03d}"


def generate(
    count: int, members: int, *, seed: int, repeats_per_hundred: int = REPEATS_PER_HUNDRED
) -> list[Message]:
    """Return `count` messages for up to `members` members; the same seed gives the same load."""
    chance = random.Random(seed)
    names = [f"member-{number:04d}" for number in range(members)]
    # Ids are any text: some that a careless encoding or a careless join would mix up.
    names[:3] = ["1234567890", "Zoë-🙂-Ωmega", "member 0001, with spaces"][:members]
    documents = _documents(chance, names)
    messages: list[Message] = []
    firsts: list[dict[str, Any]] = []
    while len(messages) < count:
        draw = chance.randrange(100)
        if firsts and draw < repeats_per_hundred:
            document = _repeat(chance, chance.choice(firsts))
        elif firsts and draw == repeats_per_hundred and chance.random() < 0.3:
            document = _conflict(chance.choice(firsts))
        else:
            document = next(documents)
            firsts.append(document)
        messages.append(
            Message(
                number=len(messages),
                member_id=document["member_id"],
                request_id=document["request_id"],
                body=json.dumps(document, ensure_ascii=chance.random() < 0.5).encode(),
            )
        )
    return messages


def _documents(chance: random.Random, names: list[str]) -> Iterator[dict[str, Any]]:
    """Yield first-time requests without end."""
    number = 0
    while True:
        number += 1
        document: dict[str, Any] = {
            "request_id": f"r-{number}",
            "member_id": chance.choice(names),
            "points": chance.randint(1, 500),
        }
        kind = chance.randrange(100)
        if kind < 35:
            document["points"] = -chance.randint(1, 400)
        elif kind < 40:
            document["points"] = -chance.randint(100_000, 10_000_000)
        elif kind < 42:
            document |= {"points": -chance.randint(1, 3000), "allow_negative": True}
        elif kind < 50:
            day = f"20{chance.randint(90, 99)}-{chance.randint(1, 12):02d}-28"
            document |= {"expiration_type": "CUSTOM_DATE", "expiration_date": day}
        elif kind < 52:
            document["expiration_type"] = "NON_EXPIRING"
        elif kind < 55:
            document["category"] = chance.choice(["PROMISED", "EXTERNAL_TRIGGER_BASED"])
            document["points"] *= chance.choice([1, 1, -1])
        elif kind < 57:
            document |= chance.choice(_FAULTY)
        elif kind < 60:
            document |= chance.choice(_DRESSED)
        yield document


_FAULTY: list[dict[str, Any]] = [
    {"points": 0},
    {"points": "abc"},
    {"points": True},
    {"points": "1.5"},
    {"pionts": 5},
    {"operation": "GIVE"},
    {"operation": "RELEASE"},
    {"currency": "pearls"},
    {"expiration_type": "CUSTOM_DATE"},
    {"expiration_type": "CUSTOM_DATE", "expiration_date": "2001-01-01"},
]
_DRESSED: list[dict[str, Any]] = [
    {"reason": "Goodwill, 5 € for the delay", "adjusted_by": "operator-7"},
    {"metadata": {"till": 4, "lines": [1, 2.5, None, {"deep": "ü"}]}},
    {"comment": 'a \\ backslash, a " quote and a 🙂', "source": "till", "source_id": "T-1"},
    {"occurred_at": "2025-12-24T18:00:00+01:00", "operation_type": "AUTOMATIC"},
    {"points": "250.00", "reason_code": "X-1"},
]


def _repeat(chance: random.Random, document: dict[str, Any]) -> dict[str, Any]:
    """The same request again; one time in four spelt differently, which changes nothing."""
    points = document["points"]
    if type(points) is not int or document.keys() & {"pionts", "operation"}:
        return document
    if document.get("expiration_type") == "CUSTOM_DATE" and "expiration_date" not in document:
        return document
    if chance.random() < 0.75:
        return document
    return dict(reversed(document.items())) | {"points": f"{points}.00", "program_id": "default"}


def _conflict(document: dict[str, Any]) -> dict[str, Any]:
    """Another request under an id that is taken."""
    return {
        "request_id": document["request_id"],
        "member_id": document["member_id"],
        "points": 7,
        "comment": "not what this id was first used for",
    }
