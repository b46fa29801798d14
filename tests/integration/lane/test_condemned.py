"""What killed workers, by its mark, is set aside; what did not is carried out."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, NoReturn

import pytest

from schemas.reading import read_json
from schemas.topology import bucket_key
from tests.crew import Crew, data_of, ids_of
from tests.inside import Desk, request
from tests.integration.lane.suspicion import (
    DEATHS_MAX,
    DELIVERIES_MIN,
    LEFT,
    RIGHT,
    door_marked,
    lane_queue,
    mark,
    marks,
)
from tests.waiting import until
from tests.workers import WorkerProcess
from worker.domain import decide
from worker.envelope import reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from worker.store.pool import Pool


@pytest.fixture
async def crew(amqp_url: str, database_url: str, prefix: str) -> AsyncIterator[Crew]:
    settings = {"suspect_deliveries_min": DELIVERIES_MIN, "suspect_deaths_max": DEATHS_MAX}
    async with Crew(amqp_url, database_url, prefix, **settings) as made:
        yield made


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
        assert len(await crew.taken(crew.name("dead"), 1)) == 1
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
