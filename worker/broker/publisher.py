"""One lane's publishing channel: whole batches in order, every confirm awaited.

A publication that must be taken is sent until the broker takes it, and everything that follows it
goes out again behind it. A reply is given up after a few attempts. Any other failure ends the
session: whoever abandoned a publication publishes nothing more, because what is redelivered will
be published again in its place.

Direct replies go over a connection of their own once everything else of the batch is settled. See
`worker.broker.direct_replies`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from worker.backoff import delays
from worker.broker.confirms import REFUSED, RETURNED, TAKEN, Confirms
from worker.broker.connection import WireChannel, WireConnection, open_channel, reason_of
from worker.broker.direct_replies import DIRECT_REPLY_TO, DirectReplies, is_direct_reply
from worker.broker.encoding import encode_publication
from worker.broker.errors import SessionLost, Unpublishable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.broker.messages import Publication

# A batch goes to the socket in pieces, so that little of it waits there for a slow broker.
CHUNK_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class PublishRules:
    """How long and how often to try; seconds, and attempts including the first."""

    confirm_timeout_seconds: float
    retry_delay_seconds_min: float
    retry_delay_seconds_max: float
    reply_attempts_max: int


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What became of a batch that was published."""

    confirmed: int
    """Publications that the broker has taken."""
    replies_given_up: int = 0
    """Replies that nobody could take, and that will not be tried again."""
    refusals: int = 0
    """How often the broker refused something that must be taken, before it took it."""


class _Sent(NamedTuple):
    """A publication beside its frames."""

    publication: Publication
    frames: bytes


class Publisher:
    """A publishing channel with confirms; made by `Session.publisher`."""

    def __init__(
        self,
        user: str,
        rules: PublishRules,
        fail: Callable[[SessionLost], None],
        refused: Callable[[str | None], None],
        direct_replies: DirectReplies | None = None,
    ) -> None:
        """`refused` hears why the broker refuses what must be taken, and None once it is taken.

        Whoever publishes no replies needs no `direct_replies`.
        """
        self._user = user
        self._rules = rules
        self._fail = fail
        self._refused = refused
        self._direct_replies = direct_replies
        self._channel: WireChannel
        self._confirms = Confirms()
        self._lost: SessionLost | None = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Flights are numbered in the order in which they go out, so one goes out at a time.
        self._sending = asyncio.Lock()
        # What must be taken of a later batch waits for that of the one before.
        self._ordered = asyncio.Lock()

    async def open(self, connection: WireConnection) -> None:
        """Open the channel; raises SessionLost when the broker does not let it."""
        self._channel = await open_channel(connection, self._confirms, confirms=True)
        self._channel.amqp.closing.add_done_callback(self._closed)

    async def publish(self, publications: Sequence[Publication]) -> PublishReport:
        """Publish all, in order, and return once the broker has answered for every one.

        What must be taken has then been taken; a reply has been taken or given up. A second
        call may begin while the first only waits to try replies again.
        Raises Unpublishable, before anything is sent, when something that must be taken cannot
        be encoded, and SessionLost on any failure but a refusal, ever after.
        """
        self._raise_if_lost()
        batch, direct = self._encode(publications)
        try:
            async with self._ordered:
                refused_replies, refusals, gone = await self._publish_in_order(batch)
            given_up = len(publications) - len(batch) - len(direct) + gone
            if direct and self._direct_replies is not None:
                given_up += await self._direct_replies.publish(direct)
                self._raise_if_lost()
            given_up += await self._retry_replies(refused_replies)
        except SessionLost as error:
            self._fail(error)
            raise
        except BaseException:
            self._fail(SessionLost("A publication was abandoned."))
            raise
        return PublishReport(len(publications) - given_up, given_up, refusals)

    async def close(self, timeout_seconds: float = 5) -> None:
        """Close the channel."""
        self.lose(SessionLost("The publisher is closed."))
        await self._channel.close(timeout_seconds)

    def lose(self, error: SessionLost) -> None:
        """Make `publish` raise from now on, also where it waits."""
        if self._lost is None:
            self._lost = error
            self._confirms.lose(error)
            self._gone.set_result(None)

    async def _publish_in_order(self, batch: list[_Sent]) -> tuple[list[_Sent], int, int]:
        """Return the refused replies, the number of refusals, and of replies returned."""
        replies: list[_Sent] = []
        refusals = returned = 0
        waits = delays(self._rules.retry_delay_seconds_min, self._rules.retry_delay_seconds_max)
        while batch:
            owed: list[_Sent] = []
            for sent, verdict in zip(batch, await self._send(batch), strict=True):
                if sent.publication.must_be_taken:
                    if owed or verdict != TAKEN:
                        owed.append(sent)
                elif verdict == REFUSED:
                    replies.append(sent)
                elif verdict == RETURNED:
                    returned += 1
            batch = owed
            if owed:
                refusals += 1
                exchange = owed[0].publication.exchange
                self._refused(f"RabbitMQ does not take what is published to {exchange}.")
                await self._pause(next(waits))
        if refusals:
            self._refused(None)
        return replies, refusals, returned

    async def _retry_replies(self, refused: list[_Sent]) -> int:
        """Return how many of the refused replies had to be given up."""
        given_up = 0
        for _ in range(self._rules.reply_attempts_max - 1):
            if not refused:
                break
            await self._pause(self._rules.retry_delay_seconds_min)
            verdicts = await self._send(refused)
            given_up += verdicts.count(RETURNED)
            refused = [
                sent for sent, verdict in zip(refused, verdicts, strict=True) if verdict == REFUSED
            ]
        return given_up + len(refused)

    async def _send(self, batch: list[_Sent]) -> bytearray:
        """Send one flight and return the broker's verdict on each of it."""
        channel = self._channel
        async with self._sending:
            if channel.blocked:
                await self._wait_unblocked()
            flight = self._confirms.begin([sent.publication for sent in batch])
            chunk: list[bytes] = []
            size = 0
            for sent in batch:
                chunk.append(sent.frames)
                size += len(sent.frames)
                if size >= CHUNK_BYTES:
                    channel.send(b"".join(chunk))
                    chunk.clear()
                    size = 0
                    if channel.unsent > CHUNK_BYTES:
                        await self._drain()
            if chunk:
                channel.send(b"".join(chunk))
        await self._patiently(flight.landed, lambda: flight.unsettled)
        return flight.verdicts

    async def _drain(self) -> None:
        drained = asyncio.ensure_future(self._channel.drain())
        try:
            await self._patiently(drained, lambda: self._channel.unsent)
        finally:
            drained.cancel()

    async def _patiently(self, done: asyncio.Future[None], left: Callable[[], int]) -> None:
        """Wait for as long as less is left each time; raises SessionLost when it stays."""
        timeout_seconds = self._rules.confirm_timeout_seconds
        while True:
            before = left()
            await asyncio.wait(
                {done, self._gone}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            self._raise_if_lost()
            if done.done():
                return
            if self._channel.blocked:
                # The broker will not answer before its alarm is over, and says when it is.
                await self._wait_unblocked()
            elif left() == before:
                raise SessionLost(f"RabbitMQ confirmed nothing for {timeout_seconds:g} s.")

    async def _wait_unblocked(self) -> None:
        while self._channel.blocked:
            await self._pause(self._rules.retry_delay_seconds_min)

    async def _pause(self, seconds: float) -> None:
        await asyncio.wait({self._gone}, timeout=seconds)
        self._raise_if_lost()

    def _raise_if_lost(self) -> None:
        if self._lost is not None:
            raise self._lost

    def _encode(self, publications: Sequence[Publication]) -> tuple[list[_Sent], list[Publication]]:
        """Return what can be sent, and direct replies; a reply that never could be is left out."""
        batch: list[_Sent] = []
        direct: list[Publication] = []
        for publication in publications:
            try:
                sent = self._sent(publication)
            except Unpublishable:
                if publication.must_be_taken:
                    raise
            else:
                if self._direct_replies is not None and is_direct_reply(publication):
                    direct.append(publication)
                else:
                    batch.append(sent)
        return batch, direct

    def _sent(self, publication: Publication) -> _Sent:
        if publication.user_id and publication.user_id != self._user:
            raise Unpublishable("RabbitMQ lets nobody publish as another user.")
        if publication.reply_to == DIRECT_REPLY_TO:
            # RabbitMQ lets only a channel say so that consumes direct replies, and closes others.
            publication = replace(publication, reply_to=None)
        channel = self._channel
        frames = encode_publication(publication, channel.number, channel.frame_max)
        return _Sent(publication, frames)

    def _closed(self, closing: asyncio.Future[object]) -> None:
        if self._lost is None:
            self._fail(SessionLost(f"A channel that publishes closed: {reason_of(closing)}"))
