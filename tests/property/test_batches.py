"""On a real database: how a history is cut into batches makes no difference to anything."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.inside import Desk, settings_of
from tests.property.histories import STARTS, History, Request, histories, history
from tests.property.tokens import Tokens, Told
from worker.lane.applying import Applied
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from worker.store.pool import Pool

MEMBERS = ("m", "n", "o")
TABLES = ("members", "wallets", "lots", "journal")
LOTS_LISTED_MAX = 100
# The database of a test serves all its examples, each of which empties the books first. What
# fails is told by its seed: to shrink it would take minutes.
ON_A_DATABASE = settings(
    max_examples=5,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
PLAIN: dict[str, Any] = {
    "currencies": [{"code": code, "decimals": 0, "expiry": {}} for code in ("points", "coins")]
}

Batches = list[list[Request]]


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


async def keep(pool: Pool, past: History, batches: Batches) -> Kept:
    """Apply a history to empty books in these batches, each at the time of its requests."""
    async with pool.acquire() as connection:
        await connection.execute("RESET ROLE")
        await connection.execute(f"TRUNCATE {', '.join(f'points.{name}' for name in TABLES)}")
        await connection.execute("DELETE FROM points.programs")
        await connection.execute(
            "INSERT INTO points.programs VALUES ('acme', 1, $1)", past.document
        )
        await connection.execute("SET ROLE points_worker")
    now = STARTS[0]
    desk = Desk(pool, clock=lambda _: now)
    applied = Applied()
    for batch in batches:
        now = batch[-1].now
        applied += await desk.apply(*(published(request) for request in batch))
    return Kept(
        [entry.outcome for entry in applied.answers],
        [
            (event.message_id, event.routing_key, event.body)
            for event in applied.publications
            if event.exchange == "desk.events"
        ],
        {name: await pool.fetch(f"TABLE points.{name} ORDER BY {_KEYS[name]}") for name in TABLES},
    )


_KEYS = {
    "members": "member_id",
    "wallets": "member_id, currency, category",
    "lots": "member_id, currency, category, expires_at, lot_id",
    "journal": "member_id, sequence, step",
}


def member_of(request: Request) -> str:
    """The member of a request: any of three, so that batches mix them."""
    return MEMBERS[int(request.request_id[1:]) * 7 % 5 % 3]


def published(request: Request) -> dict[str, Any]:
    """The request's document as it is published."""
    return {
        **request.document,
        "program_id": "acme",
        "member_id": member_of(request),
        "request_id": request.request_id,
    }


def one_by_one(past: History) -> Batches:
    return [[request] for request in past.requests]


def cut(past: History, seed: int) -> Batches:
    """Batches that end where the time of the history changes, and anywhere else."""
    chance = random.Random(seed)
    batches: Batches = []
    for group in past.groups:
        batches.append([])
        for request in group:
            if batches[-1] and chance.random() < 0.3:
                batches.append([])
            batches[-1].append(request)
    return batches


def redelivered(batches: Batches) -> Batches:
    """The same batches, each begun with a second delivery of the one before."""
    return batches[:1] + [before + batch for before, batch in pairwise(batches)]


def model_of(past: History) -> tuple[list[Told], list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """What the model says of journal, wallets and lots, each in the order of its key."""
    models = {member: Tokens(past.document) for member in MEMBERS}
    told: dict[str, list[Told]] = defaultdict(list)
    for request in past.requests:
        member = member_of(request)
        told[member] += models[member].tell(request.request_id, request.document, request.now)
    purses = [
        (member, *place, purse)
        for member in MEMBERS
        for place, purse in sorted(models[member].purses.items())
        if purse.version
    ]
    wallets = [(*key, p.balance, p.owed, p.total, p.version) for *key, p in purses]
    lots = [(*key, lot_id, left, moment) for *key, p in purses for lot_id, left, moment in p.lots()]
    journal = [
        one._replace(lots=one.lots[:LOTS_LISTED_MAX]) for member in MEMBERS for one in told[member]
    ]
    return journal, wallets, lots


def told_by(outcome: bytes, program: dict[str, Any]) -> Told:
    """What an outcome tells, of all that the model tells."""
    document = json.loads(outcome)
    decimals = {item["code"]: item["decimals"] for item in program["currencies"]}

    def units(amount: str | None) -> int | None:
        if amount is None:
            return None
        scaled = Decimal(amount).scaleb(decimals.get(document["currency"], 0))
        assert scaled == int(scaled)
        return int(scaled)

    return Told(
        document["status"],
        document["error"] and document["error"]["key"],
        document["caused_by"],
        document["sequence"],
        units(document["points"]) or 0,
        units(document["balance"]),
        units(document["total"]),
        document["version"],
        tuple(
            (
                int(lot["lot_id"]),
                units(lot["points"]) or 0,
                lot["expires_at"] and datetime.fromisoformat(lot["expires_at"]),
            )
            for lot in document["lots"]
        ),
    )


def assert_as_the_model_says(past: History, kept: Kept) -> None:
    journal, wallets, lots = model_of(past)
    tables = kept.tables
    assert [told_by(row["outcome"], past.document) for row in tables["journal"]] == journal
    assert (
        _columns(
            tables["wallets"],
            ("member_id", "currency", "category", "balance", "deficit", "total", "version"),
        )
        == wallets
    )
    assert _columns(
        tables["lots"], ("member_id", "currency", "category", "lot_id", "remaining")
    ) == [lot[:-1] for lot in lots]


def _columns(rows: list[asyncpg.Record], names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


@ON_A_DATABASE
@given(past=histories(), seed=st.integers(0, 2**32))
async def test_batches_cut_anywhere_give_the_same_answers_events_and_books(
    database_url: str, past: History, seed: int
) -> None:
    async with pool_of(database_url) as pool:
        kept = await keep(pool, past, past.groups)
        assert_as_the_model_says(past, kept)
        assert await keep(pool, past, cut(past, seed)) == kept
        assert await keep(pool, past, one_by_one(past)) == kept
        again = await keep(pool, past, redelivered(cut(past, seed)))
        assert again.tables == kept.tables
        assert set(again.answers) == set(kept.answers)
        assert set(again.events) == set(kept.events)


@ON_A_DATABASE
@given(start=st.sampled_from(STARTS), seed=st.integers(0, 2**32))
async def test_a_wallet_of_many_lots_fares_as_if_all_of_them_were_read(
    database_url: str, start: datetime, seed: int
) -> None:
    chance = random.Random(seed)
    opening = [
        Request(f"r{1_000 + 5 * number}", _small_credit(chance, start), start)
        for number in range(150)
    ]
    rest = history(PLAIN, start, 30, seed)
    past = History(PLAIN, [opening, *rest.groups])
    assert len({member_of(request) for request in opening}) == 1
    async with pool_of(database_url) as pool:
        kept = await keep(pool, past, past.groups)
        assert_as_the_model_says(past, kept)
        assert await keep(pool, past, [opening, *cut(rest, seed)]) == kept


def _small_credit(chance: random.Random, start: datetime) -> dict[str, Any]:
    day = (start + timedelta(days=chance.randint(1, 12))).date().isoformat()
    custom = {"expiration_type": "CUSTOM_DATE", "expiration_date": day}
    return {"points": chance.randint(1, 5), **(custom if chance.random() < 0.7 else {})}
