"""A session that was opened for one question or change is named and limited as the workers' are."""

from __future__ import annotations

import asyncpg
import pytest

from worker.store import migrate as migrating
from worker.store.faults import PassingFault
from worker.store.migrate import migrate, missing_migrations
from worker.store.pool import connected


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("application_name", "points-worker command"),
        ("statement_timeout", "30s"),
        ("lock_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "5s"),
        ("tcp_keepalives_idle", "10"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
    ],
)
async def test_a_single_connection_is_limited_by_the_server(
    database_url: str, setting: str, value: str
) -> None:
    async with connected(database_url) as connection:
        assert await connection.fetchval(f"SHOW {setting}") == value


async def test_a_wait_for_a_lock_ends_before_the_driver_gives_the_server_up(
    database_url: str,
) -> None:
    async def wait() -> None:
        async with (
            connected(database_url) as holder,
            holder.transaction(),
            connected(database_url, lock_seconds_max=0.05) as connection,
        ):
            await holder.execute("LOCK TABLE points.members")
            await connection.execute("SELECT FROM points.members")

    with pytest.raises(PassingFault) as caught:
        await wait()
    assert isinstance(caught.value.__cause__, asyncpg.LockNotAvailableError)
    assert caught.value.timed_out


async def test_a_migration_does_not_keep_workers_waiting_behind_it_for_a_table(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "_TABLE_LOCK_TIMEOUT", "SET LOCAL lock_timeout = '50ms'")
    migration = migrating.Migration(9_999, "9999_test", "LOCK TABLE points.members")
    known = migrating.migrations()
    monkeypatch.setattr(migrating, "migrations", lambda: [*known, migration])
    reader = await asyncpg.connect(database_url)
    async with reader.transaction():
        await reader.execute("LOCK TABLE points.members IN ACCESS SHARE MODE")
        with pytest.raises(PassingFault) as caught:
            await migrate(database_url)
    await reader.close()
    assert caught.value.timed_out
    assert await missing_migrations(database_url) == ["9999_test"]
    assert await migrate(database_url) == ["9999_test"]
