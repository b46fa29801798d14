"""Brings a database to the schema that this version needs.

Migrations are the files `migrations/NNNN_name.sql`, applied once each, in order, in a transaction
each, forward only. They are plain SQL: `psql -f` runs them too.

A migration only adds: while the workers of a newer version take over, those of the version before
work, and start, on the newer schema. So a migration that this version does not know is no fault.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from worker.store.pool import connected

if TYPE_CHECKING:
    from worker.store.pool import Connection

_LOCK_KEY = 7_064_117_205_417_000
"""The advisory lock under which one process migrates while others wait."""

# A migration of large books may take long, and so may the wait for another process that migrates.
_STATEMENT_SECONDS_MAX = 3_600
# But whoever waits for a table makes all workers wait behind it: rather try again.
_TABLE_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '10s'"

_BOOTSTRAP = """
CREATE SCHEMA IF NOT EXISTS points;
CREATE TABLE IF NOT EXISTS points.migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration file."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Fingerprint of the text, so that an edited migration is noticed."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


class EditedMigration(Exception):
    """A migration that this database has applied reads otherwise in this version of the worker."""


def migrations() -> list[Migration]:
    """Return all migrations of this version in their order."""
    folder = resources.files("worker.store").joinpath("migrations")
    files = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return [
        Migration(int(name[:4]), name.removesuffix(".sql"), folder.joinpath(name).read_text())
        for name in files
    ]


async def migrate(database_url: str) -> list[str]:
    """Apply what is missing and return the names of what was applied.

    Safe to run at the same time from several places. Raises PassingFault where the database
    cannot be reached, or something there stays locked, and EditedMigration where a migration that
    this version knows was applied with another text.
    """
    async with connected(
        database_url,
        name="points-worker migrate",
        statement_seconds_max=_STATEMENT_SECONDS_MAX,
        lock_seconds_max=_STATEMENT_SECONDS_MAX,
    ) as connection:
        # A session's lock and not a transaction's: each migration commits on its own.
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK_KEY)
        await connection.execute(_BOOTSTRAP)
        missing = _missing(await _applied(connection))
        for migration in missing:
            async with connection.transaction():
                await connection.execute(_TABLE_LOCK_TIMEOUT)
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO points.migrations (number, name, sha256) VALUES ($1, $2, $3)",
                    migration.number,
                    migration.name,
                    migration.sha256,
                )
        return [migration.name for migration in missing]


async def missing_migrations(database_url: str) -> list[str]:
    """Return the names of the migrations that the database lacks, and change nothing.

    Raises as `migrate` does.
    """
    async with connected(database_url) as connection:
        exists = await connection.fetchval("SELECT to_regclass('points.migrations')")
        applied = await _applied(connection) if exists else {}
        return [migration.name for migration in _missing(applied)]


async def _applied(connection: Connection) -> dict[int, str]:
    rows = await connection.fetch("SELECT number, sha256 FROM points.migrations")
    return {row["number"]: row["sha256"] for row in rows}


def _missing(applied: dict[int, str]) -> list[Migration]:
    for migration in migrations():
        if applied.get(migration.number, migration.sha256) != migration.sha256:
            raise EditedMigration(
                f"Migration {migration.name} was applied to this database with another text;"
                " use the version of the worker that belongs to it."
            )
    return [migration for migration in migrations() if migration.number not in applied]
