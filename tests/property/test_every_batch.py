"""On a real database: all operations come to the same, however their history is cut into batches.

The independent model of `ledger_model` says what they ought to come to.
"""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from tests.inside import Desk, delivered, faults_in
from tests.property.ledger_model import Ask, Ledger, Told
from tests.property.operations import Past, pasts
from tests.property.test_batches import ON_A_DATABASE, pool_of
from tests.property.tokens import FOREVER
from worker.domain.ordinals import Parking
from worker.lane.applying import Applied

if TYPE_CHECKING:
    import asyncpg

    from worker.broker import Delivery
    from worker.store.pool import Pool

PARKING = Parking(wait_seconds=2 * 86_400, per_member_max=5)
TABLES = {
    "members": "member_id, sequence, last_recorded_at, has_streams, status",
    "wallets": "*",
    "lots": "currency, category, lot_id, remaining, expires_at, award_id, award_type, promotion_id",
    "journal": "*",
    "holds": "*",
    "awards": "*",
    "reversals": "*",
    "streams": "*",
    "early_requests": "*",
    "day_sums": "*",
    "operator_days": "*",
}
"""What is compared of each table.

When a member falls due next may be known less exactly, and what a lot once held is forgotten when
it is used up, whether or not points come back to it.
"""

Batches = list[list[tuple[Ask, datetime]]]


class Kept(NamedTuple):
    """What applying a history comes to: answers, events, and all that the books hold."""

    answers: list[bytes]
    events: list[tuple[str | None, str, bytes]]
    tables: dict[str, list[asyncpg.Record]]


async def keep(pool: Pool, past: Past, batches: Batches) -> Kept:
    """Apply a history to empty books in these batches, each at the time of its requests."""
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
            batches[0][0][1] if past.is_enrolled else None,
        )
        await connection.execute("SET ROLE points_worker")
    now = batches[0][0][1]
    desk = Desk(pool, lambda _: now, PARKING)
    applied = Applied()
    for batch in batches:
        now = batch[-1][1]
        applied += await desk.apply(*(published(ask) for ask, _ in batch))
    assert await faults_in(pool) == []
    return Kept(
        [entry.outcome for entry in applied.answers],
        [
            (event.message_id, event.routing_key, event.body)
            for event in applied.publications
            if event.exchange == "desk.events"
        ],
        {
            name: sorted(await pool.fetch(f"SELECT {columns} FROM points.{name}"), key=repr)
            for name, columns in TABLES.items()
        },
    )


def published(ask: Ask) -> Delivery:
    """The request as it is published, by a user whom the broker has checked."""
    ids = {"program_id": "acme", "member_id": "m", "request_id": ask.request_id}
    return delivered({**ask.document, **ids}, user_id=ask.publisher)


def grouped(past: Past) -> Batches:
    """The longest batches that there can be: of all requests that are decided at one time."""
    return [list(group) for _, group in groupby(past.asked, key=lambda asked: asked[1])]


def cut(past: Past, seed: int) -> Batches:
    """Batches that end where the time of the history changes, and anywhere else."""
    chance = random.Random(seed)
    batches: Batches = []
    for group in grouped(past):
        batches.append([])
        for asked in group:
            if batches[-1] and chance.random() < 0.3:
                batches.append([])
            batches[-1].append(asked)
    return batches


def redelivered(batches: Batches) -> Batches:
    """The same batches, each begun with a second delivery of the one before."""
    return batches[:1] + [before + batch for before, batch in pairwise(batches)]


def told_by(row: asyncpg.Record, program: dict[str, Any]) -> Told:
    """What a row of the journal tells, of all that the model tells."""
    document = json.loads(row["outcome"])
    decimals = {item["code"]: item["decimals"] for item in program["currencies"]}

    def units(amount: str | None) -> int | None:
        if amount is None:
            return None
        scaled = Decimal(amount).scaleb(decimals.get(document["currency"], 0))
        assert scaled == int(scaled)
        return int(scaled)

    def moment(text: str | None) -> datetime | None:
        return text and datetime.fromisoformat(text)  # type: ignore[return-value]

    has_wallet = document["balance"] is not None
    lots = [
        (moment(lot["expires_at"]) or FOREVER, int(lot["lot_id"]), units(lot["points"]) or 0)
        for lot in document["lots"]
    ]
    return Told(
        document["request_id"],
        document["operation"],
        document["status"],
        row["event_type"],
        document["error"] and document["error"]["key"],
        document["caused_by"],
        row["subject"],
        document["sequence"],
        (document["currency"], document["category"]) if has_wallet else None,
        units(document["points"]) or 0,
        units(document["forfeited"]) or 0,
        units(document["balance"]),
        units(document["available"]),
        units(document["total"]),
        document["version"],
        tuple((lot, points, expires_at) for expires_at, lot, points in sorted(lots)),
        moment(document["expires_at"]),
        tuple(document["warnings"]),
    )


def model_of(past: Past) -> list[Told]:
    """What the model says of the journal; dry runs are not in it."""
    model = Ledger(
        past.document,
        past.status,
        past.is_enrolled,
        timedelta(seconds=PARKING.wait_seconds),
        PARKING.per_member_max,
    )
    told = [model.tell(ask, now) for ask, now in past.asked if not ask.document.get("dry_run")]
    return [one for story in told for one in story]


@ON_A_DATABASE
@given(past=pasts(), seed=st.integers(0, 2**32))
async def test_batches_cut_anywhere_give_the_same_answers_events_and_books(
    database_url: str, past: Past, seed: int
) -> None:
    async with pool_of(database_url) as pool:
        kept = await keep(pool, past, grouped(past))
        journal = [told_by(row, past.document) for row in kept.tables["journal"]]
        assert sorted(journal, key=repr) == sorted(model_of(past), key=repr)
        assert await keep(pool, past, cut(past, seed)) == kept
        assert await keep(pool, past, [[asked] for asked in past.asked]) == kept
        again = await keep(pool, past, redelivered(cut(past, seed)))
        assert again.tables == kept.tables
        assert set(again.events) == set(kept.events)
