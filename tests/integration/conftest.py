"""A database seen by the worker and by its owner, and parts of the worker that use it."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.conftest import database_named, drop_database, maintenance
from tests.inside import TABLES_OF_MEMBERS, Desk, settings_of
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from worker.store.pool import Pool

TABLES = (
    *TABLES_OF_MEMBERS,
    "identifiers",
    "identifier_key",
    "resolutions",
    "suspects",
    "topology",
)


@pytest.fixture(scope="module")
def module_database_url(database_server_url: str, migrated_template: str) -> Iterator[str]:
    """The URL of a migrated database that the tests of a module share."""
    name = f"test_{secrets.token_hex(4)}"

    async def make() -> None:
        async with maintenance(database_server_url) as server:
            await server.execute(f"CREATE DATABASE {name} TEMPLATE {migrated_template}")

    asyncio.run(make())
    yield database_named(database_server_url, name)
    asyncio.run(drop_database(database_server_url, name))


@pytest.fixture
async def emptied_database_url(module_database_url: str) -> str:
    """The URL of the module's database, as it was after the migration.

    Making a database takes longer than most tests; one that changes the schema has its own.
    """
    connection = await asyncpg.connect(module_database_url)
    await connection.execute("; ".join(f"DELETE FROM points.{table}" for table in TABLES))
    await connection.execute(
        "DELETE FROM points.programs WHERE (program_id, version) <> ('default', 1)"
    )
    await connection.close()
    return module_database_url


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
