"""What falls due comes with the first request after it, at a time that never runs back (I1, I3)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from schemas import errors
from tests.inside import (
    Clock,
    Desk,
    delivered,
    documents,
    events,
    request,
)
from tests.integration.lane.books import MINUTE, NOON, books, expiring

if TYPE_CHECKING:
    import asyncpg


async def test_what_falls_due_is_journalled_before_the_request_that_caused_it(
    timed: Desk, clock: Clock, owner: asyncpg.Connection
) -> None:
    await timed.apply(expiring("c", 10), request("never", 5))
    clock.time += MINUTE
    applied = await timed.apply(request("d", -3))
    due, own = (json.loads(event.body)["data"] for event in events(applied))
    assert (due["operation"], due["request_id"], due["caused_by"]) == ("EXPIRE", None, "d")
    assert (due["points"], due["balance"], due["sequence"]) == ("-10", "5", 3)
    assert (own["request_id"], own["caused_by"], own["balance"]) == ("d", None, "2")
    rows = await owner.fetch(
        "SELECT step, sequence, fingerprint IS NULL AS caused FROM points.journal"
        " WHERE request_id = 'd' ORDER BY step"
    )
    assert [tuple(row) for row in rows] == [(0, 3, True), (1, 4, False)]


async def test_a_repeat_publishes_again_all_that_its_request_caused_byte_for_byte(
    timed: Desk, clock: Clock
) -> None:
    """The worker that did it may have died between commit and confirm (I3)."""
    await timed.apply(expiring("c", 10), request("never", 5))
    clock.time += MINUTE
    debit = delivered(request("d", -3), headers={"traceparent": "00-aa-bb-01"})
    first = await timed.apply(debit)
    clock.time += 5 * MINUTE
    await timed.apply(request("later", 1))
    again = await timed.apply(debit)
    assert len(first.publications) == 3
    assert again.publications == first.publications
    assert (again.duplicates, sum(again.outcomes.values())) == (1, 0)
    ids = [event.message_id for event in events(again)]
    assert len(set(ids)) == 2


@pytest.mark.parametrize("kind", ["duplicate", "conflict", "unreadable", "foreign_lane"])
async def test_only_a_first_time_stored_request_makes_points_fall_due(
    timed: Desk, clock: Clock, owner: asyncpg.Connection, kind: str
) -> None:
    await timed.apply(expiring("c", 10), request("r", 5))
    before = await books(owner)
    clock.time += MINUTE
    if kind == "foreign_lane":
        delivery = delivered(request("other", 6))
        reading = timed.reader.read(delivery, lambda _: False)
        assert reading.letter is not None
        assert reading.letter.key == errors.ROUTING_KEY_MISMATCH
        await timed.applier.apply([reading])
    else:
        message: Any = {
            "duplicate": request("r", "5.0"),
            "conflict": request("r", 6),
            "unreadable": b'{"request_id": "r2", "member_id": "m"',
        }[kind]
        await timed.apply(message)
    assert await books(owner) == before
    # And it is due all the same, once somebody comes first.
    assert len(events(await timed.apply(request("first", 1)))) == 2


async def test_a_repeat_beside_a_first_time_request_does_not_hide_what_is_due(
    timed: Desk, clock: Clock
) -> None:
    await timed.apply(expiring("c", 10), request("r", 5))
    clock.time += MINUTE
    applied = await timed.apply(request("r", 5), request("r", 6), request("d", -5))
    repeat, conflict, debit = documents(applied)
    assert repeat["balance"] == "15"
    assert conflict["error"]["key"] == "request_id_conflict"
    assert (debit["status"], debit["balance"], debit["sequence"]) == ("APPLIED", "0", 4)
    bodies = [json.loads(event.body)["data"] for event in events(applied)]
    assert [body["caused_by"] or body["request_id"] for body in bodies] == ["r", "d", "d"]


async def test_a_rejection_that_reached_its_wallet_also_makes_points_fall_due(
    timed: Desk, clock: Clock, owner: asyncpg.Connection
) -> None:
    await timed.apply(expiring("c", 10))
    clock.time += MINUTE
    applied = await timed.apply(request("d", -3))
    assert [json.loads(event.body)["type"] for event in events(applied)] == [
        "POINTS_EXPIRED",
        "ADJUSTMENT_REJECTED",
    ]
    assert await owner.fetchval("SELECT count(*) FROM points.lots") == 0


async def test_every_lot_that_is_due_goes_however_many_there_are(
    timed: Desk, clock: Clock, owner: asyncpg.Connection
) -> None:
    await timed.apply(*(expiring(f"c{n}", 1, NOON + n * MINUTE / 100) for n in range(1, 301)))
    clock.time += 2 * MINUTE
    (debit,) = await timed.outcomes(request("d", -3))
    assert (debit["balance"], debit["sequence"]) == ("97", 302)
    assert await owner.fetchval("SELECT count(*) FROM points.lots") == 97


# Time.


async def test_the_time_never_runs_backwards_for_a_member(timed: Desk, clock: Clock) -> None:
    """Two lanes' databases, or one set back, may tell an earlier time."""
    await timed.apply(request("a", 5), request("x", 5, "other"))
    clock.time -= timedelta(hours=1)
    back, other = await timed.outcomes(request("b", 5), request("y", 5, "new"))
    assert datetime.fromisoformat(back["recorded_at"]) == NOON
    assert datetime.fromisoformat(other["recorded_at"]) == NOON - timedelta(hours=1)
    clock.time = NOON + MINUTE
    (forth,) = await timed.outcomes(request("c", 5))
    assert datetime.fromisoformat(forth["recorded_at"]) == NOON + MINUTE


async def test_a_refused_request_moves_the_time_of_its_member_too(
    timed: Desk, clock: Clock
) -> None:
    await timed.apply(request("a", 0))
    clock.time -= timedelta(hours=1)
    (after,) = await timed.outcomes(request("b", 5))
    assert datetime.fromisoformat(after["recorded_at"]) == NOON


async def test_points_that_fell_due_do_not_come_back_when_the_clock_is_set_back(
    timed: Desk, clock: Clock
) -> None:
    await timed.apply(expiring("c", 10, NOON + 30 * MINUTE))
    clock.time = NOON + 40 * MINUTE
    await timed.apply(request("zero", 0))
    clock.time = NOON
    (debit,) = await timed.outcomes(request("d", -5))
    assert debit["error"]["key"] == "insufficient_points"


async def test_without_a_replacement_the_time_is_the_databases_after_the_locks(
    desk: Desk, owner: asyncpg.Connection
) -> None:
    before = await owner.fetchval("SELECT clock_timestamp()")
    (outcome,) = await desk.outcomes(request("r", 5))
    after = await owner.fetchval("SELECT clock_timestamp()")
    assert before <= datetime.fromisoformat(outcome["recorded_at"]) <= after
