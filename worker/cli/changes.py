"""What is different in a new version of a programme's document, by the names of things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from worker.domain.table import path_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_ABSENT: Final = object()

# What tells the tables of a list apart, so that one that moves is not taken for a change.
_NAMED_BY: Final = {
    "currencies": ("code",),
    "reason_codes": ("code",),
    "promotions": ("id",),
    "publishers": ("user_id",),
    "reactors": ("event_type",),
    "earn_caps": ("per", "rolling_days"),
    "spend_caps": ("per", "rolling_days"),
}


class Change(NamedTuple):
    """What another document has at a place; None in JSON is what is not there."""

    path: str
    old: Any
    new: Any


def changes(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> list[Change]:
    """Return what is different in a new document, place by place; the old one may be missing.

    A table of a list is named by what it is the table of, as in `currencies[points].decimals`. Of a
    list of plain values, as `publishers[till].may[]`, each is there or not, wherever it stands.
    """
    before = dict(_values(old or {}, ""))
    after = dict(_values(new, ""))
    found = [
        Change(place[0], before.get(place), after.get(place))
        for place in {**after, **before}
        if before.get(place, _ABSENT) != after.get(place, _ABSENT)
    ]
    defaults = [one["currencies"][0]["code"] for one in (old, new) if one]
    if len(set(defaults)) > 1:
        found.append(Change("the default currency", *defaults))
    return found


def line_of(change: Change) -> str:
    """Return a change as a line for people."""
    old, new = (orjson.dumps(value).decode() for value in (change.old, change.new))
    if change.old is None:
        return f"+ {change.path} = {new}"
    if change.new is None:
        return f"- {change.path} = {old}"
    return f"  {change.path}: {old} → {new}"


def _values(value: Any, path: str) -> Iterator[tuple[tuple[str, Any], Any]]:
    """Yield each plain value of a document with its place; an empty table or list is one."""
    if isinstance(value, dict) and (value or not path):
        for key, item in value.items():
            inner = path_text((key,))
            yield from _values(item, f"{path}.{inner}" if path else inner)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for name, item in zip(_names(value, path), value, strict=True):
            yield from _values(item, f"{path}[{name}]")
    elif isinstance(value, list) and value:
        yield from (((f"{path}[]", item), item) for item in value)
    else:
        yield (path, None), value


def _names(tables: list[dict[str, Any]], path: str) -> Iterable[object]:
    """Name the tables of a list: by their numbers where nothing else tells them apart."""
    keys = _NAMED_BY.get(path.rpartition(".")[2], ())
    names = [
        f"{table[key]} days" if key == "rolling_days" else str(table[key])
        for table in tables
        for key in keys
        if key in table
    ]
    return names if len(set(names)) == len(tables) else range(len(tables))
