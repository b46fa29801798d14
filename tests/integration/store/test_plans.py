"""Every statement of a batch looks rows up by their keys, whatever the planner believes."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.everything import apply_strict_program, batches, enrol
from tests.inside import TABLES_OF_MEMBERS, Desk, request, settings_of
from worker.store import originals, reading, sweep, transaction, whole, writing
from worker.store.keys import MemberKey
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    import asyncpg

    from worker.store.pool import Pool

OFTEN = ("members", "wallets", "lots", "journal")
BY_MEMBER = {*TABLES_OF_MEMBERS} - {"operator_days"}
TABLES = ", ".join(f"points.{table}" for table in TABLES_OF_MEMBERS)
MODULES = (transaction, reading, originals, whole, writing, sweep)


class Statement(NamedTuple):
    """A statement that the worker sent, and with what."""

    sql: str
    arguments: tuple[Any, ...]


async def statements_of_a_batch(pool: Pool) -> list[Statement]:
    """Return what is sent for a batch of credits, debits and repeats."""
    desk = Desk(pool)
    await desk.apply(request("c", 5), request("d", -3), request("e", 5, "other"))
    sent = await listen(pool)
    # As many as a batch has: the longer the lists, the more the planner likes to read it all.
    await desk.apply(
        request("c", 5), *(request(f"f{n}", (-1) ** n * 3, f"m{n}") for n in range(499))
    )
    return sent


async def statements_of_everything(pool: Pool, owner: asyncpg.Connection) -> list[Statement]:
    """Return what is sent for batches of every kind and by a sweep, each statement once."""
    await apply_strict_program(owner)
    members = [f"many-{n}" for n in range(100)]
    await enrol(owner, members)
    await Desk(pool).apply(request("first", 1))
    sent = await listen(pool)
    for batch in batches(members):
        await Desk(pool).apply(*batch)
    last = sweep.Due(MemberKey("default", "many-50"), datetime.now(UTC))
    await sweep.due(pool, None, 500)
    await sweep.due(pool, last, 500)
    await sweep.still_due(pool, [last])
    await sweep.due_age_seconds(pool)
    return list({statement.sql: statement for statement in sent}.values())


async def listen(pool: Pool) -> list[Statement]:
    """Return a list into which goes whatever is sent from now on over the pool's connections."""
    sent: list[Statement] = []

    def keep(query: Any) -> None:
        if query.query.startswith("--"):
            sent.append(Statement(query.query, tuple(query.args)))

    connections = [await pool.acquire() for _ in range(pool.get_idle_size())]
    for connection in connections:
        connection.add_query_logger(keep)
    for connection in connections:
        await pool.release(connection)
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
        if node.get("Index Name") == "members_due":
            wanted = ("due_at",)
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
        (
            "INSERT INTO points.holds SELECT 'default', 'x' || n, 'h', 'points', 'REGULAR', 1,"
            " now() FROM generate_series(1, 5000) AS n"
        ),
        (
            "INSERT INTO points.awards SELECT 'default', 'x' || n, 'A', NULL"
            " FROM generate_series(1, 5000) AS n"
        ),
        (
            "INSERT INTO points.reversals SELECT 'default', 'x' || n, 'r', 1"
            " FROM generate_series(1, 5000) AS n"
        ),
        (
            "INSERT INTO points.streams SELECT 'default', 'x' || n, '', 1, '[]'"
            " FROM generate_series(1, 5000) AS n"
        ),
        (
            "INSERT INTO points.early_requests (program_id, member_id, request_id, stream,"
            " ordinal, fingerprint, is_trusted, deadline)"
            " SELECT 'default', 'x' || n, 'r', '', 2, '', TRUE, now()"
            " FROM generate_series(1, 5000) AS n"
        ),
        (
            "INSERT INTO points.day_sums SELECT 'default', 'x' || n, 'points', 'REGULAR', now(),"
            " 1, 1 FROM generate_series(1, 5000) AS n"
        ),
        (
            "INSERT INTO points.operator_days SELECT 'default', 'o' || n, 'points', now(), 1"
            " FROM generate_series(1, 5000) AS n"
        ),
        "UPDATE points.members SET due_at = now() WHERE member_id LIKE 'x%9'",
    ):
        await owner.execute(statement)


STATISTICS = pytest.mark.parametrize("statistics", ["none", "true", "of_empty_tables"])


@STATISTICS
async def test_every_statement_of_a_plain_batch_reads_by_key_whatever_the_statistics_say(
    pool: Pool, owner: asyncpg.Connection, statistics: str
) -> None:
    statements = await statements_of_a_batch(pool)
    assert len(statements) == 9
    await check_plans(pool, owner, statements, statistics)


@STATISTICS
async def test_every_statement_of_any_batch_reads_by_key_whatever_the_statistics_say(
    pool: Pool, owner: asyncpg.Connection, statistics: str
) -> None:
    statements = await statements_of_everything(pool, owner)
    sources = "".join(inspect.getsource(module) for module in MODULES)
    files = resources.files("worker.store").joinpath("sql").iterdir()
    of_a_batch = {file.name: file.read_text() for file in files if f'"{file.name[:-4]}"' in sources}
    assert len(of_a_batch) > 25
    sent = {statement.sql for statement in statements}
    assert [name for name, sql in of_a_batch.items() if sql not in sent] == []
    await check_plans(pool, owner, statements, statistics)


async def check_plans(
    pool: Pool, owner: asyncpg.Connection, statements: list[Statement], statistics: str
) -> None:
    """Plan the statements over filled tables, with statistics or wrong ones or none."""
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
    for table in OFTEN:
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
