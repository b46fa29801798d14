"""The hot path: frames of deliveries and confirms, taken straight out of the socket's bytes.

aiormq reads each frame with three awaits, decodes it with pamqp and passes it through a queue to
a task of its channel. That is right for the dozen calls that set a session up and too slow for
what follows. So a `Tap` stands where aiormq expects its stream reader: it cuts the incoming bytes
into frames, gives those of a channel that has a sink to that sink at once, and passes all others
on to aiormq, which goes on looking after the handshake, the calls, the heartbeats and the close.
It only uses what aiormq and aio-pika offer for it: a transport factory and the channel's number.
"""

from __future__ import annotations

import asyncio
from struct import Struct
from typing import Any, Final, Protocol, cast

import aio_pika
import aiormq
from aiormq.abc import AbstractChannel
from aiormq.connection import TransportFactory
from pamqp.heartbeat import Heartbeat
from yarl import URL

from worker.broker.encoding import FRAME_OVERHEAD, METHOD_FRAME
from worker.broker.errors import BrokerRefused, BrokerUnreachable, SessionLost

_FRAME: Final = Struct(">BHI").unpack_from
_METHOD: Final = Struct(">I").unpack_from
_HEARTBEAT: Final = Heartbeat().marshal()
_HEARTBEAT_EVERY_SECONDS: Final = 1.0
_BLOCKED: Final = 0x000A003C
_UNBLOCKED: Final = 0x000A003D


class Sink(Protocol):
    """Whoever reads the frames of one channel."""

    def frame(self, kind: int, data: bytes, start: int, stop: int) -> bool:
        """Take the frame whose payload is data[start:stop]; False leaves it to aiormq."""


class Tap(asyncio.StreamReader):
    """A stream reader that hands the frames of some channels to their sinks as they arrive."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.sinks: dict[int, Sink] = {}
        self.blocked = False
        """Whether the broker has said that it reads no publications for now (connection.blocked)."""
        self._clock = loop
        self._rest = b""
        self._foreign = False
        self._alive_told_at = 0.0

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # A transport feeds bytes.
        """Cut what has arrived into frames; an incomplete one waits for its rest."""
        if self._rest:
            data = self._rest + data
        elif not self._foreign and data.startswith(b"AMQP"):
            # A server that speaks another version answers with a protocol header, not a frame.
            self._foreign = True
        if self._foreign:
            super().feed_data(data)
            return
        at, end, taken = 0, len(data), False
        sinks = self.sinks
        while end - at >= FRAME_OVERHEAD:
            kind, channel, size = _FRAME(data, at)
            start = at + 7
            stop = start + size
            if stop >= end:
                break
            sink = sinks.get(channel)
            if sink is not None and sink.frame(kind, data, start, stop):
                taken = True
            else:
                if channel == 0 and kind == METHOD_FRAME:
                    self._observe(_METHOD(data, start)[0])
                super().feed_data(data[at : stop + 1])
            at = stop + 1
        self._rest = data[at:]
        if taken:
            self._tell_alive()

    def feed_eof(self) -> None:
        """End the stream; what is left of a torn frame lets aiormq see that it was torn."""
        if self._rest:
            super().feed_data(self._rest)
            self._rest = b""
        super().feed_eof()

    def _observe(self, method: int) -> None:
        if method == _BLOCKED:
            self.blocked = True
        elif method == _UNBLOCKED:
            self.blocked = False

    def _tell_alive(self) -> None:
        # The broker sends no heartbeats while it sends anything else, and aiormq would take a
        # connection on which it sees nothing for dead.
        now = self._clock.time()
        if now - self._alive_told_at >= _HEARTBEAT_EVERY_SECONDS:
            self._alive_told_at = now
            super().feed_data(_HEARTBEAT)


class _TapFactory(TransportFactory):
    """Opens the socket for aiormq, TLS or not, with a tap as its reader."""

    tap: Tap
    writer: asyncio.StreamWriter

    async def create(
        self, url: URL, **kwargs: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        provider = kwargs.pop("ssl_context_provider")
        context = await provider.get_context() if url.scheme == "amqps" else None
        loop = asyncio.get_running_loop()
        self.tap = tap = Tap(loop)
        protocol = asyncio.StreamReaderProtocol(tap, loop=loop)
        try:
            transport, _ = await loop.create_connection(
                lambda: protocol, url.host or "localhost", url.port or 5672, ssl=context, **kwargs
            )
        except OSError as error:
            raise aiormq.AMQPConnectionError(*error.args) from error
        self.writer = asyncio.StreamWriter(transport, protocol, tap, loop)
        return tap, self.writer


class WireConnection(aio_pika.Connection):
    """A plain aio-pika connection (never a robust one) whose channels can have sinks."""

    tap: Tap
    writer: asyncio.StreamWriter

    async def connect(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aio-pika's.
        """Connect as aio-pika does, through a tap; `timeout` in seconds."""
        factory = _TapFactory()
        self.kwargs["transport_factory"] = factory
        await super().connect(timeout)
        self.tap, self.writer = factory.tap, factory.writer

    @property
    def amqp(self) -> aiormq.Connection:
        """The aiormq connection under this one; raises SessionLost once closed."""
        if self.transport is None:
            raise SessionLost("The connection is closed.")
        return cast("aiormq.Connection", self.transport.connection)

    def abort(self) -> None:
        """Drop the socket at once; the broker takes everything unacknowledged back."""
        self.writer.transport.abort()


async def open_connection(
    url: str, *, name: str, heartbeat_seconds: int = 10, timeout_seconds: float = 10
) -> WireConnection:
    """Connect to the broker under a name that its management pages show.

    Raises BrokerUnreachable when nobody answers within `timeout_seconds`, and BrokerRefused when
    the broker answers but does not let this user in.
    """
    address = URL(url).update_query(heartbeat=heartbeat_seconds, name=name)
    place = f"{address.host}:{address.port or (5671 if address.scheme == 'amqps' else 5672)}"
    connection = WireConnection(address)
    try:
        await connection.connect(timeout_seconds)
    except BaseException as error:
        await connection.close()
        if isinstance(error, aiormq.exceptions.ConnectionNotAllowed):
            raise BrokerRefused(
                f"RabbitMQ at {place} has no virtual host {address.path or '/'} for user "
                f"{address.user or 'guest'}."
            ) from None
        if isinstance(error, _REFUSALS):
            raise BrokerRefused(
                f"RabbitMQ at {place} refuses user {address.user or 'guest'}: wrong user or "
                "password."
            ) from None
        if isinstance(error, TimeoutError):
            raise BrokerUnreachable(
                f"RabbitMQ at {place} did not answer within {timeout_seconds:g} s."
            ) from None
        if isinstance(error, aiormq.AMQPError | OSError):
            raise BrokerUnreachable(f"RabbitMQ at {place} is not reachable: {error}.") from None
        raise
    return connection


_REFUSALS: Final = (
    aiormq.exceptions.AuthenticationError,
    aiormq.exceptions.ProbableAuthenticationError,
)


class WireChannel:
    """One channel with a sink: frames go out and come in here, calls go through `amqp`."""

    def __init__(self, connection: WireConnection, amqp: AbstractChannel, sink: Sink) -> None:
        self.amqp = cast("aiormq.Channel", amqp)
        self.number = self.amqp.number
        self.frame_max = connection.amqp.connection_tune.frame_max
        self._connection = connection
        self._transport = connection.writer.transport
        connection.tap.sinks[self.number] = sink
        self.amqp.closing.add_done_callback(self._forget)

    @property
    def blocked(self) -> bool:
        """Whether the broker has stopped reading publications, for want of memory or disk."""
        return self._connection.tap.blocked

    def send(self, frames: bytes) -> None:
        """Write whole frames at once; raises SessionLost when the channel is closed."""
        if self.amqp.is_closed or self._transport.is_closing():
            raise SessionLost("The channel is closed.")
        self._transport.write(frames)

    @property
    def is_backed_up(self) -> bool:
        """Whether so much is unsent that one should `drain` before sending more."""
        _, high = self._transport.get_write_buffer_limits()
        return self._transport.get_write_buffer_size() > high

    async def drain(self) -> None:
        """Wait until the socket takes more; raises SessionLost when it never will."""
        try:
            await self._connection.writer.drain()
        except ConnectionError:
            raise SessionLost("The connection to RabbitMQ broke.") from None

    async def close(self, timeout_seconds: float) -> None:
        """Close the channel: what it holds unacknowledged returns to its queue, in order."""
        try:
            await asyncio.wait_for(self.amqp.close(), timeout_seconds)
        except (TimeoutError, aiormq.AMQPError):
            self._connection.abort()

    def _forget(self, _: object) -> None:
        self._connection.tap.sinks.pop(self.number, None)


async def open_channel(
    connection: WireConnection, sink: Sink, *, confirms: bool = False
) -> WireChannel:
    """Open a channel whose deliveries or confirms go to the sink.

    Raises SessionLost when the connection is gone.
    """
    try:
        channel = await connection.amqp.channel(publisher_confirms=confirms)
    except (aiormq.AMQPError, RuntimeError, ConnectionError) as error:
        raise SessionLost(f"RabbitMQ opened no channel: {error}") from None
    return WireChannel(connection, channel, sink)
