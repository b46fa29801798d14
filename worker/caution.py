"""Finds the message that kills workers.

A worker that dies returns all that it held, so after a few deaths every message it held has been
delivered often: the count alone condemns the innocent. It only makes the worker careful: one
message in hand over door and lanes, and a durable mark that says which. The mark that is still
there after a death names the culprit.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from enum import Enum, auto
from hashlib import sha256
from typing import TYPE_CHECKING

import structlog

from worker.broker import SessionLost
from worker.store.faults import PassingFault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from worker.broker import Delivery, Intake
    from worker.observe.status import Status
    from worker.store.suspects import Suspects

_log = structlog.get_logger("worker.caution")

_CLEAR_ATTEMPTS = 5


class Verdict(Enum):
    """How much of a message that is tried alone may be looked at."""

    TRIED = auto()
    """All of it."""
    CONDEMNED = auto()
    """Workers died of it: no more than whose request it is."""
    UNREAD = auto()
    """Workers died of that, too: nothing."""


class Caution:
    """Lets lanes and door of a worker work side by side, or one message of one of them alone."""

    def __init__(
        self,
        suspects: Suspects,
        pause: Callable[[float], Awaitable[None]],
        status: Status,
        *,
        deliveries_min: int,
        deaths_max: int,
    ) -> None:
        self._suspects = suspects
        self._pause = pause
        self._status = status
        self._deliveries_min = deliveries_min
        self._deaths_max = deaths_max
        self._intakes: list[Intake] = []
        self._changed = asyncio.Condition()
        self._together = 0
        self._alone = 0

    def watch(self, intake: Intake) -> None:
        """Take note of an intake, whose returned messages call for care."""
        self._intakes.append(intake)

    @property
    def needed(self) -> bool:
        """Whether a message is in hand that came back suspiciously often."""
        return any(intake.raised_in_hand(self._deliveries_min) for intake in self._intakes)

    async def join(self) -> None:
        """Begin a batch beside others; waits while a message is being tried alone."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._alone)
            self._together += 1

    async def leave(self) -> None:
        """End a batch that was begun with `join`."""
        async with self._changed:
            self._together -= 1
            self._changed.notify_all()

    @asynccontextmanager
    async def alone(self, delivery: Delivery) -> AsyncIterator[Verdict]:
        """Try one message with nothing else in hand; gives how much of it may be looked at.

        It is condemned when workers have died with it in hand as often as the settings allow, and
        not even read when as many again have died since.
        """
        async with self._changed:
            self._alone += 1
            try:
                await self._changed.wait_for(lambda: not self._together)
                digest = _digest(delivery)
                deaths = await self._mark(delivery.queue, digest) - 1
                if deaths:
                    _log.warning("suspect_tried_again", queue=delivery.queue, deaths=deaths)
                try:
                    yield self._verdict(deaths)
                except (SessionLost, asyncio.CancelledError):
                    await self._clear(delivery.queue, digest)
                    raise
                # After any other exception the worker ends: that is a death like others.
                await self._clear(delivery.queue, digest)
            finally:
                self._alone -= 1
                self._changed.notify_all()

    def _verdict(self, deaths: int) -> Verdict:
        if deaths < self._deaths_max:
            return Verdict.TRIED
        return Verdict.CONDEMNED if deaths < 2 * self._deaths_max else Verdict.UNREAD

    async def _mark(self, queue: str, digest: bytes) -> int:
        try:
            while True:
                try:
                    return await self._suspects.try_(queue, digest)
                except PassingFault as fault:
                    # Nobody else works meanwhile, who could say it.
                    self._status.set_fault("postgres", str(fault), holder=queue)
                    _log.warning("suspect_not_marked", queue=queue, reason=str(fault))
                    await self._pause(1)
        finally:
            self._status.clear("postgres", holder=queue)

    async def _clear(self, queue: str, digest: bytes) -> None:
        """Take the mark off, also where the session ended: the worker lives, so nobody died."""
        for _ in range(_CLEAR_ATTEMPTS):
            try:
                await self._suspects.clear(queue, digest)
            except PassingFault as fault:
                _log.warning("suspect_not_cleared", queue=queue, reason=str(fault))
                await asyncio.sleep(0.2)
            else:
                return


def _digest(delivery: Delivery) -> bytes:
    name = (delivery.message_id or "").encode("utf-8", "surrogateescape")
    return sha256(name + b"\0" + delivery.body).digest()
