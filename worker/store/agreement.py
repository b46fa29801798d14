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
    """Return what is agreed; where nothing was declared yet, that is what is given here.

    Raises PassingFault.
    """
    async with connected(database_url) as connection:
        await connection.execute(statement("record_topology"), prefix, partitions, prefetch)
        # By a statement of its own, which sees what somebody else may just have recorded.
        agreement = await read_agreement(connection)
        assert agreement is not None, "one was recorded"
        return agreement


async def renew_agreement(database_url: str, agreement: Agreement) -> Agreement:
    """Record that all that was agreed is declared now, and return it. Raises PassingFault."""
    async with connected(database_url) as connection:
        row = await connection.fetchrow(statement("renew_topology"), agreement.generation)
        assert row is not None, "it is recorded"
        return Agreement(*row)
