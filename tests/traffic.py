"""Upstream and downstream as the worker sees them: a publisher, and a reader of what comes back.

Both are plain AMQP clients that share no code with the worker. Both survive a broker that goes
away: the publisher sends again from the first unconfirmed message on, in order, as the contract
tells publishers to; the reader gets what it had not acknowledged once more.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

import aiormq
import pytest
from aiormq.abc import ChannelFrame
from aiormq.exceptions import AMQPError, ChannelInvalidStateError, PublishError
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from tests.load import bucket_key
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from types import TracebackType

    from aiormq.abc import AbstractConnection, DeliveredMessage, FrameType
    from aiormq.channel import Channel

    from tests.load import Message

WINDOW = 5_000
PREFETCH = 2_000
OUTAGE_SECONDS_MAX = 90
LOST = (AMQPError, OSError, ChannelInvalidStateError)


@contextlib.asynccontextmanager
async def connected(amqp_url: str) -> AsyncIterator[AbstractConnection]:
    """Give a connection, opened as soon as the broker answers, and close it afterwards."""
    opened: list[AbstractConnection] = []

    async def connects() -> bool:
        with contextlib.suppress(*LOST):
            opened.append(await aiormq.connect(amqp_url))
        return bool(opened)

    await until(connects, deadline_seconds=OUTAGE_SECONDS_MAX, what="RabbitMQ takes connections")
    try:
        yield opened[0]
    finally:
        with contextlib.suppress(*LOST, asyncio.CancelledError):
            await opened[0].close()


@dataclass(slots=True)
class Upstream:
    """Publishes back to back, confirmed; `sent` counts what the broker has taken so far."""

    amqp_url: str
    prefix: str
    by_door: bool = False
    sent: int = 0

    async def publish(self, messages: Sequence[Message], *, reply_to: str | None) -> None:
        """Publish all messages in order without waiting for any answer."""
        end = self.sent + len(messages)
        start = self.sent
        while self.sent < end:
            with contextlib.suppress(*LOST):
                async with connected(self.amqp_url) as connection:
                    channel = cast("Channel", await connection.channel())
                    while self.sent < end:
                        offset = self.sent - start
                        window = messages[offset : offset + WINDOW]
                        await self._publish_window(channel, window, reply_to)
                        self.sent += len(window)

    async def _publish_window(
        self, channel: Channel, window: Sequence[Message], reply_to: str | None
    ) -> None:
        confirms = await asyncio.gather(
            *(
                channel.basic_publish(
                    message.body,
                    exchange=f"{self.prefix}.adjustments",
                    routing_key=message.member_id
                    if self.by_door
                    else bucket_key(message.member_id),
                    properties=Basic.Properties(
                        content_type="application/json",
                        message_type="adjustment.request.v1",
                        delivery_mode=2,
                        message_id=f"m-{message.number}",
                        correlation_id=message.correlation_id,
                        reply_to=reply_to,
                    ),
                    mandatory=True,
                    wait=False,
                )
                for message in window
            ),
            return_exceptions=True,
        )
        for failure in confirms:
            if isinstance(failure, PublishError):
                pytest.fail(f"nothing takes what is published: {failure}")
            if isinstance(failure, BaseException):
                raise failure


def write_raw(
    channel: Channel,
    body: bytes,
    *,
    exchange: str,
    routing_key: str,
    properties: Basic.Properties,
) -> None:
    """Put one message on the wire exactly as given (the client would add a message id)."""
    assert not channel.publisher_confirms
    frames: list[FrameType | ContentBody] = [
        Basic.Publish(exchange=exchange, routing_key=routing_key),
        ContentHeader(body_size=len(body), properties=properties),
        ContentBody(body),
    ]
    channel.write_queue.put_nowait(
        ChannelFrame.marshall(channel_number=channel.number, frames=frames)
    )


@dataclass(frozen=True, slots=True)
class Received:
    """One reply, event or dead letter as it came."""

    body: bytes
    exchange: str
    routing_key: str
    properties: Basic.Properties

    @property
    def headers(self) -> dict[str, Any]:
        return dict(self.properties.headers or {})


@dataclass(slots=True)
class Downstream:
    """Reads replies and events into lists from before the first publication on.

    Use it as an async context manager once the topology is there.
    """

    amqp_url: str
    prefix: str
    replies: list[Received] = field(default_factory=list)
    events: list[Received] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)
    event_ids: set[str] = field(default_factory=set)
    _reader: asyncio.Task[None] | None = None

    @property
    def reply_to(self) -> str:
        """The queue that requests name as their reply address."""
        return f"{self.prefix}.test.replies"

    @property
    def events_queue(self) -> str:
        """A subscriber's own durable queue, bound to every event."""
        return f"{self.prefix}.test.events"

    async def __aenter__(self) -> Self:
        async with connected(self.amqp_url) as connection:
            channel = await connection.channel()
            for queue in (self.reply_to, self.events_queue):
                await channel.queue_declare(queue, durable=True)
            await channel.queue_bind(self.events_queue, f"{self.prefix}.events", "#")
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._reader is not None
        self._reader.cancel()
        await asyncio.wait([self._reader])
        async with connected(self.amqp_url) as connection:
            channel = await connection.channel()
            for queue in (self.reply_to, self.events_queue):
                await channel.queue_delete(queue)
        if error is None and not self._reader.cancelled():
            self._reader.result()

    async def _read(self) -> None:
        while True:
            with contextlib.suppress(*LOST):
                async with connected(self.amqp_url) as connection:
                    ends = [connection.closing]
                    for queue, keep in (
                        (self.reply_to, self._keep_reply),
                        (self.events_queue, self._keep_event),
                    ):
                        channel = await connection.channel()
                        ends.append(channel.closing)
                        await channel.basic_qos(prefetch_count=PREFETCH)
                        await channel.basic_consume(queue, _keeping(keep))
                    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)

    def _keep_reply(self, received: Received) -> None:
        self.replies.append(received)
        self.answered.add(received.properties.correlation_id or "")

    def _keep_event(self, received: Received) -> None:
        self.events.append(received)
        self.event_ids.add(received.properties.message_id or "")


def _keeping(keep: Callable[[Received], None]) -> Callable[[DeliveredMessage], Any]:
    """Return a consumer that keeps a message in the step it arrives in, so that order stays."""
    unacknowledged = 0

    async def consume(message: DeliveredMessage) -> None:
        nonlocal unacknowledged
        keep(received_of(message))
        unacknowledged += 1
        if unacknowledged >= PREFETCH // 4:
            unacknowledged = 0
            await message.channel.basic_ack(message.delivery_tag or 0, multiple=True)

    return consume


def received_of(message: DeliveredMessage) -> Received:
    """Reduce a client's message to what tests look at."""
    return Received(
        body=message.body,
        exchange=message.exchange or "",
        routing_key=message.routing_key or "",
        properties=message.header.properties,
    )


async def take_all(amqp_url: str, queue: str) -> list[Received]:
    """Take everything that lies in a queue."""
    taken: list[Received] = []
    async with connected(amqp_url) as connection:
        channel = await connection.channel()
        while True:
            message = await channel.basic_get(queue, no_ack=True)
            if isinstance(message.delivery, Basic.GetEmpty):
                return taken
            taken.append(received_of(message))
