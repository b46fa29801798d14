"""A session: one consuming and one publishing connection that live and die together.

Nothing is repaired within a session. At the first failure of anything everybody who waits is told
(`SessionLost`), both connections close, and whoever supervises opens a new session: the broker
delivers again what was not acknowledged, in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from worker.broker.errors import SessionLost
from worker.broker.intake import Intake
from worker.broker.publisher import Publisher, PublishRules
from worker.broker.wire import WireConnection, open_connection


class Session:
    """Two plain connections, the intakes and publishers on them; made by `open_session`."""

    def __init__(
        self,
        consuming: WireConnection,
        publishing: WireConnection,
        rules: PublishRules,
        tell: Callable[[str, str | None], None],
    ) -> None:
        self.user = consuming.url.user or "guest"
        """The user whom the broker checked: the one name this session may put into `user_id`."""
        self.lost: asyncio.Future[SessionLost] = asyncio.get_running_loop().create_future()
        """Done, with the cause, at the first failure of anything or when the session closes."""
        self._consuming = consuming
        self._publishing = publishing
        self._rules = rules
        self._tell = tell
        self._told: dict[str, dict[int, str]] = {"publish": {}, "blocked": {}}
        self._intakes: list[Intake] = []
        self._publishers: list[Publisher] = []
        self._closing: asyncio.Task[None] | None = None
        for connection in (consuming, publishing):
            connection.amqp.closing.add_done_callback(self._closed)

    async def intake(self, queue: str, *, prefetch: int, priority: int = 0) -> Intake:
        """Begin to consume the queue, on a channel of its own.

        `priority` is the consumer's `x-priority`. Raises SessionLost (the whole session is then
        lost) when the queue is missing or the connection gone.
        """
        intake = Intake(queue, self.fail)
        self._intakes.append(intake)
        try:
            await intake.open(self._consuming, prefetch=prefetch, priority=priority)
        except SessionLost as error:
            self.fail(error)
            raise
        return intake

    async def publisher(self) -> Publisher:
        """Open a publishing channel with confirms. Raises SessionLost when it cannot."""
        number = len(self._publishers)
        publisher = Publisher(
            self.user,
            self._rules,
            self.fail,
            lambda condition, reason: self._hear(number, condition, reason),
        )
        self._publishers.append(publisher)
        try:
            await publisher.open(self._publishing)
        except SessionLost as error:
            self.fail(error)
            raise
        return publisher

    def fail(self, error: SessionLost) -> None:
        """End the session now: every `take` and `publish` raises, both connections close."""
        if self.lost.done():
            return
        self.lost.set_result(error)
        for intake in self._intakes:
            intake.lose(error)
        for publisher in self._publishers:
            publisher.lose(error)
        for condition in self._told:
            self._told[condition].clear()
            self._tell(condition, None)
        self._closing = asyncio.get_running_loop().create_task(self._close_connections(5))

    async def close(self, timeout_seconds: float = 5) -> None:
        """Close the channels, then the connections; what does not close in time is dropped."""
        if not self.lost.done():
            self.lost.set_result(SessionLost("The session is closed."))
            await asyncio.gather(
                *(intake.close(timeout_seconds) for intake in self._intakes),
                *(publisher.close(timeout_seconds) for publisher in self._publishers),
            )
            self._closing = asyncio.get_running_loop().create_task(
                self._close_connections(timeout_seconds)
            )
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def _close_connections(self, timeout_seconds: float) -> None:
        await asyncio.gather(
            close_connection(self._consuming, timeout_seconds),
            close_connection(self._publishing, timeout_seconds),
        )

    def _hear(self, publisher: int, condition: str, reason: str | None) -> None:
        """Tell one condition for all publishers: it is over when it is over for the last."""
        reasons = self._told[condition]
        if reason is None:
            reasons.pop(publisher, None)
        else:
            reasons[publisher] = reason
        if not self.lost.done():
            self._tell(condition, next(iter(reasons.values()), None))

    def _closed(self, closing: asyncio.Future[object]) -> None:
        reason = None if closing.cancelled() else closing.exception()
        self.fail(SessionLost(f"The connection to RabbitMQ is gone: {reason}"))


async def close_connection(connection: WireConnection, timeout_seconds: float = 5) -> None:
    """Close the connection politely, or drop it when that takes longer than the time given."""
    with suppress(Exception):
        async with asyncio.timeout(timeout_seconds):
            await connection.close()
            return
    connection.abort()


async def open_session(
    url: str,
    *,
    worker_id: str,
    rules: PublishRules | None = None,
    tell: Callable[[str, str | None], None] = lambda _condition, _reason: None,
    heartbeat_seconds: int = 10,
    timeout_seconds: float = 10,
) -> Session:
    """Open both connections of a session.

    `tell` hears of the conditions "publish" (refused) and "blocked" (an alarm of the broker):
    with a reason while one lasts, with None when it is over.
    Raises BrokerUnreachable or BrokerRefused, in one sentence that holds no password.
    """
    name = f"points-worker {worker_id}"
    consuming = await open_connection(
        url,
        name=f"{name} consume",
        heartbeat_seconds=heartbeat_seconds,
        timeout_seconds=timeout_seconds,
    )
    try:
        publishing = await open_connection(
            url,
            name=f"{name} publish",
            heartbeat_seconds=heartbeat_seconds,
            timeout_seconds=timeout_seconds,
        )
    except BaseException:
        await close_connection(consuming)
        raise
    return Session(consuming, publishing, rules or PublishRules(), tell)
