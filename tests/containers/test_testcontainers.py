"""The whole path on RabbitMQ 4 and PostgreSQL 17, with one worker and with several."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import pytest

from tests.brokers import delete_topology
from tests.load import generate

if TYPE_CHECKING:
    from tests.scene import Scene
    from tests.workers import WorkerProcess

pytestmark = pytest.mark.containers

LANES = 64


async def test_requests_come_to_what_the_model_says_on_the_newest_servers(scene: Scene) -> None:
    messages = generate(4_000, 100, seed=41)
    async with scene.worker() as worker:
        await worker.ready()
        async with scene.traffic(messages) as traffic:
            await traffic.publish()
            await traffic.answered()
            assert await traffic.faults() == []


async def test_three_workers_share_the_lanes_and_keep_every_members_order(scene: Scene) -> None:
    """Partitions spread over workers with no coordination of their own.

    Each worker wants some lanes more than the others do. Which, its process id says: of so many
    lanes there are some for everybody.
    """
    scene.env["POINTS_PARTITIONS"] = str(LANES)
    messages = generate(6_000, 300, seed=42)
    async with contextlib.AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(scene.worker()) for _ in range(3)]
        for worker in workers:
            await worker.ready()
        async with scene.traffic(messages) as traffic:
            await traffic.publish()
            await traffic.answered()
            assert await traffic.faults() == []
        shares = [await applied(worker) for worker in workers]
    await delete_topology(scene.amqp_url, scene.prefix, LANES)
    assert all(share > 0 for share in shares), f"not every worker had work: {shares}"


async def applied(worker: WorkerProcess) -> float:
    """How many requests a worker has answered, by its own metrics."""
    status, text = await worker.get("/metrics")
    assert status == 200
    counts = re.findall(r"^points_requests_total\{.*\} (\S+)$", text, re.MULTILINE)
    return sum(map(float, counts))
