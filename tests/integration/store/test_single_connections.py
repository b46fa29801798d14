"""What is asked once, over a connection of its own, is limited in time like all else (I6)."""

from __future__ import annotations

import socket

import pytest

from worker.store import pool
from worker.store.agreement import read_agreement
from worker.store.faults import PassingFault
from worker.store.migrate import missing_migrations
from worker.store.pool import connected


async def test_a_question_that_takes_too_long_is_a_fault_that_passes(database_url: str) -> None:
    with pytest.raises(PassingFault) as caught:
        async with connected(database_url, statement_seconds_max=0.1) as connection:
            await connection.execute("SELECT pg_sleep(30)")
    assert caught.value.timed_out


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_CONNECT_SECONDS_MAX", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(PassingFault) as caught,
    ):
        await missing_migrations(f"postgresql://u:p@127.0.0.1:{server.getsockname()[1]}/x")
    assert caught.value.timed_out


async def test_the_agreement_is_read_over_a_pool_or_a_connection(
    database_url: str, pool: pool.Pool
) -> None:
    async with connected(database_url) as connection:
        assert await read_agreement(connection) is None
    assert await read_agreement(pool) is None
