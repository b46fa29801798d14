"""What the books say a member holds is what they hold, now and at any moment of the past."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from tests.inside import Clock, Desk, add_program, request
from tests.property.histories import STARTS
from tests.property.operations import past_of
from worker.store import holdings
from worker.store.keys import MemberKey
from worker.store.views import snapshot

if TYPE_CHECKING:
    import asyncpg

    from worker.store.holdings import MemberView
    from worker.store.pool import Pool

LOTS_MAX = 1000
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def expiring(moment: datetime) -> dict[str, str]:
    """Return the fields of a request that let a credit expire at a moment."""
    return {"expiration_type": "CUSTOM_DATE", "expiration_date": moment.isoformat()}


async def seen_now(pool: Pool, program_id: str, now: datetime, member_id: str = "m") -> MemberView:
    """Return what the tables say a member holds, looked at from a time that the test tells."""
    async with snapshot(pool) as connection:
        member, _ = await holdings.present(connection, MemberKey(program_id, member_id))
        rows = await connection.fetch("SELECT document FROM points.programs WHERE program_id = $1",
                                      program_id)  # fmt: skip
    decimals = {one["code"]: one.get("decimals", 0) for one in rows[0][0]["currencies"]}
    return holdings.view_of(member, now, decimals, lots_max=LOTS_MAX)


async def seen_at(pool: Pool, program_id: str, at: date | datetime) -> MemberView:
    """Return what the journal says a member held at a moment."""
    return await holdings.member_view(pool, program_id, "m", at=at, lots_max=LOTS_MAX)


@pytest.mark.parametrize("seed", range(8))
async def test_any_moment_of_the_past_is_shown_as_it_was_shown_then(
    pool: Pool, owner: asyncpg.Connection, seed: int
) -> None:
    past = past_of(seed, STARTS[seed % len(STARTS)], 60, seed + 100, is_open=True)
    await add_program(owner, {"program_id": "acme", **past.document})
    clock = Clock(NOON)
    desk = Desk(pool, clock)
    shown = []
    for number, (ask, now) in enumerate(past.asked):
        # No two requests at the same moment, so that there is a moment after each.
        clock.time = now + timedelta(microseconds=2 * number)
        await desk.apply({**ask.document, "program_id": "acme", "request_id": ask.request_id})
        # What is not stored moves no clock; it is seen as of the next moment.
        shown.append(await seen_now(pool, "acme", clock.time + timedelta(microseconds=1)))
    assert any(wallet.lots for view in shown for wallet in view.wallets)
    for view in shown:
        assert await seen_at(pool, "acme", view.at) == view


async def test_the_random_pasts_hold_holds_deficits_labels_and_what_is_due(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    kinds = set()
    for seed in range(4):
        past = past_of(seed, STARTS[seed % len(STARTS)], 60, seed + 100, is_open=True)
        program_id = f"acme-{seed}"
        await add_program(owner, {"program_id": program_id, **past.document})
        clock = Clock(NOON)
        desk = Desk(pool, clock)
        for ask, now in past.asked:
            clock.time = now
            await desk.apply({**ask.document, "program_id": program_id,
                              "request_id": ask.request_id})  # fmt: skip
            for wallet in (await seen_now(pool, program_id, now)).wallets:
                kinds |= {name for name in ("held", "due", "held_due", "deficit")
                          if getattr(wallet, name).strip("0.")}  # fmt: skip
                kinds |= {"award" for lot in wallet.lots if lot.award_id}
                kinds |= {"typed" for lot in wallet.lots if lot.award_type}
                kinds |= {"promotion" for lot in wallet.lots if lot.promotion_id}
    assert kinds == {"held", "due", "held_due", "deficit", "award", "typed", "promotion"}


async def test_what_an_answer_has_no_room_for_is_in_the_past_all_the_same(pool: Pool) -> None:
    clock = Clock(NOON)
    desk = Desk(pool, clock)
    await desk.apply(*(request(f"c{n}", 1) for n in range(150)))
    clock.time += HOUR
    [debit] = await desk.outcomes(request("d", -149))
    assert debit["warnings"] == ["lots_truncated"]
    for moment, lots in ((NOON, 150), (NOON + HOUR, 1)):
        [wallet] = (await seen_at(pool, "default", moment)).wallets
        assert (wallet.balance, len(wallet.lots), wallet.deficit) == (str(lots), lots, "0")


async def test_what_is_due_is_no_longer_available_though_nothing_has_taken_it_out(
    pool: Pool,
) -> None:
    now = datetime.now(UTC)
    yesterday, tomorrow = now - timedelta(days=1), now + timedelta(days=1)
    past = Desk(pool, lambda now: now - timedelta(days=2))
    await past.apply(
        request("a", 10, **expiring(yesterday)),
        request("b", 20, **expiring(tomorrow)),
        request("c", 30, **expiring(tomorrow)),
        request("d", 40),
        request("e", -5, category="PROMISED", allow_negative=True),
        request("lapsed", 15, operation="HOLD", ttl_seconds=3600),
        request("kept", 25, operation="HOLD", ttl_seconds=10**6),
    )
    view = await holdings.member_view(pool, "default", "m", lots_max=10)
    promised, regular = view.wallets
    assert (promised.balance, promised.available, promised.deficit) == ("-5", "-5", "5")
    assert (regular.balance, regular.due, regular.held, regular.held_due) == (
        "100",
        "10",
        "40",
        "15",
    )
    assert regular.available == "65"
    assert [(hold.hold_id, hold.points, hold.is_due) for hold in regular.holds] == [
        ("lapsed", "15", True),
        ("kept", "25", False),
    ]
    assert regular.next_expiry == holdings.NextExpiry("50", tomorrow)
    assert [lot.lot_id for lot in regular.lots] == ["1", "2", "3", "4"]
    assert [lot.expires_at for lot in regular.lots] == [yesterday, tomorrow, tomorrow, None]
    assert [lot.is_due for lot in regular.lots] == [True, False, False, False]
    refused, taken = await Desk(pool).outcomes(request("f", -66), request("g", -65))
    assert (refused["status"], taken["status"]) == ("REJECTED", "APPLIED")


async def test_lots_and_holds_of_the_past_are_due_as_of_then_and_not_as_of_now(pool: Pool) -> None:
    desk = Desk(pool, Clock(NOON))
    await desk.apply(request("a", 10, **expiring(NOON + HOUR)),
                     request("h", 4, operation="HOLD", ttl_seconds=7200))  # fmt: skip
    for hours, due, held_due, available in (
        (0, "0", "0", "6"),
        (1, "10", "0", "-4"),
        (2, "10", "4", "0"),
    ):
        [wallet] = (await seen_at(pool, "default", NOON + hours * HOUR)).wallets
        assert (wallet.due, wallet.held_due, wallet.available) == (due, held_due, available)
    # The present knows nothing else of them than a moment of today.
    view = await holdings.member_view(pool, "default", "m", lots_max=5)
    assert await holdings.member_view(pool, "default", "m", at=view.at, lots_max=5) == view


async def test_a_date_is_the_end_of_that_day_where_the_programme_is(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    await add_program(
        owner, {"program_id": "acme", "time_zone": "America/New_York",
                "currencies": [{"code": "points"}]}
    )  # fmt: skip
    # In New York, the day ends at four in the morning of the next one in UTC.
    end = datetime(2026, 5, 5, 4, tzinfo=UTC)
    for request_id, time in (("a", end - timedelta(microseconds=1)), ("b", end)):
        await Desk(pool, Clock(time)).apply(
            request(request_id, 1, program_id="acme", expiration_type="CUSTOM_DATE",
                    expiration_date="2026-05-04" if request_id == "a" else "2026-05-05")
        )  # fmt: skip
    view = await seen_at(pool, "acme", date(2026, 5, 4))
    assert view.at == end - timedelta(microseconds=1)
    [wallet] = view.wallets
    # Points that may be used until the end of that day are not due on it.
    assert (wallet.balance, wallet.due, wallet.available) == ("1", "0", "1")
    local = datetime(2026, 5, 5, 0, 0)  # noqa: DTZ001 - it is in the programme's zone.
    assert (await seen_at(pool, "acme", local)).at == end
    assert holdings.instant(local, ZoneInfo("UTC")) == end - 4 * HOUR


async def test_before_the_first_request_there_is_nothing(pool: Pool) -> None:
    await Desk(pool, Clock(NOON)).apply(request("a", 1))
    view = await seen_at(pool, "default", NOON - timedelta(microseconds=1))
    assert (view.sequence, view.last_recorded_at, view.wallets) == (0, None, [])


async def test_only_so_many_lots_are_shown_and_the_rest_is_hinted_at(pool: Pool) -> None:
    await Desk(pool).apply(*(request(f"r{n}", n) for n in range(1, 6)))
    for lots_max, shown, truncated in (
        (0, [], True),
        (4, ["1", "2", "3", "4"], True),
        (5, ["1", "2", "3", "4", "5"], False),
    ):
        [wallet] = (await holdings.member_view(pool, "default", "m", lots_max=lots_max)).wallets
        assert ([lot.lot_id for lot in wallet.lots], wallet.lots_truncated) == (shown, truncated)


async def test_amounts_have_the_decimals_of_their_currency(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    await owner.execute(
        """INSERT INTO points.programs VALUES ('acme', 1, '{"currencies": [
        {"code": "points", "decimals": 0}, {"code": "coins", "decimals": 3}]}')"""
    )
    await Desk(pool).apply(
        request("r", "1.5", program_id="acme", currency="coins"),
        request("s", "-0.25", program_id="acme", currency="coins"),
        request("h", "0.5", program_id="acme", currency="coins", operation="HOLD"),
        request("p", 7, program_id="acme"),
    )
    now = datetime.now(UTC) + HOUR
    for view in (await seen_now(pool, "acme", now), await seen_at(pool, "acme", now)):
        points, coins = view.wallets
        assert (coins.balance, coins.total, coins.version) == ("1.250", "1.500", 3)
        assert (coins.held, coins.available, coins.lots[0].remaining) == ("0.500", "0.750", "1.250")
        assert (points.balance, points.lots[0].remaining) == ("7", "7")


async def test_a_member_nobody_heard_of_has_no_wallets(pool: Pool) -> None:
    view = await holdings.member_view(pool, "default", "nobody", lots_max=1)
    assert (view.sequence, view.last_recorded_at, view.wallets) == (0, None, [])
