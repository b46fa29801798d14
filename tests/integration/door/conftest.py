"""Tests here leave the schema as it is, so that those of a module can share a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crew import Crew

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    """The URL of an empty, migrated database."""
    return emptied_database_url


@pytest.fixture
async def crew(amqp_url: str, database_url: str, prefix: str) -> AsyncIterator[Crew]:
    """A worker whose parts a test starts, stops and looks at."""
    async with Crew(amqp_url, database_url, prefix) as made:
        yield made
