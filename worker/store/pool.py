"""Connections to Postgres, each limited in every way that a connection can be."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from worker.store.faults import translated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.settings import Settings

Pool = asyncpg.Pool
Connection = asyncpg.Connection
ROLE = "points_worker"
_CONNECT_SECONDS_MAX = 10
_STATEMENT_SECONDS_MAX = 30
_LOCK_SECONDS_MAX = 10
# A command computes next to nothing between two statements. One that is stopped there has let go
# of its members before the batches that wait for them run into their own limit.
_IDLE_TRANSACTION_SECONDS_MAX = 5
_CLOSE_SECONDS_MAX = 5
_JSONB_VERSION = b"\x01"


async def open_pool(settings: Settings, name: str = "points-worker") -> Pool:
    """Open the worker's pool; every connection of it acts as the role `points_worker`.

    `name` is what its sessions are called in `pg_stat_activity.application_name`.
    Raises what asyncpg raises; nothing is connected before it is needed.
    """
    return await asyncpg.create_pool(
        settings.database_url.get_secret_value(),
        min_size=0,
        max_size=settings.pool_size_max,
        init=_prepare,
        reset=_leave_as_is,
        timeout=_CONNECT_SECONDS_MAX,
        # Of several hosts, the one that takes writes.
        target_session_attrs=SessionAttribute.read_write,
        command_timeout=settings.statement_timeout_seconds + settings.lock_timeout_seconds,
        server_settings=_server_settings(settings, name),
    )


async def close_pool(pool: Pool) -> None:
    """Close the pool in order, or drop its connections where the database does not answer."""
    try:
        await asyncio.wait_for(pool.close(), _CLOSE_SECONDS_MAX)
    except (TimeoutError, OSError):
        pool.terminate()


@asynccontextmanager
async def acquired(pool: Pool) -> AsyncIterator[Connection]:
    """Give a connection of the pool; where it cannot write any more, the next one can.

    Raises PassingFault for whatever fails in the block because the server is away or slow.
    """
    with translated():
        try:
            async with pool.acquire() as connection:
                yield cast("Connection", connection)
        except asyncpg.ReadOnlySQLTransactionError:
            # The primary has become a standby: find the new one.
            await pool.expire_connections()
            raise


@asynccontextmanager
async def connected(
    database_url: str,
    *,
    name: str = "points-worker command",
    statement_seconds_max: float = _STATEMENT_SECONDS_MAX,
    lock_seconds_max: float = _LOCK_SECONDS_MAX,
) -> AsyncIterator[Connection]:
    """Give a single connection, as the user of the URL, for what is asked once.

    `name` is what the session is called in `pg_stat_activity.application_name`.
    Raises PassingFault for whatever fails in the block because the server is away or slow.
    """
    with translated():
        connection = await asyncpg.connect(
            database_url,
            timeout=_CONNECT_SECONDS_MAX,
            target_session_attrs=SessionAttribute.read_write,
            # The server knows better why something takes long, so it comes first.
            command_timeout=statement_seconds_max + lock_seconds_max,
            server_settings=_limits(
                name,
                statement_seconds=statement_seconds_max,
                lock_seconds=lock_seconds_max,
                idle_transaction_seconds=_IDLE_TRANSACTION_SECONDS_MAX,
            ),
        )
        try:
            yield connection
        finally:
            await connection.close(timeout=_CLOSE_SECONDS_MAX)


async def ping(pool: Pool) -> None:
    """Ask the database for a sign of life; raises PassingFault where there is none."""
    with translated():
        await pool.fetchval("SELECT 1", timeout=_CONNECT_SECONDS_MAX)


async def check_role(database_url: str) -> None:
    """Make sure that the user may act as the workers' role; raises RefusedFault if not."""
    async with connected(database_url) as connection:
        await connection.execute(f"SET ROLE {ROLE}")


def _limits(
    name: str, *, statement_seconds: float, lock_seconds: float, idle_transaction_seconds: float
) -> dict[str, str]:
    """Return a session's name and limits; a client that stands still would hold locks for ever."""
    milliseconds = {
        "statement_timeout": statement_seconds,
        "lock_timeout": lock_seconds,
        "idle_in_transaction_session_timeout": idle_transaction_seconds,
    }
    return {
        "application_name": name,
        **{name: str(int(seconds * 1000)) for name, seconds in milliseconds.items()},
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }


def _server_settings(settings: Settings, name: str) -> dict[str, str]:
    """Return the limits of a worker's session, and what its plans may use.

    Every statement reads by primary key from a list of keys, whose length and statistics the
    planner can only guess: it is held to index look-ups, so that no growing table ever flips a plan
    to reading all of it. Nor is a plan kept for later: one made while a table was tiny reads that
    table from end to end, and would go on doing so when it has grown.
    """
    limits = _limits(
        name,
        statement_seconds=settings.statement_timeout_seconds,
        lock_seconds=settings.lock_timeout_seconds,
        idle_transaction_seconds=settings.idle_transaction_timeout_seconds,
    )
    return limits | {
        "plan_cache_mode": "force_custom_plan",
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "enable_bitmapscan": "off",
        "enable_material": "off",
        "jit": "off",
    }


async def _prepare(connection: asyncpg.Connection) -> None:
    # In binary, since COPY takes nothing else: the JSON text behind the number of the format.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: _JSONB_VERSION + json.dumps(value).encode(),
        decoder=lambda value: json.loads(value[1:]),
        format="binary",
    )
    await connection.execute(f"SET ROLE {ROLE}")


async def _leave_as_is(connection: Any) -> None:
    """Spare the round trip that would reset a session in which nothing was set."""
