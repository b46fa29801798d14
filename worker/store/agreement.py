"""What all workers of a broker agree on: prefix, generation, number of lanes, prefetch.

Workers with different numbers would break the order: a successor that takes fewer messages in hand
than its predecessor and dies puts those it took behind the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.store.faults import translated
from worker.store.pool import connected
from worker.store.statements import statement

if TYPE_CHECKING:
    from datetime import datetime

    from worker.store.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class Agreement:
    """The recorded topology: a generation of `partitions` lanes, `prefetch` messages in hand."""

    generation: int
    prefix: str
    partitions: int
    prefetch: int
    declared_at: datetime


async def read_agreement(database: Pool | Connection) -> Agreement | None:
    """Return what is agreed, None where nothing was declared yet. Raises PassingFault."""
    with translated():
        row = await database.fetchrow(statement("read_topology"))
        return Agreement(*row) if row else None


async def record_agreement(
    database_url: str, prefix: str, partitions: int, prefetch: int
) -> Agreement:
    """Record a first declaration, or that the one in force was declared again, and return it.

    The figures count at the first declaration only. Raises PassingFault.
    """
    async with connected(database_url) as connection:
        row = await connection.fetchrow(statement("record_topology"), prefix, partitions, prefetch)
        assert row is not None, "an upsert returns its row"
        return Agreement(*row)
