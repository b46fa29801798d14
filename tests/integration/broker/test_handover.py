"""Queues move between workers by themselves, in order and without loss (I1)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.waiting import until
from worker.broker import Publication, Session, SessionLost
from worker.broker.topology import consumer_priority

if TYPE_CHECKING:
    from tests.brokers import Opener, Setup
    from worker.broker import Intake

QUEUES = 8


class Worker:
    """Consumes every queue with its own priorities and notes what it was given."""

    def __init__(self, name: str, session: Session, seen: dict[str, list[tuple[int, str]]]) -> None:
        self.name = name
        self.session = session
        self._seen = seen
        self._tasks: list[asyncio.Task[None]] = []
        self.intakes: list[Intake] = []

    async def join(self, queues: list[str]) -> None:
        for queue in queues:
            priority = consumer_priority(self.name, queue)
            intake = await self.session.intake(queue, prefetch=20, priority=priority)
            self.intakes.append(intake)
            self._tasks.append(asyncio.get_running_loop().create_task(self._consume(intake)))

    async def _consume(self, intake: Intake) -> None:
        with suppress(SessionLost):
            while deliveries := await intake.take(10):
                for delivery in deliveries:
                    self._seen[intake.queue].append((int(delivery.body), self.name))
                intake.ack_through(deliveries[-1].tag)

    async def leave(self) -> None:
        await self.session.close()
        await asyncio.gather(*self._tasks)


async def test_queues_spread_over_workers_and_move_as_they_join_leave_and_die(
    opened: Opener, setup: Setup, broker_version: tuple[int, ...]
) -> None:
    if broker_version < (4,):
        pytest.skip("needs RabbitMQ 4: only there a priority moves a queue")
    queues = [await setup.queue() for _ in range(QUEUES)]
    publisher = await (await opened()).publisher()
    seen: dict[str, list[tuple[int, str]]] = {queue: [] for queue in queues}
    count = 0

    async def owners() -> dict[str, str]:
        """Who takes the next message of each queue."""
        nonlocal count
        await publisher.publish(
            [Publication("", queue, b"%d" % count, must_be_taken=True) for queue in queues]
        )
        count += 1
        await until(lambda: all(any(n == count - 1 for n, _ in seen[queue]) for queue in queues))
        return {queue: seen[queue][-1][1] for queue in queues}

    def wanted(*names: str) -> dict[str, str]:
        return {q: max(names, key=lambda name: consumer_priority(name, q)) for q in queues}

    async def settled(*names: str) -> bool:
        return bool(await owners() == wanted(*names))

    workers = {name: Worker(name, await opened(), seen) for name in ("a", "b", "c")}
    await workers["a"].join(queues)
    assert await owners() == wanted("a")
    await workers["b"].join(queues)
    await until(lambda: settled("a", "b"), what="a spread over two workers")
    await workers["c"].join(queues)
    await until(lambda: settled("a", "b", "c"), what="a spread over three workers")
    await workers["a"].leave()
    await until(lambda: settled("b", "c"), what="a spread over those who stayed")
    workers["b"].session._consuming.abort()
    await until(lambda: settled("c"), what="a spread over who lived")

    for queue in queues:
        taken = [number for number, _ in seen[queue]]
        first_seen = list(dict.fromkeys(taken))
        assert first_seen == list(range(count))
    await workers["c"].leave()


async def test_a_backlog_that_is_handed_over_stays_in_order(
    opened: Opener, setup: Setup, broker_version: tuple[int, ...]
) -> None:
    if broker_version < (4,):
        pytest.skip("needs RabbitMQ 4: only there a priority moves a queue")
    queue = await setup.queue()
    publisher = await (await opened()).publisher()
    await publisher.publish(
        [Publication("", queue, b"%d" % n, must_be_taken=True) for n in range(1_000)]
    )
    low = await (await opened()).intake(queue, prefetch=100, priority=1)
    first = await low.take(100)
    high = await (await opened()).intake(queue, prefetch=100, priority=2)
    taking = asyncio.ensure_future(high.take(100))
    seen = [int(delivery.body) for delivery in first]
    low.ack_through(first[-1].tag)

    async def drain_low() -> bool:
        if low.in_hand:
            rest = await low.take(100)
            seen.extend(int(delivery.body) for delivery in rest)
            low.ack_through(rest[-1].tag)
        return taking.done()

    await until(drain_low, what="the hand-over to the higher priority")
    taken = await taking
    while taken:
        seen.extend(int(delivery.body) for delivery in taken)
        high.ack_through(taken[-1].tag)
        taken = await high.take(100) if len(seen) < 1_000 else []

    assert seen == list(range(1_000))
