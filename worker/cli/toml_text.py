"""TOML for people who edit it: on which line each value stands, and how a document is written.

The values themselves are read by the standard library. It forgets where they stood, and so do the
libraries beside it, so the lines are found here, in a text that is known to be right.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from worker.domain.table import Path

_TOKEN: Final = re.compile(
    r"""
    (?P<blank>(?:[ \t\r\n]|\#[^\n]*)+)
    |(?P<long>\"{3}(?:\\.|[^\\])*?\"{3,5}(?!\")|'{3}.*?'{3,5}(?!'))
    |(?P<text>"(?:\\.|[^"\\])*"|'[^']*')
    |(?P<mark>[\[\]{}=,.])
    |(?P<bare>[^\s\[\]{}=,.\#"']+)
    """,
    re.VERBOSE | re.DOTALL,
)
_PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


class NotToml(Exception):
    """A text that is no TOML; `line` is where it stops to be."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def read(text: str) -> dict[str, Any]:
    """Read a document. Raises NotToml."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _PLACE.search(message)
        line = int(place[1]) if place and place[1] else text.count("\n") + 1
        raise NotToml(_PLACE.sub("", message), line) from None
    except RecursionError:
        raise NotToml("Too many brackets in each other", 1) from None


class Lines:
    """On which line, counted from 1, each value of a document stands."""

    def __init__(self, text: str) -> None:
        """Look through a text that `read` has read."""
        self._tokens = _Tokens(text)
        self._found: dict[Path, int] = {(): 1}
        self._counts: dict[Path, int] = {}
        table: Path = ()
        while self._tokens.kind:
            if self._tokens.value == "[":
                table = self._heading()
            else:
                self._pair(table)

    def of(self, path: Path) -> int:
        """Return the line of the value, of a missing one that of the nearest table around it."""
        while path not in self._found:
            path = path[:-1]
        return self._found[path]

    def _heading(self) -> Path:
        """Go past `[a.b]` or `[[a.b]]` and return the table that it opens."""
        line = self._tokens.line
        self._tokens.next()
        is_list = self._tokens.value == "["
        if is_list:
            self._tokens.next()
        path: Path = ()
        keys = self._keys()
        for number, key in enumerate(keys, 1):
            path = (*path, key)
            self._found.setdefault(path, line)
            if is_list and number == len(keys):
                self._counts[path] = self._counts.get(path, 0) + 1
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
                self._found.setdefault(path, line)
        for _ in range(1 + is_list):
            self._tokens.next()
        return path

    def _pair(self, table: Path) -> None:
        """Go past `a.b = value`."""
        line = self._tokens.line
        path = table
        for key in self._keys():
            path = (*path, key)
            self._found.setdefault(path, line)
        self._tokens.next()
        self._value(path)

    def _keys(self) -> list[str]:
        """Go past the parts of a key."""
        keys = []
        while True:
            value = self._tokens.value
            is_quoted = self._tokens.kind == "text"
            keys.append(next(iter(tomllib.loads(f"{value} = 0"))) if is_quoted else value)
            self._tokens.next()
            if self._tokens.value != ".":
                return keys
            self._tokens.next()

    def _value(self, path: Path) -> None:
        """Go past a value. Commas may stand behind the last one of a list."""
        tokens = self._tokens
        self._found.setdefault(path, tokens.line)
        if tokens.value not in {"[", "{"} or tokens.kind != "mark":
            tokens.next()
            # Of a number or time there may be more: 1.5, 07:32:00.5, 1979-05-27 07:32:00.
            while tokens.value == "." or (tokens.kind == "bare" and tokens.goes_on):
                tokens.next()
            return
        is_list = tokens.value == "["
        tokens.next()
        index = 0
        while tokens.value not in {"]", "}"} or tokens.kind != "mark":
            if is_list:
                self._value((*path, index))
                index += 1
            else:
                self._pair(path)
            if tokens.value == "," and tokens.kind == "mark":
                tokens.next()
        tokens.next()


class _Token(NamedTuple):
    kind: str
    value: str
    line: int
    goes_on: bool


class _Tokens:
    """The tokens of a text one by one, without blanks, line breaks and comments.

    `goes_on` says that the token stands on the same line as the one before.
    """

    def __init__(self, text: str) -> None:
        self._tokens = self._split(text)
        self.next()

    def next(self) -> None:
        """Go to the next token; behind the last one the kind is empty."""
        self.kind, self.value, self.line, self.goes_on = next(
            self._tokens, _Token("", "", 0, goes_on=False)
        )

    @staticmethod
    def _split(text: str) -> Iterator[_Token]:
        line = 1
        goes_on = False
        for match in _TOKEN.finditer(text):
            kind, value = str(match.lastgroup), match[0]
            breaks = value.count("\n")
            if kind == "blank":
                goes_on = goes_on and not breaks
            else:
                yield _Token(kind, value, line, goes_on)
                goes_on = True
            line += breaks


def write(document: Mapping[str, Any]) -> str:
    """Write a document that came from JSON as TOML: plain values first, then its tables.

    Raises ValueError for a null, which TOML does not have.
    """
    lines: list[str] = []
    _write_table(document, lines, is_root=True)
    return "\n".join(lines).lstrip("\n") + "\n"


def _write_table(table: Mapping[str, Any], lines: list[str], *, is_root: bool = False) -> None:
    headings = {}
    for key, value in table.items():
        is_tables = isinstance(value, list) and value and all(isinstance(x, dict) for x in value)
        if is_root and (isinstance(value, dict) or is_tables):
            headings[key] = value
        else:
            lines.append(f"{_key(key)} = {_inline(value)}")
    for key, value in headings.items():
        for item in value if isinstance(value, list) else [value]:
            mark = ("[[", "]]") if isinstance(value, list) else ("[", "]")
            lines += ["", f"{mark[0]}{_key(key)}{mark[1]}"]
            _write_table(item, lines)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        pairs = ", ".join(f"{_key(key)} = {_inline(item)}" for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if value is None:
        raise ValueError("TOML has no null")
    return _escaped(value) if isinstance(value, str) else json.dumps(value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _escaped(key)


def _escaped(text: str) -> str:
    # What JSON escapes, TOML escapes alike; it wants one character more.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", r"\u007F")
