"""Lets one worker of many do what need be done only once."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from worker.store.faults import PassingFault, translated
from worker.store.pool import connected

if TYPE_CHECKING:
    from worker.store.pool import Connection

_LOCK_KEY: Final = 0x706F696E7477
"""The advisory lock that the one who leads holds."""


class Leadership:
    """A lock that one worker of a database holds at a time, with a connection of its own.

    A worker that says nothing for `silence_seconds_max`, since it is frozen or cut off, loses it
    to another (from PostgreSQL 14 on; before, when its connection breaks).
    """

    def __init__(self, database_url: str, *, silence_seconds_max: float) -> None:
        self._database_url = database_url
        self._silence_seconds_max = silence_seconds_max
        self._stack = AsyncExitStack()
        self._connection: Connection | None = None
        self._leads = False

    async def held(self) -> bool:
        """Return whether this worker leads, taking the lead where nobody has it.

        Raises PassingFault where Postgres does not answer; the lead is given up then.
        """
        try:
            with translated():
                if self._leads and self._connection is not None:
                    await self._connection.execute("SELECT 1")
                else:
                    self._leads = await self._take()
                return self._leads
        except PassingFault:
            await self.give_up()
            raise

    async def give_up(self) -> None:
        """Leave the lead to others, if this worker has it, and close the connection."""
        stack, self._stack = self._stack, AsyncExitStack()
        self._connection, self._leads = None, False
        try:
            await stack.aclose()
        except PassingFault:
            # The connection was gone already, and the lock with it.
            return

    async def _take(self) -> bool:
        """Take the lead where nobody has it; the session stays open where somebody has."""
        if self._connection is None or self._connection.is_closed():
            await self.give_up()
            self._connection = await self._stack.enter_async_context(
                connected(self._database_url, name="points-worker leadership")
            )
        if not await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK_KEY):
            return False
        # Only who leads stands in anybody's way by saying nothing.
        await self._limit_silence(self._connection)
        return True

    async def _limit_silence(self, connection: Connection) -> None:
        milliseconds = str(int(self._silence_seconds_max * 1000))
        await connection.execute(
            "SELECT set_config(name, $1, false) FROM pg_settings"
            " WHERE name = 'idle_session_timeout'",
            milliseconds,
        )
