"""A server that goes away for a while under load: the worker says so, waits, and carries on."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.load import generate
from tests.waiting import until

if TYPE_CHECKING:
    from tests.scene import Scene
    from tests.workers import WorkerProcess
    from worker.demo.servers import Servers

OUTAGE_SECONDS = 20
COUNT = 20_000


@pytest.mark.parametrize("name", ["postgres", "rabbitmq"])
async def test_an_outage_of_twenty_seconds_loses_doubles_and_reorders_nothing(
    scene_on_own_servers: Scene, own_servers: Servers, name: str
) -> None:
    scene = scene_on_own_servers
    server = own_servers.postgres if name == "postgres" else own_servers.rabbitmq
    messages = generate(COUNT, 300, seed=51)
    async with scene.worker() as worker:
        await worker.ready()
        async with scene.traffic(messages) as traffic, asyncio.TaskGroup() as group:
            group.create_task(traffic.publish())
            await traffic.answered(3_000)
            logged = len(worker.log())
            await asyncio.to_thread(server.stop)
            stopped_at = time.monotonic()
            await _says_so(worker, name)
            await until(
                lambda: time.monotonic() - stopped_at >= OUTAGE_SECONDS,
                deadline_seconds=OUTAGE_SECONDS + 60,
            )
            assert (await worker.get("/readyz"))[0] == 503
            assert (await worker.get("/livez"))[0] == 200
            await asyncio.to_thread(server.start)
            await worker.ready()
            await traffic.answered()
            complaints = [
                line
                for line in map(json.loads, worker.log()[logged:].splitlines())
                if line["level"] in {"warning", "error"}
            ]
            assert any(name in json.dumps(line).lower() for line in complaints)
            assert await traffic.faults() == []


async def _says_so(worker: WorkerProcess, name: str) -> None:
    async def is_not_ready() -> bool:
        status, body = await worker.get("/readyz")
        return status == 503 and name in body

    await until(is_not_ready, what=f"/readyz naming {name}")
