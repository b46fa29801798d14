"""Publishes many requests in order and takes their replies, with a bounded number on the way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from worker.broker.client import CLIENT_RULES, temporary_queue
from worker.broker.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from worker.broker.connection import WireConnection
    from worker.broker.errors import SessionLost
    from worker.broker.intake import Intake
    from worker.broker.messages import Delivery, Publication

_AT_ONCE: Final = 250


async def ask_all(
    connection: WireConnection,
    publications: Iterable[Publication],
    answered: Callable[[Delivery], None],
    *,
    waiting_max: int,
    idle_seconds: float,
) -> None:
    """Publish requests in their order and call `answered` with the first reply to each.

    Each needs a correlation id of its own; its `reply_to` and `user_id` are set here. At most
    `waiting_max` wait for their replies at a time. What the broker refuses goes out again with all
    that follows it, so the order holds. Raises TimeoutError where nothing at all happens for
    `idle_seconds`, and SessionLost; requests that were published may still be carried out then.
    """

    def fail(error: SessionLost) -> None:
        publisher.lose(error)

    left = iter(publications)
    waiting: set[str | None] = set()
    async with temporary_queue(connection) as (queue, intake):
        publisher = Publisher(connection.user, CLIENT_RULES, fail, refused=lambda _: None)
        await publisher.open(connection)
        try:
            while True:
                room = min(_AT_ONCE, waiting_max - len(waiting))
                batch = [
                    replace(one, reply_to=queue, user_id=connection.user, must_be_taken=True)
                    for one in islice(left, room)
                ]
                waiting.update(one.correlation_id for one in batch)
                if batch:
                    async with asyncio.timeout(idle_seconds):
                        await publisher.publish(batch)
                elif not waiting:
                    return
                # With room for more requests there is no need to wait for a reply first.
                if len(batch) < _AT_ONCE or len(waiting) >= waiting_max:
                    await _take(intake, waiting, answered, idle_seconds)
        finally:
            await publisher.close()


async def _take(
    intake: Intake,
    waiting: set[str | None],
    answered: Callable[[Delivery], None],
    idle_seconds: float,
) -> None:
    """Take the replies that are there, at least one; a reply may come twice."""
    async with asyncio.timeout(idle_seconds):
        replies = await intake.take(_AT_ONCE)
    for reply in replies:
        if reply.correlation_id in waiting:
            waiting.discard(reply.correlation_id)
            answered(reply)
    if replies:
        intake.ack_through(replies[-1].tag)
