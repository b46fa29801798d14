"""The SQL of the store, by name: `statement("lock_members")` is `sql/lock_members.sql`."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def statement(name: str) -> str:
    """Return the text of `sql/<name>.sql`; raises FileNotFoundError where there is none."""
    return resources.files("worker.store").joinpath("sql", f"{name}.sql").read_text("utf-8")
