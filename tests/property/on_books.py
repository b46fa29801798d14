"""Applies histories to real books in batches of any cut, and tells all that they come to."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from hypothesis import HealthCheck, Phase, settings

from tests.inside import TABLES_OF_MEMBERS as TABLES
from tests.inside import Desk, faults_in, settings_of
from worker.domain.ordinals import Parking
from worker.lane.applying import Applied
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from datetime import datetime

    import asyncpg

    from worker.broker import Delivery
    from worker.store.pool import Pool

# The database of a test serves all its examples, each of which empties the books first. What
# fails is told by its seed: to shrink it would take minutes.
ON_A_DATABASE = settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

T = TypeVar("T")


class Kept(NamedTuple):
    """What applying a history comes to: answers, events, and all that the books hold."""

    answers: list[bytes]
    events: list[tuple[str | None, str, bytes]]
    tables: dict[str, list[asyncpg.Record]]


@asynccontextmanager
async def pool_of(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(settings_of("amqp://nobody@localhost", database_url, "desk"))
    try:
        yield pool
    finally:
        await close_pool(pool)


async def empty(pool: Pool, document: dict[str, Any], *member: object) -> None:
    """Forget all but a programme, and the member m with this status and time of enrolment."""
    async with pool.acquire() as connection:
        await connection.execute("RESET ROLE")
        await connection.execute(f"TRUNCATE {', '.join(f'points.{name}' for name in TABLES)}")
        await connection.execute("DELETE FROM points.programs")
        await connection.execute("INSERT INTO points.programs VALUES ('acme', 1, $1)", document)
        if member:
            await connection.execute(
                "INSERT INTO points.members (program_id, member_id, status, enrolled_at)"
                " VALUES ('acme', 'm', $1, $2)",
                *member,
            )
        await connection.execute("SET ROLE points_worker")


async def keep(
    pool: Pool,
    batches: Iterable[tuple[datetime, list[Delivery] | list[dict[str, Any]]]],
    parking: Parking | None = None,
) -> Kept:
    """Apply batches to the books, each at its time; they must add up in the end."""
    now: datetime
    desk = Desk(pool, lambda _: now, parking or Parking())
    applied = Applied()
    for time, batch in batches:
        now = time
        applied += await desk.apply(*batch)
    assert await faults_in(pool) == []
    tables = {name: sorted(await pool.fetch(f"TABLE points.{name}"), key=repr) for name in TABLES}
    # A day that was locked, though nobody moved anything on it, is as good as none.
    tables["operator_days"] = [row for row in tables["operator_days"] if row["points"]]
    return Kept(
        [entry.outcome for entry in applied.answers],
        [
            (event.message_id, event.routing_key, event.body)
            for event in applied.publications
            if event.exchange == "desk.events"
        ],
        tables,
    )


def cut(groups: Iterable[list[T]], seed: int) -> list[list[T]]:
    """Batches that end where the time of a history changes, and anywhere else."""
    chance = random.Random(seed)
    batches: list[list[T]] = []
    for group in groups:
        batches.append([])
        for asked in group:
            if batches[-1] and chance.random() < 0.3:
                batches.append([])
            batches[-1].append(asked)
    return batches


def redelivered(batches: list[list[T]]) -> list[list[T]]:
    """The same batches, each begun with a second delivery of the one before."""
    return batches[:1] + [before + batch for before, batch in pairwise(batches)]


def in_units(
    outcome: dict[str, Any], program: dict[str, Any]
) -> Callable[[str | None], int | None]:
    """What makes minor units of the amounts of an outcome."""
    decimals = {item["code"]: item["decimals"] for item in program["currencies"]}

    def units(amount: str | None) -> int | None:
        if amount is None:
            return None
        scaled = Decimal(amount).scaleb(decimals.get(outcome["currency"], 0))
        assert scaled == int(scaled)
        return int(scaled)

    return units
