"""A scene for each test, and one that the tests of single requests share."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.conftest import database_named, drop_database, maintenance
from tests.end_to_end.conversation import Conversation
from tests.scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def scene(amqp_url: str, database_url: str, prefix: str) -> Scene:
    """A broker, a migrated database and a prefix of the test's own."""
    return Scene(amqp_url, database_url, prefix)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def talk(
    amqp_url: str, database_server_url: str, migrated_template: str
) -> AsyncIterator[Conversation]:
    """A conversation with one running worker; tests keep apart by their members."""
    name = f"test_{secrets.token_hex(4)}"
    async with maintenance(database_server_url) as server:
        await server.execute(f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    scene = Scene(amqp_url, database_named(database_server_url, name), f"t{secrets.token_hex(4)}")
    async with scene.worker() as worker:
        await worker.ready()
        async with Conversation(scene) as conversation:
            yield conversation
    await scene.delete_topology()
    await drop_database(database_server_url, name)
