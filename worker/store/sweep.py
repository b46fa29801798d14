"""Finds the members of whom something has fallen due, for whoever asks for its expiry."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from worker.store.faults import translated
from worker.store.keys import MemberKey
from worker.store.statements import columns, statement

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import asyncpg

    from worker.store.pool import Pool


class Due(NamedTuple):
    """A member, and a time before which nothing of it falls due."""

    member: MemberKey
    due_at: datetime


async def due(pool: Pool, after: Due | None, limit: int) -> list[Due]:
    """Return the members of whom something may be due now, the longest due first.

    At most `limit`, read by index, of those behind `after`: the last of an earlier look, None for
    all. Raises PassingFault.
    """
    position = (after.due_at, *after.member) if after else (None, None, None)
    with translated():
        rows = await pool.fetch(statement("due_members"), *position, limit)
    return [_due(row) for row in rows]


async def still_due(pool: Pool, found: Collection[Due]) -> set[Due]:
    """Return those of whom the same is due as when they were found. Raises PassingFault."""
    wanted = columns(((*one.member, one.due_at) for one in found), 3)
    with translated():
        return {_due(row) for row in await pool.fetch(statement("still_due"), *wanted)}


async def due_age_seconds(pool: Pool) -> float:
    """Return how long the longest due has waited, by the database's clock. Raises PassingFault."""
    with translated():
        return float(await pool.fetchval(statement("due_age")))


def _due(row: asyncpg.Record) -> Due:
    return Due(MemberKey(row[0], row[1]), row[2])
