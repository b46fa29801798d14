"""On a real database: any history of all operations comes to what the model says, in any batches.

What a batch does not know of a member it reads from the books, so this holds the store and the
lane to reading enough and writing all.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from tests.inside import delivered
from tests.property import on_books
from tests.property.deciding import PARKING, model_of
from tests.property.ledger_model import Ask, Ledger, Told
from tests.property.on_books import ON_A_DATABASE, cut, in_units, pool_of, redelivered
from tests.property.operations import Past, pasts
from tests.property.tokens import FOREVER

if TYPE_CHECKING:
    import asyncpg

    from tests.property.on_books import Kept
    from worker.broker import Delivery
    from worker.store.pool import Pool

LESS_EXACT = {("members", "due_at"), ("lots", "points")}
"""What may depend on how a history is cut.

When a member falls due next may be known less exactly, and what a lot once held is forgotten when
it is used up, whether or not points come back to it.
"""

Batches = list[list[tuple[Ask, datetime]]]


async def keep(pool: Pool, past: Past, batches: Batches) -> Kept:
    """Apply a history to empty books in these batches, each at the time of its last request."""
    await on_books.empty(
        pool, past.document, past.status, batches[0][0][1] if past.is_enrolled else None
    )
    deliveries = ((batch[-1][1], [published(ask) for ask, _ in batch]) for batch in batches)
    return await on_books.keep(pool, deliveries, PARKING)


def published(ask: Ask) -> Delivery:
    """The request as it is published, by a user whom the broker has checked."""
    ids = {"program_id": "acme", "member_id": "m", "request_id": ask.request_id}
    return delivered(ask.document | ids, user_id=ask.publisher)


def grouped(past: Past) -> Batches:
    """The longest batches that there can be: of all requests that are decided at one time."""
    return [list(group) for _, group in itertools.groupby(past.asked, key=lambda asked: asked[1])]


def comparable(kept: Kept) -> tuple[Any, ...]:
    """What may not depend on how a history is cut."""
    tables = {
        table: [
            {name: value for name, value in row.items() if (table, name) not in LESS_EXACT}
            for row in rows
        ]
        for table, rows in kept.tables.items()
    }
    return (
        kept.answers,
        kept.events,
        {name: sorted(rows, key=repr) for name, rows in tables.items()},
    )


def told_by(row: asyncpg.Record, program: dict[str, Any]) -> Told:
    """What a line of the journal tells, of all that the model tells."""
    one = json.loads(row["outcome"])
    units = in_units(one, program)

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
        units(one["points"]) or 0,
        units(one["forfeited"]) or 0,
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
    """To the same answers, events and books, however often it is delivered (invariant I2)."""
    async with pool_of(database_url) as pool:
        kept = await keep(pool, past, grouped(past))
        assert_as_the_model_says(past, kept.tables)
        one_by_one = await keep(pool, past, [[asked] for asked in past.asked])
        assert comparable(one_by_one) == comparable(kept)
        batches = cut(grouped(past), seed)
        once = await keep(pool, past, batches)
        assert comparable(once) == comparable(kept)
        twice = await keep(pool, past, redelivered(batches))
        assert twice.tables == once.tables
        assert set(twice.events) == set(once.events)
