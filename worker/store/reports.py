"""Reports over whole programmes: what is owed to members, and who has moved how much, and why.

All figures of a report are those of one instant. Amounts are text with as many decimals as their
currency has; shares are fractions, rounded to four decimals.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from worker.store import sums
from worker.store.views import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date, datetime

    import asyncpg

    from worker.store.pool import Pool

STEPS: Final = ("wallets", "lots", "journal")
"""What a report goes through, in this order."""

_NO_MOVES: Final = {"requests": 0, "points_in": 0, "points_out": 0}


@dataclass(frozen=True, slots=True)
class Expiring:
    """The open points whose last usable moment is in a month of the programme's zone.

    `month` is as 2026-12, None for points that never expire.
    """

    month: str | None
    points: str
    cost: str | None


@dataclass(frozen=True, slots=True)
class CategoryHeld:
    """What the wallets of a category hold; `balance` is `open` and `due` less `deficit`."""

    category: str
    wallets: int
    balance: str
    open: str
    due: str
    deficit: str
    held: str
    cost: str | None


@dataclass(frozen=True, slots=True)
class Moved:
    """What one kind of requests has moved: `moved` is what came in and what went out."""

    requests: int
    points_in: str
    points_out: str
    moved: str
    share: str | None


@dataclass(frozen=True, slots=True)
class MovedFor:
    """What was moved for a reason, or by an operator; `name` is None where none was given.

    `is_code` says that a reason is a code of the catalogue and not free text.
    """

    name: str | None
    is_code: bool
    requests: int
    manual: str
    automatic: str
    share: str | None


@dataclass(frozen=True, slots=True)
class Movements:
    """What was moved in the period; `reasons_count` and `operators_count` say how many there are.

    Only the first `sums.PLACES_MAX` of them are listed.
    """

    manual: Moved
    automatic: Moved
    reasons: list[MovedFor]
    reasons_count: int
    operators: list[MovedFor]
    operators_count: int


@dataclass(frozen=True, slots=True)
class CurrencyLiability:
    """What is owed to members in a currency: `open` points, which can still be used.

    `due` points have expired and wait to be taken out; `deficit` is what members owe; `held` is
    set aside. `cost` is that of the open points.
    """

    currency: str
    cost_per_point: str | None
    balance: str
    open: str
    due: str
    deficit: str
    held: str
    cost: str | None
    expiring: list[Expiring]
    categories: list[CategoryHeld]
    movements: Movements


@dataclass(frozen=True, slots=True)
class ProgramLiability:
    """A programme's currencies; the period reaches from `since` up to but without `until`."""

    program_id: str
    time_zone: str
    since: datetime
    until: datetime
    currencies: list[CurrencyLiability]


@dataclass(frozen=True, slots=True)
class Liability:
    """What is owed to the members of programmes at a moment."""

    at: datetime
    programs: list[ProgramLiability]


async def liability(
    pool: Pool,
    program_id: str | None,
    costs: Mapping[str, Decimal],
    since: date | None,
    until: date | None,
    tell: Callable[[str], None],
) -> Liability:
    """Return what is owed to the members of a programme, or of all for None.

    `costs` are those of one point, by currency. The period is that of whole days in each
    programme's zone, from `since` to the end of `until`; by default up to now, and `sums.DAYS`
    long. `tell` is called with each of STEPS when it begins.
    """
    async with snapshot(pool) as connection:
        at, programs = await sums.programs(connection, program_id, costs, since, until)
        for step, add in zip(STEPS, (sums.add_wallets, sums.add_lots, sums.add_moved), strict=True):
            tell(step)
            await add(connection, program_id, programs, at)
    return Liability(at, [_program(program) for program in programs.values()])


def _program(program: sums.Program) -> ProgramLiability:
    return ProgramLiability(
        program.program_id,
        program.zone.key,
        program.since,
        program.until,
        [_currency(code, one) for code, one in sorted(program.currencies.items())],
    )


def _currency(code: str, one: sums.Currency) -> CurrencyLiability:
    whole = one.whole
    return CurrencyLiability(
        currency=code,
        cost_per_point=None if one.cost is None else f"{one.cost:f}",
        balance=one.text(whole.balance),
        open=one.text(whole.open),
        due=one.text(whole.due),
        deficit=one.text(whole.deficit),
        held=one.text(whole.held),
        cost=one.cost_of(whole.open),
        expiring=[
            Expiring(month, one.text(points), one.cost_of(points))
            for month, points in one.by_month()
        ],
        categories=[
            CategoryHeld(
                category,
                part.wallets,
                one.text(part.balance),
                one.text(part.open),
                one.text(part.due),
                one.text(part.deficit),
                one.text(part.held),
                one.cost_of(part.open),
            )
            for category, part in sorted(one.categories.items())
        ],
        movements=_movements(one),
    )


def _movements(one: sums.Currency) -> Movements:
    by_type = {row["is_manual"]: dict(row) for row in one.moved.get("type", [])}
    moved = sum(row["points_in"] + row["points_out"] for row in by_type.values())
    reasons, operators = one.moved.get("reason", []), one.moved.get("operator", [])
    return Movements(
        _moved(one, by_type.get(True, _NO_MOVES), moved),
        _moved(one, by_type.get(False, _NO_MOVES), moved),
        [_moved_for(one, row, row["reason"], moved) for row in reasons],
        _places(reasons),
        [_moved_for(one, row, row["operator"], moved) for row in operators],
        _places(operators),
    )


def _moved(one: sums.Currency, row: Mapping[str, Any], whole: int) -> Moved:
    points_in, points_out = int(row["points_in"]), int(row["points_out"])
    moved = points_in + points_out
    return Moved(
        row["requests"],
        one.text(points_in),
        one.text(points_out),
        one.text(moved),
        _share(moved, whole),
    )


def _moved_for(one: sums.Currency, row: asyncpg.Record, name: str | None, whole: int) -> MovedFor:
    manual, automatic = int(row["manual"]), int(row["automatic"])
    return MovedFor(
        name,
        bool(row["is_code"]),
        row["requests"],
        one.text(manual),
        one.text(automatic),
        _share(manual + automatic, whole),
    )


def _places(rows: Iterable[asyncpg.Record]) -> int:
    """Return how many there are, of which these are the first."""
    return next((row["places"] for row in rows), 0)


def _share(part: int, whole: int) -> str | None:
    return f"{Decimal(part) / Decimal(whole):.4f}" if whole else None
