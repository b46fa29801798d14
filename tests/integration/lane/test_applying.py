"""What one batch does to the books, and what it publishes (design, "Why order holds")."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from schemas.event import Event
from schemas.outcome import Outcome
from tests.inside import (
    USER,
    Clock,
    Desk,
    delivered,
    documents,
    events,
    request,
)
from tests.integration.lane.books import books, too_large

if TYPE_CHECKING:
    import asyncpg

    from worker.envelope.reading import Reading
    from worker.store.pool import Pool

# Every disposal is stored.


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
