"""`import`: publish the requests of a file, wait for all outcomes, and count them."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

from schemas.names import DEFAULT_PROGRAM_ID
from schemas.reading import write_json
from schemas.topology import bucket_key
from worker.broker import SessionLost, client
from worker.broker.asking import ask_all
from worker.cli import showing
from worker.cli.command import Ended, Json, Program, broker, carry_out, end_of, spooled, why_unread
from worker.cli.rows import Fault, File, Format, Planned, digest_of
from worker.cli.tally import SHOWN_MAX, Counted, Tally, show, show_json
from worker.exits import EXIT_FAULT_FOUND, EXIT_OK, EXIT_TRY_AGAIN, EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from worker.broker import Delivery, Publication
    from worker.settings import Settings

_WAITING_MAX: Final = 1_000
_STDIN_BYTES_MAX: Final = 256 * 1024 * 1024
_TIMEOUT_SECONDS: Final = 60.0
_TIMEOUT_SECONDS_MAX: Final = 3_600
_FORMATS: Final[dict[str, Format]] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def import_(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The rows to import; - reads them from standard input,"
                       " with --format."),
    ],
    *,
    opening: Annotated[
        bool,
        typer.Option(
            "--opening",
            help="The rows are what wallets hold at the start: member_id, balance, and if need be"
            " total, currency, category, expiration_type, expiration_date.",
        ),
    ] = False,
    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="By default what the file's name ends with.",
                     show_default=False),
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write each rejected request here, with its line and error, and what was not sent"
            " because of it, as JSON lines.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            max=_TIMEOUT_SECONDS_MAX,
            help="How long to wait for the next outcome.",
        ),
    ] = _TIMEOUT_SECONDS,
    program: Program = DEFAULT_PROGRAM_ID,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Publish a file of requests, CSV with a heading or JSON lines, and wait for all outcomes.

    Columns are the fields of a request. Nothing is sent while a row has a fault. Rows without
    a request_id get one from the file's content and their line, as import-0f3a9b27c1d4e58f6a7b-17
    (those of an opening end with -credit or -debit), so to import the same file again after a break
    repeats nothing; it counts the outcomes of all its requests, whenever they were carried out.
    --program is for rows that name none.

    What was rejected stays so, whatever has changed since. To try again, mend what --rejects wrote
    down, if need be, and import that file: those of its requests whose ids were made up get new
    ones, always the same from the same file. Ids of your own you have to change. Any other file
    that was changed is another file, whose rows are all new requests, except that an opening
    changes no wallet that was in use.

    An opening makes one or two requests of a row: a credit of the total, and, once that is carried
    out, a debit of what of it is gone; none of a row without points. Where only
    the debit was refused, --rejects writes it down alone.

    JSON: rows, sent (the requests made of them), applied, no_change, simulated, rejected,
    dead_letters, and errors, which counts those by their keys.

    Ends with 2 if a row has a fault, with 3 if something was rejected, and with 75 if no outcome
    came in time.

    Example: points-worker import balances.csv --opening --rejects rejected.jsonl
    """
    chosen = file_format or _FORMATS.get(file.suffix.lower())
    if chosen is None:
        raise typer.BadParameter("say whether it is csv or jsonl", param_hint="'--format'")
    carry_out(
        lambda settings: _import(
            settings, file, chosen, program, rejects, timeout, is_opening=opening, as_json=as_json
        ),
        unused="DATABASE_URL",
    )


async def _import(
    settings: Settings,
    given: Path,
    chosen: Format,
    program_id: str,
    rejects: Path | None,
    timeout_seconds: float,
    *,
    is_opening: bool,
    as_json: bool,
) -> int:
    """Check the whole file, then send it; return the exit code."""
    with ExitStack() as stack:
        try:
            is_piped = str(given) == "-"
            path = given
            if is_piped:
                path = Path(stack.enter_context(spooled(_STDIN_BYTES_MAX)).name)
            stamp = _stamp(path)
            digest = digest_of(path)
            file = File(path, chosen, program_id, is_opening, settings.body_bytes_max, digest)
            found = _look_through(file)
            if found.faults:
                return _refuse("stdin" if is_piped else str(path), found.faults, as_json=as_json)
            written = stack.enter_context(_opened(rejects, path)) if rejects else None
        except OSError as error:
            if str(error.filename) == str(given):
                raise Ended(f"{why_unread(given, error)}.", EXIT_USAGE) from None
            raise Ended(f"{error.filename}: {error.strerror}.", EXIT_USAGE) from None
        tally = Tally(written)
        try:
            await _send(settings, file, stamp, found.requests, tally, timeout_seconds)
        except asyncio.CancelledError:
            showing.talk(_broken_off("Interrupted", tally, found))
            raise
        except TimeoutError:
            why = f"No outcome came for {timeout_seconds:g} s"
            raise Ended(_broken_off(why, tally, found), EXIT_TRY_AGAIN) from None
        except SessionLost as error:
            ended = end_of(error)
            assert ended is not None, "a lost session is no bug"
            raise Ended(_broken_off(str(ended), tally, found), ended.exit_code) from None
    counted = Counted(found.rows, found.requests - tally.unsent, rejects, is_opening)
    show_json(tally, counted) if as_json else show(tally, counted)
    return EXIT_FAULT_FOUND if tally.errors else EXIT_OK


class _Found(NamedTuple):
    """How many rows and requests a file has; its first faults, and how many more there are."""

    rows: int
    requests: int
    faults: list[Fault]


def _broken_off(why: str, tally: Tally, found: _Found) -> str:
    return (
        f"{why.rstrip('. ')}. {tally.answered} of {found.requests} requests have their outcome."
        " Import the same file again: what is done is not done twice."
    )


def _look_through(file: File) -> _Found:
    rows = requests = more = 0
    faults: list[Fault] = []

    def planned() -> Iterator[Planned | Fault]:
        nonlocal rows
        rows = yield from file.plan()

    for one in planned():
        if isinstance(one, Planned):
            requests += 1 if one.then is None else 2
        elif len(faults) < SHOWN_MAX:
            faults.append(one)
        else:
            more += 1
    if more:
        faults.append(Fault(faults[-1].line, "file", f"has {more} more faults", "more than listed"))
    return _Found(rows, requests, faults)


def _refuse(name: str, faults: list[Fault], *, as_json: bool) -> int:
    if as_json:
        showing.write_json({"sent": 0, "faults": [fault._asdict() for fault in faults]})
    for fault in faults:
        showing.talk(f"{name}:{fault.line}: {fault.field} {fault.rule}; got {fault.got}")
    showing.talk("Nothing was sent.")
    return EXIT_USAGE


async def _send(
    settings: Settings,
    file: File,
    stamp: tuple[int, int],
    requests: int,
    tally: Tally,
    timeout_seconds: float,
) -> None:
    """Publish the requests of a file and take their replies. Raises as `ask_all` does.

    `stamp` is that of the file that was looked through.
    """
    progress = showing.progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    task = progress.add_task("", total=requests)
    numbers = count()

    def publication(planned: Planned) -> Publication:
        correlation_id = str(next(numbers))
        tally.waiting[correlation_id] = planned
        return client.request(
            settings.prefix,
            bucket_key(planned.document["member_id"]),
            write_json(planned.document),
            message_id=planned.document["request_id"],
            correlation_id=correlation_id,
        )

    def of_file() -> Iterator[Publication]:
        for planned in file.plan():
            if isinstance(planned, Fault) or _stamp(file.path) != stamp:
                raise Ended("The file was changed while it was imported.", EXIT_USAGE)
            yield publication(planned)
            yield from of_due()

    def of_due() -> Iterator[Publication]:
        while tally.due:
            yield publication(tally.due.popleft())

    def answered(reply: Delivery) -> None:
        tally.take(reply)
        progress.update(task, completed=tally.answered)

    async with broker(settings) as connection:
        with progress:
            # What only the last outcomes have made due is left to the second round.
            for publications in (of_file(), of_due()):
                await ask_all(
                    connection,
                    publications,
                    answered,
                    waiting_max=_WAITING_MAX,
                    idle_seconds=timeout_seconds,
                )


def _opened(rejects: Path, path: Path) -> BinaryIO:
    if rejects.exists() and rejects.samefile(path):
        raise Ended("What is rejected cannot be written over the rows.", EXIT_USAGE)
    return rejects.open("wb")


def _stamp(path: Path) -> tuple[int, int]:
    """Return what changes when a file is changed."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size
