"""Reads files of requests, row by row, and finds every row that cannot be one.

A file is CSV with a heading, or JSON lines; its columns are the fields of a request. The file of an
opening says instead what each member's wallet holds when the programme moves here. JSON lines may
also be what an import wrote down of rejected requests.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from pydantic import ValidationError

from schemas.faults import faults, shape
from schemas.reading import Unreadable, read_json, write_json
from schemas.request import AdjustmentRequest
from worker.cli.adjust import kind_of
from worker.cli.opening import OPENING_COLUMNS, NoOpening, opening
from worker.cli.rejects import again, made_up_id

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from typing import BinaryIO, TextIO

Format = Literal["csv", "jsonl"]

ROWS_MAX: Final = 1_000_000
"""The most rows of a file: what tells repeated ids apart has to be remembered of each."""
_LINE_BYTES_MAX: Final = 1024 * 1024
_FIELD_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_OTHER_SEPARATOR = re.compile(r"[;\t|]")

_KINDS: Final = {
    name: dict if name == "metadata" else kind_of(field)
    for name, field in AdjustmentRequest.model_fields.items()
}
REQUEST_COLUMNS: Final = frozenset(_KINDS)
_WALLET: Final = ("program_id", "member_id", "currency", "category")
_REQUEST: Final = ("program_id", "member_id", "request_id")


class Fault(NamedTuple):
    """What is wrong with a row: its line, the field, the rule, and the shape of what came."""

    line: int
    field: str
    rule: str
    got: str


class Planned(NamedTuple):
    """A request that a row asks for, and the one to be sent once that has been carried out.

    `is_second` says that it is such a one itself.
    """

    line: int
    document: dict[str, Any]
    then: dict[str, Any] | None = None
    is_second: bool = False


class _Row(NamedTuple):
    line: int
    fields: dict[str, Any]
    then: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A file of requests; `digest` is the SHA-256 of its content, in hex."""

    path: Path
    format: Format
    program_id: str
    is_opening: bool
    body_bytes_max: int
    digest: str

    def plan(self) -> Generator[Planned | Fault, None, int]:
        """Yield the requests of the file in order, and in their places the faults of its rows.

        Returns how many rows that can be read there are. Raises OSError. The same file yields the
        same requests, ids included.
        """
        seen: dict[bytes, int] = {}
        count = 0
        for row in self._rows():
            if isinstance(row, Fault):
                yield row
                continue
            count += 1
            if count > ROWS_MAX:
                yield Fault(row.line, "row", f"is beyond the {ROWS_MAX}th: split the file", "more")
                return count
            fields = {"program_id": self.program_id} | row.fields
            twice = _first_line_of(self._scope(fields), row.line, seen)
            if twice is not None:
                rule = f"names what line {twice} has named before"
                field = "member_id" if self.is_opening else "request_id"
                yield Fault(row.line, field, rule, "the same")
            fields.setdefault("request_id", made_up_id(self.digest, row.line))
            yield from self._planned(row.line, fields, row.then)
        return count

    def _planned(
        self, line: int, fields: dict[str, Any], then: dict[str, Any] | None
    ) -> Iterator[Planned | Fault]:
        """Yield what a row asks for, or the faults of the first of its requests that has some."""
        try:
            if self.is_opening:
                documents = opening(fields)
            else:
                documents = [fields] if then is None else [fields, then]
        except NoOpening as error:
            yield Fault(line, error.field, error.rule, error.got)
            return
        for document in documents:
            if found := list(self._faults(line, document)):
                yield from found
                return
        if documents:
            yield Planned(line, documents[0], next(iter(documents[1:]), None))

    def _scope(self, fields: dict[str, Any]) -> object:
        """Return what no two rows may have in common; None where this one has nothing of it."""
        if self.is_opening:
            return [fields.get(name) for name in _WALLET]
        if "request_id" not in fields:
            return None
        return [fields.get(name) for name in _REQUEST]

    def _faults(self, line: int, document: dict[str, Any]) -> Iterator[Fault]:
        try:
            AdjustmentRequest.model_validate(document)
            size = len(write_json(document))
        except ValidationError as error:
            for fault in faults(error):
                field = fault["field"]
                if self.is_opening and field == "points":
                    field = "balance"
                yield Fault(line, field, fault["rule"], fault["got"])
        except TypeError:
            yield Fault(line, "row", "must have no lone surrogate", "one")
        else:
            if size > self.body_bytes_max:
                rule = f"must have at most {self.body_bytes_max} bytes as a request"
                yield Fault(line, "row", rule, f"{size} bytes")

    def _rows(self) -> Iterator[_Row | Fault]:
        if self.format == "csv":
            with self.path.open(encoding="utf-8-sig", newline="") as text:
                yield from _csv_rows(text, self._columns)
        else:
            with self.path.open("rb") as file:
                yield from _json_rows(file, self._columns)

    @property
    def _columns(self) -> frozenset[str]:
        return OPENING_COLUMNS if self.is_opening else REQUEST_COLUMNS


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _csv_rows(file: TextIO, columns: frozenset[str]) -> Iterator[_Row | Fault]:
    """Read rows of cells under a heading; an empty cell is an absent field."""
    reader = csv.reader(file, strict=True)
    heading: list[str] = []
    line = 1
    try:
        for cells in reader:
            if not heading:
                heading = [cell.strip() for cell in cells]
                found = list(_heading_faults(line, heading, columns))
                if found:
                    yield from found
                    return
            elif cells and len(cells) != len(heading):
                yield Fault(line, "row", f"must have {len(heading)} cells", str(len(cells)))
            elif cells:
                given = zip(heading, cells, strict=True)
                yield _Row(line, {name: _value(name, cell) for name, cell in given if cell})
            line = reader.line_num + 1
    except csv.Error as error:
        yield Fault(line, "row", f"must be CSV: {error}", "another text")
    except UnicodeDecodeError:
        yield Fault(line, "row", "must be UTF-8, this one or one soon after it", "other bytes")
        return
    if not heading:
        yield Fault(1, "heading", "must name the columns", "nothing")


def _heading_faults(line: int, heading: list[str], columns: frozenset[str]) -> Iterator[Fault]:
    names = _OTHER_SEPARATOR.split(heading[0])
    if len(heading) == 1 < len(names) and not columns.isdisjoint(names):
        yield Fault(line, "heading", "must have commas between its columns", "one column")
        return
    for number, name in enumerate(heading, 1):
        if name not in columns:
            rule, is_near = _column_rule(name, columns)
            yield Fault(line, f"column {number}", rule, name if is_near else shape(name))
        elif name in heading[: number - 1]:
            yield Fault(line, name, "must be one column", "two")


def _json_rows(file: BinaryIO, columns: frozenset[str]) -> Iterator[_Row | Fault]:
    """Read a JSON object from each line that is not blank; a null is an absent field."""
    line = 0
    while body := file.readline(_LINE_BYTES_MAX + 1):
        line += 1
        if line == 1:
            body = body.removeprefix(codecs.BOM_UTF8)
        if len(body) > _LINE_BYTES_MAX:
            yield Fault(line, "row", f"must have at most {_LINE_BYTES_MAX} bytes", "more")
            return
        if not body.strip():
            continue
        try:
            document = read_json(body)
        except Unreadable as error:
            yield Fault(line, "row", f"must be a JSON object: {error.message}", "another text")
            continue
        if not isinstance(document, dict):
            yield Fault(line, "row", "must be a JSON object", shape(document))
            continue
        refused = again(document)
        if refused is not None and columns is not REQUEST_COLUMNS:
            yield Fault(line, "row", "must be imported without --opening", "a rejected request")
            continue
        found, then = refused or (document, None)
        unknown = [name for name in found if name not in columns]
        for name in unknown:
            field = name if _FIELD_NAME.fullmatch(name) else "a field"
            rule, is_near = _column_rule(name, columns)
            yield Fault(line, field, rule, "another name" if is_near else shape(name))
        if not unknown:
            yield _Row(line, {name: v for name, v in found.items() if v is not None}, then)


def _value(name: str, cell: str) -> object:
    """Return a cell as the JSON value that its column has; what is none stays the text it is."""
    kind = _KINDS.get(name, str)
    if kind is int and _INTEGER.fullmatch(cell):
        return int(cell)
    if kind is bool:
        return {"true": True, "false": False}.get(cell.lower(), cell)
    if kind is dict:
        with suppress(Unreadable):
            return read_json(cell.encode(errors="surrogatepass"))
    return cell


def _first_line_of(scope: object, line: int, seen: dict[bytes, int]) -> int | None:
    """Return the line that had this scope first, None where this one is the first."""
    if scope is None:
        return None
    key = hashlib.blake2b(repr(scope).encode(errors="surrogatepass"), digest_size=16).digest()
    first = seen.setdefault(key, line)
    return None if first == line else first


@lru_cache(maxsize=100)
def _column_rule(name: str, columns: frozenset[str]) -> tuple[str, bool]:
    """Return the rule that a name breaks, and whether it comes near one that is right.

    Only then is it a misspelt one for sure, and nothing that the file says of a member.
    """
    if nearest := get_close_matches(name, columns, n=1, cutoff=0.7):
        return f"must be a column that there is (did you mean {nearest[0]}?)", True
    return f"must be one of {', '.join(sorted(columns))}", False
