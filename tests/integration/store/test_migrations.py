"""A database with books of an earlier version is brought to this one, and its points fall due."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.inside import Desk, settings_of
from worker.readiness import check_migrated
from worker.store.migrate import (
    EditedMigration,
    Migration,
    migrate,
    migrations,
    missing_migrations,
)
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# An index may be replaced, and workers may come to hold fewer privileges only by hand.
_TAKEN_AWAY = (
    r"\bDROP\s+(?!INDEX)\w+|\bRENAME\s+(?:COLUMN|CONSTRAINT)|\bALTER\s+TABLE\s+\S+\s+RENAME"
    r"|\bSET\s+(?:NOT\s+NULL|SCHEMA|DATA\s+TYPE)|\bALTER\s+COLUMN\s+\w+\s+TYPE|\bREVOKE\b"
)

BOOKS_OF_THE_FIRST_VERSION = """
INSERT INTO points.members VALUES ('default', 'soon', 2, now()), ('default', 'never', 1, now());
INSERT INTO points.wallets VALUES
    ('default', 'soon', 'points', 'REGULAR', 12, 0, 12, 2),
    ('default', 'never', 'points', 'REGULAR', 7, 0, 7, 1);
INSERT INTO points.lots VALUES
    ('default', 'soon', 'points', 'REGULAR', '2020-06-01Z', 1, 5, 5),
    ('default', 'soon', 'points', 'REGULAR', '2999-01-01Z', 2, 7, 7),
    ('default', 'never', 'points', 'REGULAR', 'infinity', 1, 7, 7);
"""


@pytest.fixture
async def first_version(empty_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A database with books that the first version has written."""
    connection = await asyncpg.connect(empty_database_url)
    first = migrations()[0]
    await connection.execute(
        "CREATE SCHEMA points; CREATE TABLE points.migrations (number integer PRIMARY KEY,"
        " name text NOT NULL, sha256 text NOT NULL, applied_at timestamptz DEFAULT now())"
    )
    await connection.execute(first.sql)
    await connection.execute(
        "INSERT INTO points.migrations VALUES ($1, $2, $3)", first.number, first.name, first.sha256
    )
    await connection.execute(BOOKS_OF_THE_FIRST_VERSION)
    yield connection
    await connection.close()


async def test_points_that_the_first_version_stored_fall_due(
    first_version: asyncpg.Connection, empty_database_url: str
) -> None:
    missing = [migration.name for migration in migrations()[1:]]
    assert await missing_migrations(empty_database_url) == missing
    assert await migrate(empty_database_url) == missing
    assert await migrate(empty_database_url) == []
    rows = await first_version.fetch("SELECT member_id, due_at FROM points.members")
    due = {row["member_id"]: row["due_at"] and row["due_at"].year for row in rows}
    assert due == {"soon": 2020, "never": None}
    pool = await open_pool(settings_of("amqp://nobody", empty_database_url, "desk"))
    (outcome,) = await Desk(pool).outcomes(
        {"request_id": "r", "member_id": "soon", "operation": "EXPIRE"}
    )
    await close_pool(pool)
    assert outcome["status"] == "APPLIED"
    balances = await first_version.fetch("SELECT balance FROM points.wallets ORDER BY member_id")
    assert [row["balance"] for row in balances] == [7, 7]


async def test_a_migration_that_was_applied_with_another_text_is_noticed(
    first_version: asyncpg.Connection, empty_database_url: str
) -> None:
    await first_version.execute("UPDATE points.migrations SET sha256 = 'other'")
    with pytest.raises(EditedMigration, match=migrations()[0].name):
        await migrate(empty_database_url)


async def test_a_worker_goes_on_where_a_newer_version_has_migrated_already(
    database_url: str,
) -> None:
    """Else the first worker of a new version would keep all others from starting again."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("INSERT INTO points.migrations VALUES (9999, '9999_newer', 'x')")
    await connection.close()
    assert await missing_migrations(database_url) == []
    assert await migrate(database_url) == []
    await check_migrated(settings_of("amqp://nobody", database_url, "desk"))


@pytest.mark.parametrize("migration", migrations(), ids=lambda migration: migration.name)
def test_a_migration_takes_nothing_away_that_the_version_before_uses(migration: Migration) -> None:
    text = re.sub(r"--.*|'[^']*'", "", migration.sql)
    assert re.findall(_TAKEN_AWAY, text, re.IGNORECASE) == []
