"""A door alone: what it sends on lies in the lanes, where the test looks at it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.brokers import session_at
from tests.inside import user_of
from tests.waiting import DEADLINE_SECONDS, until
from worker.broker import SessionLost
from worker.caution import Caution
from worker.dialects.jwe import Keyring
from worker.door.bindings import Bindings
from worker.door.door import Door
from worker.door.translating import Translator
from worker.envelope.reading import Reader
from worker.store.directory import Directory
from worker.store.suspects import Suspects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from tests.crew import Crew
    from tests.traffic import Received
    from worker.broker import Intake, Publisher
    from worker.store.pool import Pool

BODY_BYTES_MAX = 2_000
KEY = b"a key of thirty-two bytes or so."
MOBILE = "+49 151 0000000"


class Forwarding:
    """Makes doors of one crew's topology; `key` is that of the identifiers' fingerprints."""

    def __init__(
        self,
        crew: Crew,
        pool: Pool,
        *,
        key: bytes | None = None,
        keyring: Keyring | None = None,
        batch_max: int = 7,
    ) -> None:
        self.crew = crew
        self.pool = pool
        self._key = key
        self._keyring = keyring or Keyring()
        self._batch_max = batch_max
        self._stopping = asyncio.Event()

    def door(self, intake: Intake, publisher: Publisher) -> Door:
        """Return a door that is consumed by this intake."""
        crew, user = self.crew, user_of(self.crew.amqp_url)
        reader = Reader(BODY_BYTES_MAX, user)
        suspects = Suspects(self.pool)
        caution = Caution(suspects, self._pause, crew.status, deliveries_min=5, deaths_max=3)
        caution.watch(intake)

        def watch(_: str) -> AbstractAsyncContextManager[tuple[str, Intake]]:
            raise AssertionError("nothing was turned away here")

        async def never() -> datetime | None:
            return None

        return Door(
            intake,
            publisher,
            reader,
            Translator(
                reader,
                Directory(self.pool),
                self._keyring,
                identifier_key=self._key,
                prefix=crew.prefix,
                user=user,
            ),
            Bindings(intake, publisher, self._pause, watch, never, crew.status, prefix=crew.prefix),
            caution,
            self._pause,
            crew.status,
            crew.metrics,
            prefix=crew.prefix,
            user=user,
            batch_max=self._batch_max,
            delay_seconds_min=0.02,
            delay_seconds_max=0.05,
        )

    @asynccontextmanager
    async def open(self, count: int = 0) -> AsyncIterator[Intake]:
        """Let a door work once so many messages have come to it.

        Leaving lets it finish what it can, and stops what it holds.
        """
        session = await session_at(self.crew.amqp_url, "door")
        intake = await session.intake(self.crew.name("door"), prefetch=100)
        await until(lambda: intake.in_hand >= count, what="all have come")
        self._stopping.clear()
        door = asyncio.create_task(self.door(intake, await session.publisher()).run())
        try:
            yield intake
        finally:
            intake.stop()
            self._stopping.set()
            done, _ = await asyncio.wait({door}, timeout=DEADLINE_SECONDS)
            await session.close()
            assert done, "the door does not stop"
            if not isinstance(door.exception(), SessionLost):
                door.result()

    async def forwarded(
        self, *messages: Any, count: int | None = None, **properties: Any
    ) -> list[Received]:
        """Send messages through a door and return them, or so many, as they come in the lanes."""
        await self.crew.send(*messages, **{"routing_key": "anything", **properties})
        async with self.open(len(messages)) as intake:
            await until(lambda: intake.in_hand == 0, what="the door is done")
        return await self.in_lanes(len(messages) if count is None else count)

    async def in_lanes(self, count: int) -> list[Received]:
        """Take so many messages out of the lanes, in the order of each."""
        lanes = [self.crew.name(f"partition.1.00{lane}") for lane in (0, 1)]
        return await self.crew.consumed(lanes, count)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
        raise SessionLost("the test is over")
