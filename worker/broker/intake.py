"""One lane's consumer: what the broker hands over, in order, until the channel closes.

The only way out is to close the channel: then the broker puts everything unacknowledged back at
the head of the queue, in order. So nothing here cancels a consumer or rejects a message.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from worker.broker.connection import call, never_called, open_channel, reason_of
from worker.broker.content import Deliveries
from worker.broker.encoding import encode_ack
from worker.broker.errors import SessionLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from pamqp.common import FieldTable

    from worker.broker.connection import WireChannel, WireConnection
    from worker.broker.messages import Delivery


class Intake:
    """A consumer of one queue with a channel of its own; made by `Session.intake`.

    It holds at most `prefetch` deliveries: the broker sends no more until some are acknowledged.
    """

    def __init__(self, queue: str, fail: Callable[[SessionLost], None]) -> None:
        self.queue = queue
        self._fail = fail
        self._channel: WireChannel
        self._buffer: list[Delivery] = []
        self._waiter: asyncio.Future[None] | None = None
        self._stopped = False
        self._lost: SessionLost | None = None
        self._received_tag = 0
        self._acknowledged_tag = 0
        # Tag and count of the deliveries in hand that came back at least once, oldest first.
        self._returned: deque[tuple[int, int]] = deque()
        self._returned_by_count: dict[int, int] = {}

    async def open(self, connection: WireConnection, *, prefetch: int, priority: int) -> None:
        """Begin to consume; raises SessionLost when the broker does not let it."""
        # Half a frame: then no message is so large that it could not be passed on with a few more.
        headers_bytes_max = connection.frame_max // 2
        sink = Deliveries(self.queue, self._receive, headers_bytes_max=headers_bytes_max)
        self._channel = await open_channel(connection, sink)
        amqp = self._channel.amqp
        amqp.closing.add_done_callback(self._closed)
        amqp.on_consumer_cancel_callbacks.add(self._ended)
        doing = f"let us consume {self.queue}"
        await call(amqp.basic_qos(prefetch_count=prefetch), doing)
        arguments: FieldTable = {"x-priority": priority}
        await call(amqp.basic_consume(self.queue, never_called, arguments=arguments), doing)

    async def take(self, count_max: int) -> list[Delivery]:
        """Return what is buffered, oldest first: at least one delivery, at most `count_max`.

        Waits while nothing is there, and for nothing else. Returns [] once `stop` was called.
        Raises SessionLost when the channel or its connection is gone. One caller at a time.
        """
        while self._lost is None:
            if self._stopped:
                return []
            if self._buffer:
                taken = self._buffer[:count_max]
                del self._buffer[:count_max]
                return taken
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        raise self._lost

    def ack_through(self, tag: int) -> None:
        """Acknowledge every delivery up to and including `tag`, without waiting.

        Raises SessionLost when it cannot be sent; the broker then delivers them again.
        """
        if self._lost is not None:
            raise self._lost
        assert self._acknowledged_tag < tag <= self._received_tag, "Only what is in hand."
        self._channel.send(encode_ack(self._channel.number, tag, multiple=True))
        self._acknowledged_tag = tag
        returned = self._returned
        while returned and returned[0][0] <= tag:
            count = returned.popleft()[1]
            self._returned_by_count[count] -= 1
            if not self._returned_by_count[count]:
                del self._returned_by_count[count]

    @property
    def in_hand(self) -> int:
        """How many deliveries were received and are not acknowledged yet."""
        return self._received_tag - self._acknowledged_tag

    def raised_in_hand(self, threshold: int) -> int:
        """How many of the deliveries in hand came back at least `threshold` times before."""
        return sum(n for count, n in self._returned_by_count.items() if count >= threshold)

    async def last_tag(self) -> int:
        """Return the tag that the last message now in the queue has, or will have when it comes.

        Raises SessionLost.
        """
        asking = self._channel.amqp.queue_declare(self.queue, passive=True)
        declared = await call(asking, f"tell the length of {self.queue}")
        return self._received_tag + (declared.message_count or 0)

    def stop(self) -> None:
        """Take no more: drop what is buffered; it returns to the queue with `close`.

        What was taken can still be acknowledged.
        """
        self._stopped = True
        self._buffer.clear()
        self._wake()

    async def close(self, timeout_seconds: float = 5) -> None:
        """Close the channel, which hands everything unacknowledged back to the broker."""
        self.stop()
        self.lose(SessionLost("The intake is closed."))
        await self._channel.close(timeout_seconds)

    def lose(self, error: SessionLost) -> None:
        """Make `take` and `ack_through` raise from now on."""
        if self._lost is None:
            self._lost = error
            self._buffer.clear()
            self._wake()

    def _receive(self, delivery: Delivery) -> None:
        self._received_tag = delivery.tag
        count = delivery.delivery_count
        if count > 0:
            self._returned.append((delivery.tag, count))
            self._returned_by_count[count] = self._returned_by_count.get(count, 0) + 1
        if not self._stopped and self._lost is None:
            self._buffer.append(delivery)
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _closed(self, closing: asyncio.Future[object]) -> None:
        if self._lost is None:
            reason = reason_of(closing)
            self._fail(SessionLost(f"The channel that consumes {self.queue} closed: {reason}"))

    def _ended(self, _: object) -> None:
        self._fail(SessionLost(f"RabbitMQ ended the consumer of {self.queue}: the queue is gone."))
