"""Counts what became of the requests of an import."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from schemas.errors import VERSION_MISMATCH
from schemas.names import RESULT_TYPE
from schemas.reading import write_json
from worker.cli.command import read_document
from worker.cli.rows import Planned

if TYPE_CHECKING:
    from typing import BinaryIO

    from worker.broker import Delivery

DEAD_LETTER: Final = "DEAD_LETTER"
"""Under which those requests are counted that nobody could understand."""
SHOWN_MAX: Final = 20
"""So many faulty rows, and rejected requests, are told one by one."""


class Tally:
    """What has become of the requests so far; rejected ones are written to a file, if there is.

    `in_use` counts rejected openings of wallets that are no fresh ones. `due` are the requests
    that can be sent now that those before them are carried out, `unsent` how many never will be.
    """

    def __init__(self, rejects: BinaryIO | None) -> None:
        self.waiting: dict[str, Planned] = {}
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.rejected: list[tuple[int, str]] = []
        self.in_use = 0
        self.due: deque[Planned] = deque()
        self.unsent = 0
        self._rejects = rejects

    @property
    def answered(self) -> int:
        """How many requests have their outcome, or will have none."""
        return self.counts.total() + self.unsent

    def take(self, reply: Delivery) -> None:
        """Count one reply; it is the first to its request."""
        planned = self.waiting.pop(str(reply.correlation_id))
        document = read_document(reply.body)
        error = document["error"]
        self.counts[document["status"] if reply.type == RESULT_TYPE else DEAD_LETTER] += 1
        if error is None:
            if planned.then is not None:
                self.due.append(Planned(planned.line, planned.then))
            return
        self.unsent += planned.then is not None
        self.errors[error["key"]] += 1
        if error["key"] == VERSION_MISMATCH and planned.document.get("expected_version") == 0:
            self.in_use += 1
        if len(self.rejected) < SHOWN_MAX:
            self.rejected.append((planned.line, f"{error['key']}: {error['message']}"))
        if self._rejects is not None:
            row = {"line": planned.line, "error": error, "request": planned.document}
            unsent = {"unsent": planned.then} if planned.then is not None else {}
            self._rejects.write(write_json(row | unsent) + b"\n")
