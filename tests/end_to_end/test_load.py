"""Requests published without pause come to what a sequential model says, in order (I1 to I5)."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from tests.load import generate

if TYPE_CHECKING:
    from tests.scene import Scene

BOTH_WAYS = pytest.mark.parametrize(
    "by_door", [False, True], ids=["by_bucket_key", "through_the_door"]
)


@BOTH_WAYS
async def test_twenty_thousand_requests_come_to_what_the_model_says(
    scene: Scene, *, by_door: bool
) -> None:
    messages = generate(20_000, 300, seed=1)
    async with scene.worker() as worker:
        await worker.ready()
        async with scene.traffic(messages, by_door=by_door) as traffic:
            await traffic.publish()
            await traffic.answered()
            assert await traffic.faults() == []


async def test_one_member_alone_gets_everything_in_order(scene: Scene) -> None:
    messages = generate(3_000, 1, seed=2)
    async with scene.worker() as worker:
        await worker.ready()
        async with scene.traffic(messages) as traffic:
            await traffic.publish()
            await traffic.answered()
            assert await traffic.faults() == []


async def test_what_is_published_while_no_worker_runs_is_applied_in_order(scene: Scene) -> None:
    messages = generate(2_000, 50, seed=3)
    async with scene.worker() as worker:
        await worker.ready()
        worker.stop_signal()
        assert await worker.exited() == 0
        async with scene.traffic(messages) as traffic:
            await traffic.publish()
            worker.start()
            await traffic.answered()
            assert await traffic.faults() == []


@BOTH_WAYS
async def test_a_worker_killed_three_times_loses_doubles_and_reorders_nothing(
    scene: Scene, *, by_door: bool
) -> None:
    messages = generate(4_000, 100, seed=4)
    moments = sorted(random.Random(4).sample(range(1, 3_600), 3))
    async with scene.worker() as worker:
        await worker.ready()
        async with (
            scene.traffic(messages, by_door=by_door) as traffic,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(traffic.publish())
            for moment in moments:
                await traffic.answered(moment)
                worker.kill()
                await worker.exited()
                worker.start()
            await traffic.answered()
            assert await traffic.faults() == []


async def test_a_worker_told_to_stop_under_load_drains_and_its_successor_carries_on(
    scene: Scene,
) -> None:
    messages = generate(4_000, 100, seed=5)
    async with scene.worker() as worker:
        await worker.ready()
        async with scene.traffic(messages) as traffic, asyncio.TaskGroup() as group:
            group.create_task(traffic.publish())
            await traffic.answered(500)
            worker.stop_signal()
            assert await worker.exited() == 0
            worker.start()
            await traffic.answered()
            assert await traffic.faults() == []
