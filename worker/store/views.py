"""What the books say about a member, for people and programs that ask; nothing here changes them.

Amounts are text with as many decimals as their currency has, as in the contract's outcomes.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.domain.money import to_text
from worker.store.entry import Entry
from worker.store.faults import translated
from worker.store.pool import close_pool, connected, open_pool
from worker.store.statements import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    import asyncpg

    from worker.settings import Settings
    from worker.store.pool import Pool

SEQUENCE_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class LotView:
    """An open lot; `expires_at` is the first instant at which it cannot be used, None for never."""

    lot_id: str
    points: str
    remaining: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class NextExpiry:
    """The points that expire soonest, all at one instant."""

    points: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class WalletView:
    """A wallet as it was at the time of looking.

    `due` has run out already and is still part of `balance`: the wallet's next request takes it
    out first. So `available`, the most that a debit may take, is without it. `lots` are the first
    few in the order of use; `lots_truncated` says that there are more.
    """

    currency: str
    category: str
    balance: str
    available: str
    due: str
    deficit: str
    total: str
    version: int
    next_expiry: NextExpiry | None
    lots: list[LotView]
    lots_truncated: bool


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member's wallets; `sequence` is 0 and all else empty for a member nobody heard of."""

    program_id: str
    member_id: str
    sequence: int
    last_recorded_at: datetime | None
    at: datetime
    wallets: list[WalletView]


@dataclass(frozen=True, slots=True)
class ServerView:
    """A Postgres server and what the workers' role may do there.

    `can_change_journal` is None where the role or the journal does not exist.
    """

    version: str
    login: str
    can_take_role: bool
    can_change_journal: bool | None
    is_durable: bool


@asynccontextmanager
async def view_pool(settings: Settings) -> AsyncIterator[Pool]:
    """Give a pool for looking; it connects when it is first needed and is closed in the end.

    Raises PassingFault for whatever fails in the block because the server is away.
    """
    with translated():
        pool = await open_pool(settings)
        try:
            yield pool
        finally:
            await close_pool(pool)


async def member_view(pool: Pool, program_id: str, member_id: str, *, lots_max: int) -> MemberView:
    """Return a member's wallets at one instant, each with its first `lots_max` open lots."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        member = await connection.fetchrow(statement("view_member"), program_id, member_id)
        assert member is not None, "one row comes in any case"
        at = member["at"]
        decimals = {
            code: scale
            for _, code, scale in await connection.fetch(statement("view_currencies"), program_id)
        }
        wallets = await connection.fetch(statement("view_wallets"), program_id, member_id, at)
        lots = await connection.fetch(statement("view_lots"), program_id, member_id, lots_max + 1)
    of_wallet: dict[tuple[str, str], list[LotView]] = {}
    for currency, category, lot_id, points, remaining, expires_at in lots:
        scale = decimals.get(currency, 0)
        of_wallet.setdefault((currency, category), []).append(
            LotView(str(lot_id), to_text(points, scale), to_text(remaining, scale), expires_at)
        )
    return MemberView(
        program_id,
        member_id,
        member["sequence"] or 0,
        member["last_recorded_at"],
        at,
        [
            _wallet_view(
                row,
                of_wallet.get((row["currency"], row["category"]), []),
                lots_max,
                decimals.get(row["currency"], 0),
            )
            for row in wallets
        ],
    )


async def request_view(pool: Pool, program_id: str, member_id: str, request_id: str) -> list[Entry]:
    """Return all that a request caused, in order, its own outcome last; [] if it is not stored."""
    rows = await pool.fetch(statement("read_known"), [program_id], [member_id], [request_id])
    return [Entry(*row) for row in rows]


async def stream_view(
    pool: Pool,
    program_id: str,
    member_id: str,
    *,
    before: int = SEQUENCE_MAX,
    count_max: int,
) -> list[Entry]:
    """Return a member's last `count_max` events before a sequence number, the newest last."""
    rows = await pool.fetch(statement("view_stream"), program_id, member_id, before, count_max)
    return [Entry(*row) for row in reversed(rows)]


async def currency_decimals(pool: Pool) -> dict[tuple[str, str | None], int]:
    """Return how many decimals each currency has, by programme and code."""
    rows = await pool.fetch(statement("view_currencies"), None)
    return {(program_id, code): decimals for program_id, code, decimals in rows}


async def server_view(database_url: str) -> ServerView:
    """Look at a server over a connection of its own, migrated or not. Raises PassingFault."""
    async with connected(database_url) as connection:
        row = await connection.fetchrow(statement("view_server"))
        assert row is not None, "one row comes in any case"
        return ServerView(*row)


def _wallet_view(
    row: asyncpg.Record, lots: list[LotView], lots_max: int, decimals: int
) -> WalletView:
    next_expiry = None
    if row["next_expires_at"] is not None:
        next_expiry = NextExpiry(to_text(row["next_points"], decimals), row["next_expires_at"])
    return WalletView(
        currency=row["currency"],
        category=row["category"],
        balance=to_text(row["balance"], decimals),
        available=to_text(row["balance"] - row["due"], decimals),
        due=to_text(row["due"], decimals),
        deficit=to_text(row["deficit"], decimals),
        total=to_text(row["total"], decimals),
        version=row["version"],
        next_expiry=next_expiry,
        lots=lots[:lots_max],
        lots_truncated=len(lots) > lots_max,
    )
