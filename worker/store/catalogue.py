"""The programmes in force, read once for each version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.domain.document import from_document
from worker.store.faults import PassingFault
from worker.store.statements import statement

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from worker.domain.program import Program
    from worker.store.pool import Connection


class Catalogue:
    """Remembers the newest version of each programme that was asked for."""

    def __init__(self) -> None:
        self._programs: dict[str, Program] = {}

    async def read(
        self, connection: Connection, program_ids: Collection[str]
    ) -> tuple[datetime, dict[str, Program]]:
        """Return the database's time and the newest version of the programmes that exist.

        Raises PassingFault for a document that this version of the worker does not know, and
        whatever the driver raises.
        """
        row = await connection.fetchrow(statement("clock_and_programs"), list(program_ids))
        assert row is not None, "an aggregate returns one row"
        programs = {}
        for program_id, version in zip(row["program_ids"], row["versions"], strict=True):
            program = self._programs.get(program_id)
            if program is None or program.version != version:
                document = await connection.fetchval(statement("read_program"), program_id, version)
                try:
                    program = from_document(program_id, version, document)
                except ValueError as error:
                    # A newer version of the worker may know it; nothing may be decided without it.
                    raise PassingFault(error) from error
                self._programs[program_id] = program
            programs[program_id] = program
        return row["now"], programs
