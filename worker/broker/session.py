"""A session: one consuming and one publishing connection that live and die together.

A third one, for direct replies, is opened when it is needed, and may die alone.

Nothing is repaired within a session. At the first failure of anything everybody who waits is told
(`SessionLost`), both connections close, and whoever supervises opens a new session: the broker
delivers again what was not acknowledged, in order.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from worker.broker.client import temporary_queue
from worker.broker.connection import WireConnection, open_connection, reason_of
from worker.broker.direct_replies import DirectReplies
from worker.broker.errors import SessionLost
from worker.broker.intake import Intake
from worker.broker.publisher import Publisher, PublishRules

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractAsyncContextManager


class Session:
    """Two plain connections, the intakes and publishers on them; made by `open_session`."""

    def __init__(
        self,
        consuming: WireConnection,
        publishing: WireConnection,
        direct_replies: DirectReplies,
        rules: PublishRules,
        tell: Callable[[str, str | None], None],
    ) -> None:
        self.user = consuming.user
        """The user whom the broker checked: the one name this session may put into `user_id`."""
        self.lost: asyncio.Future[SessionLost] = asyncio.get_running_loop().create_future()
        """Done, with the cause, at the first failure of anything or when the session closes."""
        self._consuming = consuming
        self._publishing = publishing
        self._direct_replies = direct_replies
        self._rules = rules
        self._tell = tell
        self._refusals: dict[Publisher, str] = {}
        self._intakes: list[Intake] = []
        self._publishers: list[Publisher] = []
        self._closing: asyncio.Task[None] | None = None
        assert publishing.tap is not None, "An open connection has a tap."
        publishing.tap.when_blocked = self._blocked
        for connection in (consuming, publishing):
            connection.amqp.closing.add_done_callback(self._closed)

    async def intake(self, queue: str, *, prefetch: int, priority: int = 0) -> Intake:
        """Begin to consume the queue, on a channel of its own.

        `prefetch` is 1 to 65,535, `priority` the consumer's `x-priority`. Raises SessionLost (the
        whole session is then lost) when the queue is missing or the connection gone.
        """
        intake = Intake(queue, self.fail)
        await self._open(intake.open(self._consuming, prefetch=prefetch, priority=priority))
        self._intakes.append(intake)
        return intake

    async def publisher(self) -> Publisher:
        """Open a publishing channel with confirms. Raises SessionLost when it cannot."""
        publisher = Publisher(
            self.user,
            self._rules,
            self.fail,
            lambda reason: self._refused(publisher, reason),
            self._direct_replies,
        )
        await self._open(publisher.open(self._publishing))
        self._publishers.append(publisher)
        return publisher

    def watch(self, exchange: str) -> AbstractAsyncContextManager[tuple[str, Intake]]:
        """Give a queue, by name, and an intake of it, to which comes what a fanout exchange gets.

        Both go when they are left. Entering raises SessionLost where the broker does not let this
        user make a queue; the session lives on then.
        """
        return temporary_queue(self._consuming, exchange)

    def fail(self, error: SessionLost) -> None:
        """End the session now: every `take` and `publish` raises, both connections close."""
        if not self.lost.done():
            self._end(error)
            self._closing = asyncio.get_running_loop().create_task(self._shut(5))

    async def close(self, timeout_seconds: float = 5) -> None:
        """Close the channels, then the connections; what does not close in time is dropped."""
        if not self.lost.done():
            self._end(SessionLost("The session is closed."))
            await asyncio.gather(
                *(intake.close(timeout_seconds) for intake in self._intakes),
                *(publisher.close(timeout_seconds) for publisher in self._publishers),
            )
            self._closing = asyncio.get_running_loop().create_task(self._shut(timeout_seconds))
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def _open(self, opening: Coroutine[None, None, None]) -> None:
        """Finish opening; a session in which something is half open is lost."""
        try:
            await opening
        except SessionLost as error:
            self.fail(error)
            raise
        except BaseException:
            self.fail(SessionLost("Opening a channel was interrupted."))
            raise
        if self.lost.done():
            raise self.lost.result()

    def _end(self, error: SessionLost) -> None:
        self.lost.set_result(error)
        for intake in self._intakes:
            intake.lose(error)
        for publisher in self._publishers:
            publisher.lose(error)
        self._tell("publish", None)
        self._tell("blocked", None)

    async def _shut(self, timeout_seconds: float) -> None:
        await asyncio.gather(
            self._consuming.shut(timeout_seconds),
            self._publishing.shut(timeout_seconds),
            self._direct_replies.close(),
        )

    def _refused(self, publisher: Publisher, reason: str | None) -> None:
        """Tell of refusals for all publishers at once: over when over for the last of them."""
        self._refusals.pop(publisher, None)
        if reason is not None:
            self._refusals[publisher] = reason
        if not self.lost.done():
            self._tell("publish", next(iter(self._refusals.values()), None))

    def _blocked(self, blocked: bool) -> None:  # noqa: FBT001 - the tap calls it.
        if not self.lost.done():
            text = "RabbitMQ takes no publications: its memory or disk alarm is on."
            self._tell("blocked", text if blocked else None)

    def _closed(self, closing: asyncio.Future[object]) -> None:
        self.fail(SessionLost(f"The connection to RabbitMQ is gone: {reason_of(closing)}"))


async def open_session(
    url: str,
    *,
    worker_id: str,
    rules: PublishRules,
    heartbeat_seconds: int,
    tell: Callable[[str, str | None], None] = lambda _condition, _reason: None,
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
        await consuming.shut()
        raise
    direct_replies = DirectReplies(
        partial(
            open_connection,
            url,
            name=f"{name} reply",
            heartbeat_seconds=heartbeat_seconds,
            timeout_seconds=timeout_seconds,
        ),
        retry_delay_seconds_min=rules.retry_delay_seconds_min,
        retry_delay_seconds_max=rules.retry_delay_seconds_max,
        attempts_max=rules.reply_attempts_max,
    )
    return Session(consuming, publishing, direct_replies, rules, tell)
