"""`liability`: what is owed to members, and who has moved how much, and why."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from schemas.times import parse_date
from worker.cli import showing
from worker.cli.command import AnyProgram, Ended, Json, carry_out
from worker.exits import EXIT_FAULT_FOUND, EXIT_OK, EXIT_USAGE
from worker.readiness import check_migrated
from worker.store import reports
from worker.store.views import view_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.progress import Progress
    from rich.table import Table

    from worker.settings import Settings

_COST: Final = re.compile(r"(?P<currency>.+)=(?P<cost>[0-9]{1,15}(\.[0-9]{1,10})?)", re.DOTALL)
_PLACES_SHOWN: Final = 10
_WAYS: Final = ("hand", "machine")
_COLUMNS: Final = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
_DOING: Final = {
    "wallets": "Adding up wallets",
    "lots": "Adding up open lots",
    "journal": "Reading the journal",
}


def _check_costs(costs: list[str] | None) -> list[str] | None:
    seen = set()
    for text in costs or []:
        match = _COST.fullmatch(text)
        if match is None:
            raise typer.BadParameter("it must be a currency and what a point costs: points=0.01")
        if match["currency"] in seen:
            raise typer.BadParameter(f"the cost of {match['currency']} is given twice")
        seen.add(match["currency"])
    return costs


def _check_day(text: str | None) -> str | None:
    try:
        if text is not None and isinstance(parse_date(text), datetime):
            raise ValueError  # noqa: TRY301 - a time is no better than no date at all.
    except ValueError:
        raise typer.BadParameter("it must be a date (2026-12-31)") from None
    return text


Costs = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CURRENCY=COST",
        callback=_check_costs,
        help="What one point costs, in whatever money: points=0.01. Once for each currency.",
        show_default=False,
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="DATE",
        callback=_check_day,
        help="First day of the period of what was moved; 30 days before its end by default.",
        show_default=False,
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        metavar="DATE",
        callback=_check_day,
        help="Last day of the period; up to now by default.",
        show_default=False,
    ),
]


def liability(
    *,
    program: AnyProgram = None,
    cost: Costs = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Show what is owed to members, by currency: open points by the month in which they expire.

    Months and days are those of each programme's zone. Points that have expired but are not taken
    out yet are due and not owed. Then what requests moved in a period: by hand (MANUAL) or
    automatically, by reason (the code, else the text) and by operator. All figures are those of
    one instant; a conversion counts once, and what expires is not moved by anybody.

    JSON: at, and programs, each with program_id, time_zone, since, until (the first moment after
    the period) and currencies. These have currency, cost_per_point, balance, open, due, deficit,
    held, cost (of the open points), expiring (month, null for never; points, cost), categories
    (category, wallets, balance, open, due, deficit, held, cost) and movements: manual and
    automatic (requests, points_in, points_out, moved, share), reasons and operators (name,
    is_code, requests, manual, automatic, share), the first hundred of reasons_count and
    operators_count. Amounts are text, a share is a fraction with four decimals, and balance is
    open and due less deficit.

    Example: points-worker liability --cost points=0.01 --since 2026-01-01
    """
    matches = filter(None, map(_COST.fullmatch, cost or []))
    costs = {match["currency"]: Decimal(match["cost"]) for match in matches}
    first, last = (None if day is None else date.fromisoformat(day) for day in (since, until))
    if first is not None and last is not None and first > last:
        raise typer.BadParameter("--since must not be after --until")

    async def work(settings: Settings) -> int:
        await check_migrated(settings)
        async with view_pool(settings) as pool:
            with showing.progress(*_COLUMNS) as progress:
                found = await reports.liability(
                    pool, program, costs, first, last, _teller(progress)
                )
        if any(owed.since > owed.until for owed in found.programs):
            raise Ended("--since lies in the future: the period would end before it.", EXIT_USAGE)
        if program is not None and not found.programs:
            raise Ended(f"There is no programme {program}.", EXIT_FAULT_FOUND)
        known = {one.currency for owed in found.programs for one in owed.currencies}
        if unknown := sorted(set(costs) - known):
            raise Ended(f"There is no currency {unknown[0]}.", EXIT_FAULT_FOUND)
        if as_json:
            showing.write_json(found)
        else:
            _print(found)
        return EXIT_OK

    carry_out(work, unused="AMQP_URL")


def _teller(progress: Progress) -> Callable[[str], None]:
    task = progress.add_task("", total=len(reports.STEPS))

    def tell(step: str) -> None:
        done = reports.STEPS.index(step)
        progress.update(task, description=_DOING[step], completed=done)

    return tell


def _print(found: reports.Liability) -> None:
    out = showing.console()
    for number, owed in enumerate(found.programs):
        if number:
            out.print()
        zone = f"times in UTC, months and days of {owed.time_zone}"
        out.print(Text(f"Programme {owed.program_id}", "bold"), Text(f"({zone})", "dim"))
        for currency in owed.currencies:
            out.print()
            out.print(Text(f"{currency.currency}: owed at {showing.moment(found.at)}", "bold"))
            out.print()
            _print_owed(currency)
            _print_moved(currency.movements, owed.since, owed.until)


def _print_owed(currency: reports.CurrencyLiability) -> None:
    out = showing.console()
    has_cost = currency.cost_per_point is not None
    costs = [f"cost at {currency.cost_per_point}"] if has_cost else []
    figures = ("points", *costs)
    months = showing.table("expires in", *figures, right=figures, whole=figures)
    for one in currency.expiring:
        months.add_row(one.month or "never", _figure(one.points), *_cost(one.cost))
    months.add_section()
    months.add_row("open", _figure(currency.open), *_cost(currency.cost), style="bold")
    out.print(months)
    if not currency.categories:
        return
    out.print()
    parts = currency.categories
    names = [part.category for part in parts]
    # A category has a column, so that figures of any length stand side by side in 80 columns.
    categories = showing.table("category", *names, right=names, whole=names)
    categories.add_row("wallets", *(f"{part.wallets:,}" for part in parts))
    for name in ("balance", "open", "due", "deficit", "held"):
        categories.add_row(name, *(_figure(getattr(part, name)) for part in parts))
    if has_cost:
        categories.add_row("cost", *(_figure(part.cost or "0") for part in parts))
    out.print(categories)


def _print_moved(movements: reports.Movements, since: datetime, until: datetime) -> None:
    out = showing.console()
    period = f"from {showing.moment(since)} to {showing.moment(until)}"
    out.print()
    if not movements.manual.requests and not movements.automatic.requests:
        out.print(Text(f"Nothing was moved {period}.", "dim"))
        return
    out.print(Text(f"Moved {period}"))
    out.print()
    ways = (movements.manual, movements.automatic)
    kinds = showing.table("by", *_WAYS, right=_WAYS, whole=_WAYS)
    kinds.add_row("requests", *(f"{way.requests:,}" for way in ways))
    kinds.add_row("in", *(_figure(way.points_in) for way in ways))
    kinds.add_row("out", *(_figure(way.points_out) for way in ways))
    kinds.add_row("moved", *(_figure(way.moved) for way in ways))
    kinds.add_row("share", *(_percent(way.share) for way in ways))
    out.print(kinds)
    for heading, rows, count in (
        ("reason", movements.reasons, movements.reasons_count),
        ("operator", movements.operators, movements.operators_count),
    ):
        out.print()
        out.print(_ranking(heading, rows))
        if count > _PLACES_SHOWN:
            out.print(Text(f"… and {count - _PLACES_SHOWN:,} more: see --json.", "dim"))


def _ranking(heading: str, rows: Iterable[reports.MovedFor]) -> Table:
    names = ("requests", "by hand", "by machine", "share")
    ranking = showing.table(heading, *names, right=names, whole=names)
    for row in list(rows)[:_PLACES_SHOWN]:
        name = Text("none given", "dim") if row.name is None else Text(showing.visible(row.name))
        figures = (_figure(row.manual), _figure(row.automatic))
        ranking.add_row(name, f"{row.requests:,}", *figures, _percent(row.share))
    return ranking


def _cost(cost: str | None) -> list[str]:
    return [] if cost is None else [_figure(cost)]


def _figure(amount: str) -> str:
    """Write an amount with its thousands apart."""
    return f"{Decimal(amount):,f}"


def _percent(share: str | None) -> str:
    return "" if share is None else f"{Decimal(share) * 100:.1f} %"
