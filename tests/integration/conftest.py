"""A database of the test's own, seen by the worker and by its owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.inside import Desk, settings_of
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.store.pool import Pool


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the database's owner, who may do and see what the worker may not."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """The worker's connections, as the worker opens them."""
    opened = await open_pool(settings_of("amqp://nobody", database_url, "desk"))
    yield opened
    await close_pool(opened)


@pytest.fixture
def desk(pool: Pool) -> Desk:
    """Applies requests to the database."""
    return Desk(pool)
