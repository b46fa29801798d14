"""What the books say about a member is what they hold, at one instant."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.inside import Desk, request
from worker.store import views
from worker.store.faults import PassingFault

if TYPE_CHECKING:
    import asyncpg

    from worker.store.pool import Pool


def expiring(moment: datetime) -> dict[str, str]:
    """Return the fields of a request that let a credit expire at a moment."""
    return {"expiration_type": "CUSTOM_DATE", "expiration_date": moment.isoformat()}


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
    )
    view = await views.member_view(pool, "default", "m", lots_max=10)
    promised, regular = view.wallets
    assert (promised.balance, promised.available, promised.deficit) == ("-5", "-5", "5")
    assert (regular.balance, regular.due, regular.available) == ("100", "10", "90")
    assert regular.next_expiry == views.NextExpiry("50", tomorrow)
    assert [lot.lot_id for lot in regular.lots] == ["1", "2", "3", "4"]
    assert [lot.expires_at for lot in regular.lots] == [yesterday, tomorrow, tomorrow, None]
    refused, taken = await Desk(pool).outcomes(request("f", -91), request("g", -90))
    assert (refused["status"], taken["status"]) == ("REJECTED", "APPLIED")


async def test_only_so_many_lots_are_shown_and_the_rest_is_hinted_at(pool: Pool) -> None:
    await Desk(pool).apply(*(request(f"r{n}", n) for n in range(1, 6)))
    for lots_max, shown, truncated in (
        (0, [], True),
        (4, ["1", "2", "3", "4"], True),
        (5, ["1", "2", "3", "4", "5"], False),
    ):
        [wallet] = (await views.member_view(pool, "default", "m", lots_max=lots_max)).wallets
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
    )
    [wallet] = (await views.member_view(pool, "acme", "m", lots_max=1)).wallets
    assert (wallet.balance, wallet.total, wallet.version) == ("1.250", "1.500", 2)
    assert (wallet.lots[0].remaining, wallet.lots[0].points) == ("1.250", "1.500")
    assert (await views.currency_decimals(pool))["acme", "coins"] == 3


async def test_a_member_nobody_heard_of_has_no_wallets(pool: Pool) -> None:
    view = await views.member_view(pool, "default", "nobody", lots_max=1)
    assert (view.sequence, view.last_recorded_at, view.wallets) == (0, None, [])


async def test_a_request_is_shown_with_all_that_it_caused_its_own_outcome_last(pool: Pool) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    await Desk(pool).apply(request("a", 10, **expiring(soon)))
    late = Desk(pool, lambda now: now + timedelta(days=1))
    [answer] = await late.outcomes(request("b", 1))
    expired, own = await views.request_view(pool, "default", "m", "b")
    assert (expired.event_type, expired.fingerprint) == ("POINTS_EXPIRED", None)
    assert json.loads(own.outcome) == answer
    assert await views.request_view(pool, "default", "m", "c") == []


async def test_the_stream_is_the_events_in_order_page_by_page(pool: Pool) -> None:
    await Desk(pool).apply(*(request(f"r{n}", n - 3) for n in range(1, 8)))
    every = await views.stream_view(pool, "default", "m", count_max=100)
    assert [entry.sequence for entry in every] == [1, 2, 3, 4, 5, 6, 7]
    assert await views.stream_view(pool, "default", "m", count_max=2) == every[-2:]
    assert await views.stream_view(pool, "default", "m", before=4, count_max=2) == every[1:3]


async def test_the_server_tells_what_the_workers_role_may_do(
    database_url: str, empty_database_url: str, owner: asyncpg.Connection
) -> None:
    view = await views.server_view(database_url)
    assert (view.can_take_role, view.can_change_journal) == (True, False)
    await owner.execute("GRANT UPDATE (points) ON points.journal TO points_worker")
    assert (await views.server_view(database_url)).can_change_journal
    assert (await views.server_view(empty_database_url)).can_change_journal is None
    with pytest.raises(PassingFault):
        await views.server_view("postgresql://nobody@127.0.0.1:1/none")
