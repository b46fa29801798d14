"""Tests here leave the schema as it is, so that those of a module can share a database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.inside import Clock, Desk

if TYPE_CHECKING:
    from worker.store.pool import Pool


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    """The URL of an empty, migrated database."""
    return emptied_database_url


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at noon of 15 June 2030, a Saturday, until the test moves it."""
    return Clock(datetime(2030, 6, 15, 12, tzinfo=UTC))


@pytest.fixture
def timed(pool: Pool, clock: Clock) -> Desk:
    """A desk whose time the test sets."""
    return Desk(pool, clock)
