"""Reads the tables of a document key by key, and collects all that is wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, NamedTuple, TypeVar

from schemas.numbers import AMOUNT_RULE, Amount, parse
from schemas.text import is_text, text_rule

Path = tuple[str | int, ...]
_Choice = TypeVar("_Choice", bound=str)

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_TEXT_SHOWN_MAX: Final = 40
_COUNT_MAX: Final = 2**31 - 1
_LIKENESS_MIN: Final = 0.7
_ABSENT: Final = object()


class Fault(NamedTuple):
    """One thing that is wrong with a document: where, the rule it breaks, and what came instead.

    `got` is a short value itself, of a long one its kind and size.
    """

    path: Path
    rule: str
    got: str

    def __str__(self) -> str:
        return f"{path_text(self.path)} {self.rule}; got {self.got}"


def path_text(path: Path) -> str:
    """Write a path as in `currencies[1].earn_caps[0].per`; the whole is `the document`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _BARE_KEY.fullmatch(part) else json.dumps(part)
            text += f".{key}" if text else key
    return text or "the document"


def shape(value: object) -> str:
    """Show a value of a document as far as it is short, else its kind and size."""
    if value is _ABSENT:
        return "nothing"
    if isinstance(value, Mapping):
        return f"a table of {len(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str) and len(value) > _TEXT_SHOWN_MAX:
        return f"a text of {len(value)} characters"
    if isinstance(value, str | bool | int | float) or value is None:
        return json.dumps(value)
    return "a date or time"


class Table:
    """A table of a document, whose keys are taken one by one until none may be left.

    What is wrong is added to `faults`, and reading goes on with a stand-in: nothing that was read
    may be used unless there are no faults in the end.
    """

    def __init__(self, document: object, path: Path, faults: list[Fault]) -> None:
        self.path = path
        self.faults = faults
        self._left: dict[str, Any] = {}
        self._asked: dict[str, None] = {}
        if isinstance(document, Mapping):
            self._left = dict(document)
        else:
            self.faults.append(Fault(path, "must be a table", shape(document)))

    def __contains__(self, key: str) -> bool:
        """Whether the key is there and was not taken yet."""
        self._asked[key] = None
        return key in self._left

    def fault(self, key: str | None, rule: str, value: object = _ABSENT) -> None:
        """Add what is wrong with the value of a key; None is the table itself."""
        path = self.path if key is None else (*self.path, key)
        self.faults.append(Fault(path, rule, shape(value)))

    def text(self, key: str, bytes_max: int, default: str | None = None) -> str:
        """Take a text of 1 byte at least; without a default it is required."""
        value = self._take(key, _ABSENT if default is None else default)
        if value == default or is_text(value, 1, bytes_max):
            return str(value)
        self.fault(key, "is required" if value is _ABSENT else text_rule(1, bytes_max), value)
        return ""

    def optional_text(self, key: str, bytes_max: int) -> str | None:
        """Take a text of 1 byte at least, None where it is absent."""
        return self.text(key, bytes_max) if key in self else None

    def texts(
        self, key: str, bytes_max: int, choices: tuple[str, ...] | None = None
    ) -> tuple[str, ...]:
        """Take a list of different texts, each one of the choices, empty where it is absent."""
        items = self._list(key)
        for index, item in enumerate(items):
            place = (*self.path, key, index)
            if not is_text(item, 1, bytes_max):
                self.faults.append(Fault(place, text_rule(1, bytes_max), shape(item)))
            elif choices is not None and item not in choices:
                rule = f"must be one of {', '.join(choices)}"
                self.faults.append(Fault(place, rule, shape(item)))
            elif item in items[:index]:
                self.faults.append(Fault(place, "must be given once", shape(item)))
        return tuple(item for item in items if isinstance(item, str))

    def flag(self, key: str, *, default: bool) -> bool:
        """Take true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            self.fault(key, "must be true or false", value)
        return value is True

    def count(self, key: str, most: int = _COUNT_MAX, *, least: int = 0, default: int = 0) -> int:
        """Take a whole number within bounds."""
        value = self._take(key, default)
        if type(value) is int and least <= value <= most:
            return value
        kind = ", a number without quotes" if isinstance(value, str) else ""
        self.fault(key, f"must be {least} to {most}{kind}", value)
        return least

    def one_of(
        self, key: str, choices: tuple[_Choice, ...], *, is_required: bool = False
    ) -> _Choice:
        """Take one of the choices, the first where it is absent and not required."""
        if is_required and key not in self:
            self.fault(key, "is required")
        return self.optional_one_of(key, choices) or choices[0]

    def optional_one_of(self, key: str, choices: tuple[_Choice, ...]) -> _Choice | None:
        """Take one of the choices, None where it is absent."""
        value = self._take(key, _ABSENT)
        for choice in choices:
            if value == choice:
                return choice
        if value is not _ABSENT:
            self.fault(key, f"must be one of {', '.join(choices)}", value)
        return None

    def amount(self, key: str, *, is_required: bool = False) -> Amount | None:
        """Take a decimal that is written as a text, None where it is absent or wrong."""
        value = self._take(key, _ABSENT)
        if value is _ABSENT:
            if is_required:
                self.fault(key, "is required")
            return None
        if isinstance(value, str):
            try:
                return parse(value)
            except ValueError:
                self.fault(key, AMOUNT_RULE, value)
        else:
            self.fault(key, 'must be a decimal in quotes, as "400" or "12.50"', value)
        return None

    def limit(self, key: str, *, is_required: bool = False) -> Amount | None:
        """Take an amount that is not negative, None where it is absent or wrong."""
        amount = self.amount(key, is_required=is_required)
        if amount is not None and amount.digits < 0:
            self.fault(key, "must not be negative", str(amount))
            return None
        return amount

    def table(self, key: str) -> Table:
        """Take a table, an empty one where it is absent."""
        return Table(self._take(key, {}), (*self.path, key), self.faults)

    def tables(self, key: str, *unique: str) -> list[Table]:
        """Take a list of tables, in which each of the `unique` keys has another value each time."""
        under = "" if self.path else f", each under [[{key}]]"
        items = self._list(key, f"must be a list of tables{under}")
        tables = [
            Table(item, (*self.path, key, index), self.faults) for index, item in enumerate(items)
        ]
        for name in unique:
            seen = set()
            for table in tables:
                value = table._left.get(name)  # noqa: SLF001 - one of its own kind.
                if isinstance(value, str):
                    if value in seen:
                        table.fault(name, "must be given once", value)
                    seen.add(value)
        return tables

    def left(self) -> list[str]:
        """Return the keys that were not taken yet."""
        return list(self._left)

    def refuse(self, key: str, rule: str) -> None:
        """Refuse a key that is known, but has no place here."""
        if key in self:
            self.fault(key, rule, self._left.pop(key))

    def end(self) -> None:
        """Refuse what was not taken; of keys that were asked for, one may have been meant."""
        for key, value in self._left.items():
            near = get_close_matches(key, self._asked, n=1, cutoff=_LIKENESS_MIN)
            meant = f" (did you mean {near[0]}?)" if near else ""
            self.fault(key, f"is not known to this version{meant}", value)

    def _take(self, key: str, default: object) -> Any:
        self._asked[key] = None
        return self._left.pop(key, default)

    def _list(self, key: str, rule: str = "must be a list") -> list[Any]:
        value = self._take(key, [])
        if isinstance(value, list):
            return value
        self.fault(key, rule, value)
        return []
