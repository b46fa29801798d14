"""Workers that die, stop, join, leave and stand still under load (I1 to I5)."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.load import generate
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.scene import Scene
    from tests.workers import WorkerProcess

COUNT = 20_000
MEMBERS = 300
RUN_SECONDS_MAX = 600
FREEZE_SECONDS = 0.5
BOTH_WAYS = pytest.mark.parametrize(
    "by_door", [False, True], ids=["by_bucket_key", "through_the_door"]
)


def runs(worker: WorkerProcess) -> bool:
    """Whether the worker's process has not ended."""
    return worker._running().poll() is None


def moments(count: int, *, seed: int) -> list[int]:
    """Return at which numbers of answers something happens."""
    return sorted(random.Random(seed).sample(range(100, COUNT - 1_000), count))


@BOTH_WAYS
async def test_a_worker_killed_ten_times_loses_doubles_and_reorders_nothing(
    scene: Scene, *, by_door: bool
) -> None:
    messages = generate(COUNT, MEMBERS, seed=11)
    async with scene.worker() as worker:
        await worker.ready()
        async with (
            scene.traffic(messages, by_door=by_door) as traffic,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(traffic.publish())
            for moment in moments(10, seed=11):
                await traffic.answered(moment)
                worker.kill()
                await worker.exited()
                worker.start()
            await traffic.answered()
            assert await traffic.faults() == []


@pytest.mark.parametrize("workers_max", [2, 3])
@BOTH_WAYS
async def test_workers_that_join_and_leave_under_load_keep_every_members_order(
    scene: Scene, broker_version: tuple[int, ...], *, workers_max: int, by_door: bool
) -> None:
    if broker_version < (4,):
        pytest.skip("needs RabbitMQ 4 or later: older ones hand a lane over only when one dies")
    messages = generate(COUNT, MEMBERS, seed=20 + workers_max)
    chance = random.Random(workers_max)
    async with contextlib.AsyncExitStack() as stack:
        working = [await stack.enter_async_context(scene.worker()) for _ in range(workers_max)]
        idle: list[WorkerProcess] = []
        for worker in working:
            await worker.ready()
        async with (
            scene.traffic(messages, by_door=by_door) as traffic,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(traffic.publish())
            for moment in moments(12, seed=workers_max):
                await traffic.answered(moment)
                await _reshuffle(chance, working, idle)
            await traffic.answered()
            assert await traffic.faults() == []


async def _reshuffle(
    chance: random.Random, working: list[WorkerProcess], idle: list[WorkerProcess]
) -> None:
    """End one of the workers, politely or not, or start one; one at least goes on working."""
    if idle and (len(working) == 1 or chance.random() < 0.5):
        joining = idle.pop(0)
        await joining.exited()
        joining.start()
        working.append(joining)
        return
    leaving = working.pop(chance.randrange(len(working)))
    idle.append(leaving)
    if chance.random() < 0.5:
        leaving.kill()
    else:
        leaving.stop_signal()


FROZEN_ENV = {
    "POINTS_HEARTBEAT_SECONDS": "2",
    "POINTS_STATEMENT_TIMEOUT_SECONDS": "4",
    "POINTS_LOCK_TIMEOUT_SECONDS": "2",
}


@BOTH_WAYS
async def test_a_frozen_worker_keeps_no_lane_waiting_for_longer_than_the_time_outs(
    scene: Scene, *, by_door: bool
) -> None:
    """Postgres breaks its open batch off, and its successor carries it out."""
    messages = generate(COUNT, MEMBERS, seed=31)
    scene.env = FROZEN_ENV | {"POINTS_IDLE_TRANSACTION_TIMEOUT_SECONDS": "4"}
    async with (
        _first_and_second(scene) as (frozen, _second),
        scene.traffic(messages, by_door=by_door) as traffic,
        asyncio.TaskGroup() as group,
    ):
        published = group.create_task(traffic.publish(end=COUNT // 2))
        await traffic.answered(1_000)
        await _freeze_with_an_open_batch(scene, frozen)
        await published
        await traffic.answered(COUNT // 2)
        group.create_task(traffic.publish(start=COUNT // 2))
        frozen.thaw()
        await traffic.answered()
        await frozen.ready()
        assert await traffic.faults() == []


@BOTH_WAYS
async def test_a_frozen_worker_that_commits_its_open_batch_late_changes_nothing(
    scene: Scene, *, by_door: bool
) -> None:
    """Its successor waits for the members it holds, finds the work done, and publishes it."""
    messages = generate(COUNT, MEMBERS, seed=32)
    scene.env = FROZEN_ENV | {"POINTS_IDLE_TRANSACTION_TIMEOUT_SECONDS": "60"}
    async with (
        _first_and_second(scene) as (frozen, second),
        scene.traffic(messages, by_door=by_door) as traffic,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(traffic.publish())
        await traffic.answered(1_000)
        await _freeze_with_an_open_batch(scene, frozen)
        await until(
            lambda: '"batch_held"' in second.log(),
            deadline_seconds=120,
            what="the successor waits for a member that the frozen worker holds",
        )
        frozen.thaw()
        await traffic.answered()
        await frozen.ready()
        assert await traffic.faults() == []


@contextlib.asynccontextmanager
async def _first_and_second(scene: Scene) -> AsyncIterator[tuple[WorkerProcess, WorkerProcess]]:
    """Two workers; the first comes early enough to have lanes where the broker spreads none."""
    async with scene.worker() as first:
        await first.ready()
        async with scene.worker() as second:
            await second.ready()
            yield first, second


async def _freeze_with_an_open_batch(scene: Scene, worker: WorkerProcess) -> None:
    """Freeze the worker while it holds members' locks; let go and try again if it holds none.

    A transaction that has locked something has an id; one that has only begun has none yet, and
    would keep nobody waiting.
    """
    connection = await asyncpg.connect(scene.database_url)

    async def caught() -> bool:
        worker.freeze()
        frozen_at = time.monotonic()
        await until(lambda: time.monotonic() - frozen_at > FREEZE_SECONDS)
        open_batches: int = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = $1 AND backend_xid IS NOT NULL"
            " AND state = 'idle in transaction'",
            worker.session_name,
        )
        if not open_batches:
            worker.thaw()
        return open_batches > 0

    try:
        await until(caught, what="a worker frozen with an open batch")
    finally:
        await connection.close()


async def test_a_message_that_kills_its_worker_is_set_aside_and_its_neighbours_are_applied(
    scene: Scene,
) -> None:
    messages = generate(2_000, 20, seed=41, repeats_per_hundred=0)
    killer = messages[700]
    command = (sys.executable, "-m", "tests.chaos.killed_by", killer.request_id)
    async with scene.worker(command) as worker:
        await worker.ready()
        async with scene.traffic(messages) as traffic, asyncio.TaskGroup() as group:
            group.create_task(traffic.publish())
            keeper = group.create_task(_start_again_and_again(worker))
            await traffic.answered()
            keeper.cancel()
            assert await traffic.faults(killers=[killer]) == []


async def _start_again_and_again(worker: WorkerProcess) -> None:
    """What an orchestrator does."""
    while True:
        await until(lambda: not runs(worker), RUN_SECONDS_MAX, what="the worker's death")
        worker.start()
