"""Commit, publish, acknowledge: what overlaps, what waits, and what comes again (I1, I3)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from schemas.topology import bucket_key
from tests.crew import Crew, data_of, ids_of
from tests.inside import Desk, Gate, request
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from tests.traffic import Received


@pytest.fixture
async def crew(amqp_url: str, database_url: str, prefix: str) -> AsyncIterator[Crew]:
    """A crew whose batches are of one request, so that it is known what is in which."""
    async with Crew(amqp_url, database_url, prefix, batch_max=1) as made:
        yield made


async def committed(owner: asyncpg.Connection, count: int) -> None:
    """Wait until so many outcomes are in the journal."""

    async def so_many() -> bool:
        return bool(await owner.fetchval("SELECT count(*) FROM points.journal") == count)

    await until(so_many, what=f"{count} outcomes in the journal")


def firsts(events: list[Received]) -> list[str]:
    """Return the requests of events in order, repeats dropped as a subscriber drops them."""
    return list(dict.fromkeys(ids_of(events)))


def requests(first: int, last: int) -> list[dict[str, object]]:
    return [request(f"r{n}", n) for n in range(first, last + 1)]


async def test_the_next_batch_commits_while_the_last_is_published_and_is_not_published_before(
    crew: Crew, owner: asyncpg.Connection
) -> None:
    full = await crew.full_queue(20)
    async with crew.running():
        await crew.send(*requests(1, 6))
        await committed(owner, 2)
        await until(crew.status.faults, what="the publication is refused")
        assert [fault.condition for fault in crew.status.faults()] == ["publish"]
        seen = await crew.taken(crew.events, 4)
        assert set(ids_of(seen)) == {"r1"}
        # One batch is ahead, and no more than one. A reply waits for no event.
        await committed(owner, 2)
        assert len(await crew.taken(crew.replies, 1)) == 1
        await crew.empty(full)
        assert firsts(await crew.taken(full, 6)) == [f"r{n}" for n in range(1, 7)]
        await until(lambda: not crew.status.faults(), what="the worker is ready again")
        await until(lambda: crew.counted("in_hand") == 0, what="everything is acknowledged")


async def test_from_the_first_refused_event_on_everything_comes_again_in_order(
    amqp_url: str, database_url: str, prefix: str, owner: asyncpg.Connection
) -> None:
    async with (
        Crew(amqp_url, database_url, prefix, batch_max=4) as crew,
        Gate(owner, database_url) as gate,
    ):
        # Only refusals find their subscriber's queue full; what follows them would be taken.
        full = await crew.full_queue(6, "*.ADJUSTMENT_REJECTED")
        async with crew.running():
            await crew.send(request("gate", 100))
            await gate.held()
            await crew.send(request("r1", 1), request("r2", 0), *requests(3, 4))
            # Behind the gate these four gather, and are the next batch.
            await until(lambda: crew.counted("in_hand") == 5, what="all have come")
            await gate.open()
            await committed(owner, 5)
            await until(crew.status.faults, what="the publication is refused")
            await crew.empty(full)
            await until(lambda: crew.counted("in_hand") == 0, what="everything is acknowledged")
        (refusal,) = await crew.taken(full, 1)
        told = ids_of(await crew.taken(crew.events, 8))
    assert ids_of([refusal]) == ["r2"]
    # What came before the refused one was taken once; it and what follows came again.
    assert told[:2] == ["gate", "r1"]
    assert told[2:] == ["r2", "r3", "r4"] * (len(told[2:]) // 3)
    assert len(told) >= 8


async def test_nothing_is_acknowledged_before_its_events_are_taken(
    crew: Crew, owner: asyncpg.Connection, database_url: str
) -> None:
    full = await crew.full_queue(20)
    async with crew.running():
        await crew.send(*requests(1, 2))
        await committed(owner, 2)
        await until(crew.status.faults, what="the publication is refused")
        assert crew.counted("in_hand") == 2
        # A worker that dies now leaves the requests to its successor.
        crew.sessions[-1]._consuming.abort()
        await until(lambda: len(crew.sessions) == 2, what="another session")
        await crew.empty(full)
        events = await crew.taken(full, lambda found: "r2" in ids_of(found))
        assert firsts(events) == ["r1", "r2"]
        await until(lambda: crew.counted("in_hand") == 0, what="everything is acknowledged")
    assert await owner.fetchval("SELECT balance FROM points.wallets") == 3


async def test_a_session_that_abandoned_a_publication_publishes_nothing_more(
    amqp_url: str, database_url: str, prefix: str, owner: asyncpg.Connection
) -> None:
    """Were the batch behind it published, a subscriber would see it before its predecessor.

    The first event is refused and waits to be tried again; there is room again when the session
    ends, while the connection that publishes still stands.
    """
    patience = {"retry_delay_seconds_min": 1.5, "retry_delay_seconds_max": 1.5}
    async with Crew(amqp_url, database_url, prefix, batch_max=1, **patience) as crew:
        full = await crew.full_queue(40)
        async with crew.running():
            await crew.send(*requests(1, 4))
            await committed(owner, 2)
            await until(crew.status.faults, what="the publication is refused")
            await crew.empty(full)
            crew.sessions[0]._consuming.abort()
            events = await crew.taken(full, lambda found: len(firsts(found)) >= 4)
    assert ids_of(events)[0] == "r1"
    assert firsts(events) == ["r1", "r2", "r3", "r4"]


@pytest.mark.parametrize("which", ["_consuming", "_publishing"])
async def test_after_a_lost_connection_everything_comes_again_in_order_in_the_next_session(
    crew: Crew, owner: asyncpg.Connection, which: str
) -> None:
    full = await crew.full_queue(40)
    async with crew.running():
        await crew.send(*requests(1, 12))
        await committed(owner, 2)
        await until(crew.status.faults, what="the publication is refused")
        getattr(crew.sessions[0], which).abort()
        await crew.empty(full)
        events = await crew.taken(full, lambda found: len(firsts(found)) >= 12)
        # A reply may have come in both sessions.
        replies = await crew.taken(
            crew.replies, lambda found: len({reply.body for reply in found}) >= 12
        )
        await until(lambda: crew.counted("in_hand") == 0, what="everything is acknowledged")
    assert firsts(events) == [f"r{n}" for n in range(1, 13)]
    assert len(crew.sessions) == 2
    sequences = list(dict.fromkeys(data_of(event)["sequence"] for event in events))
    assert sequences == list(range(1, 13))
    assert len({reply.body for reply in replies}) == 12
    assert await owner.fetchval("SELECT balance FROM points.wallets") == sum(range(1, 13))


async def test_a_lane_that_fails_ends_the_whole_session(
    crew: Crew, owner: asyncpg.Connection
) -> None:
    """Nothing is repaired within a session: one lost channel is the loss of everything."""
    async with crew.running():
        await crew.send(*requests(1, 1))
        await committed(owner, 1)
        await crew.sessions[0]._publishers[0]._channel.amqp.close()
        await until(lambda: len(crew.sessions) == 2, what="another session")
        await until(lambda: not crew.status.faults(), what="a ready worker")
        await crew.send(*requests(2, 2))
        events = await crew.taken(crew.events, lambda found: "r2" in ids_of(found))
        assert firsts(events) == ["r1", "r2"]


async def test_what_a_request_caused_is_published_again_with_it_in_the_next_session(
    crew: Crew, owner: asyncpg.Connection, desk: Desk
) -> None:
    await desk.apply(
        request("c", 10, expiration_type="CUSTOM_DATE", expiration_date="2099-01-01T00:00:00Z"),
        request("n", 5),
    )
    # The points fall due while nobody works.
    await owner.execute(
        "UPDATE points.lots SET expires_at = '2020-01-01' WHERE expires_at < 'infinity'"
    )
    full = await crew.full_queue(20)
    async with crew.running():
        await crew.send(request("d", -3))
        await committed(owner, 4)
        await until(crew.status.faults, what="the publication is refused")
        crew.sessions[0]._consuming.abort()
        await crew.empty(full)
        again = await crew.taken(full, lambda found: len({event.body for event in found}) == 2)
    early = await crew.taken(crew.events, 4)
    bodies = list(dict.fromkeys(event.body for event in again))
    told = [json.loads(body)["data"] for body in bodies]
    assert [one["operation"] for one in told] == ["EXPIRE", "ADJUST"]
    assert [one["caused_by"] for one in told] == ["d", None]
    assert [one["sequence"] for one in told] == [3, 4]
    assert {event.body for event in early} == set(bodies)
    ids = {event.properties.message_id for event in early}
    assert ids == {event.properties.message_id for event in again}
    assert len(ids) == 2


async def test_a_reply_that_nobody_takes_is_given_up_and_counted(crew: Crew) -> None:
    async with crew.running():
        await crew.send(request("r1", 1), reply_to="no.such.queue")
        await crew.send(request("r2", 1))
        assert len(await crew.taken(crew.replies, 1)) == 1
        await until(lambda: crew.counted("replies_given_up_total") == 1, what="it is counted")
        assert ids_of(await crew.taken(crew.events, 2)) == ["r1", "r2"]


async def test_a_worker_that_stops_finishes_what_it_has_taken_and_returns_the_rest(
    crew: Crew, owner: asyncpg.Connection
) -> None:
    full = await crew.full_queue(20)
    async with crew.running() as stopping:
        await crew.send(*requests(1, 9))
        await committed(owner, 2)
        await until(lambda: crew.counted("in_hand") == 9, what="all have come")
        stopping.set()
        await crew.empty(full)
    events = await crew.taken(full, 2)
    assert firsts(events) == ["r1", "r2"]

    async def are_back() -> bool:
        lanes = [crew.name(f"partition.1.00{lane}") for lane in (0, 1)]
        return sorted([await crew.depth(lane) for lane in lanes]) == [0, 7]

    await until(are_back, what="the return of the rest")
    async with crew.running():
        assert firsts(await crew.taken(full, 7)) == [f"r{n}" for n in range(3, 10)]
    assert await owner.fetchval("SELECT balance FROM points.wallets") == 45


async def test_a_door_that_is_held_keeps_no_lane_from_finishing_when_the_worker_stops(
    crew: Crew, owner: asyncpg.Connection, database_url: str
) -> None:
    key = bucket_key("held")
    lane = crew.name(f"partition.1.00{int(key[-3:]) % 2}")
    await crew.channel.queue_unbind(lane, crew.name("adjustments"), key)
    async with Gate(owner, database_url) as gate, crew.running() as stopping:
        await crew.send(request("waits", 1, "held"))
        await until(crew.status.faults, what="the door holds it")
        await crew.send(request("gate", 1))
        await gate.held()
        stopping.set()
        await gate.open()
    assert ids_of(await crew.taken(crew.events, 1)) == ["gate"]

    async def are_back() -> bool:
        return await crew.depth(crew.name("door")) == 2

    await until(are_back, what="the return of what was held, and of the copy that was tried")
