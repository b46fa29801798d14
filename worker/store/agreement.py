"""What all workers of a broker agree on: prefix, generation, number of lanes, prefetch.

Workers with different numbers would break the order: a successor that takes fewer messages in hand
than its predecessor and dies puts those it took behind the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from worker.store.faults import translated
from worker.store.statements import statement

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Agreement:
    """The recorded topology: a generation of `partitions` lanes, `prefetch` messages in hand."""

    generation: int
    prefix: str
    partitions: int
    prefetch: int
    declared_at: datetime


async def read_agreement(pool: asyncpg.Pool) -> Agreement | None:
    """Return what is agreed, None where nothing was declared yet. Raises PassingFault."""
    with translated():
        row = await pool.fetchrow(statement("read_topology"))
        return Agreement(*row) if row else None


async def read_agreement_of(database_url: str) -> Agreement | None:
    """Return what is agreed in that database, over a connection of its own, as `read_agreement`."""
    with translated():
        async with asyncpg.create_pool(database_url, min_size=0, max_size=1) as pool:
            return await read_agreement(pool)


async def record_agreement(
    database_url: str, prefix: str, partitions: int, prefetch: int
) -> Agreement:
    """Record a first declaration, or that the one in force was declared again, and return it.

    The figures count at the first declaration only. Raises PassingFault.
    """
    with translated():
        connection = await asyncpg.connect(database_url, timeout=10)
        try:
            row = await connection.fetchrow(
                statement("record_topology"), prefix, partitions, prefetch
            )
            assert row is not None, "an upsert returns its row"
            return Agreement(*row)
        finally:
            await connection.close(timeout=5)
