"""What a member holds, now or at any moment of the past.

The present is read from wallets, lots and holds; the past is folded from the journal. Both make
the same member of the rules, and one function tells what it holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast
from zoneinfo import ZoneInfo

from schemas import names
from schemas.times import parse_utc
from worker.domain import expiry
from worker.domain.member import Hold, Member
from worker.domain.money import to_text
from worker.domain.wallet import Lot
from worker.store.entry import changes_of_lots, minor_units, read_outcome
from worker.store.keys import MemberKey
from worker.store.reading import place_lots, place_wallets
from worker.store.statements import columns, statement
from worker.store.views import StreamView, snapshot, streams_view

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    import asyncpg

    from worker.domain.wallet import Wallet
    from worker.store.pool import Connection, Pool

_ROWS_AT_ONCE: Final = 1_000
_STATEMENT_SECONDS_MAX: Final = 600


@dataclass(frozen=True, slots=True)
class LotView:
    """An open lot; `expires_at` is the first instant at which it cannot be used, None for never.

    `is_due` says that this instant has come, and that nothing has taken the lot out yet.
    """

    lot_id: str
    remaining: str
    expires_at: datetime | None
    is_due: bool
    award_id: str | None
    award_type: str | None
    promotion_id: str | None


@dataclass(frozen=True, slots=True)
class HoldView:
    """An open hold; `is_due` says that its time is over, and that nothing has ended it yet."""

    hold_id: str
    points: str
    lapses_at: datetime
    is_due: bool


@dataclass(frozen=True, slots=True)
class NextExpiry:
    """The points that expire soonest, all at one instant."""

    points: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class WalletView:
    """A wallet as it was at the time of looking; amounts have their currency's decimals.

    `due` has run out already and is still part of `balance`, as `held_due` is of `held`: the
    wallet's next request carries that out first. So `available`, the most that a debit may take,
    is what it will be after that. `lots` are the first few in the order of use; `lots_truncated`
    says that there are more. `holds` are all that are open, the soonest lapsing first.
    """

    currency: str
    category: str
    balance: str
    available: str
    held: str
    due: str
    held_due: str
    deficit: str
    total: str
    version: int
    next_expiry: NextExpiry | None
    holds: list[HoldView]
    lots: list[LotView]
    lots_truncated: bool


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member's wallets; `sequence` is 0 and all else empty for a member nobody heard of.

    `waiting` are the requests that came early: now, and none where another moment is looked at.
    """

    program_id: str
    member_id: str
    sequence: int
    last_recorded_at: datetime | None
    at: datetime
    wallets: list[WalletView]
    waiting: list[StreamView] = field(default_factory=list)


async def member_view(
    pool: Pool,
    program_id: str,
    member_id: str,
    *,
    at: date | datetime | None = None,
    lots_max: int,
) -> MemberView:
    """Return what a member holds, each wallet with its first `lots_max` open lots.

    `at` is a moment, by default the database's present; what had been recorded at that very
    moment counts. One without an offset is in the programme's zone, and a date is the last
    microsecond of that day there. The present comes from wallets, lots and holds, any other
    moment from the journal.
    """
    key = MemberKey(program_id, member_id)
    waiting: list[StreamView] = []
    async with snapshot(pool) as connection:
        document = await _document(connection, program_id)
        if at is None:
            member, moment = await present(connection, key)
            waiting = await streams_view(connection, key)
        else:
            moment = instant(at, ZoneInfo(document.get("time_zone", "UTC")))
            member = await past(connection, key, moment)
        rows = await connection.fetch(statement("view_currencies"), program_id)
    listed = [currency["code"] for currency in document.get("currencies", [])]
    scales = {code: scale for _, code, scale in rows}
    decimals = {code: scales[code] for code in [*listed, *scales]}
    return replace(view_of(member, moment, decimals, lots_max=lots_max), waiting=waiting)


def instant(at: date | datetime, zone: ZoneInfo) -> datetime:
    """Return the moment, in UTC, that a date or a time stands for; a date is the end of that day.

    Raises OverflowError beyond the year 9999.
    """
    moment = expiry.custom(at, zone)
    return moment if isinstance(at, datetime) else moment - timedelta(microseconds=1)


async def _document(connection: Connection, program_id: str) -> dict[str, Any]:
    """Return a programme's document in force, an empty one for a programme that does not exist."""
    rows = await connection.fetch(statement("view_programs"), program_id, None)
    return cast("dict[str, Any]", rows[0]["document"]) if rows else {}


async def present(connection: Connection, key: MemberKey) -> tuple[Member, datetime]:
    """Read what a member holds now, and the database's time."""
    row = await connection.fetchrow(statement("view_member"), *key)
    assert row is not None, "one row comes in any case"
    member = Member(*key, sequence=row["sequence"] or 0, last_recorded_at=row["last_recorded_at"])
    wanted = columns([key], 2)
    members = {key: member}
    place_wallets(await connection.fetch(statement("whole_wallets"), *wanted), members)
    place_lots(await connection.fetch(statement("whole_lots"), *wanted), members)
    for _, _, *told in await connection.fetch(statement("whole_holds"), *wanted):
        hold = Hold(*told)
        member.holds[hold.hold_id] = hold
    at: datetime = row["at"]
    return member, at


async def past(connection: Connection, key: MemberKey, at: datetime) -> Member:
    """Fold a member from all that the journal had recorded up to a moment."""
    member = Member(*key)
    lots: dict[tuple[str, str], dict[int, Lot]] = {}
    rows = connection.cursor(
        statement("view_past"), *key, at, prefetch=_ROWS_AT_ONCE, timeout=_STATEMENT_SECONDS_MAX
    )
    async for row in rows:
        member.sequence = row["sequence"]
        member.last_recorded_at = row["recorded_at"]
        if row["status"] == names.APPLIED and row["currency"] is not None:
            place = (row["currency"], row["category"])
            _fold(member, lots.setdefault(place, {}), row)
    for place, wallet in member.wallets.items():
        wallet.lots = sorted(lots[place].values(), key=Lot.order)
        wallet.deficit = sum(lot.remaining for lot in wallet.lots) - wallet.balance
        wallet.held = sum(hold.points for hold in _holds_of(member, wallet))
    return member


def _fold(member: Member, lots: dict[int, Lot], row: asyncpg.Record) -> None:
    """Let happen to a member, and to the lots of one of its wallets, what the journal says."""
    wallet = member.wallet(row["currency"], row["category"])
    wallet.balance, wallet.total, wallet.version = row["balance"], row["total"], row["version"]
    document = read_outcome(row["outcome"])
    for change in changes_of_lots(row["lots"], document):
        lot = lots.get(change.lot_id)
        if lot is None:
            lot = lots[change.lot_id] = Lot(
                change.lot_id, change.points, 0, change.expires_at, label=change.label
            )
        lot.remaining += change.points
        if not lot.remaining:
            del lots[change.lot_id]
    match document["operation"]:
        case names.HOLD:
            hold_id, lapses_at = document["request_id"], parse_utc(document["expires_at"])
            points = minor_units(document["requested"])
            member.holds[hold_id] = Hold(
                hold_id, wallet.currency, wallet.category, points, lapses_at
            )
        case names.CAPTURE | names.RELEASE:
            # A lapse bears its hold's own id and names no other.
            del member.holds[document["hold"] or document["request_id"]]


def view_of(
    member: Member, at: datetime, decimals: Mapping[str, int], *, lots_max: int
) -> MemberView:
    """Tell what a member holds, looked at from a moment; `decimals` has the currencies' order."""
    order = {code: number for number, code in enumerate(decimals)}
    places = sorted(
        (place for place, wallet in member.wallets.items() if wallet.version),
        key=lambda place: (order.get(place[0], len(order)), place),
    )
    return MemberView(
        member.program_id,
        member.member_id,
        member.sequence,
        member.last_recorded_at,
        at,
        [
            _wallet_view(member, member.wallets[place], at, decimals.get(place[0], 0), lots_max)
            for place in places
        ],
    )


def _wallet_view(
    member: Member, wallet: Wallet, at: datetime, decimals: int, lots_max: int
) -> WalletView:
    holds = sorted(_holds_of(member, wallet), key=lambda hold: (hold.lapses_at, hold.hold_id))
    held_due = sum(hold.points for hold in holds if hold.lapses_at <= at)
    due = sum(lot.remaining for lot in wallet.lots if _is_due(lot, at))
    return WalletView(
        currency=wallet.currency,
        category=wallet.category,
        balance=to_text(wallet.balance, decimals),
        available=to_text(wallet.available - due + held_due, decimals),
        held=to_text(wallet.held, decimals),
        due=to_text(due, decimals),
        held_due=to_text(held_due, decimals),
        deficit=to_text(wallet.deficit, decimals),
        total=to_text(wallet.total, decimals),
        version=wallet.version,
        next_expiry=_next_expiry(wallet, at, decimals),
        holds=[
            HoldView(
                hold.hold_id, to_text(hold.points, decimals), hold.lapses_at, hold.lapses_at <= at
            )
            for hold in holds
        ],
        lots=[
            LotView(
                str(lot.lot_id),
                to_text(lot.remaining, decimals),
                lot.expires_at,
                _is_due(lot, at),
                *lot.label,
            )
            for lot in wallet.lots[:lots_max]
        ],
        lots_truncated=len(wallet.lots) > lots_max,
    )


def _next_expiry(wallet: Wallet, at: datetime, decimals: int) -> NextExpiry | None:
    """Return what expires next; the lots are in the order in which they do."""
    coming = [lot for lot in wallet.lots if lot.expires_at is not None and not _is_due(lot, at)]
    if not coming or coming[0].expires_at is None:
        return None
    first = coming[0].expires_at
    points = sum(lot.remaining for lot in coming if lot.expires_at == first)
    return NextExpiry(to_text(points, decimals), first)


def _holds_of(member: Member, wallet: Wallet) -> list[Hold]:
    place = (wallet.currency, wallet.category)
    return [hold for hold in member.holds.values() if (hold.currency, hold.category) == place]


def _is_due(lot: Lot, at: datetime) -> bool:
    return lot.expires_at is not None and lot.expires_at <= at
