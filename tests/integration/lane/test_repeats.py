"""One request has one effect, however it is repeated; a dry run has none (I2)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.inside import (
    Clock,
    Desk,
    delivered,
    documents,
    events,
    request,
)
from tests.integration.lane.books import MINUTE, books, expiring

if TYPE_CHECKING:
    import asyncpg


async def test_repeats_and_conflicts_within_one_batch_have_one_effect(
    desk: Desk, owner: asyncpg.Connection
) -> None:
    applied = await desk.apply(
        request("r", 5), request("r", "5.00"), request("r", 6), request("r", 5), request("s", 1)
    )
    outcomes = documents(applied)
    assert outcomes[0] == outcomes[1] == outcomes[3]
    assert outcomes[2]["error"]["key"] == "request_id_conflict"
    assert (outcomes[4]["balance"], outcomes[4]["sequence"]) == ("6", 2)
    assert applied.duplicates == 2
    assert await owner.fetchval("SELECT count(*) FROM points.journal") == 2


async def test_a_conflict_is_answered_and_neither_stored_nor_told(
    desk: Desk, owner: asyncpg.Connection
) -> None:
    await desk.apply(request("r", 5))
    before = await books(owner)
    applied = await desk.apply(request("r", 6))
    (reply,) = applied.publications
    assert json.loads(reply.body)["error"]["key"] == "request_id_conflict"
    assert (reply.exchange, json.loads(reply.body)["sequence"]) == ("", 1)
    assert await books(owner) == before


async def test_ids_are_the_members_own_in_each_programme(desk: Desk) -> None:
    outcomes = await desk.outcomes(
        request("r", 5, "m"), request("r", 6, "M"), request("r", 7, program_id="p")
    )
    assert [outcome["sequence"] for outcome in outcomes] == [1, 1, 1]
    assert [outcome["status"] for outcome in outcomes] == ["APPLIED", "APPLIED", "REJECTED"]


async def test_the_fingerprint_is_of_the_content_and_not_of_its_spelling(desk: Desk) -> None:
    await desk.apply(request("r", 5, reason="x", metadata={"a": 1, "b": [2]}))
    spellings = [
        (
            b'{"points":"5.000","reason":"x","member_id":"m","request_id":"r",'
            b'"metadata":{"b":[2],"a":1}}'
        ),
        (
            b'{"request_id": "r", "member_id": "m", "points": 5, "reason": "\\u0078",'
            b' "comment": null,'
            b' "operation": "ADJUST", "metadata": {"a": 1, "b": [2]}, "program_id": "default"}'
        ),
    ]
    applied = await desk.apply(*spellings)
    assert applied.duplicates == 2
    assert len({entry.outcome for entry in applied.answers}) == 1
    (other,) = await desk.outcomes(request("r", 5, reason="y", metadata={"a": 1, "b": [2]}))
    assert other["error"]["key"] == "request_id_conflict"


async def test_a_dry_run_is_answered_and_uses_up_nothing(
    timed: Desk, clock: Clock, owner: asyncpg.Connection
) -> None:
    await timed.apply(expiring("c", 10))
    before = await books(owner)
    clock.time += MINUTE
    applied = await timed.apply(request("r", 5, dry_run=True), request("q", -5, dry_run=True))
    credit, debit = documents(applied)
    assert (credit["status"], credit["points"], credit["balance"]) == ("SIMULATED", "5", "5")
    assert (debit["status"], debit["error"]["key"]) == ("REJECTED", "insufficient_points")
    assert events(applied) == []
    assert await books(owner) == before
    (real,) = await timed.outcomes(request("r", 5))
    assert {**real, "status": "SIMULATED"} == credit


async def test_a_faulty_dry_run_uses_up_nothing_either(
    timed: Desk, owner: asyncpg.Connection
) -> None:
    """Neither its id nor its ordinal: what it rehearses is still to come."""
    await timed.apply(request("c", 10))
    before = await books(owner)
    applied = await timed.apply(
        request("r", "five", dry_run=True, ordinal=1),
        delivered(request("q", 5, dry_run=True, ordinal=1), priority=9),
    )
    assert [one["error"]["key"] for one in documents(applied)] == ["invalid_payload"] * 2
    assert events(applied) == []
    assert await books(owner) == before
    real = await timed.outcomes(request("r", 5, ordinal=1), request("q", 5))
    assert [one["status"] for one in real] == ["APPLIED"] * 2


async def test_what_does_not_clearly_say_that_it_is_a_dry_run_is_refused_for_good(
    timed: Desk,
) -> None:
    applied = await timed.apply(request("r", 5, dry_run=1), request("r", 5))
    keys = [one["error"]["key"] for one in documents(applied)]
    assert keys == ["invalid_payload", "request_id_conflict"]
    assert len(events(applied)) == 1


async def test_the_same_content_is_a_repeat_also_where_its_properties_are_wrong(
    desk: Desk,
) -> None:
    """AMQP properties have no part in what a request is."""
    (first,) = await desk.outcomes(request("r", 5))
    again = await desk.apply(delivered(request("r", "5.0"), content_type="text/plain"))
    assert documents(again) == [first]
    assert again.letters == {"unsupported_content_type": 1}
