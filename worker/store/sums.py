"""Reads the sums of whole programmes, set by set, in one snapshot."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from worker.domain.expiry import end_of_day
from worker.domain.money import to_text
from worker.store.statements import columns, statement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    import asyncpg

    from worker.store.pool import Connection

DAYS: Final = 30
"""How long a period is that nobody tells, in days."""

PLACES_MAX: Final = 100
"""So many reasons and operators are told of each currency, those that moved most."""

_STATEMENT_SECONDS_MAX: Final = 3_600
_ROWS_AT_ONCE: Final = 10_000
_DAY: Final = timedelta(days=1)
_MOMENT: Final = timedelta(microseconds=1)
# Sums over millions of wallets have more digits than decimals have by default.
_DIGITS: Final = 100


@dataclass(slots=True)
class Part:
    """What some wallets of a currency hold together, in minor units."""

    wallets: int = 0
    balance: int = 0
    deficit: int = 0
    held: int = 0
    due: int = 0
    open: int = 0


@dataclass(slots=True)
class Currency:
    """The sums of one currency of a programme, in minor units.

    `expiring` are the open points by the month, None for never, of their last usable moment;
    `moved` are rows of `report_moved.sql` by their kind. `cost` is that of one point.
    """

    decimals: int
    cost: Decimal | None
    categories: dict[str, Part] = field(default_factory=lambda: defaultdict(Part))
    expiring: dict[str | None, int] = field(default_factory=lambda: defaultdict(int))
    moved: dict[str, list[asyncpg.Record]] = field(default_factory=lambda: defaultdict(list))

    @property
    def whole(self) -> Part:
        """What all categories hold together."""
        whole = Part()
        for part in self.categories.values():
            whole.wallets += part.wallets
            whole.balance += part.balance
            whole.deficit += part.deficit
            whole.held += part.held
            whole.due += part.due
            whole.open += part.open
        return whole

    def by_month(self) -> list[tuple[str | None, int]]:
        """Return the open points by month, those that never expire last."""
        return sorted(self.expiring.items(), key=lambda item: (item[0] is None, item[0] or ""))

    def text(self, minor_units: int) -> str:
        """Write an amount with the currency's decimals."""
        return to_text(minor_units, self.decimals)

    def cost_of(self, minor_units: int) -> str | None:
        """Return what so many points cost, exactly; None where nobody told the cost of one."""
        if self.cost is None:
            return None
        with localcontext(prec=_DIGITS):
            return f"{Decimal(minor_units).scaleb(-self.decimals) * self.cost:f}"


@dataclass(slots=True)
class Program:
    """A programme, its period up to but without `until`, and the sums of its currencies."""

    program_id: str
    zone: ZoneInfo
    since: datetime
    until: datetime
    currencies: dict[str, Currency] = field(default_factory=dict)


Programs = dict[str, Program]


async def programs(
    connection: Connection,
    program_id: str | None,
    costs: Mapping[str, Decimal],
    since: date | None,
    until: date | None,
) -> tuple[datetime, Programs]:
    """Return the time, and the programmes with all their currencies, without sums.

    What is read on this connection from now on may read whole tables.
    """
    await connection.execute(statement("report_session"), str(_STATEMENT_SECONDS_MAX * 1_000))
    at: datetime = await connection.fetchval("SELECT now()")
    found: Programs = {}
    rows = await connection.fetch(statement("view_programs"), program_id, None)
    for name, _, _, document in rows:
        zone = ZoneInfo(document.get("time_zone", "UTC"))
        found[name] = Program(name, zone, *_period(zone, at, since, until))
    rows = await connection.fetch(statement("view_currencies"), program_id)
    for name, code, decimals in rows:
        found[name].currencies[code] = Currency(decimals, costs.get(code))
    return at, found


async def add_wallets(
    connection: Connection, program_id: str | None, found: Programs, _: datetime
) -> None:
    """Add what wallets hold."""
    rows = await connection.fetch(
        statement("report_wallets"), program_id, timeout=_STATEMENT_SECONDS_MAX
    )
    for row in rows:
        part = found[row["program_id"]].currencies[row["currency"]].categories[row["category"]]
        part.wallets += row["wallets"]
        # Postgres sums up in decimals.
        part.balance += int(row["balance"])
        part.deficit += int(row["deficit"])
        part.held += int(row["held"])


async def add_lots(
    connection: Connection, program_id: str | None, found: Programs, at: datetime
) -> None:
    """Add what lots hold: due at the time, or open, by the month of their last usable moment."""
    rows = connection.cursor(
        statement("report_lots"),
        program_id,
        prefetch=_ROWS_AT_ONCE,
        timeout=_STATEMENT_SECONDS_MAX,
    )
    async for row in rows:
        program = found[row["program_id"]]
        currency = program.currencies[row["currency"]]
        part, points = currency.categories[row["category"]], int(row["points"])
        expires_at: datetime | None = row["expires_at"]
        if expires_at is not None and expires_at <= at:
            part.due += points
            continue
        part.open += points
        currency.expiring[_month(expires_at, program.zone)] += points


async def add_moved(connection: Connection, _: str | None, found: Programs, __: datetime) -> None:
    """Add what requests moved in each programme's period."""
    periods = [(one.program_id, one.since, one.until) for one in found.values()]
    rows = await connection.fetch(
        statement("report_moved"),
        *columns(periods, 3),
        PLACES_MAX,
        timeout=_STATEMENT_SECONDS_MAX,
    )
    for row in rows:
        found[row["program_id"]].currencies[row["currency"]].moved[row["kind"]].append(row)


def _period(
    zone: ZoneInfo, at: datetime, since: date | None, until: date | None
) -> tuple[datetime, datetime]:
    """Return when a period begins, and the first moment after it."""
    end = at if until is None else end_of_day(until, zone)
    if since is not None:
        return end_of_day(since - _DAY, zone), end
    if until is not None:
        return end_of_day(until - DAYS * _DAY, zone), end
    return end - DAYS * _DAY, end


def _month(expires_at: datetime | None, zone: ZoneInfo) -> str | None:
    """Return the month of the last moment before `expires_at`, as 2026-12."""
    if expires_at is None:
        return None
    last = (expires_at - _MOMENT).astimezone(zone)
    return f"{last.year:04}-{last.month:02}"
