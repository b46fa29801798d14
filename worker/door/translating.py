"""Makes canonical requests of what vendors' systems send.

A message goes through three steps. It is read as far as whose request it is (`read`), the member
behind an identifier and the programme are looked up (`look_up`), and it is put into the words of
the contract (`translate`). What its dialect finds wrong with it travels along and becomes a stored
rejection in the lane. What is wrong with the message as such makes it a dead letter; where its
headers tell whose request it is all the same, its refusal goes on beside the letter, and the lane
answers. Only what cannot be tied to a member and a request is answered here.

Identifiers, account numbers above all, go no further than this: not into what is sent on, not into
the books, and into no log.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import structlog

from schemas import errors, names
from schemas.identity import Identity, identity
from schemas.reading import Unreadable, read_json, write_json
from schemas.text import LONE_SURROGATE
from worker import identifiers
from worker.dialects import DIALECTS, jwe
from worker.dialects.dialect import Refused, Undeliverable
from worker.dialects.mastercard import NO_KID, REPLY_KID, UNKNOWN_KID, Mastercard, context_of
from worker.domain.outcome import Rejection
from worker.door.forwarding import forward
from worker.envelope import properties, replies, writing
from worker.envelope.reading import KILLER, Letter
from worker.store.directory import Asked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.broker import Delivery, Publication
    from worker.dialects.dialect import Dialect, Inbound
    from worker.domain.program import Program
    from worker.envelope.reading import Reader
    from worker.store.directory import Directory, KeyFault

_log = structlog.get_logger("worker.door")

# Of the vendor's own headers no others go on: they may hold identifiers.
_PASSED_ON: Final = frozenset({names.TRACEPARENT_HEADER, names.ORIGINAL_USER_ID_HEADER})


@dataclass(slots=True)
class Foreign:
    """A message in a vendor's dialect on its way to the contract's words.

    `letter` says why it becomes a dead letter. `is_unread` tells that its body could not be read,
    or must not be. `member_id` and `program` are known once they have been looked up; `forward` is
    set once the message is translated, or refused for its letter's reason.
    """

    delivery: Delivery
    dialect: Dialect
    inbound: Inbound | None = None
    letter: Letter | None = None
    is_unread: bool = False
    member_id: str | None = None
    program: Program | None = None
    forward: Publication | None = None


class Translator:
    """Reads and translates the messages of every dialect.

    `identifier_key` is None where the settings have none. `user` is the worker's own user at the
    broker.
    """

    def __init__(
        self,
        reader: Reader,
        directory: Directory,
        keyring: jwe.Keyring,
        *,
        identifier_key: bytes | None,
        prefix: str,
        user: str,
    ) -> None:
        self._reader = reader
        self._directory = directory
        self._keyring = keyring
        self._identifier_key = identifier_key
        self._key_digest = identifiers.key_digest(identifier_key) if identifier_key else None
        self._prefix = prefix
        self._user = user

    async def read(self, deliveries: Sequence[Delivery]) -> list[Foreign]:
        """Read messages, each of which is of a dialect's type, as far as whose requests they are.

        Those that are encrypted are opened in a thread, where nobody has to wait for it.
        """
        messages = [Foreign(item, DIALECTS[str(item.type)]) for item in deliveries]
        documents = [self._document(message) for message in messages]
        if any(map(_is_encrypted, messages, documents)):
            documents = await asyncio.to_thread(self._open_all, messages, documents)
        for message, document in zip(messages, documents, strict=True):
            message.is_unread = message.letter is not None and document is None
            self._identify(message, document)
        return messages

    async def look_up(self, messages: Sequence[Foreign]) -> tuple[Foreign, KeyFault] | None:
        """Find the programmes, and the members behind identifiers.

        Returns the first message whose member cannot be looked for with the settings' key, and
        what is wrong with that; then there is nothing but to wait. Raises PassingFault.
        """
        readable = [(m, m.inbound) for m in messages if m.inbound is not None]
        named = [(m, inbound) for m, inbound in readable if inbound.identifier is not None]
        if named and (fault := await self._directory.key_fault(self._key_digest)):
            return named[0][0], fault
        if program_ids := {inbound.program_id for _, inbound in readable}:
            programs = await self._directory.programs(program_ids)
            for message, inbound in readable:
                message.program = programs.get(inbound.program_id)
        asked = [(message, self._asked(inbound)) for message, inbound in named]
        if known := {one for _, one in asked if one is not None}:
            members = await self._directory.members(known)
            for message, one in asked:
                message.member_id = None if one is None else members.get(one)
        for message, inbound in named:
            if message.member_id is None:
                message.letter = message.letter or Letter(
                    errors.MEMBER_NOT_FOUND,
                    f"the identifier belongs to no member of programme {inbound.program_id}",
                )
        return None

    def translate(self, message: Foreign) -> None:
        """Put a message that has been looked up into the words of the contract."""
        inbound = message.inbound
        if inbound is None or message.member_id is None:
            return
        ids = identity(
            {"program_id": inbound.program_id, "member_id": message.member_id}, inbound.request_id
        )
        if isinstance(ids, Unreadable):
            message.letter = message.letter or Letter(ids.key, ids.message)
        else:
            message.forward = self._forward(message, inbound, ids)

    def onward(self, message: Foreign) -> list[Publication]:
        """Return what is to be published for a message.

        Its forward, and a letter where it has one; an error reply goes before a letter alone, since
        what is sent on is answered by its lane.
        """
        delivery, letter = message.delivery, message.letter
        publications = []
        if message.forward is not None:
            publications.append(message.forward)
        elif letter is not None and delivery.reply_to:
            context = message.inbound.context if message.inbound else _unread(message)
            address = replies.address_of(delivery, self._user)._replace(
                dialect={**context, "name": message.dialect.name}
            )
            publications.append(replies.error_reply(address, letter, self._keyring))
        if letter is not None:
            publications.append(writing.dead_letter(delivery, letter, self._prefix, self._user))
        assert publications, "what is not sent on becomes a dead letter"
        return publications

    def condemned(self, delivery: Delivery, *, are_ids_read: bool) -> Foreign:
        """Return a message over which workers have died, its body unread.

        Whose request it is, the headers may tell; they are looked at where `are_ids_read`.
        """
        dialect = DIALECTS[str(delivery.type)]
        message = Foreign(delivery, dialect, letter=KILLER, is_unread=True)
        if are_ids_read:
            self._identify(message, None)
        return message

    def _identify(self, message: Foreign, document: object) -> None:
        """Find out whose request it is, unless the headers, which tell that, were cut."""
        if cut := properties.headers_cut(message.delivery, self._user):
            letter = Letter(cut.key, cut.message.rstrip("."), cut.details)
            message.letter = message.letter or letter
        else:
            _read(message, document)

    def _document(self, message: Foreign) -> object:
        """Parse a body, and say in a letter what is wrong with the message as such."""
        document, message.letter = self._reader.parse(message.delivery, {message.dialect.name})
        return document

    def _open_all(self, messages: Sequence[Foreign], documents: Sequence[object]) -> list[object]:
        return [
            self._open(message, document) if _is_encrypted(message, document) else document
            for message, document in zip(messages, documents, strict=True)
        ]

    def _open(self, message: Foreign, document: Any) -> object:
        """Decrypt a body and parse what was in it, or say in a letter that it cannot be."""
        try:
            return read_json(self._keyring.decrypt(document))
        except jwe.DecryptionFailed as error:
            # Who sent it learns no more than that it failed.
            _log.info("decryption_failed", reason=error.reason, kid=error.kid)
            message.letter = message.letter or Letter(errors.DECRYPTION_FAILED, str(error))
        except Unreadable as error:
            message.letter = message.letter or Letter(error.key, error.message)
        return None

    def _asked(self, inbound: Inbound) -> Asked | None:
        """Return what to look for in the directory; None for what can be no identifier."""
        identifier, key = inbound.identifier, self._identifier_key
        if identifier is None or key is None:
            return None
        try:
            fingerprint = identifiers.fingerprint(key, identifier.name, identifier.value)
        except ValueError:
            return None
        return Asked(inbound.program_id, identifier.name, fingerprint, inbound.request_id)

    def _forward(self, message: Foreign, inbound: Inbound, ids: Identity) -> Publication:
        """Return the canonical request that goes on to the lane."""
        context, refusal = inbound.context, None
        kid = context.get(REPLY_KID)
        if kid is not None and not self._keyring.can_encrypt_for(kid):
            context = {NO_KID: kid}
        try:
            body = _body(ids, _fields(message, inbound, is_answerable=NO_KID not in context))
        except Refused as refused:
            refusal, body = refused.rejection, _body(ids, {})
        passed_on = writing.passed_on_headers(message.delivery, self._user)
        headers = {name: value for name, value in passed_on.items() if name in _PASSED_ON}
        headers[names.DIALECT_HEADER] = _context(message.dialect, context)
        headers |= _digests(message, inbound)
        if refusal is not None:
            told = {"key": refusal.key, "message": refusal.message, "details": refusal.details}
            headers[names.REFUSAL_HEADER] = write_json(told).decode()
        onward = forward(
            message.delivery, ids.member_id, headers, prefix=self._prefix, user=self._user
        )
        return replace(
            onward,
            body=body,
            content_type=names.JSON_CONTENT_TYPE,
            type=names.REQUEST_TYPE,
            message_id=ids.request_id,
        )


def _read(message: Foreign, document: object) -> None:
    """Find out whose request it is; what was found wrong before remains the letter's reason."""
    delivery = message.delivery
    try:
        message.inbound = message.dialect.read(document, delivery.headers, delivery.message_id)
    except Undeliverable as fault:
        message.letter = message.letter or Letter(fault.key, fault.message, fault.details)
    else:
        message.member_id = message.inbound.member_id


def _fields(message: Foreign, inbound: Inbound, *, is_answerable: bool) -> dict[str, Any]:
    """Return the canonical fields. Raises Refused, for what is wrong with the message first."""
    if message.letter is not None:
        raise Refused(Rejection(message.letter.key, f"{message.letter.message}."))
    if not is_answerable:
        raise Refused(UNKNOWN_KID)
    return message.dialect.translate(inbound, message.program)


def _is_encrypted(message: Foreign, document: object) -> bool:
    return (
        message.dialect.name == Mastercard.name
        and isinstance(document, dict)
        and jwe.FIELD in document
    )


def _digests(message: Foreign, inbound: Inbound) -> dict[str, object]:
    """Return the headers by which the lane finds the same message again, also read or unread.

    Nothing is made of a whole body in which an account number stands: it could be guessed.
    """
    digests: dict[str, object] = {}
    if not message.is_unread:
        digests[names.CONTENT_DIGEST_HEADER] = sha256(inbound.content).hexdigest()
    if message.dialect.name != Mastercard.name:
        digests[names.BODY_DIGEST_HEADER] = sha256(message.delivery.body).hexdigest()
    return digests


def _context(dialect: Dialect, context: Mapping[str, str]) -> str:
    """Write what the lane needs for the reply. What is not UTF-8 in it becomes question marks."""
    texts = {name: text.encode("utf-8", "replace").decode() for name, text in context.items()}
    return write_json({**texts, "name": dialect.name}).decode()


def _body(ids: Identity, fields: Mapping[str, Any]) -> bytes:
    """Write the canonical request. Raises Refused for what cannot be written as UTF-8."""
    try:
        return write_json({**ids._asdict(), **fields})
    except TypeError:
        rule = f"must not hold {LONE_SURROGATE}"
        fault = {"field": "body", "rule": rule, "got": "something else"}
        raise Refused(Rejection(errors.INVALID_PAYLOAD, f"body {rule}.", [fault])) from None


def _unread(message: Foreign) -> dict[str, str]:
    """Return the context of a message that could not be read: who may read the reply to it."""
    if message.dialect.name == Mastercard.name:
        with suppress(Undeliverable):
            return context_of(message.delivery.headers)
    return {}
