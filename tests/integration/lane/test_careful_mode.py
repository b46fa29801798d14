"""A message that kills workers is found and set aside; the innocent around it are applied.

After a few deaths everything that a worker held has been delivered often, so the
count alone says nothing: it only makes the worker careful.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from schemas.topology import bucket_key
from tests.crew import Crew, ids_of
from tests.inside import Gate, delivered, request, waiting
from tests.integration.lane.suspicion import (
    DEATHS_MAX,
    DELIVERIES_MIN,
    LEFT,
    RIGHT,
    lane_queue,
    marks,
)
from tests.waiting import until
from worker.caution import Caution
from worker.observe.status import Status
from worker.store.suspects import Suspects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from worker.store.pool import Pool


@pytest.fixture
async def crew(amqp_url: str, database_url: str, prefix: str) -> AsyncIterator[Crew]:
    settings = {"suspect_deliveries_min": DELIVERIES_MIN, "suspect_deaths_max": DEATHS_MAX}
    async with Crew(amqp_url, database_url, prefix, **settings) as made:
        yield made


@pytest.fixture
async def gate(owner: asyncpg.Connection, database_url: str) -> AsyncIterator[Gate]:
    async with Gate(owner, database_url) as closed:
        yield closed


async def test_messages_that_came_back_often_are_taken_one_by_one_and_all_applied(
    crew: Crew, owner: asyncpg.Connection
) -> None:
    await crew.send(*(request(f"r{n}", 1, LEFT) for n in range(6)))
    await crew.return_often(lane_queue(crew, 0), DELIVERIES_MIN)
    async with crew.running():
        events = await crew.taken(crew.events, 6)
        await until(lambda: crew.counted("in_hand") == 0, what="everything is acknowledged")
        assert crew.counted("batch_size_count") == 6
        # Calm again: what comes now is taken together.
        await crew.send(request("calm", 1, LEFT))
        await crew.taken(crew.events, 1)
    assert ids_of(events) == [f"r{n}" for n in range(6)]
    assert await marks(owner) == 0
    assert await owner.fetchval("SELECT count(*) FROM points.journal WHERE status = 'APPLIED'") == 7


async def test_messages_that_came_back_seldom_are_taken_together(crew: Crew) -> None:
    await crew.send(*(request(f"r{n}", 1, LEFT) for n in range(6)))
    await crew.return_often(lane_queue(crew, 0), DELIVERIES_MIN - 1)
    async with crew.running():
        await crew.taken(crew.events, 6)
        await until(lambda: crew.counted("in_hand") == 0, what="everything is acknowledged")
        assert crew.counted("batch_size_count") < 6


async def test_one_suspect_holds_all_lanes_to_one_message_in_hand(
    crew: Crew, owner: asyncpg.Connection, gate: Gate
) -> None:
    await crew.send(request("gate", 1, LEFT), request("r1", 1, LEFT))
    await crew.return_often(lane_queue(crew, 0), DELIVERIES_MIN)
    async with crew.running():
        await gate.held()
        await crew.send(*(request(f"s{n}", 1, RIGHT) for n in range(3)))
        # The messages of the other lane have come, and wait.
        await until(lambda: crew.counted("in_hand") == 5, what="both lanes hold messages")
        assert await marks(owner) == 1

        async def one_is_busy() -> bool:
            busy = await owner.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'points-worker' AND state <> 'idle'"
            )
            return bool(busy == 1)

        # The worker also looks once, at the start, for what is due.
        await until(one_is_busy, what="one transaction and no other")
        assert await owner.fetchval("SELECT count(*) FROM points.journal") == 0
        await gate.open()
        assert set(ids_of(await crew.taken(crew.events, 5))) == {"gate", "r1", "s0", "s1", "s2"}
    assert await marks(owner) == 0


async def test_a_suspect_waits_for_running_batches_and_goes_before_new_ones(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    async def pause(_: float) -> None:
        raise AssertionError("nothing is held here")

    caution = Caution(Suspects(pool), pause, Status(), deliveries_min=2, deaths_max=2)
    found: list[str] = []

    async def try_alone() -> None:
        async with caution.alone(delivered(request("r", 1))):
            found.append(f"alone, {await marks(owner)} marked")

    async def run_beside_others() -> None:
        await caution.join()
        found.append("beside others")
        await caution.leave()

    await caution.join()
    async with asyncio.TaskGroup() as group:
        group.create_task(try_alone())
        await until(lambda: caution._alone, what="the suspect's turn")
        group.create_task(run_beside_others())
        # Questions to the database give both the time in which they could begin.
        assert [await marks(owner) for _ in range(5)] == [0] * 5
        assert found == []
        await caution.leave()
    assert found == ["alone, 1 marked", "beside others"]


async def test_the_mark_is_durable_while_a_message_is_tried(
    crew: Crew, owner: asyncpg.Connection, gate: Gate
) -> None:
    message = request("gate", 1, LEFT)
    await crew.send(message)
    await crew.return_often(lane_queue(crew, 0), DELIVERIES_MIN)
    async with crew.running():
        await gate.held()
        (row,) = await owner.fetch("SELECT queue, tries FROM points.suspects")
        assert tuple(row) == (lane_queue(crew, 0), 1)
        await gate.open()
        await crew.taken(crew.events, 1)
    assert await marks(owner) == 0


async def test_a_session_that_ends_during_the_trial_is_no_death(
    crew: Crew, owner: asyncpg.Connection, gate: Gate
) -> None:
    await crew.send(request("gate", 1, LEFT))
    await crew.return_often(lane_queue(crew, 0), DELIVERIES_MIN)
    async with crew.running():
        await gate.held()
        crew.sessions[0]._consuming.abort()
        await crew.sessions[0].lost
        await gate.open()
        await crew.taken(crew.events, 1)
        await until(lambda: crew.counted("in_hand") == 0, what="everything is acknowledged")
    assert await marks(owner) == 0
    assert await owner.fetchval("SELECT status FROM points.journal") == "APPLIED"


async def test_lanes_that_try_suspects_at_once_take_turns(
    crew: Crew, owner: asyncpg.Connection, gate: Gate
) -> None:
    for lane, member in ((0, LEFT), (1, RIGHT)):
        await crew.send(request("gate1", 1, member), request("gate2", 1, member))
        await crew.return_often(lane_queue(crew, lane), DELIVERIES_MIN)
    async with crew.running():
        await gate.held()
        assert await marks(owner) == 1
        await waiting(owner, 1, "advisory")
        await gate.open()
        await crew.taken(crew.events, 4)
        await until(lambda: crew.counted("in_hand") == 0, what="everything is acknowledged")
    assert crew.counted("batch_size_count") == 4
    assert await marks(owner) == 0


async def test_messages_of_the_door_that_came_back_often_are_tried_one_by_one(
    crew: Crew, owner: asyncpg.Connection, gate: Gate
) -> None:
    """The door waits like a lane while another message is tried, and they go on in order."""
    await crew.send(*(request(f"r{n}", 1, LEFT) for n in range(4)), routing_key="anything")
    await crew.return_often(crew.name("door"), DELIVERIES_MIN)
    await crew.send(request("gate", 1, RIGHT))
    await crew.return_often(lane_queue(crew, 1), DELIVERIES_MIN)
    async with crew.running():
        await gate.held()
        assert await marks(owner) == 1
        await gate.open()
        ids = ids_of(await crew.taken(crew.events, 5))
        await until(lambda: crew.counted("in_hand") == 0, what="everything is acknowledged")
    assert [name for name in ids if name != "gate"] == [f"r{n}" for n in range(4)]
    assert await marks(owner) == 0


async def test_a_held_message_at_the_door_keeps_no_lane_from_working(crew: Crew) -> None:
    """It is held outside of the trial: nobody knows for how long."""
    key = bucket_key(LEFT)
    await crew.channel.queue_unbind(lane_queue(crew, 0), crew.name("adjustments"), key)
    await crew.send(request("held", 1, LEFT))
    await crew.return_often(crew.name("door"), DELIVERIES_MIN)
    async with crew.running():
        await until(crew.status.faults, what="the door says so")
        await crew.send(request("free", 1, RIGHT))
        assert ids_of(await crew.taken(crew.events, 1)) == ["free"]
