"""What the door looks up: whom an identifier belongs to, and the programmes in force.

An identifier is known here by its fingerprint alone. Whom a request reached by one is remembered
before the request goes on, so that a repeat never reaches another member, whoever the identifier
belongs to by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from worker.store.catalogue import Catalogue
from worker.store.pool import acquired
from worker.store.statements import statement

if TYPE_CHECKING:
    from collections.abc import Collection

    from worker.domain.program import Program
    from worker.store.pool import Pool

KeyFault = Literal["missing", "other"]
"""Why identifiers cannot be looked for: there is no key, or one that they were not stored with."""


class Asked(NamedTuple):
    """Whom a request names by an identifier: its kind and its fingerprint."""

    program_id: str
    name: str
    fingerprint: bytes
    request_id: str


class Directory:
    """Looks up identifiers and programmes; what it cannot do now is a PassingFault."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._catalogue = Catalogue()

    async def programs(self, program_ids: Collection[str]) -> dict[str, Program]:
        """Return the newest version of those of the programmes that exist."""
        async with acquired(self._pool) as connection:
            _, programs = await self._catalogue.read(connection, program_ids)
            return programs

    async def members(self, asked: Collection[Asked]) -> dict[Asked, str]:
        """Return the member ids of those that are known, and remember them for good.

        A request that was asked for before, by the same identifier, is the same member's again.
        """
        columns = [list(column) for column in zip(*asked, strict=True)]
        async with acquired(self._pool) as connection:
            # The second statement sees what the first one, or another door, has committed.
            await connection.execute(statement("remember_resolutions"), *columns)
            programs, _, fingerprints, requests = columns
            rows = await connection.fetch(
                statement("read_resolutions"), programs, fingerprints, requests
            )
        found = {tuple(row)[:3]: str(row["member_id"]) for row in rows}
        return {
            one: found[key]
            for one in asked
            if (key := (one.program_id, one.fingerprint, one.request_id)) in found
        }

    async def key_fault(self, digest: bytes | None) -> KeyFault | None:
        """Tell what is wrong with a key; `digest` is that of `worker.identifiers`, None for no key.

        Where no identifier was ever stored, every key is right, and none as well.
        """
        async with acquired(self._pool) as connection:
            row = await connection.fetchrow(statement("identifier_key"))
        assert row is not None, "the statement always has a row"
        if digest is None:
            return "missing" if row["is_needed"] else None
        return None if row["digest"] in {None, digest} else "other"
