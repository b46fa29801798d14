"""Reads a delivery: which request it is, whether it can be understood, and who waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from schemas import errors, fields, names, text
from schemas.faults import faults
from schemas.identity import identity
from schemas.reading import Unreadable, read_json
from schemas.request import AdjustmentRequest, canonical
from schemas.topology import bucket_key, bucket_of
from worker.dialects import DIALECTS
from worker.domain.member import Arrival
from worker.domain.outcome import Rejection
from worker.envelope import heeding, properties
from worker.envelope.replies import Address, address_of
from worker.store.keys import RequestKey

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from worker.broker import Delivery
    from worker.store.early import EarlyRow

# No ids are looked for in a body so many times as long as one may be, or longer than 16 MiB.
_UNREAD_TIMES: Final = 16
_UNREAD_BYTES: Final = 16 * 1024 * 1024

# The first byte of a fingerprint says what it was made of.
_OF_THE_BODY: Final = b"\x00"
_OF_THE_REQUEST: Final = b"\x01"
_OF_THE_VENDORS_MESSAGE: Final = b"\x02"

_STREAM_BYTES_MAX: Final = 64

_SUPPORTED_CONTENT_TYPES = frozenset({None, "", names.JSON_CONTENT_TYPE})
_REQUEST_TYPES = frozenset({None, "", names.REQUEST_TYPE})


@dataclass(slots=True)
class Letter:
    """Why a message becomes a dead letter; `details` are for the reply alone."""

    key: str
    message: str
    details: Sequence[dict[str, Any]] = ()


KILLER: Final = Letter(
    errors.KILLED_THE_WORKER, "workers died over and over with this message in hand"
)


@dataclass(slots=True)
class Reading:
    """What a delivery says.

    `key` is None where its programme, member and request ids cannot be read: then there is a
    `letter`. With a key there is either a `request`, or a `refusal` that will be stored as the
    request's outcome; a `letter` beside it says that the message is dead-lettered as well.
    `ordinal`, `publisher` and `is_trusted` are what `Arrival` says of them. `body_fingerprint` is
    that of the vendor's body of which the door made the message, where the door tells it.
    `is_dry_run` is set also of a request that is otherwise wrong.
    """

    delivery: Delivery
    address: Address
    key: RequestKey | None = None
    request: AdjustmentRequest | None = None
    refusal: Rejection | None = None
    letter: Letter | None = None
    fingerprint: bytes = b""
    body_fingerprint: bytes = b""
    ordinal: tuple[str, int] | None = None
    publisher: str | None = None
    is_trusted: bool = False
    is_dry_run: bool = False

    @property
    def arrival(self) -> Arrival:
        """The request as the rules see it; there is none where there is no key."""
        assert self.key is not None, "a message without ids is no request"
        return Arrival(
            self.key.request_id,
            None if self.refusal else self.request,
            self.fingerprint,
            self.refusal,
            self.ordinal,
            self.publisher,
            self.is_trusted,
            self.address,
            is_dry_run=self.is_dry_run and self.letter is None,
        )

    def has_fingerprint(self, fingerprint: bytes) -> bool:
        """Tell whether a stored fingerprint is that of this request's content.

        One that had to be made of the body says nothing about other spellings of the request. What
        killed workers, here or at the door, is not read again, so whatever is stored under its id
        is its own.
        """
        if self.refusal is not None and self.refusal.key == errors.KILLED_THE_WORKER:
            return True
        return fingerprint == self.fingerprint or fingerprint == (
            self.body_fingerprint or _of_the_body(self.delivery.body)
        )


class Reader:
    """Reads deliveries under the worker's limits.

    `user` is the worker's own user at the broker, whose headers alone are believed.
    """

    def __init__(self, body_bytes_max: int, user: str) -> None:
        self._body_bytes_max = body_bytes_max
        self._ids_bytes_max = min(_UNREAD_TIMES * body_bytes_max, _UNREAD_BYTES)
        self._user = user

    def identify(self, delivery: Delivery) -> tuple[Reading, object]:
        """Read as far as the ids; return the reading and the parsed document, None without ids.

        A letter beside the ids says what is wrong with the message as such: its refusal will be
        stored.
        """
        document, letter = self.parse(delivery)
        reading = Reading(delivery, address_of(delivery, self._user), letter=letter)
        ids = identity(document, delivery.message_id or None)
        if isinstance(ids, Unreadable):
            reading.letter = reading.letter or Letter(ids.key, ids.message)
            return reading, None
        reading.key = RequestKey(ids.program_id, ids.member_id, ids.request_id)
        return reading, document

    def read(
        self, delivery: Delivery, owns_bucket: Callable[[int], bool], *, is_condemned: bool = False
    ) -> Reading:
        """Read a delivery of a lane; `owns_bucket` tells whether a bucket is one of its own.

        Of a message that is condemned, for workers have died of it, no more than the ids is read.
        """
        reading, document = self.identify(delivery)
        if reading.key is None:
            return reading
        member_id = reading.key.member_id
        if not owns_bucket(bucket_of(member_id)):
            reading.key = None
            reading.letter = Letter(
                errors.ROUTING_KEY_MISMATCH,
                f"the member's bucket key is {bucket_key(member_id)}; it does not lead to queue"
                f" {delivery.queue}",
            )
            return reading
        self._read_publisher(reading)
        reading.ordinal = _ordinal(document)
        if is_condemned:
            reading.letter = KILLER
        if is_condemned or len(delivery.body) > self._body_bytes_max:
            reading.fingerprint = _of_the_body(delivery.body)
        else:
            self._validate(reading, document)
        if delivery.user_id == self._user:
            _heed_the_door(reading)
        if reading.letter is not None:
            reading.refusal = Rejection(reading.letter.key, f"{reading.letter.message}.")
        return reading

    def unread(self, delivery: Delivery) -> Reading:
        """Return a message over which workers died, without a look at its body."""
        return Reading(delivery, address_of(delivery, self._user), letter=KILLER)

    def parse(
        self, delivery: Delivery, types: Collection[str | None] = _REQUEST_TYPES
    ) -> tuple[object, Letter | None]:
        """Parse the body of a message of one of these types, and say what is wrong with it.

        The document is None where the body cannot be parsed, the letter where nothing is wrong. It
        is parsed whatever else is wrong, since it may tell whose request it is, unless it is far
        too large.
        """
        letter, document = self._unusable(delivery, types), None
        if len(delivery.body) <= self._ids_bytes_max:
            try:
                document = read_json(delivery.body)
            except Unreadable as error:
                letter = letter or Letter(error.key, error.message)
        return document, letter

    def _unusable(self, delivery: Delivery, types: Collection[str | None]) -> Letter | None:
        """Tell what is wrong with a message before its body is looked at."""
        content_type = delivery.content_type
        if content_type not in _SUPPORTED_CONTENT_TYPES:
            media_type = str(content_type).partition(";")[0].strip().lower()
            if media_type != names.JSON_CONTENT_TYPE:
                return Letter(
                    errors.UNSUPPORTED_CONTENT_TYPE,
                    f"content_type must be {names.JSON_CONTENT_TYPE}",
                )
        if delivery.type in DIALECTS and delivery.type not in types:
            return Letter(
                errors.UNKNOWN_TYPE,
                f"a message of type {delivery.type} goes through the door: publish it with a"
                " routing key that is no bucket's",
            )
        if delivery.type not in types:
            return Letter(errors.UNKNOWN_TYPE, f"type must be {names.REQUEST_TYPE}")
        if len(delivery.body) > self._body_bytes_max:
            return Letter(
                errors.TOO_LARGE,
                f"the body has {len(delivery.body)} bytes; {self._body_bytes_max} is the most",
            )
        return None

    def _read_publisher(self, reading: Reading) -> None:
        """Find out on whose behalf the request comes.

        The worker's own requests are trusted. What it passes on names whom the broker had checked.
        """
        delivery = reading.delivery
        if delivery.user_id != self._user:
            reading.publisher = delivery.user_id or None
        elif (first := delivery.headers.get(names.ORIGINAL_USER_ID_HEADER)) is not None:
            reading.publisher = str(first) or None
        else:
            reading.publisher, reading.is_trusted = self._user, True

    def _validate(self, reading: Reading, document: object) -> None:
        reading.is_dry_run = isinstance(document, dict) and document.get("dry_run") is True
        try:
            reading.request = AdjustmentRequest.model_validate(document)
        except ValidationError as error:
            details = faults(error)
            first = details[0]
            reading.refusal = Rejection(
                errors.INVALID_PAYLOAD, f"{first['field']} {first['rule']}.", details
            )
            reading.fingerprint = _of_the_body(reading.delivery.body)
            return
        reading.fingerprint = _OF_THE_REQUEST + sha256(canonical(reading.request)).digest()
        reading.refusal = properties.refused(reading.delivery, self._user)


def early_arrival(row: EarlyRow) -> Arrival:
    """Return a request that waited, as it reached its member, from what was kept of it.

    One that cannot be read any more, since its member was erased or the contract was changed, is
    refused.
    """
    request, refusal = None, None
    try:
        request = AdjustmentRequest.model_validate(read_json(row.body or b""))
    except (Unreadable, ValidationError):
        refusal = Rejection(errors.INVALID_PAYLOAD, "What waited cannot be read any more.")
    return Arrival(
        row.key.request_id,
        request,
        row.fingerprint,
        refusal,
        (row.stream, row.ordinal),
        row.publisher,
        row.is_trusted,
        Address.from_json(row.address),
    )


def _ordinal(document: object) -> tuple[str, int] | None:
    """Return the stream and number of a request, also of one that is otherwise wrong."""
    if not isinstance(document, dict):
        return None
    number = document.get("ordinal")
    if type(number) is not int or not 1 <= number <= fields.COUNTER_MAX:
        return None
    stream = document.get("ordinal_stream")
    if stream is None:
        return "", number
    return (stream, number) if text.is_text(stream, 1, _STREAM_BYTES_MAX) else None


def _heed_the_door(reading: Reading) -> None:
    """Take over what the door says of a vendor's message that it made the request of."""
    said = heeding.said(reading.delivery.headers)
    if said.body_digest is not None:
        reading.fingerprint = _OF_THE_VENDORS_MESSAGE + said.body_digest
        reading.body_fingerprint = reading.fingerprint
    if said.content_digest is not None:
        reading.fingerprint = _OF_THE_VENDORS_MESSAGE + said.content_digest
    reading.refusal = said.refusal or reading.refusal


def _of_the_body(body: bytes) -> bytes:
    return _OF_THE_BODY + sha256(body).digest()
