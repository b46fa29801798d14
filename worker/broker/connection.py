"""Plain connections and channels of aiormq, with a tap at the socket.

A robust connection would repair itself and consume again behind our back, in the midst of a batch
whose messages the broker has already given to somebody else. Here a connection that broke stays
broken, and whoever supervises opens a new one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import aio_pika
import aiormq
from aiormq.connection import TransportFactory
from yarl import URL

from worker.broker.errors import BrokerRefused, BrokerUnreachable, SessionLost
from worker.broker.wire import Sink, Tap

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from aiormq.abc import AbstractChannel

# What the broker says to a user whom it does not let in: access refused, not allowed.
_REFUSALS: Final = (403, 530)
CALL_TIMEOUT_SECONDS: Final = 30

T = TypeVar("T")


class _TapFactory(TransportFactory):
    """Opens a connection's socket for aiormq, TLS or not, with a tap as its reader."""

    def __init__(self, connection: WireConnection) -> None:
        self._connection = connection

    async def create(
        self, url: URL, **kwargs: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        provider = kwargs.pop("ssl_context_provider")
        context = await provider.get_context() if url.scheme == "amqps" else None
        loop = asyncio.get_running_loop()
        tap = Tap(loop)
        protocol = asyncio.StreamReaderProtocol(tap, loop=loop)
        try:
            transport, _ = await loop.create_connection(
                lambda: protocol, url.host or "localhost", url.port or 5672, ssl=context, **kwargs
            )
        except OSError as error:
            raise aiormq.AMQPConnectionError(*error.args) from error
        writer = asyncio.StreamWriter(transport, protocol, tap, loop)
        self._connection.tap, self._connection.writer = tap, writer
        return tap, writer


class WireConnection(aio_pika.Connection):
    """A plain aio-pika connection (never a robust one) whose channels can have sinks."""

    tap: Tap | None = None
    writer: asyncio.StreamWriter | None = None

    async def connect(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aio-pika's.
        """Connect as aio-pika does, through a tap; `timeout` in seconds."""
        self.kwargs["transport_factory"] = _TapFactory(self)
        await super().connect(timeout)

    @property
    def amqp(self) -> aiormq.Connection:
        """The aiormq connection under this one; raises SessionLost once closed."""
        if self.transport is None:
            raise SessionLost("The connection is closed.")
        return cast("aiormq.Connection", self.transport.connection)

    @property
    def user(self) -> str:
        """The user as whom it connects; the broker checks it."""
        return self.url.user or "guest"

    @property
    def frame_max(self) -> int:
        """How many bytes a frame may have on this connection, as agreed with the broker."""
        return self.amqp.connection_tune.frame_max

    async def shut(self, timeout_seconds: float = 5) -> None:
        """Close politely, or drop the socket when that takes longer than the time given."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.close()
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Drop the socket at once; the broker takes everything unacknowledged back."""
        if self.writer is not None:
            self.writer.transport.abort()


async def open_connection(
    url: str, *, name: str, heartbeat_seconds: int, timeout_seconds: float = 10
) -> WireConnection:
    """Connect to the broker under a name that its management pages show.

    Raises BrokerUnreachable when nobody answers within `timeout_seconds`, and BrokerRefused when
    the broker answers but does not let this user in.
    """
    address = URL(url).update_query(heartbeat=heartbeat_seconds, name=name)
    connection = WireConnection(address)
    try:
        await connection.connect(timeout_seconds)
    except (TimeoutError, OSError, aiormq.AMQPError) as error:
        await connection.close()
        raise _no_connection(connection, error, timeout_seconds) from None
    except BaseException:
        await connection.close()
        raise
    return connection


def _no_connection(
    connection: WireConnection, error: Exception, timeout_seconds: float
) -> BrokerRefused | BrokerUnreachable:
    """Say in one sentence why there is no connection; no password is in it."""
    url = connection.url
    place = f"{url.host}:{url.port or (5671 if url.scheme == 'amqps' else 5672)}"
    if connection.tap is not None and connection.tap.goodbye is not None:
        code, text = connection.tap.goodbye
        if code in _REFUSALS:
            return BrokerRefused(f"RabbitMQ at {place} refuses user {connection.user}: {text}.")
        return BrokerUnreachable(f"RabbitMQ at {place} takes no connections now: {text}.")
    if isinstance(error, TimeoutError):
        return BrokerUnreachable(f"RabbitMQ at {place} did not answer in {timeout_seconds:g} s.")
    return BrokerUnreachable(f"RabbitMQ at {place} cannot be reached: {error}.")


async def call(awaitable: Awaitable[T], doing: str) -> T:
    """Await one of aiormq's calls; whatever goes wrong with it is a SessionLost.

    `doing` begins the sentence: "RabbitMQ does not <doing>: …".
    """
    try:
        async with asyncio.timeout(CALL_TIMEOUT_SECONDS):
            return await awaitable
    except asyncio.CancelledError:
        # aiormq also cancels what waits on a connection that it closes. That is not our caller's.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise SessionLost(f"RabbitMQ does not {doing}: the connection closed.") from None
    except (aiormq.AMQPError, RuntimeError, OSError) as error:
        raise SessionLost(f"RabbitMQ does not {doing}: {error or 'it did not answer'}") from None


def reason_of(closing: asyncio.Future[Any]) -> str:
    """Return why aiormq says that a channel or connection closed."""
    error = None if closing.cancelled() else closing.exception()
    return str(error or "") or "it was closed"


class WireChannel:
    """One channel with a sink: frames go out and come in here, calls go through `amqp`."""

    def __init__(self, connection: WireConnection, amqp: AbstractChannel, sink: Sink) -> None:
        self.amqp = cast("aiormq.Channel", amqp)
        self.number = self.amqp.number
        self.frame_max = connection.frame_max
        assert connection.tap is not None, "An open connection has a tap and a writer."
        assert connection.writer is not None
        self._connection = connection
        self._tap = connection.tap
        self._writer = connection.writer
        self._transport = connection.writer.transport
        self._sink = sink
        self._tap.sinks[self.number] = sink
        self.amqp.closing.add_done_callback(self._forget)

    @property
    def blocked(self) -> bool:
        """Whether the broker has stopped reading publications, for want of memory or disk."""
        return self._tap.blocked

    def send(self, frames: bytes) -> None:
        """Write whole frames at once; raises SessionLost when the channel is closed."""
        if self.amqp.is_closed or self._transport.is_closing():
            raise SessionLost("The channel is closed.")
        self._transport.write(frames)

    @property
    def unsent(self) -> int:
        """How many bytes wait here for the socket to take them."""
        return self._transport.get_write_buffer_size()

    async def drain(self) -> None:
        """Wait until the socket takes more, or never will: `send` tells then."""
        with suppress(ConnectionError):
            await self._writer.drain()

    async def close(self, timeout_seconds: float) -> None:
        """Close the channel: what it holds unacknowledged returns to its queue, in order."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await call(self.amqp.close(), "close a channel")
        except (TimeoutError, SessionLost):
            self._connection.abort()

    def _forget(self, _: object) -> None:
        # The number may already belong to another channel.
        if self._tap.sinks.get(self.number) is self._sink:
            del self._tap.sinks[self.number]


async def open_channel(
    connection: WireConnection, sink: Sink, *, confirms: bool = False
) -> WireChannel:
    """Open a channel whose deliveries or confirms go to the sink.

    Raises SessionLost when the connection is gone.
    """
    channel = await call(connection.amqp.channel(publisher_confirms=confirms), "open a channel")
    return WireChannel(connection, channel, sink)


async def never_called(_: object) -> None:
    """Stand where aiormq wants a consumer's callback: the sink takes every delivery before it."""
