"""Programme documents: what is stored of them, and how a new version comes in.

Versions are only added. Running workers read the newest one for each batch, so one that is applied
counts from their next batch on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from worker.domain.document import BadDocument, from_document
from worker.domain.table import Fault, shape
from worker.store.pool import connected
from worker.store.statements import statement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from worker.store.pool import Connection

# Looking for points in a currency that is to go may have to read every wallet of the programme.
_STATEMENT_SECONDS_MAX = 600
_LOCK_SECONDS_MAX = 10


@dataclass(frozen=True, slots=True)
class StoredProgram:
    """One version of a programme's document, as it was applied."""

    program_id: str
    version: int
    applied_at: datetime
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AppliedProgram:
    """What came of applying a document: the newest version now, and what stood before it.

    `is_new` is False where the document is the newest one already; then nothing was stored.
    """

    version: int
    is_new: bool
    previous: dict[str, Any] | None


async def apply_program(
    database_url: str, program_id: str, document: Mapping[str, Any]
) -> AppliedProgram:
    """Store a document as the programme's next version, unless it is the newest already.

    Raises BadDocument for one that cannot be kept, or that would change what cannot change: the
    decimals of a currency there ever was, or a currency in which members have points. Acts as the
    user of the URL, since workers may only read programmes. Raises PassingFault.
    """
    from_document(program_id, 1, document)
    async with (
        connected(
            database_url,
            statement_seconds_max=_STATEMENT_SECONDS_MAX,
            lock_seconds_max=_LOCK_SECONDS_MAX,
        ) as connection,
        connection.transaction(),
    ):
        await connection.execute("LOCK TABLE points.programs IN SHARE ROW EXCLUSIVE MODE")
        newest = await _read(connection, program_id, None)
        if newest is not None and newest.document == document:
            return AppliedProgram(newest.version, is_new=False, previous=newest.document)
        faults = await _changed_decimals(connection, program_id, document)
        if newest is not None:
            faults += await _lost_points(connection, program_id, newest.document, document)
        if faults:
            raise BadDocument(program_id, faults)
        version = newest.version + 1 if newest else 1
        await connection.execute(
            statement("write_program"), program_id, version, json.dumps(document)
        )
        return AppliedProgram(version, is_new=True, previous=newest.document if newest else None)


async def stored_program(
    database_url: str, program_id: str, version: int | None
) -> StoredProgram | None:
    """Return one version of a programme, by default the newest; None where there is none.

    Raises PassingFault.
    """
    async with connected(database_url) as connection:
        return await _read(connection, program_id, version)


async def stored_programs(database_url: str) -> list[StoredProgram]:
    """Return the newest version of each programme, by its id. Raises PassingFault."""
    async with connected(database_url) as connection:
        rows = await connection.fetch(statement("view_programs"), None, None)
        return [_program(*row) for row in rows]


async def _read(
    connection: Connection, program_id: str, version: int | None
) -> StoredProgram | None:
    rows = await connection.fetch(statement("view_programs"), program_id, version)
    return _program(*rows[0]) if rows else None


def _program(program_id: str, version: int, applied_at: datetime, document: str) -> StoredProgram:
    return StoredProgram(
        program_id, version, applied_at, cast("dict[str, Any]", json.loads(document))
    )


async def _changed_decimals(
    connection: Connection, program_id: str, document: Mapping[str, Any]
) -> list[Fault]:
    """Find the currencies whose amounts, as they stand in the journal, would change their value."""
    rows = await connection.fetch(statement("view_currencies"), program_id)
    known = {code: decimals for _, code, decimals in rows}
    return [
        Fault(
            ("currencies", index, "decimals"),
            f"must stay {known[currency['code']]}, because amounts are stored with them",
            shape(currency.get("decimals", 0)),
        )
        for index, currency in enumerate(document["currencies"])
        if known.get(currency["code"], currency.get("decimals", 0)) != currency.get("decimals", 0)
    ]


async def _lost_points(
    connection: Connection, program_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[Fault]:
    """Find the currencies that are to go although members have points in them."""
    kept = {currency["code"] for currency in new["currencies"]}
    gone = [c["code"] for c in old["currencies"] if c["code"] not in kept]
    if not gone:
        return []
    # Every batch locks members before it asks for the programme. So batches that know the old
    # document are through once this is granted, and none begins before the new one is there.
    await connection.execute("LOCK TABLE points.members IN EXCLUSIVE MODE")
    held = await connection.fetchval(statement("currencies_in_use"), program_id, gone)
    return [
        Fault(
            ("currencies",), f"must keep {code}, in which members have points", "no such currency"
        )
        for code in held
    ]
