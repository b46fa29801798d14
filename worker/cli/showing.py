"""How the commands write: data to standard output, talk to standard error, nothing unseen."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
import typer
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from schemas import names, reading
from worker.exits import EXIT_OK, EXIT_USAGE
from worker.masking import mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from rich.console import ConsoleOptions
    from rich.progress import ProgressColumn

# Where nobody looks at it, a table must not be cut to the width of a window.
_WIDTH_WITHOUT_TERMINAL: Final = 200
PIPED_WIDTH: Final = 100
"""The width of what is text rather than a table, where nobody looks at it."""

# What a terminal would obey rather than show, and what cannot be written as UTF-8. Messages come
# from anybody.
_INVISIBLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

STYLES: Final = {
    names.APPLIED: "green",
    names.REJECTED: "red",
    names.NO_CHANGE: "dim",
}


class _Console(Console):
    """Leaves it to the command what becomes of it when nobody reads any more."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class _Table(Table):
    """Has nothing behind the last words of a line, where tables of rich have blanks."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        rendered = cast("Iterable[Segment]", super().__rich_console__(console, options))
        for line in Segment.split_lines(rendered):
            while line and not line[-1].text.strip():
                line.pop()
            if line:
                last = line.pop()
                line.append(Segment(last.text.rstrip(), last.style, last.control))
            yield from line
            yield Segment.line()


def console(*, stderr: bool = False, piped_width: int = _WIDTH_WITHOUT_TERMINAL) -> Console:
    """Return a console that takes every text as it is, without markup of any kind.

    It has the width of the terminal, and `piped_width` columns where there is none.
    """
    stream = sys.stderr if stderr else sys.stdout
    wide = stream.isatty() or "COLUMNS" in os.environ
    return _Console(
        stderr=stderr,
        markup=False,
        emoji=False,
        highlight=False,
        width=None if wide else piped_width,
    )


def talk(text: str) -> None:
    """Say something to the user, on standard error."""
    sys.stderr.write(visible(mask(text)) + "\n")


def ask(question: str) -> None:
    """Ask the user, and go on only after a yes; nobody there to answer is wrong usage."""
    try:
        is_wanted = typer.confirm(question, err=True)
    except typer.Abort:
        talk("\nNobody answered: say --yes.")
        raise typer.Exit(EXIT_USAGE) from None
    if not is_wanted:
        talk("Nothing done.")
        raise typer.Exit(EXIT_OK)


def write(body: bytes) -> None:
    """Write data as it is, and a line break, to standard output at once."""
    sys.stdout.flush()
    sys.stdout.buffer.write(body + b"\n")
    sys.stdout.buffer.flush()


def write_json(value: object) -> None:
    """Write data as JSON for people and programs; times are RFC 3339 in UTC."""
    write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z))


def visible(text: str) -> str:
    r"""Return the text with everything invisible but line breaks written out, as in `\x1b`."""
    return _INVISIBLE.sub(lambda match: repr(match[0])[1:-1], text)


def moment(time: datetime | None) -> str:
    """Write a time, UTC to the second, for people."""
    return "never" if time is None else f"{time:%Y-%m-%d %H:%M:%S}Z"


def progress(*columns: ProgressColumn) -> Progress:
    """Return a progress bar, which shows itself only where somebody can see it, while it lasts."""
    out = console(stderr=True)
    return Progress(*columns, console=out, transient=True, disable=not out.is_terminal)


def table(*headings: str, right: Iterable[str] = (), whole: Iterable[str] = ()) -> Table:
    """Return an empty table; columns in `right` are flush right, those in `whole` never folded."""
    empty = _Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    flush, unfolded = frozenset(right), frozenset(whole)
    for heading in headings:
        justify: Any = "right" if heading in flush else "left"
        no_wrap = heading in unfolded
        empty.add_column(heading, justify=justify, overflow="fold", no_wrap=no_wrap)
    return empty


def facts(rows: Mapping[str, object]) -> Table:
    """Return a table of names and values, without those that are None."""
    grid = _Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows.items():
        if value is not None:
            grid.add_row(name, value if isinstance(value, Text) else visible(str(value)))
    return grid


def outcome(document: Mapping[str, Any]) -> Table:
    """Return an outcome (`schemas.outcome`) as a table for people; absent facts are left out."""
    status = Text(document["status"], STYLES.get(document["status"], ""))
    error = document["error"]
    rows: dict[str, object] = {"status": status}
    if error:
        rows["error"] = f"{error['key']} ({error['code']}): {error['message']}"
        for number, detail in enumerate(error["details"], 1):
            rows[f"fault {number}"] = f"{detail['field']} {detail['rule']}; got {detail['got']}"
    shown_otherwise = {"status", "error", "lots", "warnings", "metadata"}
    rows |= {name: value for name, value in document.items() if name not in shown_otherwise}
    if document["metadata"] is not None:
        rows["metadata"] = reading.write_json(document["metadata"]).decode()
    for lot in document["lots"]:
        expires = lot["expires_at"] or "never"
        rows[f"lot {lot['lot_id']}"] = f"{lot['points']}, expires {expires}"
    if document["warnings"]:
        rows["warnings"] = ", ".join(document["warnings"])
    return facts(rows)
