"""Reads a programme document into the shapes of `worker.domain.program`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar, get_args
from zoneinfo import ZoneInfo

from schemas.names import DECIMALS_MAX
from worker.domain.program import Currency, ExpiryRule, Period, Program

_PERIODS: Final[tuple[Period, ...]] = get_args(Period)

_Value = TypeVar("_Value", str, bool, int, list[Any], dict[str, Any])
_Choice = TypeVar("_Choice", bound=str)
_KINDS: Final = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    list: "a list",
    dict: "a table",
}


def from_document(program_id: str, version: int, document: Mapping[str, Any]) -> Program:
    """Read a stored programme document.

    Raises ValueError, naming the key, where the document is not one that this version knows: a
    rule that would silently not be kept is refused.
    """
    table = _Table(f"programme {program_id}", document)
    table.take("name", "")
    if table.take("program_id", program_id) != program_id:
        raise table.wrong("program_id is another one")
    items = table.take("currencies", [])
    program = Program(
        program_id=program_id,
        version=version,
        is_active=table.one_of("status", ("active", "inactive")) == "active",
        time_zone=_time_zone(table),
        allow_negative=table.take("allow_negative", default=False),
        currencies=tuple(_currency(table.inner("currencies", item)) for item in items),
    )
    table.end()
    codes = [currency.code for currency in program.currencies]
    if not codes:
        raise table.wrong("currencies must name one at least")
    if len(set(codes)) != len(codes):
        raise table.wrong(f"currencies must have a code each: {', '.join(codes)}")
    return program


def _time_zone(table: _Table) -> ZoneInfo:
    name = table.take("time_zone", "UTC")
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise table.wrong(f"time_zone {name!r} is not known on this machine") from None


def _currency(table: _Table) -> Currency:
    code = table.take("code", "")
    if not code:
        raise table.wrong("code is required")
    decimals = table.count("decimals")
    if decimals > DECIMALS_MAX:
        raise table.wrong(f"decimals must be 0 to {DECIMALS_MAX}")
    rule = _expiry_rule(table.inner("expiry", table.take("expiry", {})))
    table.end()
    return Currency(code, decimals, rule)


def _expiry_rule(table: _Table) -> ExpiryRule:
    rule = ExpiryRule()
    match table.one_of("rule", ("never", "after", "end_of")):
        case "after":
            if not table.holds_any("days", "months", "years"):
                raise table.wrong("after needs days, months or years")
            months = table.count("months") + 12 * table.count("years")
            rule = ExpiryRule("after", days=table.count("days"), months=months)
        case "end_of":
            if not table.holds_any("period"):
                raise table.wrong("end_of needs a period")
            period = table.one_of("period", _PERIODS)
            rule = ExpiryRule("end_of", months=table.count("after_months"), period=period)
    table.end()
    return rule


class _Table:
    """A table of a document, whose keys are taken out one by one until none may be left."""

    def __init__(self, name: str, document: object) -> None:
        self._name = name
        if not isinstance(document, Mapping):
            raise self.wrong("must be a table")
        self._left = dict(document)

    def inner(self, key: str, document: object) -> _Table:
        """Return a table that stands in this one."""
        return _Table(f"{self._name}: {key}", document)

    def holds_any(self, *keys: str) -> bool:
        """Whether one of the keys was not taken yet."""
        return not self._left.keys().isdisjoint(keys)

    def take(self, key: str, default: _Value) -> _Value:
        """Return the value of a key, which must be of the default's type."""
        value = self._left.pop(key, default)
        if type(value) is not type(default):
            raise self.wrong(f"{key} must be {_KINDS[type(default)]}")
        return value

    def count(self, key: str) -> int:
        """Return the value of a key that is a whole number from 0 on, 0 where it is absent."""
        number = self.take(key, 0)
        if number < 0:
            raise self.wrong(f"{key} must not be negative")
        return number

    def one_of(self, key: str, choices: tuple[_Choice, ...]) -> _Choice:
        """Return the value of a key that is one of the choices, the first where it is absent."""
        value = self.take(key, str(choices[0]))
        for choice in choices:
            if value == choice:
                return choice
        raise self.wrong(f"{key} must be one of {', '.join(choices)}")

    def end(self) -> None:
        """Refuse what was not taken."""
        for key in self._left:
            raise self.wrong(f"{key} is not known to this version")

    def wrong(self, what: str) -> ValueError:
        """Return the error that says where in the document something is wrong."""
        return ValueError(f"{self._name}: {what}")
