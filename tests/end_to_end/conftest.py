"""A scene for each test, and one that the tests of single requests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.end_to_end.conversation import Conversation
from tests.scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def scene(amqp_url: str, database_url: str, prefix: str) -> Scene:
    """A broker, a migrated database and a prefix of the test's own."""
    return Scene(amqp_url, database_url, prefix)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def talk(working_scene: Scene) -> AsyncIterator[Conversation]:
    """A conversation with one running worker; tests keep apart by their members."""
    async with Conversation(working_scene) as conversation:
        yield conversation
