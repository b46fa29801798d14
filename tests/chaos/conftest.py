"""Every test here takes long and breaks something on purpose: `make test-chaos`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import own_database, servers_from_environment
from tests.scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from worker.demo.servers import Servers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, and give it the time it needs."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.chaos)
            item.add_marker(pytest.mark.timeout(1_200))


@pytest.fixture
def scene(amqp_url: str, database_url: str, prefix: str) -> Scene:
    """A broker, a migrated database and a prefix of the test's own."""
    return Scene(amqp_url, database_url, prefix)


@pytest.fixture(scope="module")
def own_servers() -> Iterator[Servers]:
    """Servers that a test may stop: no other test uses them."""
    with servers_from_environment() as servers:
        yield servers


@pytest.fixture
async def scene_on_own_servers(own_servers: Servers) -> AsyncIterator[Scene]:
    """A scene whose servers may be stopped."""
    async with own_database(own_servers.database_url) as url:
        scene = Scene(own_servers.amqp_url, url, f"t{secrets.token_hex(4)}")
        yield scene
        await scene.delete_topology()
