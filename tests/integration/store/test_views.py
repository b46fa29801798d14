"""What the books and their server say of themselves."""

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


async def test_a_request_is_shown_with_all_that_it_caused_and_its_own_outcome(pool: Pool) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    await Desk(pool).apply(request("a", 10, **expiring(soon)))
    late = Desk(pool, lambda now: now + timedelta(days=1))
    [answer] = await late.outcomes(request("b", 1))
    view = await views.request_view(pool, "default", "m", "b")
    assert isinstance(view, views.RequestView)
    expired, own = view.entries
    assert (expired.event_type, expired.fingerprint) == ("POINTS_EXPIRED", None)
    assert (view.own, json.loads(own.outcome)) == (own, answer)
    assert await views.request_view(pool, "default", "m", "c") is None


async def test_an_early_request_is_shown_as_waiting_and_then_with_its_own_answer(
    pool: Pool,
) -> None:
    desk = Desk(pool)
    await desk.apply(request("second", 2, ordinal=2, ordinal_stream="till"))
    waits = await views.request_view(pool, "default", "m", "second")
    assert isinstance(waits, views.WaitingView)
    assert (waits.stream, waits.ordinal) == ("till", 2)
    await desk.apply(request("first", 1, ordinal=1, ordinal_stream="till"))
    first = await views.request_view(pool, "default", "m", "first")
    second = await views.request_view(pool, "default", "m", "second")
    assert isinstance(first, views.RequestView)
    assert isinstance(second, views.RequestView)
    assert first.entries == [first.own, second.own]
    assert second.entries == [second.own]
    told = [json.loads(view.own.outcome) for view in (first, second)]
    assert [one["request_id"] for one in told] == ["first", "second"]


async def test_the_stream_is_the_events_in_order_page_by_page(pool: Pool) -> None:
    await Desk(pool).apply(*(request(f"r{n}", n - 3) for n in range(1, 8)))
    every = await views.stream_view(pool, "default", "m", count_max=100)
    assert [entry.sequence for entry in every] == [1, 2, 3, 4, 5, 6, 7]
    assert await views.stream_view(pool, "default", "m", count_max=2) == every[-2:]
    assert await views.stream_view(pool, "default", "m", before=4, count_max=2) == every[1:3]


async def test_the_decimals_of_currencies_are_told_by_programme(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    await owner.execute(
        """INSERT INTO points.programs VALUES ('acme', 1, '{"currencies": [
        {"code": "points", "decimals": 0}, {"code": "coins", "decimals": 3}]}')"""
    )
    found = await views.currency_decimals(pool)
    assert found == {("acme", "points"): 0, ("acme", "coins"): 3, ("default", "points"): 0}


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
