"""What the books and their server say of themselves, for people and programs that ask.

Nothing here changes anything. What a member holds is told by `holdings`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from worker.store.entry import Entry
from worker.store.faults import translated
from worker.store.pool import close_pool, connected, open_pool
from worker.store.statements import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from worker.settings import Settings
    from worker.store.keys import MemberKey
    from worker.store.pool import Connection, Pool

SEQUENCE_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request in the books: all that it caused, in order, and which of it is its own outcome.

    Requests that it released are among that, after its own outcome. One that was early itself
    comes with what happened at its turn.
    """

    entries: list[Entry]
    own: Entry


@dataclass(frozen=True, slots=True)
class WaitingView:
    """An early request that waits for its predecessors in the stream, until a deadline."""

    stream: str
    ordinal: int
    deadline: datetime


@dataclass(frozen=True, slots=True)
class StreamView:
    """How many requests of a stream ("" for the one without a name) wait for an ordinal."""

    stream: str
    ordinal: int
    requests: int


@dataclass(frozen=True, slots=True)
class ServerView:
    """A Postgres server and what the workers' role may do there.

    `can_change_journal` is None where the role or the journal does not exist.
    """

    version: str
    login: str
    can_take_role: bool
    can_change_journal: bool | None
    is_durable: bool


@asynccontextmanager
async def view_pool(settings: Settings) -> AsyncIterator[Pool]:
    """Give a pool for looking; it connects when it is first needed and is closed in the end.

    Raises PassingFault for whatever fails in the block because the server is away.
    """
    with translated():
        pool = await open_pool(settings)
        try:
            yield pool
        finally:
            await close_pool(pool)


@asynccontextmanager
async def snapshot(pool: Pool) -> AsyncIterator[Connection]:
    """Give a connection on which everything is read as it was at one instant."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield cast("Connection", connection)


async def request_view(
    pool: Pool, program_id: str, member_id: str, request_id: str
) -> RequestView | WaitingView | None:
    """Return what came of a request, or that it waits; None if the books do not know it."""
    wanted = (program_id, member_id, request_id)
    rows = await pool.fetch(statement("view_request"), *wanted)
    if rows:
        entries = [Entry(*row[:-1]) for row in rows]
        own = next(entry for entry, row in zip(entries, rows, strict=True) if row["is_own"])
        return RequestView(entries, own)
    row = await pool.fetchrow(statement("view_waiting"), *wanted)
    return WaitingView(*row) if row else None


async def streams_view(connection: Connection, key: MemberKey) -> list[StreamView]:
    """Return in which streams requests of a member wait for their predecessors."""
    return [StreamView(*row) for row in await connection.fetch(statement("view_streams"), *key)]


async def is_known(pool: Pool, program_id: str, member_id: str) -> bool:
    """Return whether a programme has heard of a member: enrolled or not, with points or without."""
    return bool(await pool.fetchval(statement("view_known"), program_id, member_id))


async def has_program(pool: Pool, program_id: str) -> bool:
    """Return whether there is a programme."""
    return bool(await pool.fetch(statement("view_programs"), program_id, None))


async def stream_view(
    pool: Pool,
    program_id: str,
    member_id: str,
    *,
    before: int = SEQUENCE_MAX,
    count_max: int,
) -> list[Entry]:
    """Return a member's last `count_max` events before a sequence number, the newest last."""
    rows = await pool.fetch(statement("view_stream"), program_id, member_id, before, count_max)
    return [Entry(*row) for row in reversed(rows)]


async def currency_decimals(pool: Pool) -> dict[tuple[str, str | None], int]:
    """Return how many decimals each currency has, by programme and code."""
    rows = await pool.fetch(statement("view_currencies"), None)
    return {(program_id, code): decimals for program_id, code, decimals in rows}


async def server_view(database_url: str) -> ServerView:
    """Look at a server over a connection of its own, migrated or not. Raises PassingFault."""
    async with connected(database_url) as connection:
        row = await connection.fetchrow(statement("view_server"))
        assert row is not None, "one row comes in any case"
        return ServerView(*row)
