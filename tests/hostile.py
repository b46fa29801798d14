"""Messages as nobody should send them, each made anew from one seed.

Some are sound requests of every operation, or sound messages of every dialect. The others have
wrong types, huge numbers, odd text and unknown fields, are cut off, bent, or no JSON at all, and
come with AMQP properties and on ways that no publisher should use. Every message has a name, with
which its correlation id begins (or its message id, where it has no other), so that what comes of
it can be told from all else. Its name is in its request id too, so that two messages have one id
only where that is meant.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args
from zlib import crc32

from schemas import names
from tests.hostile_values import (
    BY_IDENTIFIER,
    CONTENT_TYPES,
    DIALECT_BODIES,
    DIALECT_HEADERS,
    FIRST_USERS,
    HEADER_VALUES,
    KEYS,
    MEMBERS,
    MESSAGE_TYPES,
    PROGRAMMES,
    ROUTING_KEYS,
    UNKNOWN_FIELDS,
    VALUES,
    WORKERS_WORDS,
)
from tests.load import bucket_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME_LENGTH: Final = len("h-000000-00000000")

_LITERAL = re.compile(r'"@@([^"@]*)@@"')
_JSON: Final = b"application/json"


@dataclass(frozen=True, slots=True)
class Hostile:
    """One message as it is to be published.

    `exchange` is one of the prefix, or "" for the default one. `{prefix}` in the routing key,
    `{replies}` and `{user}` in properties stand for those of the test. `is_answered` tells whether
    it asks for its reply there, `is_dialect` whether it is of a vendor's dialect.
    """

    name: str
    exchange: str
    routing_key: bytes
    properties: dict[str, Any]
    body: bytes
    is_answered: bool
    is_dialect: bool = False


class Enemy:
    """Makes messages; the same seed makes the same ones."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._past: dict[tuple[str, str], list[str]] = {}
        self._sent: list[tuple[str, bytes]] = []
        self._sent_plainly: list[tuple[str, bytes]] = []

    def messages(self, count: int) -> Iterator[Hostile]:
        """Yield so many messages."""
        for number in range(count):
            # With its digest no bent name is that of another message.
            name = f"h-{number:06d}"
            yield self._message(f"{name}-{crc32(name.encode()):08x}")

    def _message(self, name: str) -> Hostile:
        draw = self._chance.random()
        if draw < 0.14:
            return self._foreign(name)
        if draw < 0.15 and self._sent_plainly:
            return self._conflict(name)
        member, body, is_sure = self._body(name, draw)
        properties = _sound_properties(name)
        is_answered = True
        if self._chance.random() < 0.2:
            is_answered = self._bend(properties, name, may_vanish=is_sure)
        elif is_sure:
            self._sent_plainly.append((member, body))
        exchange, routing_key = self._way(member)
        return Hostile(name, exchange, routing_key, properties, body, is_answered)

    def _conflict(self, name: str) -> Hostile:
        """Return something else under an id that is taken; which comes first, the ways decide."""
        member, body = self._chance.choice(self._sent_plainly[-2_000:])
        other = self._written(json.loads(body) | {"comment": f"{name} is something else"})
        exchange, routing_key = self._way(member)
        properties = _sound_properties(name)
        return Hostile(name, exchange, routing_key, properties, other, is_answered=True)

    def _body(self, name: str, draw: float) -> tuple[str, bytes, bool]:
        """Return a member, a body, and whether what comes of it can be found without a reply."""
        chance = self._chance
        if draw < 0.2 and self._sent:
            return *chance.choice(self._sent[-2_000:]), False
        if draw < 0.28:
            return "nobody", self._no_request(), False
        member = chance.choice(MEMBERS)
        document = self._request(name, member)
        if draw < 0.5:
            body = self._written(document)
            if "ordinal" not in document:
                self._sent.append((member, body))
            return member, body, "dry_run" not in document
        if draw < 0.85:
            for _ in range(chance.choice((1, 1, 1, 2, 3))):
                self._spoil(document, name)
            return member, self._written(document), False
        body = self._written(document)
        for _ in range(chance.choice((1, 1, 2))):
            body = self._bent(body)
        return member, body, False

    def _request(self, name: str, member: str) -> dict[str, Any]:
        """Return a request by the contract, with fields that fit and others that may."""
        chance = self._chance
        operation = chance.choice(("ADJUST",) * 4 + get_args(names.Operation))
        request_id = name + chance.choice(("", "", "", " ü", "-🙂", "-'\"\\", "x" * 100))
        document: dict[str, Any] = {"request_id": request_id, "member_id": member}
        document["program_id"] = chance.choice(PROGRAMMES)
        past = self._past.setdefault((document["program_id"], member), ["none"])
        if operation != "ADJUST" or chance.random() < 0.5:
            document["operation"] = operation
        points = chance.choice((1, 1, 2, 5, "10", "2.50", 250, "5000.00", "0.001", 10**15 - 1))
        sign = -1 if operation == "ADJUST" and chance.random() < 0.4 else 1
        if operation in {"ADJUST", "SET_BALANCE", "HOLD"} or chance.random() < 0.2:
            document["points"] = f"-{points}" if sign < 0 else points
        match operation:
            case "REVERSE":
                document["reverses"] = chance.choice(past)
            case "CAPTURE" | "RELEASE":
                document["hold"] = chance.choice(past)
            case "HOLD":
                document["ttl_seconds"] = chance.choice((1, 60, 172_800))
            case "CONVERT":
                document["category"] = "PROMISED"
        for choices in _EXTRAS:
            if chance.random() < 0.05:
                document |= chance.choice(choices)
        past.append(request_id)
        del past[:-20]
        return document

    def _spoil(self, document: dict[str, Any], name: str) -> None:
        chance = self._chance
        fields = UNKNOWN_FIELDS if chance.random() < 0.15 else (*document, *KEYS)
        field, value = chance.choice(fields), chance.choice(VALUES)
        # The same odd text as the id of two messages would be a conflict.
        is_id = field == "request_id" and isinstance(value, str) and "@" not in value
        document[field] = value + name if is_id and value else value

    def _written(self, document: object) -> bytes:
        """Write a document as JSON, in one of the ways in which that can be done."""
        text = json.dumps(document, ensure_ascii=self._chance.random() < 0.6)
        # Texts that stand for literals become these, so that a number can be of any length.
        return _LITERAL.sub(r"\1", text).encode("utf-8", "surrogatepass")

    def _bent(self, body: bytes) -> bytes:
        """Cut the bytes off, or bend, double or misspell them."""
        chance = self._chance
        at = chance.randrange(len(body) + 1)
        ways: tuple[Callable[[], bytes], ...] = (
            lambda: body[:at],
            lambda: body[:at],
            lambda: body[at:],
            lambda: body[:at] + chance.randbytes(chance.randint(1, 4)) + body[at:],
            lambda: body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :],
            lambda: body[:at] + chance.choice((b'"', b"{", b"}", b",", b"\\", b"\0")) + body[at:],
            lambda: body + body,
            lambda: b"[" + body + b"]",
            lambda: b"\xef\xbb\xbf" + body,
            lambda: body.replace(b"{", b'{"member_id":"m","member_id":"n",', 1),
            lambda: body.decode("utf-8", "replace").encode("utf-16"),
            lambda: body.decode("utf-8", "replace").encode("latin-1", "replace"),
            lambda: b" \n\t" * 50 + body + b"\n",
            lambda: body + b"\0",
        )
        return chance.choice(ways)()

    def _no_request(self) -> bytes:
        chance = self._chance
        ways: tuple[Callable[[], bytes], ...] = (
            lambda: b"",
            lambda: chance.randbytes(chance.randint(1, 300)),
            lambda: self._written(chance.choice(VALUES)),
            lambda: self._written([chance.choice(VALUES) for _ in range(5)]),
            lambda: chance.choice((b"[", b"{", b'{"a":')) * chance.randint(1, 20_000),
            lambda: b"[" * (depth := chance.randint(20, 900)) + b"]" * depth,
            lambda: b"1" * chance.randint(1, 9_000),
            lambda: b'"' + b"\\ud83d" * chance.randint(1, 500) + b'"',
            lambda: b"{" + b'"a":1,' * chance.randint(1, 3_000) + b'"b":2}',
            lambda: self._written({chr(chance.randrange(32, 900)): n for n in range(400)}),
            lambda: b"x" * (1_200_000 if chance.random() < 0.05 else 70_000),
        )
        return chance.choice(ways)()

    def _foreign(self, name: str) -> Hostile:
        """Return a message in a vendor's dialect, sound or not."""
        chance = self._chance
        dialect = chance.choice(tuple(DIALECT_BODIES))
        document = dict(chance.choice(DIALECT_BODIES[dialect]))
        member = chance.choice(MEMBERS)
        headers: dict[str, Any] = {"program-id": chance.choice(PROGRAMMES)}
        headers |= chance.choice(DIALECT_HEADERS[dialect])
        if dialect not in BY_IDENTIFIER or chance.random() < 0.2:
            headers["member-id"] = member
        draw = chance.random()
        if draw < 0.4:
            for _ in range(chance.choice((1, 1, 2))):
                fields = UNKNOWN_FIELDS if chance.random() < 0.1 else tuple(document)
                document[chance.choice(fields)] = chance.choice(VALUES)
        elif draw < 0.6:
            headers[chance.choice(tuple(headers))] = chance.choice(HEADER_VALUES)
        body = self._written(document)
        if draw > 0.85:
            body = self._bent(body)
        elif draw > 0.8:
            body = self._no_request()
        headers |= self._odd_headers()
        properties: dict[str, Any] = {
            "headers": headers,
            "delivery_mode": 2,
            "correlation_id": name.encode(),
            "reply_to": b"{replies}",
            "message_id": name.encode() + (b"" if draw < 0.9 else self._odd_bytes()),
            "type": dialect.encode(),
        }
        routing_key = chance.choice(ROUTING_KEYS)
        return Hostile(
            name, "adjustments", routing_key, properties, body, is_answered=True, is_dialect=True
        )

    def _bend(self, properties: dict[str, Any], name: str, *, may_vanish: bool) -> bool:
        """Change a property; return whether the reply still comes where the test waits for it."""
        chance = self._chance
        odd = self._odd_bytes()
        if may_vanish and chance.random() < 0.2:
            del properties["reply_to"]
            if chance.random() < 0.3:
                nobody = (b"nobody.listens", b"amq.rabbitmq.reply-to.junk", odd)
                properties["reply_to"] = chance.choice(nobody)
            return False
        changes: tuple[dict[str, Any], ...] = (
            {"content_type": chance.choice((*CONTENT_TYPES, odd))},
            {"type": chance.choice((*MESSAGE_TYPES, odd))},
            {"correlation_id": None, "message_id": name.encode() + odd},
            {"correlation_id": name.encode() + odd},
            {"message_id": odd and odd[: 255 - NAME_LENGTH] + name.encode()},
            {"headers": self._odd_headers() | WORKERS_WORDS},
            {"headers": self._odd_headers()},
            {"priority": chance.choice((0, 4, 5, 9, 255))},
            {"expiration": b"86400000"},
            {"delivery_mode": 1, "content_encoding": odd, "app_id": odd, "cluster_id": odd},
            {"timestamp": chance.choice((0, 2**63, 2**64 - 1))},
            {"user_id": b"{user}", "headers": {"x-original-user-id": chance.choice(FIRST_USERS)}},
        )
        properties |= chance.choice(changes)
        if properties["correlation_id"] is None:
            del properties["correlation_id"]
        return True

    def _odd_headers(self) -> dict[str, Any]:
        chance = self._chance
        headers: dict[str, Any] = {}
        while chance.random() < 0.5:
            name = chance.choice(("traceparent", "x-delivery-count", "x-death", "x-expires", "ü"))
            headers[name] = chance.choice(HEADER_VALUES)
        return headers

    def _odd_bytes(self) -> bytes:
        chance = self._chance
        ways = (
            b"",
            chance.randbytes(chance.randint(1, 40)),
            "-🙂-ü".encode(),
            b"\0\n\r",
            b"x" * chance.choice((100, 140, 255 - NAME_LENGTH)),
            b"\xff\xfe",
            b"' OR 1=1; --",
        )
        return chance.choice(ways)

    def _way(self, member: str) -> tuple[str, bytes]:
        """Return exchange and routing key: mostly those of the contract."""
        chance = self._chance
        draw = chance.random()
        if draw < 0.45:
            return "adjustments", bucket_key(member).encode()
        if draw < 0.52:
            return "adjustments", f"bucket.{chance.randrange(256):03d}".encode()
        if draw < 0.96:
            return "adjustments", chance.choice((member.encode()[:255], *ROUTING_KEYS))
        if draw < 0.98:
            return "door", chance.choice((bucket_key(member).encode(), *ROUTING_KEYS))
        return "", f"{{prefix}}.partition.1.{chance.randrange(8):03d}".encode()


def _sound_properties(name: str) -> dict[str, Any]:
    return {
        "content_type": _JSON,
        "delivery_mode": 2,
        "correlation_id": name.encode(),
        "reply_to": b"{replies}",
        "type": names.REQUEST_TYPE.encode(),
    }


_EXTRAS: Final[tuple[tuple[dict[str, Any], ...], ...]] = (
    ({"currency": "points"}, {"currency": "coins"}, {"currency": "pearls"}),
    tuple({"category": category} for category in get_args(names.Category)),
    (
        {"expiration_type": "NON_EXPIRING"},
        {"expiration_type": "CUSTOM_DATE", "expiration_date": "2090-02-28"},
        {"expiration_type": "CUSTOM_DATE", "expiration_date": "2090-02-28T23:59:60Z"},
    ),
    ({"award_id": "a1", "award_type": "bill_regular"}, {"award_id": "a1"}, {"award_id": "a2"}),
    ({"promotion_id": "79555"}, {"promotion_id": "p2"}, {"promotion_identifier": "spring"}),
    ({"reason": "because"}, {"reason_code": "GOODWILL"}, {"reason_code": "NONE"}),
    ({"comment": "quite ordinary, with ü and 🙂"},),
    ({"adjusted_by": "operator-1"}, {"adjusted_by": "operator-2"}),
    ({"source": "till"}, {"source": "phone"}),
    ({"operation_type": "AUTOMATIC"},),
    tuple({"expected_version": version} for version in range(5)),
    tuple({"ordinal": number} for number in range(1, 30)),
    tuple({"ordinal": number, "ordinal_stream": f"s{number % 2}"} for number in range(1, 9)),
    ({"bypass_caps": True}, {"allow_negative": True}, {"dry_run": True}),
    ({"occurred_at": "2026-01-01T00:00:00+05:30"},),
    ({"metadata": {"lines": [1, 2.5, None, {"deep": ["ü"]}]}},),
)
