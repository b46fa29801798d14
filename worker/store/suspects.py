"""The durable mark "now trying", which outlives a worker that dies of a message.

Marks are not waited for until they are on disk: they must survive a dead worker, not a dead
database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.store.pool import acquired
from worker.store.statements import statement

if TYPE_CHECKING:
    from worker.store.pool import Pool


class Suspects:
    """Messages that are tried alone because one of them may be what kills workers."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def try_(self, queue: str, digest: bytes) -> int:
        """Mark a message as being tried; return how often it has been, this time included.

        Raises PassingFault.
        """
        return int(await self._run("try_suspect", queue, digest))

    async def clear(self, queue: str, digest: bytes) -> None:
        """Take the mark off: nobody died. Raises PassingFault."""
        await self._run("clear_suspect", queue, digest)

    async def _run(self, name: str, queue: str, digest: bytes) -> int:
        async with acquired(self._pool) as connection, connection.transaction():
            await connection.execute("SET LOCAL synchronous_commit = off")
            return await connection.fetchval(statement(name), queue, digest) or 0
