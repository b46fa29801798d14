"""A member's events as a statement, in lines that need no more than 80 columns.

An event has one line of columns, and below it what was said about it, across the whole width: so
that long ids and reasons never squeeze the figures.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len
from rich.text import Text

from schemas import names
from worker.cli import showing
from worker.cli.command import read_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from worker.store.entry import Entry

_GAP: Final = "  "
_HEADINGS: Final = ("no.", "time", "what", "points", "balance")
_RIGHT: Final = frozenset({"no.", "points", "balance"})
_MOVES_NOTHING: Final = frozenset({names.HOLD, names.RELEASE})
_SAID: Final = (
    ("reverses", "of "),
    ("hold", "hold "),
    ("reason_code", ""),
    ("reason", ""),
    ("comment", ""),
    ("adjusted_by", "by "),
)
_LABELS: Final = (("award", "award_id"), ("promotion", "promotion_id"))


def show(entries: Iterable[Entry], title: str, *, has_lots: bool) -> None:
    """Print a statement of these events, in their order, under a title."""
    told = [(entry, read_document(entry.outcome)) for entry in entries]
    rows = [_row(entry, document) for entry, document in told]
    widths = [max(map(cell_len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    wallets = {_wallet(document) for entry, document in told if entry.currency}
    out = showing.console(piped_width=showing.PIPED_WIDTH)
    if len(wallets) == 1:
        title = f"{title}, {min(wallets)}"
    out.print(Text(showing.visible(title), "bold"))
    out.print()
    out.print(_line(_HEADINGS, widths, "bold"), soft_wrap=True)
    width = sum(widths) + len(_GAP) * (len(widths) - 1)
    out.print(Text("─" * min(width, out.width), "dim"))
    indent = widths[0] + len(_GAP)
    for (entry, document), row in zip(told, rows, strict=True):
        style = "red" if document["error"] else ""
        out.print(_line(row, widths, style), soft_wrap=True)
        about = list(_about(document, wallet=entry.currency is not None and len(wallets) > 1))
        if about:
            _print_indented(out, " · ".join(about), indent, style or "dim")
        for lot in document["lots"] if has_lots else []:
            _print_indented(out, _lot(lot), indent, "dim")


def _row(entry: Entry, document: dict[str, Any]) -> tuple[str, ...]:
    operation = document["operation"]
    what = (operation or "request").lower().replace("_", " ")
    if document["error"]:
        what += " refused"
    elif operation == names.RELEASE and document["operation_type"] is None:
        what = "lapse of hold"
    # What cannot move points need not say so.
    is_moving = not document["error"] and entry.currency and operation not in _MOVES_NOTHING
    points = f"{'+' if entry.points > 0 else ''}{document['points']}" if is_moving else ""
    time = showing.moment(entry.recorded_at)
    return (str(entry.sequence), time, what, points, document["balance"] or "")


def _about(document: dict[str, Any], *, wallet: bool) -> Iterator[str]:
    """Yield what else there is to say, the most important first."""
    if error := document["error"]:
        details = [f"{detail['field']} {detail['rule']}" for detail in error["details"]]
        yield f"{error['key']}: {'; '.join(details) or error['message']}"
    elif document["operation"] == names.HOLD:
        yield f"{document['requested']} held until {_moment(document['expires_at'])}"
    if wallet:
        yield _wallet(document)
    if document["request_id"]:
        yield document["request_id"]
    if document["caused_by"] and document["caused_by"] != document["request_id"]:
        yield f"with {document['caused_by']}"
    for name, words in _SAID:
        if document[name]:
            yield f"{words}{document[name]}"
    yield from _notes(document)


def _notes(document: dict[str, Any]) -> Iterator[str]:
    if document["operation_type"] == names.AUTOMATIC:
        yield "automatic"
    if document["forfeited"].strip("0."):
        yield f"{document['forfeited']} forfeited"
    yield from document["warnings"]


def _lot(lot: dict[str, Any]) -> str:
    sign = "" if lot["points"].startswith("-") else "+"
    labels = [f"{name} {lot[key]}" for name, key in _LABELS if lot.get(key)]
    expires = f"expires {_moment(lot['expires_at'])}" if lot["expires_at"] else "never expires"
    return ", ".join([f"lot {lot['lot_id']}: {sign}{lot['points']}", expires, *labels])


def _moment(text: str) -> str:
    return showing.moment(datetime.fromisoformat(text))


def _wallet(document: dict[str, Any]) -> str:
    return f"{document['currency']} {document['category']}"


def _line(cells: Iterable[str], widths: Iterable[int], style: str) -> Text:
    padded = [
        " " * (width - cell_len(cell)) + cell
        if heading in _RIGHT
        else cell + " " * (width - cell_len(cell))
        for heading, cell, width in zip(_HEADINGS, cells, widths, strict=True)
    ]
    return Text(_GAP.join(padded).rstrip(), style)


def _print_indented(out: Console, text: str, indent: int, style: str) -> None:
    """Print a text over as many lines as it takes, nothing behind their last words."""
    for line in Text(showing.visible(text), style).wrap(out, out.width - indent):
        line.rstrip()
        out.print(Text(" " * indent) + line, soft_wrap=True)
