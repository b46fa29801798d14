"""Every statement of a batch looks rows up by their keys, whatever the planner believes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.inside import Desk, request, settings_of
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    import asyncpg

    from worker.store.pool import Pool

BY_MEMBER = {"members", "wallets", "lots", "journal"}
TABLES = "points.members, points.wallets, points.lots, points.journal"


class Statement(NamedTuple):
    """A statement that the worker sent, and with what."""

    sql: str
    arguments: tuple[Any, ...]


async def statements_of_a_batch(pool: Pool) -> list[Statement]:
    """Return what is sent for a batch of credits, debits and repeats."""
    sent: list[Statement] = []

    def keep(query: Any) -> None:
        if query.query.startswith("--"):
            sent.append(Statement(query.query, tuple(query.args)))

    desk = Desk(pool)
    await desk.apply(request("c", 5), request("d", -3), request("e", 5, "other"))
    connections = [await pool.acquire() for _ in range(pool.get_idle_size())]
    for connection in connections:
        connection.add_query_logger(keep)
    for connection in connections:
        await pool.release(connection)
    # As many as a batch has: the longer the lists, the more the planner likes to read it all.
    await desk.apply(
        request("c", 5), *(request(f"f{n}", (-1) ** n * 3, f"m{n}") for n in range(499))
    )
    return sent


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every node of a plan."""
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def faults(plan_text: str) -> list[str]:
    """Return how a plan reads our tables otherwise than by key."""
    found = []
    for node in nodes(json.loads(plan_text)[0]["Plan"]):
        table = node.get("Relation Name")
        if table is None or node["Node Type"] == "ModifyTable":
            continue
        condition = node.get("Index Cond", "")
        wanted = ("program_id", "member_id") if table in BY_MEMBER else ("program_id",)
        if node["Node Type"] not in {"Index Scan", "Index Only Scan"}:
            found.append(f"{node['Node Type']} on {table}")
        elif not all(column in condition for column in wanted):
            found.append(f"{node['Node Type']} on {table} by {condition or 'nothing'}")
    return found


async def fill(owner: asyncpg.Connection) -> None:
    """Put some thousand rows into every table that a batch reads."""
    for statement in (
        (
            "INSERT INTO points.members (program_id, member_id)"
            " SELECT 'default', 'x' || n FROM generate_series(1, 5000) AS n"
        ),
        (
            "INSERT INTO points.wallets SELECT 'default', 'x' || n, 'points', 'REGULAR', 1, 0, 1, 1"
            " FROM generate_series(1, 5000) AS n"
        ),
        (
            "INSERT INTO points.lots SELECT 'default', 'x', 'points', 'REGULAR', 'infinity', n, 1,"
            " 1 FROM generate_series(1, 5000) AS n"
        ),
        (
            "INSERT INTO points.journal SELECT 'default', 'x' || n, 'r', 0, 1, 'REJECTED', NULL,"
            " NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, now(), ''"
            " FROM generate_series(1, 5000) AS n"
        ),
    ):
        await owner.execute(statement)


@pytest.mark.parametrize("statistics", ["none", "true", "of_empty_tables"])
async def test_every_statement_reads_by_key_whatever_the_statistics_say(
    pool: Pool, owner: asyncpg.Connection, statistics: str
) -> None:
    statements = await statements_of_a_batch(pool)
    assert len(statements) == 10
    if statistics == "of_empty_tables":
        await owner.execute(f"TRUNCATE {TABLES}")
        await owner.execute(f"ANALYZE {TABLES}, points.programs")
    await fill(owner)
    if statistics == "true":
        await owner.execute(f"ANALYZE {TABLES}, points.programs")
    found = []
    for sql, arguments in statements:
        plan = await pool.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *arguments)
        found += [f"{sql.splitlines()[0]}: {fault}" for fault in faults(plan)]
    assert found == [], "\n".join(found)


async def test_a_batch_reads_no_more_after_the_tables_have_grown_under_its_plans(
    owner: asyncpg.Connection, database_url: str
) -> None:
    """A plan kept from when a table was tiny would read all of it ever after."""
    for table in sorted(BY_MEMBER):
        await owner.execute(f"ALTER TABLE points.{table} SET (autovacuum_enabled = false)")
    settings = settings_of("amqp://nobody", database_url, "desk", pool_size_max=1)
    pool = await open_pool(settings)
    desk = Desk(pool)
    await desk.apply(request("first", 5))
    await owner.execute(f"ANALYZE {TABLES}, points.programs")
    for n in range(10):
        await desk.apply(request(f"early-{n}", 5, "early"))
    await fill(owner)

    async def rows_read() -> int:
        await pool.execute("SELECT pg_stat_force_next_flush()")
        return int(
            await owner.fetchval(
                "SELECT sum(idx_tup_fetch + seq_tup_read) FROM pg_stat_user_tables"
                " WHERE schemaname = 'points'"
            )
        )

    before = await rows_read()
    await desk.apply(request("late", -5, "early"))
    assert await rows_read() - before < 50
    await close_pool(pool)
