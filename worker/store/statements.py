"""The SQL of the store, by name: `statement("lock_members")` is `sql/lock_members.sql`."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


@cache
def statement(name: str) -> str:
    """Return the text of `sql/<name>.sql`; raises FileNotFoundError where there is none."""
    return resources.files("worker.store").joinpath("sql", f"{name}.sql").read_text("utf-8")


def columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Turn rows into the lists, one a column, that the statements take.

    A column in which every value is None becomes an empty list: `unnest` fills up the shorter of
    its lists with nulls. That spares much of what many columns cost that few rows use.
    """
    turned = [
        [] if column[0] is None and column.count(None) == len(column) else list(column)
        for column in zip(*rows, strict=True)
    ]
    return turned or [[] for _ in range(width)]
