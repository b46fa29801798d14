"""Counts what became of the requests of an import, and tells it."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from schemas.errors import VERSION_MISMATCH
from schemas.names import RESULT_TYPE
from worker.cli import showing
from worker.cli.command import read_document
from worker.cli.rejects import written
from worker.cli.rows import Planned

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from worker.broker import Delivery

DEAD_LETTER: Final = "DEAD_LETTER"
"""Under which those requests are counted that nobody could understand."""
SHOWN_MAX: Final = 20
"""So many faulty rows, and rejected requests, are told one by one."""


class Tally:
    """What has become of the requests so far; rejected ones are written to a file, if there is.

    `in_use` counts rejected openings of wallets that are no fresh ones, `half_open` those whose
    credit was carried out and whose debit was not. `due` are the requests that can be sent now that
    those before them are carried out, `unsent` how many never will be.
    """

    def __init__(self, rejects: BinaryIO | None) -> None:
        self.waiting: dict[str, Planned] = {}
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.rejected: list[tuple[int, str]] = []
        self.in_use = 0
        self.half_open = 0
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
                self.due.append(Planned(planned.line, planned.then, is_second=True))
            return
        self.unsent += planned.then is not None
        self.half_open += planned.is_second
        self.errors[error["key"]] += 1
        if error["key"] == VERSION_MISMATCH and planned.document.get("expected_version") == 0:
            self.in_use += 1
        if len(self.rejected) < SHOWN_MAX:
            self.rejected.append((planned.line, f"{error['key']}: {error['message']}"))
        if self._rejects is not None:
            self._rejects.write(written(planned.line, error, planned.document, planned.then))


class Counted(NamedTuple):
    """An import that is through: its rows, what of them was sent, and where rejects are written."""

    rows: int
    sent: int
    rejects: Path | None
    is_opening: bool


def show_json(tally: Tally, counted: Counted) -> None:
    """Print what has become of the requests, for programs."""
    summary: dict[str, Any] = {
        "rows": counted.rows,
        "sent": counted.sent,
        "applied": tally.counts["APPLIED"],
        "no_change": tally.counts["NO_CHANGE"],
        "simulated": tally.counts["SIMULATED"],
        "rejected": tally.counts["REJECTED"],
        "dead_letters": tally.counts[DEAD_LETTER],
        "errors": dict(tally.errors.most_common()),
    }
    showing.write_json(summary)


def show(tally: Tally, counted: Counted) -> None:
    """Print what has become of the requests, for people; after rejections, how to go on."""
    for line, error in sorted(tally.rejected):
        showing.talk(f"line {line}: {error}")
    if (more := tally.errors.total() - len(tally.rejected)) > 0:
        all_of_them = "" if counted.rejects else ": --rejects FILE writes all of them down"
        showing.talk(f"… and {more} more{all_of_them}.")
    shown: dict[str, object] = {"rows": counted.rows, "requests": counted.sent}
    for status, number in tally.counts.most_common():
        shown[status.lower().replace("_", " ")] = f"{number} of {counted.sent}"
    shown |= {f"  {key}": number for key, number in tally.errors.most_common()}
    if counted.is_opening and tally.in_use:
        shown["wallets in use"] = f"{tally.in_use}; an opening balance needs a fresh one"
    if tally.half_open:
        shown["half open"] = f"{tally.half_open}; the total was credited, and the debit refused"
    showing.console().print(showing.facts(shown))
    if tally.errors:
        showing.talk(_how_to_go_on(counted.rejects))


def _how_to_go_on(rejects: Path | None) -> str:
    where = f"mend {rejects}" if rejects else "add --rejects FILE, mend what is written there"
    lines = " as jsonl" if rejects and rejects.suffix != ".jsonl" else ""
    return (
        f"What was refused, now or before, stays so. To try again, {where}, and import that file"
        f"{lines}: its requests get new ids, but for ids of your own."
    )
