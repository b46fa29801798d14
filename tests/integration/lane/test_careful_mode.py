"""A message that kills workers is found and set aside; the innocent around it are applied.

After a few deaths everything that a worker held has been delivered often (design fact 11), so the
count alone says nothing: it only makes the worker careful.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from schemas.reading import read_json
from schemas.topology import bucket_key
from tests.crew import Crew, data_of, ids_of
from tests.inside import Desk, Gate, delivered, request, waiting
from tests.waiting import until
from tests.workers import WorkerProcess
from worker.broker import Delivery
from worker.caution import Caution, _digest
from worker.domain import decide
from worker.envelope import reading
from worker.store.suspects import Suspects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from worker.store.pool import Pool

DELIVERIES_MIN = 2
DEATHS_MAX = 2


def member_of(lane: int, number: int = 0) -> str:
    """Return a member of one of the two lanes."""
    found = (f"m{n}" for n in range(1_000) if int(bucket_key(f"m{n}")[-3:]) % 2 == lane)
    return [next(found) for _ in range(number + 1)][-1]


LEFT, RIGHT = member_of(0), member_of(1)


@pytest.fixture
async def crew(amqp_url: str, database_url: str, prefix: str) -> AsyncIterator[Crew]:
    settings = {"suspect_deliveries_min": DELIVERIES_MIN, "suspect_deaths_max": DEATHS_MAX}
    async with Crew(amqp_url, database_url, prefix, **settings) as made:
        yield made


@pytest.fixture
async def gate(owner: asyncpg.Connection, database_url: str) -> AsyncIterator[Gate]:
    async with Gate(owner, database_url) as closed:
        yield closed


def lane_queue(crew: Crew, lane: int) -> str:
    return crew.name(f"partition.1.00{lane}")


async def mark(crew: Crew, pool: Pool, lane: int, message: dict[str, Any], deaths: int) -> None:
    """Leave the mark that so many workers leave who die with this message alone in hand."""
    body = json.dumps(message).encode()
    queue = lane_queue(crew, lane)
    delivery = Delivery(1, body, "", "", queue, message_id=message["request_id"])
    for _ in range(deaths):
        await Suspects(pool).try_(queue, _digest(delivery))


async def marks(owner: asyncpg.Connection) -> int:
    return int(await owner.fetchval("SELECT count(*) FROM points.suspects"))


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

    caution = Caution(Suspects(pool), pause, deliveries_min=2, deaths_max=2)
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


async def test_the_marked_message_is_condemned_and_its_neighbours_are_applied(
    crew: Crew, pool: Pool, owner: asyncpg.Connection
) -> None:
    before, killer, after = (request(f"r{n}", 5, LEFT) for n in range(3))
    other = request("s", 5, RIGHT)
    await crew.send(before, killer, after, other)
    for lane in (0, 1):
        await crew.return_often(lane_queue(crew, lane), DELIVERIES_MIN + 3)
    await mark(crew, pool, 0, killer, DEATHS_MAX)
    async with crew.running():
        events = await crew.taken(crew.events, 4)
        replies = await crew.taken(crew.replies, 4)
        (letter,) = await crew.taken(crew.name("dead"), 1)
    left = [data_of(event) for event in events if data_of(event)["member_id"] == LEFT]
    assert [item["request_id"] for item in left] == ["r0", "r1", "r2"]
    assert [item["status"] for item in left] == ["APPLIED", "REJECTED", "APPLIED"]
    assert [item["sequence"] for item in left] == [1, 2, 3]
    assert left[1]["error"]["key"] == "killed_the_worker"
    assert letter.headers["x-error-key"] == "killed_the_worker"
    assert letter.body == json.dumps(killer).encode()
    assert left[1] in [json.loads(reply.body) for reply in replies]
    assert await marks(owner) == 0
    assert crew.counted("dead_letters_total", key="killed_the_worker") == 1


async def test_fewer_deaths_than_allowed_condemn_nobody(
    crew: Crew, pool: Pool, owner: asyncpg.Connection
) -> None:
    message = request("r", 5, LEFT)
    await crew.send(message)
    await crew.return_often(lane_queue(crew, 0), DELIVERIES_MIN + 10)
    await mark(crew, pool, 0, message, DEATHS_MAX - 1)
    async with crew.running():
        (event,) = await crew.taken(crew.events, 1)
        await until(lambda: crew.counted("in_hand") == 0, what="everything is acknowledged")
    assert data_of(event)["status"] == "APPLIED"
    assert await marks(owner) == 0


async def test_a_condemned_message_that_was_carried_out_keeps_its_true_answer(
    crew: Crew, pool: Pool, desk: Desk, owner: asyncpg.Connection
) -> None:
    """The worker died after the commit: its answer is published, and never replaced."""
    message = request("r", 5, LEFT)
    stored = await desk.apply(message)
    await crew.send(message)
    await crew.return_often(lane_queue(crew, 0), DELIVERIES_MIN)
    await mark(crew, pool, 0, message, DEATHS_MAX)
    async with crew.running():
        (event,) = await crew.taken(crew.events, 1)
        (reply,) = await crew.taken(crew.replies, 1)
        (letter,) = await crew.taken(crew.name("dead"), 1)
    assert reply.body == stored.answers[0].outcome
    assert data_of(event) == json.loads(reply.body)
    assert data_of(event)["status"] == "APPLIED"
    assert letter.headers["x-error-key"] == "killed_the_worker"
    assert await owner.fetchval("SELECT count(*) FROM points.journal") == 1


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


async def test_a_worker_that_is_killed_leaves_the_mark_and_its_successor_condemns(
    amqp_url: str, database_url: str, prefix: str, owner: asyncpg.Connection
) -> None:
    """The whole story with real deaths: a request that kills whoever decides it."""
    settings = {"suspect_deliveries_min": 1, "suspect_deaths_max": 1}
    async with Crew(amqp_url, database_url, prefix, **settings) as crew:
        neighbours = [request(f"r{n}", 5, LEFT) for n in range(3)]
        killer = request("killer", 5, LEFT)
        await crew.send(*neighbours[:2], killer, neighbours[2])
        command = (sys.executable, "-m", "tests.chaos.killed_by", "killer")
        env = {f"POINTS_{name.upper()}": str(value) for name, value in settings.items()}
        async with WorkerProcess(
            amqp_url=amqp_url,
            database_url=database_url,
            prefix=prefix,
            env={**env, "POINTS_PARTITIONS": "2"},
            command=command,
        ) as worker:
            assert await worker.exited() < 0
            assert await marks(owner) == 0
            worker.start()
            # It came back, so it is tried alone, and its mark outlives the worker.
            assert await worker.exited() < 0
            assert await marks(owner) == 1
            worker.start()
            # What was not acknowledged when a worker died is told once more.
            events = await crew.taken(crew.events, lambda found: len(set(ids_of(found))) == 4)
            await worker.ready()
            worker.stop_signal()
            assert await worker.exited() == 0
        outcomes = list({data_of(event)["request_id"]: data_of(event) for event in events}.items())
        assert [name for name, _ in outcomes] == ["r0", "r1", "killer", "r2"]
        assert [item["status"] for _, item in outcomes] == [
            *("APPLIED", "APPLIED", "REJECTED", "APPLIED")
        ]
        assert await crew.depth(crew.name("dead")) == 1
        assert await marks(owner) == 0


async def test_a_bug_over_a_message_is_a_death_like_others(
    crew: Crew, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a request that raises would end one worker after the other for ever."""

    def raises(*_: object) -> NoReturn:
        raise KeyError("as the test wants it")

    await crew.send(request("bad", 1, LEFT))
    await crew.return_often(lane_queue(crew, 0), DELIVERIES_MIN)
    with monkeypatch.context() as patched:
        patched.setattr(decide, "decide", raises)
        for deaths in range(1, 1 + DEATHS_MAX):
            with pytest.raises(KeyError):
                async with crew.running():
                    await until(crew.sessions[-1].lost.done, what="the worker's end")
            assert await owner.fetchval("SELECT tries FROM points.suspects") == deaths
        async with crew.running():
            (event,) = await crew.taken(crew.events, 1)
    assert data_of(event)["error"]["key"] == "killed_the_worker"
    assert await marks(owner) == 0


async def test_what_kills_while_its_ids_are_read_is_set_aside_unread_after_as_many_deaths(
    crew: Crew, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a body that kills whoever parses it would end one worker after the other for ever."""
    killer = json.dumps(request("bad", 1, LEFT)).encode()

    def dies_of_it(body: bytes) -> object:
        if body == killer:
            raise KeyError("as the test wants it")
        return read_json(body)

    await crew.send(killer, routing_key=bucket_key(LEFT))
    await crew.send(request("behind", 1, LEFT))
    await crew.return_often(lane_queue(crew, 0), DELIVERIES_MIN)
    monkeypatch.setattr(reading, "read_json", dies_of_it)
    for deaths in range(1, 1 + 2 * DEATHS_MAX):
        with pytest.raises(KeyError):
            async with crew.running():
                await until(crew.sessions[-1].lost.done, what="the worker's end")
        assert await owner.fetchval("SELECT tries FROM points.suspects") == deaths
    async with crew.running():
        assert ids_of(await crew.taken(crew.events, 1)) == ["behind"]
        (letter,) = await crew.taken(crew.name("dead"), 1)
        replies = await crew.taken(crew.replies, 2)
    assert letter.headers["x-error-key"] == "killed_the_worker"
    assert letter.body == killer
    assert replies[0].properties.message_type == "adjustment.error.v1"
    assert json.loads(replies[0].body)["error"]["key"] == "killed_the_worker"
    assert await owner.fetchval("SELECT count(*) FROM points.journal") == 1
    assert await marks(owner) == 0


async def door_marked(crew: Crew, pool: Pool, message: bytes, deaths: int) -> None:
    """Leave the mark of so many workers that died with this message alone in hand at the door."""
    delivery = Delivery(1, message, "", "", crew.name("door"), message_id="none")
    for _ in range(deaths):
        await Suspects(pool).try_(delivery.queue, _digest(delivery))


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


async def test_a_message_at_the_door_that_kills_is_set_aside_unread_and_its_neighbours_go_on(
    crew: Crew, pool: Pool, owner: asyncpg.Connection
) -> None:
    before, killer, after = (json.dumps(request(f"r{n}", 1, LEFT)).encode() for n in range(3))
    await crew.send(before, killer, after, routing_key="anything")
    await crew.return_often(crew.name("door"), DELIVERIES_MIN)
    await door_marked(crew, pool, killer, DEATHS_MAX)
    async with crew.running():
        assert ids_of(await crew.taken(crew.events, 2)) == ["r0", "r2"]
        (letter,) = await crew.taken(crew.name("dead"), 1)
        replies = await crew.taken(crew.replies, 3)
        await until(lambda: crew.counted("in_hand") == 0, what="everything is acknowledged")
    assert letter.headers["x-error-key"] == "killed_the_worker"
    assert letter.headers["x-original-queue"] == crew.name("door")
    assert letter.body == killer
    errors = [item for item in replies if item.properties.message_type == "adjustment.error.v1"]
    assert [json.loads(item.body)["error"]["key"] for item in errors] == ["killed_the_worker"]
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
