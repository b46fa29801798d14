"""The worker as a process: what keeps it from starting, and how it ends."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.crew import Crew, ids_of
from tests.inside import Gate, request
from tests.waiting import until
from tests.workers import WorkerProcess
from worker.demo.servers.probe import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


RUN = ("-m", "worker", "run")
BAD_CONFIGURATION, UNREACHABLE = 78, 69


@pytest.fixture
async def crew(amqp_url: str, database_url: str, prefix: str) -> AsyncIterator[Crew]:
    """A declared topology of two lanes, that no worker works on."""
    async with Crew(amqp_url, database_url, prefix) as made:
        yield made


def worker_of(crew: Crew, **env: str) -> WorkerProcess:
    """Return a worker process without `--setup` for the crew's topology."""
    return process(crew.amqp_url, crew.settings.database_url.get_secret_value(), crew.prefix, **env)


def process(amqp_url: str, database_url: str, prefix: str, **env: str) -> WorkerProcess:
    worker = WorkerProcess(
        amqp_url=amqp_url, database_url=database_url, prefix=prefix, env=env or {}
    )
    worker.command = [worker.command[0], *RUN]
    return worker


async def complaint(worker: WorkerProcess, code: int) -> str:
    """Wait for the worker's end with this code and return the one sentence that says why."""
    async with worker:
        assert await worker.exited() == code, worker.log()
        lines = [json.loads(line) for line in worker.log().splitlines() if line.startswith("{")]
        assert "Traceback" not in worker.log()
    (line,) = [line for line in lines if line["event"] == "not_ready"]
    return str(line["reason"])


async def test_settings_that_differ_from_what_the_workers_agreed_on_stop_the_worker(
    crew: Crew,
) -> None:
    differences = {
        "POINTS_PARTITIONS": ("3", "POINTS_PARTITIONS is 3, but", "agreed on 2"),
        "POINTS_PREFETCH": ("999", "POINTS_PREFETCH is 999, but", "agreed on 1000"),
        "POINTS_PREFIX": ("other", "POINTS_PREFIX is other, but", crew.prefix),
        "POINTS_BATCH_MAX": ("1001", "POINTS_BATCH_MAX is 1001, but", "1000"),
    }
    workers = [worker_of(crew, **{name: value}) for name, (value, *_) in differences.items()]
    # To set up is no way round it.
    workers[0].command.append("--setup")
    reasons = await asyncio.gather(*(complaint(worker, BAD_CONFIGURATION) for worker in workers))
    for reason, (_, *words) in zip(reasons, differences.values(), strict=True):
        assert all(word in reason for word in words), reason
        assert "\n" not in reason


async def test_a_database_without_the_migrations_stops_the_worker(
    amqp_url: str, empty_database_url: str, prefix: str
) -> None:
    worker = process(amqp_url, empty_database_url, prefix)
    reason = await complaint(worker, BAD_CONFIGURATION)
    assert "0001_books" in reason
    assert "points-worker migrate" in reason


async def test_a_broker_without_the_topology_stops_the_worker(
    amqp_url: str, database_url: str, prefix: str
) -> None:
    reason = await complaint(process(amqp_url, database_url, prefix), BAD_CONFIGURATION)
    assert "points-worker topology declare" in reason


async def test_a_recorded_topology_that_the_broker_lacks_stops_the_worker(crew: Crew) -> None:
    await crew.channel.queue_delete(crew.name("partition.1.001"))
    reason = await complaint(worker_of(crew), BAD_CONFIGURATION)
    assert crew.name("partition.1.001") in reason
    assert "points-worker topology declare" in reason


async def test_an_edited_migration_stops_the_worker(crew: Crew, owner: asyncpg.Connection) -> None:
    await owner.execute("UPDATE points.migrations SET sha256 = 'another' || sha256")
    try:
        reason = await complaint(worker_of(crew), BAD_CONFIGURATION)
    finally:
        await owner.execute("UPDATE points.migrations SET sha256 = substr(sha256, 8)")
    assert "0001_books" in reason


@pytest.mark.parametrize("server", ["rabbitmq", "postgres"])
async def test_a_server_that_does_not_answer_in_time_ends_the_worker(
    amqp_url: str, database_url: str, prefix: str, server: str
) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    worker = process(
        f"amqp://{nobody}/" if server == "rabbitmq" else amqp_url,
        f"postgresql://u:secret@{nobody}/x" if server == "postgres" else database_url,
        prefix,
        POINTS_CONNECT_TIMEOUT_SECONDS="1",
    )
    worker.command.append("--setup")
    reason = await complaint(worker, UNREACHABLE)
    assert reason.startswith(f"{server} was not reachable within 1 s")
    assert "secret" not in reason


async def test_a_worker_told_to_stop_finishes_the_batch_in_hand_and_loses_nothing(
    crew: Crew, owner: asyncpg.Connection, database_url: str
) -> None:
    async with Gate(owner, database_url) as gate, worker_of(crew) as worker:
        await worker.ready()
        await crew.send(request("gate", 1), *(request(f"r{n}", 1) for n in range(20)))
        await gate.held()
        worker.stop_signal()

        async def drains() -> bool:
            status, text = await worker.get("/readyz")
            return status == 503 and "draining" in text

        await until(drains, what="the worker says that it drains")
        await gate.open()
        assert await worker.exited() == 0
        told = ids_of(await crew.taken(crew.events, 1))

        async def are_back() -> bool:
            lanes = [crew.name(f"partition.1.00{lane}") for lane in (0, 1)]
            return len(told) + sum([await crew.depth(lane) for lane in lanes]) == 21

        # Each request was either answered and acknowledged, or is still there; none is both.
        await until(are_back, what="the return of what was not answered")
        assert await owner.fetchval("SELECT count(*) FROM points.journal") == len(told)
        worker.start()
        told += ids_of(await crew.taken(crew.events, 21 - len(told)))
        assert told == ["gate", *(f"r{n}" for n in range(20))]
        await worker.ready()
        worker.stop_signal()
        assert await worker.exited() == 0


async def test_a_second_signal_ends_the_worker_at_once_and_loses_nothing(
    crew: Crew, owner: asyncpg.Connection, database_url: str
) -> None:
    async with Gate(owner, database_url) as gate, worker_of(crew) as worker:
        await worker.ready()
        await crew.send(request("gate", 1))
        await gate.held()
        worker.stop_signal()
        await until(lambda: '"draining"' in worker.log(), what="the worker drains")
        worker.stop_signal()
        assert await worker.exited() == 75
        await gate.open()
        worker.start()
        assert ids_of(await crew.taken(crew.events, 1)) == ["gate"]
    assert await owner.fetchval("SELECT balance FROM points.wallets") == 1


async def test_a_worker_whose_grace_time_is_over_ends_by_itself(
    crew: Crew, owner: asyncpg.Connection, database_url: str
) -> None:
    env = {"POINTS_SHUTDOWN_GRACE_SECONDS": "0.5"}
    async with Gate(owner, database_url) as gate, worker_of(crew, **env) as worker:
        await worker.ready()
        await crew.send(request("gate", 1))
        await gate.held()
        worker.stop_signal()
        # Less than it would be by default.
        assert await worker.exited(20) == 75


async def test_a_worker_told_to_stop_while_it_waits_for_a_server_ends_in_order(
    database_url: str, prefix: str
) -> None:
    worker = process(f"amqp://127.0.0.1:{free_port()}/", database_url, prefix)
    worker.command.append("--setup")
    async with worker:
        await until(lambda: "waiting_for_server" in worker.log(), what="the worker waits")
        worker.stop_signal()
        assert await worker.exited() == 0


async def test_setup_makes_everything_on_fresh_servers(
    amqp_url: str, empty_database_url: str, prefix: str
) -> None:
    worker = process(amqp_url, empty_database_url, prefix, POINTS_PARTITIONS="2")
    worker.command.append("--setup")
    async with worker:
        await worker.ready()
        worker.stop_signal()
        assert await worker.exited() == 0
        # What was made with other settings than the default's is agreed on from now on.
        del worker.environment["POINTS_PARTITIONS"]
        worker.start()
        await worker.ready()
        started: list[Any] = [
            json.loads(line) for line in worker.log().splitlines() if '"started"' in line
        ]
        assert [line["partitions"] for line in started] == [2, 2]
        worker.stop_signal()
        assert await worker.exited() == 0


async def test_a_start_that_never_reached_the_broker_agrees_on_nothing(
    amqp_url: str, empty_database_url: str, prefix: str
) -> None:
    worker = process(
        f"amqp://127.0.0.1:{free_port()}/",
        empty_database_url,
        "mistyped",
        POINTS_CONNECT_TIMEOUT_SECONDS="0.5",
    )
    worker.command.append("--setup")
    async with worker:
        assert await worker.exited() == 69
    worker = process(amqp_url, empty_database_url, prefix)
    worker.command.append("--setup")
    async with worker:
        await worker.ready()


async def test_an_idle_worker_notices_that_postgres_is_away_and_back(
    amqp_url: str, database_url: str, database_server_url: str, prefix: str
) -> None:
    name = database_url.rpartition("/")[2].partition("?")[0]
    worker = process(amqp_url, database_url, prefix)
    worker.command.append("--setup")

    async def readiness() -> tuple[int, str]:
        return await worker.get("/readyz")

    async def is_unready() -> bool:
        status, body = await readiness()
        return status == 503 and "Postgres does not answer" in body

    async def is_ready() -> bool:
        return (await readiness())[0] == 200

    async with worker:
        await worker.ready()
        server = await asyncpg.connect(database_server_url)
        try:
            await server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            await server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
            )
            await until(is_unready, what="/readyz that names Postgres")
            await server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            await until(is_ready, what="a worker that is ready again")
        finally:
            await server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            await server.close()
