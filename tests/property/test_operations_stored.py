"""On a real database: any history of all operations comes to what the model says, in any batches.

What a batch does not know of a member it reads from the books, so this holds the store and the
lane to reading enough and writing all.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.inside import Desk, delivered, faults_in
from tests.property.deciding import PARKING, model_of
from tests.property.histories import STARTS
from tests.property.ledger_model import Ask, Ledger, Told
from tests.property.operations import Past, pasts
from tests.property.test_batches import pool_of
from tests.property.tokens import FOREVER

if TYPE_CHECKING:
    import asyncpg

    from worker.broker import Delivery
    from worker.store.pool import Pool

TABLES = (
    "members",
    "wallets",
    "lots",
    "journal",
    "holds",
    "awards",
    "reversals",
    "streams",
    "early_requests",
    "day_sums",
    "operator_days",
)
# The database of a test serves all its examples, each of which empties the books first. What
# fails is told by its seed: to shrink it would take minutes.
ON_A_DATABASE = settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

Batch = list[tuple[Ask, datetime]]


def cut(past: Past, seed: int) -> list[Batch]:
    """Batches that end where the time of the history changes, and anywhere else."""
    chance = random.Random(seed)
    batches: list[Batch] = []
    for ask, now in past.asked:
        if not batches or batches[-1][-1][1] != now or chance.random() < 0.3:
            batches.append([])
        batches[-1].append((ask, now))
    return batches


def redelivered(batches: list[Batch]) -> list[Batch]:
    """The same batches, each begun with a second delivery of the one before."""
    again = batches[:1]
    for before, batch in itertools.pairwise(batches):
        again.append([(ask, batch[0][1]) for ask, _ in before] + batch)
    return again


def published(ask: Ask) -> Delivery:
    document = ask.document | {"program_id": "acme", "request_id": ask.request_id}
    return delivered(document, user_id=ask.publisher)


async def empty(pool: Pool, past: Past) -> None:
    """Forget everything but the programme, and the member where it is enrolled or blocked."""
    async with pool.acquire() as connection:
        await connection.execute("RESET ROLE")
        await connection.execute(f"TRUNCATE {', '.join(f'points.{name}' for name in TABLES)}")
        await connection.execute("DELETE FROM points.programs")
        await connection.execute(
            "INSERT INTO points.programs VALUES ('acme', 1, $1)", past.document
        )
        await connection.execute(
            "INSERT INTO points.members (program_id, member_id, status, enrolled_at)"
            " VALUES ('acme', 'm', $1, $2)",
            past.status,
            STARTS[0] if past.is_enrolled else None,
        )
        await connection.execute("SET ROLE points_worker")


async def keep(pool: Pool, past: Past, batches: list[Batch]) -> dict[str, list[asyncpg.Record]]:
    """Apply a history to empty books in these batches, and return the books."""
    await empty(pool, past)
    now = STARTS[0]
    desk = Desk(pool, lambda _: now, PARKING)
    for batch in batches:
        now = batch[-1][1]
        await desk.apply(*(published(ask) for ask, _ in batch))
    return {name: sorted(await pool.fetch(f"TABLE points.{name}"), key=repr) for name in TABLES}


def told_by(row: asyncpg.Record, program: dict[str, Any]) -> Told:
    """What a line of the journal tells, of all that the model tells."""
    one = json.loads(row["outcome"])
    decimals = {item["code"]: item.get("decimals", 0) for item in program["currencies"]}

    def units(amount: str | None) -> int | None:
        return None if amount is None else int(Decimal(amount).scaleb(decimals[one["currency"]]))

    def moment(text: str | None) -> datetime | None:
        return None if text is None else datetime.fromisoformat(text)

    has_wallet = one["balance"] is not None
    lots = sorted(
        (moment(lot["expires_at"]) or FOREVER, int(lot["lot_id"]), units(lot["points"]) or 0)
        for lot in one["lots"]
    )
    return Told(
        one["request_id"],
        one["operation"],
        one["status"],
        row["event_type"],
        one["error"] and one["error"]["key"],
        one["caused_by"],
        row["subject"],
        one["sequence"],
        (one["currency"], one["category"]) if has_wallet else None,
        units(one["points"]) or 0 if has_wallet else 0,
        units(one["forfeited"]) or 0 if has_wallet else 0,
        units(one["balance"]),
        units(one["available"]),
        units(one["total"]),
        one["version"],
        tuple((lot, points, expires_at) for expires_at, lot, points in lots),
        moment(one["expires_at"]),
        tuple(one["warnings"]),
    )


def assert_as_the_model_says(past: Past, tables: dict[str, list[asyncpg.Record]]) -> None:
    model = model_of(past)
    expected = {ask.request_id: model.tell(ask, now) for ask, now in past.asked}
    stored = {
        request_id: told
        for request_id, told in expected.items()
        if told and not past.is_dry(request_id)
    }
    journal: dict[str, list[Told]] = {}
    for row in sorted(tables["journal"], key=lambda row: row["step"]):
        journal.setdefault(row["request_id"], []).append(told_by(row, past.document))
    assert journal == stored
    assert_wallets(model, tables)
    assert {(row["hold_id"], row["points"], row["lapses_at"]) for row in tables["holds"]} == {
        (hold, held.points, held.lapses_at) for hold, held in model.holds.items()
    }
    assert {row["award_id"]: row["award_type"] for row in tables["awards"]} == model.awards
    assert {row["request_id"]: row["points"] for row in tables["reversals"]} == {
        request_id: change.points - len(change.moved)
        for request_id, change in model.changes.items()
        if change.points != len(change.moved)
    }
    waiting = [row for row in tables["early_requests"] if row["ended_by"] is None]
    assert {row["request_id"] for row in waiting} == model.late.keys()


def assert_wallets(model: Ledger, tables: dict[str, list[asyncpg.Record]]) -> None:
    columns = ("balance", "deficit", "total", "version", "held")
    assert {
        (row["currency"], row["category"]): tuple(row[name] for name in columns)
        for row in tables["wallets"]
    } == {
        place: (purse.balance, purse.owed, purse.total, purse.version, purse.held)
        for place, purse in model.purses.items()
        if purse.version
    }
    lots: Counter[Any] = Counter()
    for row in tables["lots"]:
        label = (row["award_id"], row["award_type"], row["promotion_id"])
        lots[row["currency"], row["category"], row["lot_id"], *label] = row["remaining"]
    assert lots == Counter(
        (*place, *token[1:]) for place, purse in model.purses.items() for token in purse.tokens
    )


@ON_A_DATABASE
@given(past=pasts(), seed=st.integers(0, 2**32))
async def test_any_history_in_any_batches_comes_to_what_the_model_says(
    database_url: str, past: Past, seed: int
) -> None:
    async with pool_of(database_url) as pool:
        kept = await keep(pool, past, cut(past, seed))
        assert_as_the_model_says(past, kept)
        assert await faults_in(pool) == []


@ON_A_DATABASE
@given(past=pasts(30), seed=st.integers(0, 2**32))
async def test_what_is_delivered_again_changes_nothing(
    database_url: str, past: Past, seed: int
) -> None:
    """Invariant I2."""
    async with pool_of(database_url) as pool:
        batches = cut(past, seed)
        kept = await keep(pool, past, batches)
        assert await keep(pool, past, redelivered(batches)) == kept
