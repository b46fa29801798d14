"""`audit`: whether the books add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from worker.cli.command import Json, carry_out
from worker.cli.showing import console, facts, progress, visible, write_json
from worker.exits import EXIT_FAULT_FOUND, EXIT_OK
from worker.readiness import check_migrated
from worker.store.audit import FAULTS_MAX, Findings, count_members
from worker.store.audit import audit as audit_books
from worker.store.views import view_pool

if TYPE_CHECKING:
    from worker.settings import Settings

_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("members"),
    TimeElapsedColumn(),
)


def audit(*, as_json: Json = False) -> None:
    """Check over the whole database that the books add up; change nothing.

    Balances are the sums of the journal and of the open lots less the deficit, totals never fall,
    versions and sequences have no gaps, and every request has one outcome of its own. Workers may
    run meanwhile. Ends with 3 and a sentence for each fault found.

    JSON: ok, complete (false where it stopped for too many faults), members, wallets, lots and
    entries (how many were checked), and faults, each with rule, sentence, program_id, member_id,
    currency, category and request_id.

    Example: points-worker audit
    """

    async def work(settings: Settings) -> int:
        await check_migrated(settings)
        found = Findings()
        async with view_pool(settings) as pool:
            with progress(*_COLUMNS) as bar:
                task = bar.add_task("Auditing", total=await count_members(pool))
                async for stretch in audit_books(pool):
                    found += stretch
                    bar.update(task, advance=stretch.members)
        if as_json:
            write_json(_document(found))
        else:
            _print(found)
        return EXIT_FAULT_FOUND if found.faults else EXIT_OK

    carry_out(work, unused="AMQP_URL")


def _document(found: Findings) -> dict[str, object]:
    return {
        "ok": not found.faults,
        "complete": len(found.faults) < FAULTS_MAX,
        "members": found.members,
        "wallets": found.wallets,
        "lots": found.lots,
        "entries": found.entries,
        "faults": found.faults,
    }


def _print(found: Findings) -> None:
    out = console()
    for fault in found.faults:
        out.print(visible(fault.sentence), soft_wrap=True)
    if found.faults:
        out.print()
    counts = ("members", "wallets", "lots", "entries")
    out.print(facts({f"{name} checked": f"{getattr(found, name):,}" for name in counts}))
    if not found.faults:
        out.print(Text("The books add up.", "green"))
        return
    many = f"{len(found.faults)} faults" if len(found.faults) > 1 else "1 fault"
    stopped = " so far; the audit stopped there" if len(found.faults) >= FAULTS_MAX else ""
    out.print(Text(f"{many} found{stopped}.", "red"))
