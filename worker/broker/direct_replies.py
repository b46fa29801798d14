"""Replies to direct reply addresses, over a connection of their own.

Such an address, `amq.rabbitmq.reply-to.` and what a client wrote behind it, is no queue: RabbitMQ
decodes it, and closes the whole connection over one that it cannot decode. So these replies go
where nothing else can be hurt. Whatever goes wrong with one of them means that it is given up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from worker.broker.confirms import PENDING, TAKEN, Confirms, Flight
from worker.broker.connection import WireChannel, WireConnection, open_channel, reason_of
from worker.broker.encoding import encode_publication
from worker.broker.errors import BrokerError, BrokerUnreachable, SessionLost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from worker.broker.messages import Publication

DIRECT_REPLY_TO: Final = "amq.rabbitmq.reply-to"
# A lane waits for the direct replies of a batch, whatever becomes of them, no longer than this.
PATIENCE_SECONDS: Final = 2.0


def is_direct_reply(publication: Publication) -> bool:
    """Tell whether this is a reply to a direct reply address, sound or not."""
    return (
        not publication.must_be_taken
        and not publication.exchange
        and publication.routing_key.startswith(f"{DIRECT_REPLY_TO}.")
    )


class DirectReplies:
    """Publishes the direct replies of all publishers of a session, one batch at a time.

    `connect` opens the connection when it is first needed, and again after it broke: at most once
    in `retry_delay_seconds_min`, after a failure to open it once in `retry_delay_seconds_max`. A
    batch breaks it at most `attempts_max` times.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[WireConnection]],
        *,
        retry_delay_seconds_min: float,
        retry_delay_seconds_max: float,
        attempts_max: int,
    ) -> None:
        self._connect = connect
        self._delay_seconds_min = retry_delay_seconds_min
        self._delay_seconds_max = retry_delay_seconds_max
        self._attempts_max = attempts_max
        self._connection: WireConnection | None = None
        self._channel: WireChannel | None = None
        self._confirms = Confirms()
        self._turn = asyncio.Lock()
        self._opens_at = 0.0
        self._closed = False

    async def publish(self, replies: Sequence[Publication]) -> int:
        """Publish them, and return how many had to be given up; takes `PATIENCE_SECONDS` at most.

        Never raises because of what goes wrong at the broker.
        """
        flights: list[Flight] = []
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._turn:
                await self._publish([replace(reply, mandatory=False) for reply in replies], flights)
        except (TimeoutError, BrokerError):
            pass  # What has no verdict by now is given up.
        return len(replies) - sum(flight.verdicts.count(TAKEN) for flight in flights)

    async def close(self) -> None:
        """Drop the connection; whatever is published from now on is given up."""
        self._closed = True
        self._drop()
        async with self._turn:  # Whoever had it may just have opened another one.
            self._drop()

    async def _publish(self, replies: list[Publication], flights: list[Flight]) -> None:
        """Send all together; where that breaks the connection, one by one what is left of it.

        So an address that breaks it costs nobody else's reply, unless several do.
        """
        batches = deque([replies])
        breaks = 0
        while batches:
            batch = batches.popleft()
            unanswered = await self._send(batch, flights)
            if unanswered:
                breaks += 1
                if breaks == self._attempts_max:
                    return
                if len(batch) > 1:
                    batches.extend([reply] for reply in unanswered)

    async def _send(self, batch: list[Publication], flights: list[Flight]) -> list[Publication]:
        """Send a batch; return what is not confirmed when the connection breaks, else nothing."""
        channel = await self._open()
        frames = [encode_publication(reply, channel.number, channel.frame_max) for reply in batch]
        flight = self._confirms.begin(batch)
        flights.append(flight)
        try:
            channel.send(b"".join(frames))
            await flight.landed
        except SessionLost:
            self._drop()
            answers = zip(batch, flight.verdicts, strict=True)
            return [reply for reply, verdict in answers if verdict == PENDING]
        except BaseException:
            # It stays silent, or nobody waits any longer: neither is soon tried again.
            self._drop()
            self._opens_at = self._now() + self._delay_seconds_max
            raise
        return []

    async def _open(self) -> WireChannel:
        """Return the open channel. Raises BrokerError where there is none, and none is due yet."""
        if self._channel is not None and not self._channel.amqp.is_closed:
            return self._channel
        self._drop()
        wait_seconds = self._opens_at - self._now()
        if self._closed or wait_seconds > self._delay_seconds_min:
            raise BrokerUnreachable("No connection for direct replies is opened now.")
        await asyncio.sleep(max(0.0, wait_seconds))
        self._opens_at = self._now() + self._delay_seconds_max
        self._connection = await self._connect()
        confirms = self._confirms = Confirms()
        try:
            channel = await open_channel(self._connection, confirms, confirms=True)
        except SessionLost as error:
            raise BrokerUnreachable(str(error)) from None
        channel.amqp.closing.add_done_callback(
            lambda closing: confirms.lose(SessionLost(reason_of(closing)))
        )
        self._channel = channel
        self._opens_at = self._now() + self._delay_seconds_min
        return channel

    def _drop(self) -> None:
        """Drop the connection, if there is one."""
        if self._connection is not None:
            self._connection.abort()
        self._connection = self._channel = None

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
