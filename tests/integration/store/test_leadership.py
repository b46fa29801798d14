"""Who does not lead waits for the lead over one session, that is in nobody's way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.waiting import until
from worker.store.leadership import Leadership

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

SESSIONS = (
    "SELECT array_agg(pid ORDER BY pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'points-worker leadership'"
)


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    return emptied_database_url


@pytest.fixture
async def leader(database_url: str) -> AsyncIterator[Leadership]:
    made = Leadership(database_url, silence_seconds_max=60)
    assert await made.held()
    yield made
    await made.give_up()


@pytest.fixture
async def other(database_url: str, leader: Leadership) -> AsyncIterator[Leadership]:
    made = Leadership(database_url, silence_seconds_max=60)
    assert not await made.held()
    yield made
    await made.give_up()


async def sessions_of(owner: asyncpg.Connection) -> set[int]:
    return set(await owner.fetchval(SESSIONS) or ())


async def test_a_worker_that_does_not_lead_asks_for_the_lead_over_the_same_session_again(
    leader: Leadership, other: Leadership, owner: asyncpg.Connection
) -> None:
    both = await sessions_of(owner)
    assert len(both) == 2
    assert not await other.held()
    assert await sessions_of(owner) == both
    await leader.give_up()
    assert await other.held()
    await until(lambda: _are(owner, 1), what="one session")
    assert await sessions_of(owner) < both


@pytest.mark.usefixtures("leader")
async def test_a_worker_that_does_not_lead_may_say_nothing_for_as_long_as_it_likes(
    other: Leadership,
) -> None:
    assert other._connection is not None
    limit = await other._connection.fetchval("SELECT current_setting('idle_session_timeout', true)")
    assert limit in {None, "0"}


async def test_a_worker_that_did_not_lead_and_lost_its_session_takes_the_lead_with_another(
    leader: Leadership, other: Leadership, owner: asyncpg.Connection
) -> None:
    await leader.give_up()
    await until(lambda: _are(owner, 1), what="one session")
    for pid in await sessions_of(owner):
        await owner.execute("SELECT pg_terminate_backend($1)", pid)
    connection = other._connection
    assert connection is not None
    await until(connection.is_closed, what="the end of the session is noticed")
    assert await other.held()


async def _are(owner: asyncpg.Connection, count: int) -> bool:
    return len(await sessions_of(owner)) == count
