"""Looks at the dead letters, drops one, or sends one back to where it was first published.

Reading takes messages without acknowledging them and gives them back by closing the channel, so
the queue is as it was. Only the first `count_max` letters, up to 65,535, are looked at.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from schemas.names import (
    DIED_AT_HEADER,
    ERROR_KEY_HEADER,
    ERROR_MESSAGE_HEADER,
    FIRST_DEATH_REASON_HEADER,
    ORIGINAL_EXCHANGE_HEADER,
    ORIGINAL_QUEUE_HEADER,
    ORIGINAL_ROUTING_KEY_HEADER,
    ORIGINAL_USER_ID_HEADER,
    WORKERS_HEADERS,
)
from schemas.topology import adjustments_exchange, dead
from worker.broker.client import publish_once
from worker.broker.connection import call, never_called, open_channel
from worker.broker.content import Deliveries
from worker.broker.encoding import encode_ack
from worker.broker.messages import Delivery, Publication, passed_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.broker.connection import WireConnection

COUNT_MAX: Final = 1_000
# The broker does not tell when a consumer has everything, and its count of messages leaves out
# what another reader is just giving back. A letter that does not come so soon is not there.
_SILENCE_SECONDS: Final = 1.0
_CLOSE_SECONDS: Final = 5
_ID_LENGTH: Final = 16
# What tells of the death, and not of the message.
_DEATH_HEADERS: Final = frozenset(
    {
        DIED_AT_HEADER,
        ERROR_KEY_HEADER,
        ERROR_MESSAGE_HEADER,
        ORIGINAL_EXCHANGE_HEADER,
        ORIGINAL_QUEUE_HEADER,
        ORIGINAL_ROUTING_KEY_HEADER,
        ORIGINAL_USER_ID_HEADER,
    }
)
_BROKER_HEADERS: Final = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter and the name it goes by: a digest, equal for letters that are equal."""

    letter_id: str
    delivery: Delivery

    @property
    def reason(self) -> str:
        """Why it is here: the worker's error key, or the broker's own reason."""
        headers = self.delivery.headers
        return str(headers.get(ERROR_KEY_HEADER) or headers.get(FIRST_DEATH_REASON_HEADER) or "")

    @property
    def routing_key(self) -> str:
        """The routing key under which it was first published."""
        original = self.delivery.headers.get(ORIGINAL_ROUTING_KEY_HEADER)
        return self.delivery.routing_key if original is None else str(original)


async def read_letters(
    connection: WireConnection, prefix: str, count_max: int = COUNT_MAX
) -> list[DeadLetter]:
    """Return the oldest dead letters, oldest first, and leave them where they are."""
    async with _letters(connection, dead(prefix), count_max) as letters:
        return [letter async for letter in letters]


async def drop_letter(
    connection: WireConnection, prefix: str, letter_id: str, count_max: int = COUNT_MAX
) -> DeadLetter | None:
    """Remove one letter for good and return it; None when none of the oldest is it."""
    async with _letters(connection, dead(prefix), count_max) as letters:
        letter = await letters.find(letter_id)
        if letter is not None:
            letters.remove(letter)
        return letter


async def replay_letter(
    connection: WireConnection, prefix: str, letter_id: str, count_max: int = COUNT_MAX
) -> DeadLetter | None:
    """Publish one letter again as it first was, remove it, and return it; None when not found.

    It goes out as this connection's user; whom the broker had checked first stands in the header
    `x-original-user-id`. It is removed only once the broker has taken it (NotTaken is raised
    when it does not), so that a crash in between leaves it twice, which is harmless.
    """
    user = connection.user
    async with _letters(connection, dead(prefix), count_max) as letters:
        letter = await letters.find(letter_id)
        if letter is not None:
            await publish_once(connection, _as_first_published(letter, prefix, user))
            letters.remove(letter)
        return letter


def _as_first_published(letter: DeadLetter, prefix: str, user: str) -> Publication:
    delivery = letter.delivery
    headers = {
        key: value
        for key, value in delivery.headers.items()
        if key not in _DEATH_HEADERS and not key.startswith(_BROKER_HEADERS)
    }
    # Only what the worker itself wrote tells who published first, and how it is to be read. In a
    # letter that the broker made, such headers are the publisher's own claims, and the property
    # is what was checked: "" for nobody, since what has no header counts as the worker's own.
    if delivery.user_id == user:
        first_user = delivery.headers.get(ORIGINAL_USER_ID_HEADER)
    else:
        first_user = delivery.user_id or ""
        headers = {key: value for key, value in headers.items() if key not in WORKERS_HEADERS}
    if first_user is not None:
        headers[ORIGINAL_USER_ID_HEADER] = first_user
    exchange = adjustments_exchange(prefix)
    again = passed_on(delivery, exchange, letter.routing_key, user=user, headers=headers)
    # Somebody waits at the command line: what cannot be taken now stays where it is.
    return replace(again, must_be_taken=False)


def _letter(delivery: Delivery) -> DeadLetter:
    digest = sha256()
    for part in (
        delivery.message_id or "",
        delivery.routing_key,
        *(
            f"{key}={delivery.headers[key]}"
            for key in sorted((_DEATH_HEADERS - {DIED_AT_HEADER}) & set(delivery.headers))
        ),
    ):
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    digest.update(delivery.body)
    return DeadLetter(digest.hexdigest()[:_ID_LENGTH], delivery)


class _Letters:
    """The letters on one channel: handed out in order, and all returned when it closes.

    They are consumed, not got one by one: what was got returns in any order.
    """

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._received: asyncio.Queue[Delivery] = asyncio.Queue()
        self._count_max = 0

    async def open(self, connection: WireConnection, count_max: int) -> None:
        """Begin to consume; raises SessionLost when the broker does not let it."""
        doing = f"let us read {self._queue}"
        received = self._received.put_nowait
        # Those of the death stand behind the message's own, which may fill half a frame.
        sink = Deliveries(self._queue, received, headers_bytes_max=connection.frame_max)
        self._channel = await open_channel(connection, sink)
        amqp = self._channel.amqp
        self._count_max = count_max
        await call(amqp.basic_qos(prefetch_count=count_max), doing)
        await call(amqp.basic_consume(self._queue, never_called), doing)

    async def __aiter__(self) -> AsyncIterator[DeadLetter]:
        """Yield the letters, oldest first."""
        with suppress(TimeoutError):
            for _ in range(self._count_max):
                async with asyncio.timeout(_SILENCE_SECONDS):
                    delivery = await self._received.get()
                yield _letter(delivery)

    async def find(self, letter_id: str) -> DeadLetter | None:
        """Return the letter of that name, if it is among them."""
        async for letter in self:
            if letter.letter_id == letter_id:
                return letter
        return None

    def remove(self, letter: DeadLetter) -> None:
        """Take the letter out of the queue for good."""
        tag = letter.delivery.tag
        self._channel.send(encode_ack(self._channel.number, tag, multiple=False))

    async def close(self) -> None:
        """Give back all that was not removed."""
        await self._channel.close(_CLOSE_SECONDS)


@asynccontextmanager
async def _letters(
    connection: WireConnection, queue: str, count_max: int
) -> AsyncIterator[_Letters]:
    letters = _Letters(queue)
    await letters.open(connection, count_max)
    try:
        yield letters
    finally:
        await letters.close()
