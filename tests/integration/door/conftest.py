"""Tests here leave the schema as it is, so that those of a module can share a database."""

from __future__ import annotations

import pytest


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    """The URL of an empty, migrated database."""
    return emptied_database_url
