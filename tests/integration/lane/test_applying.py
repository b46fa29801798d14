"""What one batch does to the books, and what it publishes (design, "Why order holds")."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from schemas import errors
from schemas.event import Event
from schemas.outcome import Outcome
from tests.inside import (
    BODY_BYTES_MAX,
    USER,
    Clock,
    Desk,
    delivered,
    documents,
    events,
    request,
)

if TYPE_CHECKING:
    import asyncpg

    from worker.envelope.reading import Reading
    from worker.store.pool import Pool

NOON = datetime(2030, 6, 15, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def expiring(request_id: str, points: int, at: datetime = NOON + MINUTE, **more: Any) -> Any:
    """Return a credit that expires."""
    return request(
        request_id,
        points,
        expiration_type="CUSTOM_DATE",
        expiration_date=at.isoformat(),
        **more,
    )


async def books(owner: asyncpg.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that is in the books."""
    tables = ("members", "wallets", "lots", "journal")
    return {
        table: sorted(map(tuple, await owner.fetch(f"SELECT * FROM points.{table}")), key=repr)
        for table in tables
    }


# What falls due.


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
    """Design fact 13: two lanes' databases, or one set back, may tell an earlier time."""
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


# Every disposal is stored.


def too_large(request_id: str = "r") -> dict[str, Any]:
    return request(request_id, 5, comment="x" * BODY_BYTES_MAX)


@pytest.mark.parametrize(
    ("message", "key"),
    [
        (request("r", 5, misspelt=1), "invalid_payload"),
        (request("r", "five"), "invalid_payload"),
        (request("r", 5, operation="HOLD"), "insufficient_points"),
        (delivered(request("r", 5), expiration="1000"), "invalid_payload"),
        (delivered(request("r", 5), priority=5), "invalid_payload"),
        (
            delivered(request("r", 5), user_id=USER, headers={"x-refused-property": "expiration"}),
            "invalid_payload",
        ),
        (request("r", 0), "zero_points"),
        (
            request("r", 5, expiration_type="CUSTOM_DATE", expiration_date="2020-01-01"),
            "invalid_expiration_date",
        ),
        (request("r", 5, currency="gold"), "unknown_currency"),
        (request("r", "0.5"), "decimal_places_exceeded"),
        (request("r", -5), "insufficient_points"),
        (too_large(), "too_large"),
    ],
)
async def test_a_refused_request_is_stored_and_stays_refused(
    desk: Desk, owner: asyncpg.Connection, message: Any, key: str
) -> None:
    first = await desk.apply(message)
    (outcome,) = documents(first)
    Outcome.model_validate_json(first.answers[0].outcome)
    assert (outcome["status"], outcome["error"]["key"]) == ("REJECTED", key)
    rows = await owner.fetch("SELECT status, error_key, outcome FROM points.journal")
    assert [tuple(row) for row in rows] == [("REJECTED", key, first.answers[0].outcome)]
    # What would make it applicable comes too late: the id is used up.
    await desk.apply(request("more", 1_000))
    again = await desk.apply(message)
    assert again.answers == first.answers
    # A dead letter says when it was made; event and reply are the very same.
    assert again.publications[:2] == first.publications[:2]
    corrected = await desk.outcomes(request("r", 77))
    assert corrected[0]["error"]["key"] == "request_id_conflict"


async def test_a_request_of_an_unknown_programme_is_stored_under_that_programme(
    desk: Desk, owner: asyncpg.Connection
) -> None:
    asked = request("r", 5, program_id="unborn")
    first = await desk.apply(asked)
    assert documents(first)[0]["error"]["key"] == "unknown_program"
    await owner.execute(
        "INSERT INTO points.programs (program_id, version, document)"
        " SELECT 'unborn', 1, document || '{\"program_id\": \"unborn\"}'"
        " FROM points.programs WHERE program_id = 'default'"
    )
    assert (await desk.apply(asked)).publications == first.publications
    (outcome,) = await desk.outcomes(request("r2", 5, program_id="unborn"))
    assert (outcome["status"], outcome["sequence"]) == ("APPLIED", 2)


async def test_a_programme_that_closes_is_noticed_by_the_next_batch(
    desk: Desk, owner: asyncpg.Connection
) -> None:
    await desk.apply(request("a", 5))
    await owner.execute(
        "INSERT INTO points.programs (program_id, version, document)"
        " SELECT 'default', 2, document || '{\"status\": \"inactive\"}' FROM points.programs"
    )
    (outcome,) = await desk.outcomes(request("b", 5))
    assert outcome["error"]["key"] == "program_inactive"


async def test_a_message_that_killed_workers_is_stored_and_set_aside(
    desk: Desk, owner: asyncpg.Connection
) -> None:
    delivery = delivered(request("r", 5))
    first = await desk.applier.apply(
        [desk.reader.read(delivery, lambda _: True, is_condemned=True)]
    )
    event, reply, letter = first.publications
    assert documents(first)[0]["error"]["key"] == "killed_the_worker"
    assert json.loads(event.body)["data"] == json.loads(reply.body) == documents(first)[0]
    assert (letter.exchange, letter.routing_key) == ("desk.dead", "killed_the_worker")
    assert letter.body == delivery.body
    # Read in earnest by a worker that lives, it is still refused, and not set aside again.
    again = await desk.apply(delivery)
    assert again.answers == first.answers
    assert not again.letters
    assert await owner.fetchval("SELECT count(*) FROM points.wallets") == 0


async def test_condemning_a_request_that_was_carried_out_gives_its_true_answer(
    desk: Desk, owner: asyncpg.Connection
) -> None:
    """The worker died after the commit: what is stored is never overwritten."""
    delivery = delivered(request("r", 5))
    first = await desk.apply(delivery)
    before = await books(owner)
    condemned = await desk.applier.apply(
        [desk.reader.read(delivery, lambda _: True, is_condemned=True)]
    )
    assert condemned.answers == first.answers
    assert condemned.publications[:-1] == first.publications
    assert condemned.publications[-1].exchange == "desk.dead"
    assert await books(owner) == before


async def test_what_nobody_can_read_is_set_aside_and_answered_and_stores_nothing(
    desk: Desk, owner: asyncpg.Connection
) -> None:
    applied = await desk.apply(
        request("a", 1), b"rubbish", request("b", 2), delivered(b"{}", reply_to=None)
    )
    assert [item.exchange for item in applied.publications] == [
        *("desk.events", "", "", "desk.dead", "desk.events", "", "desk.dead")
    ]
    assert applied.publications[2].type == "adjustment.error.v1"
    assert [outcome["balance"] for outcome in documents(applied)] == ["1", "3"]
    assert await owner.fetchval("SELECT count(*) FROM points.journal") == 2


async def test_a_batch_of_nothing_readable_asks_nothing_of_the_database(
    desk: Desk, pool: Pool
) -> None:
    await pool.close()
    applied = await desk.apply(b"rubbish", b"[]")
    assert [item.exchange for item in applied.publications] == ["", "desk.dead"] * 2


# Idempotency.


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


# What is published.


async def test_a_batch_publishes_message_by_message_in_order(desk: Desk) -> None:
    applied = await desk.apply(
        request("a", 1),
        delivered(request("b", 2), reply_to=None),
        request("a", 1),
        too_large("c"),
    )
    assert [(item.exchange, item.must_be_taken) for item in applied.publications] == [
        ("desk.events", True),
        ("", False),
        ("desk.events", True),
        ("desk.events", True),
        ("", False),
        ("desk.events", True),
        ("", False),
        ("desk.dead", True),
    ]
    sequences = [json.loads(event.body)["data"]["sequence"] for event in events(applied)]
    assert sequences == [1, 2, 1, 3]


async def test_event_ids_name_what_happened_and_not_when(timed: Desk, clock: Clock) -> None:
    applied = await timed.apply(
        request("a", 1), request("b", 0), request("a", 1, "n"), request("c", 1, category="PROMISED")
    )
    bodies = [Event.model_validate_json(event.body) for event in events(applied)]
    ids = [event.message_id for event in events(applied)]
    assert ids == [body.id for body in bodies]
    assert len(set(ids)) == 4
    assert {UUID(text).version for text in ids if text} == {5}


async def test_a_reading_without_a_request_or_a_refusal_cannot_be(desk: Desk) -> None:
    """A pair assertion: what is read has ids, or a letter that says why it has none."""
    readings: list[Reading] = desk.read(request("a", 1), b"x", too_large(), request("b", "x"))
    for reading in readings:
        assert (reading.key is None) <= (reading.letter is not None)
        if reading.key is not None:
            assert (reading.request is None) <= (reading.refusal is not None)
            assert len(reading.fingerprint) == 33


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
