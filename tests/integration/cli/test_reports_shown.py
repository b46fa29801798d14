"""Statements, balances and liabilities as people see them; no broker is needed for them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.inside import Clock, Desk, add_program, request
from tests.integration.cli.conftest import CommandLine
from tests.scene import Scene

if TYPE_CHECKING:
    import asyncpg

    from worker.store.pool import Pool

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LONG = "A reason that goes on and on, " * 8
ACME = {
    "program_id": "acme",
    "time_zone": "Europe/Berlin",
    "currencies": [
        {"code": "points", "decimals": 0, "expiry": {"rule": "after", "years": 70}},
        {"code": "coins", "decimals": 3, "balance_cap": "5"},
    ],
}


@pytest.fixture
def books(database_url: str) -> CommandLine:
    """Commands on a migrated database, where no broker answers."""
    return CommandLine(Scene("amqp://127.0.0.1:1", database_url, "points"))


@pytest.fixture
async def alice(pool: Pool, owner: asyncpg.Connection) -> Desk:
    """The desk at which something of everything has happened to alice of acme, hour by hour."""
    await add_program(owner, ACME)
    clock = Clock(NOON)
    desk = Desk(pool, clock)
    asked: tuple[dict[str, Any], ...] = (
        {"points": 1000, "reason_code": "GOODWILL", "adjusted_by": "agent-19",
         "award_id": "A-1", "award_type": "bill_regular"},
        {"points": "7.5", "currency": "coins", "reason": "Welcome"},
        {"points": -300, "comment": "Redeemed at the till"},
        {"points": 200, "operation": "HOLD", "ttl_seconds": 7200},
        {"points": -900, "reason": LONG},
        {"points": 50, "category": "PROMISED", "operation_type": "AUTOMATIC",
         "promotion_id": "spring"},
        {"operation": "CONVERT", "category": "PROMISED"},
        {"operation": "EXPIRE", "operation_type": "AUTOMATIC"},
        {"pionts": 5},
    )  # fmt: skip
    for number, fields in enumerate(asked, 1):
        await desk.apply(
            {"request_id": f"r-{number}", "member_id": "alice", "program_id": "acme", **fields}
        )
        clock.time += HOUR
    return desk


@pytest.mark.parametrize("columns", ["80", "100"])
async def test_a_statement_fits_a_narrow_terminal_and_breaks_no_figure(
    books: CommandLine, alice: Desk, columns: str
) -> None:
    for arguments in (["history", "alice"], ["history", "alice", "--lots"], ["balance", "alice"]):
        shown = await books(*arguments, "--program", "acme", env={"COLUMNS": columns})
        lines = shown.stdout.decode().splitlines()
        assert max(map(len, lines)) <= int(columns)
        figures = {"+1000", "-300", "+5.000"} if arguments[0] == "history" else {"700", "5.000"}
        assert figures <= {word for line in lines for word in line.split()}


async def test_a_statement_that_goes_into_a_pipe_is_no_wider_than_it_need_be(
    books: CommandLine, alice: Desk
) -> None:
    for arguments in (["history", "alice", "--lots"], ["balance", "alice"]):
        shown = await books(*arguments, "--program", "acme")
        lines = shown.stdout.decode().splitlines()
        assert max(map(len, lines)) <= 100
        assert [line for line in lines if line != line.rstrip()] == []


async def test_a_statement_tells_what_each_event_was_and_what_was_said_about_it(
    books: CommandLine, alice: Desk
) -> None:
    shown = await books("history", "alice", "--program", "acme")
    text = " ".join(shown.stdout.decode().split())
    assert text.startswith("Member alice of programme acme no. time what points balance")
    for words in (
        "1 2026-05-04 12:00:00Z adjust +1000 1000 points REGULAR · r-1 · GOODWILL · by agent-19",
        "adjust +5.000 5.000 coins REGULAR · r-2 · Welcome · 2.500 forfeited · balance_cap",
        "adjust -300 700 points REGULAR · r-3 · Redeemed at the till",
        "hold 700 200 held until 2026-05-04 17:00:00Z · points REGULAR · r-4",
        "adjust refused 700 insufficient_points: 900 to deduct, 500 available.",
        "adjust +50 50 points PROMISED · r-6 · automatic",
        "lapse of hold 700 points REGULAR · r-4 · with r-7",
        "convert +50 750 points REGULAR · r-7",
        "convert -50 0 points PROMISED · r-7",
        "request refused invalid_payload: pionts is not a field of this message;",
    ):
        assert words in text
    assert "lot 1:" not in text
    with_lots = await books("history", "alice", "--program", "acme", "--lots")
    text = " ".join(with_lots.stdout.decode().split())
    assert "lot 1: -300, expires 2096-05-04 22:00:00Z, award A-1" in text
    assert "lot 2: +5.000, never expires" in text


async def test_a_statement_about_one_wallet_names_it_once(books: CommandLine, alice: Desk) -> None:
    shown = await books("history", "alice", "--program", "acme", "--before", "2")
    text = shown.stdout.decode()
    assert text.startswith("Member alice of programme acme, points REGULAR\n")
    assert text.count("REGULAR") == 1


async def test_a_balance_shows_holds_labels_and_what_is_due_at_any_moment(
    books: CommandLine, alice: Desk
) -> None:
    at = ["--program", "acme", "--at", "2026-05-04T17:00:00Z"]
    shown = (await books("balance", "alice", *at)).stdout.decode()
    text = " ".join(shown.split())
    assert text.startswith("As of 2026-05-04 17:00:00Z points PROMISED")
    assert "balance 700 available 700 held 200" in text
    assert "due 200 no longer held, to be taken out with the next request" in text
    assert "r-4 200 2026-05-04 17:00:00Z due" in text
    assert "award A-1 (bill_regular)" in text
    wallets = (await books("balance", "alice", *at, "--json")).json["wallets"]
    assert [
        (one["currency"], one["category"], one["held"], one["held_due"]) for one in wallets
    ] == [
        ("points", "PROMISED", "0", "0"),
        ("points", "REGULAR", "200", "200"),
        ("coins", "REGULAR", "0.000", "0.000"),
    ]
    lot = wallets[0]["lots"][0]
    assert (lot["promotion_id"], lot["expires_at"]) == ("spring", "2096-05-04T22:00:00Z")
    due = (
        await books("balance", "alice", "--program", "acme", "--at", "2096-05-05")
    ).stdout.decode()
    assert "due          750 expired, to be taken out with the next request" in due


async def test_a_date_is_the_end_of_a_day_and_a_time_without_offset_that_of_the_programme(
    books: CommandLine, alice: Desk
) -> None:
    for text, at, wallets in (
        ("2026-05-03", "2026-05-03T21:59:59.999999Z", 0),
        ("2026-05-04", "2026-05-04T21:59:59.999999Z", 3),
        ("2026-05-04T13:59:59.5", "2026-05-04T11:59:59.500000Z", 0),
        ("2026-05-04T14:00:00", "2026-05-04T12:00:00Z", 1),
        ("2026-05-04T12:00:00Z", "2026-05-04T12:00:00Z", 1),
    ):
        view = (await books("balance", "alice", "--program", "acme", "--at", text, "--json")).json
        assert (view["at"], len(view["wallets"])) == (at, wallets)
    nothing = await books("balance", "alice", "--program", "acme", "--at", "2026-05-03")
    assert (nothing.code, nothing.stdout) == (0, b"")
    assert "had no wallet at 2026-05-03 21:59:59Z" in nothing.stderr


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-05-04 12:00", "9999-12-31"])
async def test_what_is_no_moment_is_wrong_usage(books: CommandLine, text: str) -> None:
    assert (await books("balance", "alice", "--at", text)).code == 2


async def test_an_early_request_is_told_to_wait_and_answered_once_released(
    books: CommandLine, pool: Pool
) -> None:
    ordinal = {"ordinal_stream": "till"}
    desk = Desk(pool)
    await desk.apply(request("second", 2, ordinal=2, **ordinal))
    waits = await books("outcome", "m", "second")
    assert (waits.code, waits.stdout) == (3, b"")
    assert "Request second came early: with ordinal 2 of stream till it waits" in waits.stderr
    await desk.apply(request("first", 1, ordinal=1, **ordinal))
    answered = await books("outcome", "m", "second", "--json")
    assert (answered.json["request_id"], answered.json["caused_by"]) == ("second", "first")
    alone = await books("outcome", "m", "first", "--json")
    both = await books("outcome", "m", "first", "--caused", "--json")
    assert list(map(json.loads, both.stdout.splitlines())) == [alone.json, answered.json]


async def test_a_liability_is_shown_by_month_category_reason_and_operator(
    books: CommandLine, alice: Desk
) -> None:
    period = ["--since", "2026-05-04", "--until", "2026-05-04"]
    shown = await books(
        "liability", "--program", "acme", "--cost", "points=0.01", *period, env={"COLUMNS": "100"}
    )
    lines = shown.stdout.decode().splitlines()
    assert max(map(len, lines)) <= 100
    text = " ".join(shown.stdout.decode().split())
    for words in (
        "Programme acme (times in UTC, months and days of Europe/Berlin)",
        "2096-05 750 7.50",
        "never 5.000",
        "open 750 7.50",
        "category PROMISED REGULAR",
        "wallets 1 1 balance 0 750 open 0 750 due 0 0 deficit 0 0 held 0 0 cost 0.00 7.50",
        "Moved from 2026-05-03 22:00:00Z to 2026-05-04 22:00:00Z",
        "by hand machine",
        "requests 3 1 in 1,000 50 out 350 0 moved 1,350 50 share 96.4 % 3.6 %",
        "GOODWILL 1 1,000 0 71.4 %",
        "none given 3 350 50 28.6 %",
        "agent-19 1 1,000 0 71.4 %",
    ):
        assert words in text
    found = (await books("liability", "--program", "acme", *period, "--json")).json
    [acme] = found["programs"]
    assert (acme["since"], acme["until"]) == ("2026-05-03T22:00:00Z", "2026-05-04T22:00:00Z")
    coins, points = acme["currencies"]
    assert coins["expiring"] == [{"month": None, "points": "5.000", "cost": None}]
    assert points["movements"]["manual"] == {
        "requests": 3, "points_in": "1000", "points_out": "350", "moved": "1350", "share": "0.9643"
    }  # fmt: skip
    assert (points["cost_per_point"], points["cost"]) == (None, None)


async def test_a_liability_of_billions_breaks_no_figure_in_80_columns(
    books: CommandLine, pool: Pool, owner: asyncpg.Connection
) -> None:
    await add_program(owner, ACME)
    sums = ("123456789012345", "1234567890.125")
    desk = Desk(pool)
    categories = ("REGULAR", "PROMISED", "EXTERNAL_TRIGGER_BASED")
    asked = [(sums[0], "points", one) for one in categories] + [(sums[1], "coins", "REGULAR")]
    for number, (points, currency, category) in enumerate(asked):
        fields: dict[str, Any] = {"program_id": "acme", "currency": currency, "bypass_caps": True}
        fields |= {"category": category, "reason": "A long reason " * 9}
        await desk.apply(request(f"r-{number}", points, **fields))
    cost = ["--cost", "points=0.01", "--cost", "coins=1.5"]
    shown = await books("liability", "--program", "acme", *cost, env={"COLUMNS": "80"})
    lines = shown.stdout.decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line != line.rstrip()] == []
    words = {word for line in lines for word in line.split()}
    assert {"123,456,789,012,345", "370,370,367,037,035", "1,234,567,890.125"} <= words


async def test_a_liability_of_what_is_not_there_is_told_so(books: CommandLine) -> None:
    nowhere = await books("liability", "--program", "nowhere")
    assert (nowhere.code, nowhere.stderr) == (3, "There is no programme nowhere.\n")
    no_gold = await books("liability", "--cost", "gold=1")
    assert (no_gold.code, no_gold.stderr) == (3, "There is no currency gold.\n")
    empty = await books("liability")
    assert empty.code == 0
    assert "Nothing was moved" in empty.stdout.decode()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cost", "points"],
        ["--cost", "points=-1"],
        ["--cost", "points=1e3"],
        ["--cost", "=1"],
        ["--cost", "points=1", "--cost", "points=2"],
        ["--since", "2026-05-04T12:00:00Z"],
        ["--until", "soon"],
        ["--since", "2026-05-05", "--until", "2026-05-04"],
        ["--since", "2200-01-01"],
    ],
    ids=" ".join,
)
async def test_a_liability_of_nonsense_is_wrong_usage(
    books: CommandLine, arguments: list[str]
) -> None:
    assert (await books("liability", *arguments)).code == 2
