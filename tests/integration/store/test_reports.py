"""A liability is the sum of the books, whoever adds them up."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tests.inside import Clock, Desk, add_program, request
from tests.property.histories import STARTS
from tests.property.operations import past_of
from worker.store import reports, sums
from worker.store.reports import STEPS, Liability, liability

if TYPE_CHECKING:
    import asyncpg
    import pytest

    from worker.store.pool import Pool
    from worker.store.reports import CurrencyLiability, ProgramLiability

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
BEGINNING, END = date(2020, 1, 1), date(2050, 12, 31)


async def owed(
    pool: Pool,
    program_id: str | None = None,
    since: date | None = BEGINNING,
    until: date | None = END,
    **costs: str,
) -> Liability:
    """Return the liability, by default with all that was ever moved."""
    in_decimals = {code: Decimal(cost) for code, cost in costs.items()}
    return await liability(pool, program_id, in_decimals, since, until, lambda _: None)


def only(found: Liability) -> tuple[ProgramLiability, CurrencyLiability]:
    """Return the only programme of a liability, and its currency of points."""
    [program] = found.programs
    [points] = [one for one in program.currencies if one.currency == "points"]
    return program, points


def minor(text: str) -> int:
    return int(text.replace(".", ""))


async def write_pasts(pool: Pool, owner: asyncpg.Connection, count: int) -> None:
    """Write random histories of all operations, each of a member of a programme of its own."""
    for seed in range(count):
        past = past_of(seed, STARTS[seed % len(STARTS)], 60, seed + 100, is_open=True)
        program_id = f"acme-{seed}"
        await add_program(owner, {"program_id": program_id, **past.document})
        clock = Clock(NOON)
        desk = Desk(pool, clock)
        for ask, now in past.asked:
            clock.time = now
            await desk.apply(
                {**ask.document, "program_id": program_id, "request_id": ask.request_id}
            )


async def test_what_is_owed_is_what_wallets_lots_and_holds_sum_to(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    await write_pasts(pool, owner, 6)
    found = await owed(pool)
    wallets: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    months: dict[tuple[str, ...], Counter[str | None]] = defaultdict(Counter)
    zones = {one.program_id: ZoneInfo(one.time_zone) for one in found.programs}
    for row in await owner.fetch("SELECT * FROM points.wallets"):
        wallets[row["program_id"], row["currency"], row["category"]].update(
            wallets=1, balance=row["balance"], deficit=row["deficit"], held=row["held"]
        )
    for row in await owner.fetch(
        "SELECT *, nullif(expires_at, 'infinity') AS ends FROM points.lots"
    ):
        place = (row["program_id"], row["currency"])
        is_due = row["ends"] is not None and row["ends"] <= found.at
        wallets[*place, row["category"]]["due" if is_due else "open"] += row["remaining"]
        if not is_due:
            last = row["ends"] and row["ends"].astimezone(zones[place[0]])
            # The last usable day: an expiry is the midnight after it.
            month = last and f"{last - timedelta(seconds=1):%Y-%m}"
            months[place][month] += row["remaining"]
    assert any(counted["due"] for counted in wallets.values())
    assert any(counted["deficit"] for counted in wallets.values())
    assert any(counted["held"] for counted in wallets.values())
    for program in found.programs:
        for currency in program.currencies:
            place = (program.program_id, currency.currency)
            shown = {one.month: minor(one.points) for one in currency.expiring}
            assert shown == months[place]
            assert list(shown) == sorted(shown, key=lambda month: (month is None, month or ""))
            whole: Counter[str] = Counter()
            for part in currency.categories:
                counted = wallets.pop((*place, part.category))
                whole.update(counted)
                assert part.wallets == counted["wallets"]
                for name in ("balance", "open", "due", "deficit", "held"):
                    assert minor(getattr(part, name)) == counted[name]
            for name in ("balance", "open", "due", "deficit", "held"):
                assert minor(getattr(currency, name)) == whole[name]
            assert whole["balance"] == whole["open"] + whole["due"] - whole["deficit"]
    assert not wallets, "every wallet is in the report"


async def test_what_was_moved_is_what_the_answers_in_the_period_sum_to(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    await write_pasts(pool, owner, 6)
    since, until = date(2026, 10, 31), date(2027, 1, 1)
    found = await owed(pool, since=since, until=until)
    zones = {one.program_id: ZoneInfo(one.time_zone) for one in found.programs}
    moved: dict[tuple[str, str], Counter[Any]] = defaultdict(Counter)
    outside = 0
    for row in await owner.fetch("SELECT * FROM points.journal WHERE status = 'APPLIED'"):
        outcome = json.loads(row["outcome"])
        if outcome["operation"] == "EXPIRE" or not row["points"]:
            continue
        if outcome["caused_by"] == outcome["request_id"]:
            continue  # The other side of a conversion.
        day = row["recorded_at"].astimezone(zones[row["program_id"]]).date()
        if not since <= day <= until:
            outside += 1
            continue
        counted = moved[row["program_id"], row["currency"]]
        kind, points = outcome["operation_type"], abs(row["points"])
        reason = outcome["reason_code"] or outcome["reason"] or None
        counted.update({
            kind: points,
            (kind, "requests"): 1,
            (kind, row["points"] > 0): points,
            ("reason", reason, bool(outcome["reason_code"]), kind): points,
            ("operator", outcome["adjusted_by"], False, kind): points,
        })  # fmt: skip
    assert outside
    assert len(moved) > 2
    for program in found.programs:
        for currency in program.currencies:
            counted = moved[program.program_id, currency.currency]
            told: Counter[Any] = Counter()
            movements = currency.movements
            for kind, part in (("MANUAL", movements.manual), ("AUTOMATIC", movements.automatic)):
                told.update({
                    kind: minor(part.moved),
                    (kind, "requests"): part.requests,
                    (kind, True): minor(part.points_in),
                    (kind, False): minor(part.points_out),
                })  # fmt: skip
            for name, rows in (("reason", movements.reasons), ("operator", movements.operators)):
                for one in rows:
                    told[name, one.name, one.is_code, "MANUAL"] += minor(one.manual)
                    told[name, one.name, one.is_code, "AUTOMATIC"] += minor(one.automatic)
            assert +told == +counted
            assert movements.reasons_count == len(movements.reasons)


async def test_points_count_in_the_month_of_their_last_usable_day_where_the_programme_is(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    await add_program(
        owner, {"program_id": "acme", "time_zone": "Pacific/Kiritimati",
                "currencies": [{"code": "points"}]}
    )  # fmt: skip
    days = {"expiration_type": "CUSTOM_DATE", "program_id": "acme"}
    await Desk(pool).apply(
        request("a", 1, expiration_date="2090-06-30", **days),
        request("b", 2, expiration_date="2090-07-01", **days),
        # 14 hours behind: in Kiritimati this is the first instant of August.
        request("c", 4, expiration_date="2090-07-31T10:00:00Z", **days),
        request("d", 8, expiration_date="2090-07-31T10:00:00.000001Z", **days),
        request("e", 16, program_id="acme"),
    )
    _, points = only(await owed(pool, "acme"))
    assert [(one.month, one.points) for one in points.expiring] == [
        ("2090-06", "1"),
        ("2090-07", "6"),
        ("2090-08", "8"),
        (None, "16"),
    ]


async def test_a_cost_is_exact_and_has_the_decimals_of_its_currency(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    await add_program(owner, {"program_id": "acme", "currencies": [
        {"code": "points", "decimals": 0}, {"code": "coins", "decimals": 3}]})  # fmt: skip
    await Desk(pool).apply(
        request("a", 3, program_id="acme"),
        *(
            request(f"m{n}", "900000000000000.123", f"m{n}", program_id="acme", currency="coins")
            for n in range(9)
        ),
    )
    found = await owed(pool, "acme", coins="123456789012345.0000000001")
    coins, points = found.programs[0].currencies
    assert (points.open, points.cost_per_point, points.cost) == ("3", None, None)
    assert coins.open == "8100000000000001.107"
    assert coins.cost is not None
    # As whole numbers: thousandths of coins, and ten thousand millionths of the money.
    exact = 8_100_000_000_000_001_107 * 1_234_567_890_123_450_000_000_001
    assert minor(coins.cost) == exact
    assert len(coins.cost.partition(".")[2]) == 13
    assert [one.cost for one in coins.expiring] == [coins.cost]
    assert [one.cost for one in coins.categories] == [coins.cost]


async def test_points_that_are_due_are_not_owed_any_more(pool: Pool) -> None:
    then = Desk(pool, Clock(NOON))
    await then.apply(
        request("a", 5, expiration_type="CUSTOM_DATE", expiration_date="2026-05-05"),
        request("b", 7),
        request("c", -3, "owing", allow_negative=True),
        request("d", 2, operation="HOLD"),
    )
    _, points = only(await owed(pool))
    assert (points.open, points.due, points.deficit, points.held, points.balance) == (
        "7", "5", "3", "2", "9"
    )  # fmt: skip


async def test_a_period_is_thirty_days_unless_its_days_are_told(pool: Pool) -> None:
    now = datetime.now(UTC)
    for age, request_id in ((28, "new"), (31, "old")):
        await Desk(pool, Clock(now - timedelta(days=age))).apply(
            request(request_id, age, request_id)
        )
    program, points = only(await owed(pool, since=None, until=None))
    assert program.until - program.since == timedelta(days=30)
    assert points.movements.manual.moved == "28"
    day = (now - timedelta(days=31)).date()
    program, points = only(await owed(pool, since=day, until=day))
    assert (program.since.date(), program.until.date()) == (day, day + timedelta(days=1))
    assert points.movements.manual.moved == "31"
    program, _ = only(await owed(pool, since=None, until=day))
    assert program.since.date() == day - timedelta(days=29)


async def test_early_requests_count_by_their_own_words_and_conversions_once(pool: Pool) -> None:
    ordinal = {"ordinal_stream": "s"}
    await Desk(pool).apply(
        request("second", 2, ordinal=2, reason="second", adjusted_by="anna", **ordinal),
        request("first", 1, ordinal=1, reason="first", operation_type="AUTOMATIC", **ordinal),
        request("promised", 9, category="PROMISED", reason="later"),
        {"request_id": "c", "member_id": "m", "operation": "CONVERT", "category": "PROMISED"},
    )
    _, points = only(await owed(pool))
    movements = points.movements
    assert (movements.manual.points_in, movements.manual.points_out) == ("11", "9")
    assert {one.name: one.manual for one in movements.reasons} == {
        None: "9", "later": "9", "second": "2", "first": "0"
    }  # fmt: skip
    assert [(one.name, one.share) for one in movements.operators] == [
        (None, "0.9048"),
        ("anna", "0.0952"),
    ]


async def test_only_the_greatest_reasons_are_listed_and_all_are_counted(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "PLACES_MAX", 3)
    await Desk(pool).apply(*(request(f"r{n}", n, reason=f"reason {n}") for n in range(1, 8)))
    _, points = only(await owed(pool))
    assert [one.name for one in points.movements.reasons] == ["reason 7", "reason 6", "reason 5"]
    assert (points.movements.reasons_count, points.movements.operators_count) == (7, 1)
    assert points.movements.manual.moved == "28"


async def test_whatever_stands_in_metadata_is_no_hindrance(pool: Pool) -> None:
    body = (
        b'{"request_id": "r", "member_id": "m", "points": 5,'
        b' "reason": "r\xc3\xa9sum\xc3\xa9 \\"x\\"",'
        b' "metadata": {"reason": "another", "n": 123456789012345678901234567890.5e3}}'
    )
    await Desk(pool).apply(body)
    _, points = only(await owed(pool))
    assert [one.name for one in points.movements.reasons] == ['résumé "x"']


async def test_a_report_tells_how_far_it_is_and_reads_only_the_programme_that_is_wanted(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    await add_program(owner, {"program_id": "acme", "currencies": [{"code": "points"}]})
    await Desk(pool).apply(request("a", 3, program_id="acme"), request("b", 4))
    steps: list[str] = []
    found = await reports.liability(pool, "acme", {}, None, None, steps.append)
    assert steps == list(STEPS)
    assert [(one.program_id, one.currencies[0].open) for one in found.programs] == [("acme", "3")]
    both = await owed(pool)
    assert [(one.program_id, one.currencies[0].open) for one in both.programs] == [
        ("acme", "3"),
        ("default", "4"),
    ]
    assert (await owed(pool, "nowhere")).programs == []
