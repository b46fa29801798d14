"""Finds the members of whom something has fallen due, for whoever asks for its expiry."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from worker.store.faults import translated
from worker.store.keys import MemberKey
from worker.store.statements import statement

if TYPE_CHECKING:
    from datetime import datetime

    from worker.store.pool import Pool


class Due(NamedTuple):
    """A member, and a time before which nothing of it falls due."""

    member: MemberKey
    due_at: datetime


async def due(pool: Pool, now: datetime | None, limit: int) -> list[Due]:
    """Return the members of whom something may be due at `now`, the longest due first.

    At most `limit`, read by index; None is the database's own time. Raises PassingFault.
    """
    with translated():
        rows = await pool.fetch(statement("due_members"), now, limit)
    return [Due(MemberKey(row[0], row[1]), row[2]) for row in rows]
