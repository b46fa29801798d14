"""A worker feels whether Postgres is there, and never stops feeling it without anybody's notice."""

from __future__ import annotations

import json

from tests.crew import Crew
from tests.workers import WorkerProcess
from worker.exits import EXIT_BUG

# A worker in which one thing is wrong that nobody can have foreseen.
BROKEN = """
from worker import app, cli

async def ping(pool):
    raise KeyError("a bug")

app.ping = ping
cli.main()
"""


async def test_a_bug_in_feeling_the_pulse_stops_the_worker_and_stands_in_the_log(
    amqp_url: str, database_url: str, prefix: str
) -> None:
    async with Crew(amqp_url, database_url, prefix):
        worker = WorkerProcess(amqp_url=amqp_url, database_url=database_url, prefix=prefix, env={})
        worker.command = [worker.command[0], "-c", BROKEN, "run"]
        async with worker:
            assert await worker.exited() == EXIT_BUG
            lines = [json.loads(line) for line in worker.log().splitlines()]
    (bug,) = [line for line in lines if line["event"] == "bug"]
    assert "KeyError: 'a bug'" in bug["exception"]
