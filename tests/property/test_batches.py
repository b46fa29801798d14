"""On a real database: how a history is cut into batches makes no difference to anything."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from datetime import datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from tests.property import on_books
from tests.property.histories import STARTS, History, Request, histories, history
from tests.property.on_books import ON_A_DATABASE, cut, in_units, pool_of, redelivered
from tests.property.tokens import Tokens, Told

if TYPE_CHECKING:
    import asyncpg

    from tests.property.on_books import Kept
    from worker.store.pool import Pool

MEMBERS = ("m", "n", "o")
LOTS_LISTED_MAX = 100
PLAIN: dict[str, Any] = {
    "currencies": [{"code": code, "decimals": 0, "expiry": {}} for code in ("points", "coins")]
}

_WALLET = ("member_id", "currency", "category")
_KEYS = {
    "wallets": _WALLET,
    "lots": (*_WALLET, "lot_id"),
    "journal": ("member_id", "sequence", "step"),
}

Batches = list[list[Request]]


async def keep(pool: Pool, past: History, batches: Batches) -> Kept:
    """Apply a history to empty books in these batches, each at the time of its requests."""
    await on_books.empty(pool, past.document)
    return await on_books.keep(
        pool, ((batch[-1].now, [published(request) for request in batch]) for batch in batches)
    )


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
    units = in_units(document, program)
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
    rows = {name: sorted(kept.tables[name], key=itemgetter(*_KEYS[name])) for name in _KEYS}
    assert [told_by(row["outcome"], past.document) for row in rows["journal"]] == journal
    assert _columns(rows["wallets"], (*_WALLET, "balance", "deficit", "total", "version")) == (
        wallets
    )
    assert _columns(rows["lots"], (*_WALLET, "lot_id", "remaining")) == sorted(
        lot[:-1] for lot in lots
    )


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
        assert await keep(pool, past, cut(past.groups, seed)) == kept
        assert await keep(pool, past, one_by_one(past)) == kept
        again = await keep(pool, past, redelivered(cut(past.groups, seed)))
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
        assert await keep(pool, past, [opening, *cut(rest.groups, seed)]) == kept


def _small_credit(chance: random.Random, start: datetime) -> dict[str, Any]:
    day = (start + timedelta(days=chance.randint(1, 12))).date().isoformat()
    custom = {"expiration_type": "CUSTOM_DATE", "expiration_date": day}
    return {"points": chance.randint(1, 5), **(custom if chance.random() < 0.7 else {})}
