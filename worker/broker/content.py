"""Puts messages together again that the broker sends in three kinds of frames."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from worker.broker.decoding import decode_delivered, decode_properties
from worker.broker.encoding import HEADER_FRAME, METHOD_FRAME
from worker.broker.messages import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable

_METHOD: Final = Struct(">I").unpack_from
_DELIVER: Final = 0x003C003C


class Deliveries:
    """A sink that makes a `Delivery` of every message that its channel is given.

    `received` is called for each, in order. Headers are read as far as they take up
    `headers_bytes_max`, which the messages say of themselves where it was not enough.
    """

    def __init__(
        self, queue: str, received: Callable[[Delivery], None], *, headers_bytes_max: int
    ) -> None:
        self._queue = queue
        self._received = received
        self._headers_bytes_max = headers_bytes_max
        self._open: Delivery | None = None
        self._missing = 0
        self._pieces: list[bytes] = []

    def frame(self, kind: int, data: bytes, start: int, stop: int) -> bool:
        """Take one frame of the channel; see `worker.broker.wire.Sink`."""
        if kind == METHOD_FRAME:
            if _METHOD(data, start)[0] != _DELIVER:
                return False
            at = start + 5 + data[start + 4]  # Past the consumer tag.
            tag, redelivered, exchange, routing_key = decode_delivered(data, at)
            self._open = Delivery(tag, b"", exchange, routing_key, self._queue, redelivered)
            return True
        delivery = self._open
        if delivery is None:
            return False
        if kind == HEADER_FRAME:
            self._missing = decode_properties(delivery, data, start, self._headers_bytes_max)
            if self._missing:
                return True
        else:
            self._missing -= stop - start
            if self._missing or self._pieces:
                self._pieces.append(data[start:stop])
                if self._missing:
                    return True
                delivery.body = b"".join(self._pieces)
                self._pieces.clear()
            else:
                delivery.body = data[start:stop]
        self._open = None
        self._received(delivery)
        return True
