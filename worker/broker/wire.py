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
from typing import TYPE_CHECKING, Final, Protocol

from pamqp.heartbeat import Heartbeat

from worker.broker.encoding import FRAME_OVERHEAD, METHOD_FRAME

if TYPE_CHECKING:
    from collections.abc import Callable


_FRAME: Final = Struct(">BHI").unpack_from
_METHOD: Final = Struct(">I").unpack_from
_HEARTBEAT: Final = Heartbeat().marshal()
_HEARTBEAT_EVERY_SECONDS: Final = 1.0
_CLOSE: Final = 0x000A0032
_BLOCKED: Final = 0x000A003C
_UNBLOCKED: Final = 0x000A003D
_REPLY: Final = Struct(">HB").unpack_from


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
        """Whether the broker takes no publications for now, for want of memory or disk."""
        self.when_blocked: Callable[[bool], None] = lambda _: None
        """Called whenever `blocked` has changed."""
        self.goodbye: tuple[int, str] | None = None
        """Code and text with which the broker closed the connection, if it did."""
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
                    self._observe(data, start)
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

    def _observe(self, data: bytes, start: int) -> None:
        method = _METHOD(data, start)[0]
        if method == _CLOSE:
            code, size = _REPLY(data, start + 4)
            text = data[start + 7 : start + 7 + size]
            self.goodbye = code, text.decode("utf-8", "replace").strip(" .")
        elif method in {_BLOCKED, _UNBLOCKED}:
            self.blocked = method == _BLOCKED
            self.when_blocked(self.blocked)

    def _tell_alive(self) -> None:
        # The broker sends no heartbeats while it sends anything else, and aiormq would take a
        # connection on which it sees nothing for dead.
        now = self._clock.time()
        if now - self._alive_told_at >= _HEARTBEAT_EVERY_SECONDS:
            self._alive_told_at = now
            super().feed_data(_HEARTBEAT)
