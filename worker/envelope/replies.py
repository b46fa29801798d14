"""Replies: where an answer goes, in which form, and the message that brings it there.

An address outlives its delivery where a request waits for its predecessors: it is then kept with
the request, and the answer goes there whenever it comes.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from urllib.parse import quote, unquote

from schemas import errors, names
from schemas.reading import Unreadable, read_json, write_json
from worker.broker import Publication
from worker.dialects import DIALECTS
from worker.dialects.jwe import Keyring
from worker.dialects.mastercard import REPLY_KID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.broker import Delivery
    from worker.domain.program import Program
    from worker.envelope.reading import Letter

# What a property of AMQP may hold and a jsonb may not (U+0000, bytes that are not UTF-8) is kept
# percent-encoded; what properties usually hold stays readable.
_KEPT: Final = string.punctuation.replace("%", "")

_NAME: Final = "name"

NO_KEYS: Final = Keyring()
"""For whom no reply is encrypted."""


class Address(NamedTuple):
    """Who waits for the answer to a request, and what the answer looks like there.

    `reply_to` is None where nobody waits. `dialect` is a dialect's `name` and, beside it, what
    its reply needs; None for the canonical outcome. The events of the request carry the
    `traceparent`.
    """

    reply_to: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
    dialect: Mapping[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what of it there is, as a document that Postgres can hold."""
        texts = {
            "reply_to": self.reply_to,
            "correlation_id": self.correlation_id,
            "traceparent": self.traceparent,
        }
        document: dict[str, Any] = {
            name: _quoted(text) for name, text in texts.items() if text is not None
        }
        if self.dialect is not None:
            document["dialect"] = {key: _quoted(text) for key, text in self.dialect.items()}
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any] | None) -> Address:
        """Return the address that `to_json` wrote; of None one at which nobody waits."""
        texts = dict(document or {})
        dialect = texts.pop("dialect", None)
        if dialect is not None:
            dialect = {key: _unquoted(text) for key, text in dialect.items()}
        return cls(**{name: _unquoted(text) for name, text in texts.items()}, dialect=dialect)


_NOWHERE: Final = Address()
"""The address of all requests whose answer nobody waits for and whose events nobody traces."""


def address_of(delivery: Delivery, user: str) -> Address:
    """Return where the answer to a delivery goes.

    `user` is the worker's own user: nobody else is believed about a dialect.
    """
    headers = delivery.headers
    if not headers and not delivery.reply_to:
        return _NOWHERE
    traceparent = headers.get(names.TRACEPARENT_HEADER)
    dialect = None
    if delivery.user_id == user and names.DIALECT_HEADER in headers:
        dialect = _dialect(headers[names.DIALECT_HEADER])
    return Address(
        delivery.reply_to or None,
        delivery.correlation_id or delivery.message_id,
        traceparent if isinstance(traceparent, str) else None,
        dialect,
    )


def reply(
    outcome: bytes, address: Address, program: Program | None, keyring: Keyring
) -> Publication:
    """Return the answer to a request: its stored outcome, in the words of whoever asked.

    `program` is the request's, None where there is none of that id. Raises UnknownKid where it is
    to be encrypted for a key that is not in the keyring: it must not be read by anybody else.
    """
    if address.dialect is None:
        return _reply(outcome, names.RESULT_TYPE, address)
    dialect = DIALECTS[address.dialect[_NAME]]
    document = cast("dict[str, Any]", read_json(outcome))
    body = write_json(dialect.reply(document, address.dialect, program))
    kid = address.dialect.get(REPLY_KID)
    if kid is not None:
        body = write_json(keyring.encrypt(body, kid))
    return _reply(body, dialect.name, address)


def error_reply(address: Address, letter: Letter, keyring: Keyring = NO_KEYS) -> Publication:
    """Return the answer to a message that was not understood and has no outcome.

    It tells nothing that was sent, so it may go out as it is where a key is unknown.
    """
    if address.dialect is not None:
        dialect = DIALECTS[address.dialect[_NAME]]
        body = write_json(
            dialect.error(letter.key, letter.message, address.dialect, letter.details)
        )
        kid = address.dialect.get(REPLY_KID)
        if kid is not None and keyring.can_encrypt_for(kid):
            body = write_json(keyring.encrypt(body, kid))
        return _reply(body, dialect.name, address)
    error = {
        "code": errors.ERRORS[letter.key],
        "key": letter.key,
        "message": letter.message,
        "details": [],
    }
    return _reply(write_json({"error": error}), names.ERROR_TYPE, address)


def _reply(body: bytes, type_: str, address: Address) -> Publication:
    assert address.reply_to, "a reply needs an address"
    headers: dict[str, object] | None = None
    if address.traceparent is not None:
        headers = {names.TRACEPARENT_HEADER: address.traceparent}
    return Publication(
        exchange="",
        routing_key=address.reply_to,
        body=body,
        must_be_taken=False,
        mandatory=True,
        content_type=names.JSON_CONTENT_TYPE,
        type=type_,
        correlation_id=address.correlation_id,
        headers=headers,
    )


def _dialect(header: object) -> dict[str, str] | None:
    """Read what the door wrote into a header; None for anything else."""
    if not isinstance(header, str):
        return None
    try:
        document = read_json(header.encode("utf-8", "surrogateescape"))
    except Unreadable:
        return None
    if not isinstance(document, dict) or document.get(_NAME) not in DIALECTS:
        return None
    return {key: text for key, text in document.items() if isinstance(text, str)}


def _quoted(text: str) -> str:
    return quote(text, safe=_KEPT, errors="surrogateescape")


def _unquoted(text: str) -> str:
    return unquote(text, errors="surrogateescape")
