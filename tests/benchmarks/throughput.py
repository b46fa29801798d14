"""How fast one process drains a backlog.

The backlog is published and confirmed first, so that publishing costs nothing while the clock
runs. Then one process starts. The clock runs from the last look at which no lane had a consumer
until the durable queue bound to the events (and, with `reply_to`, the queue of the replies)
holds one message for each request: each request makes exactly one event, and an event reaches the
queue after its commit. Nobody consumes these two queues. They are counted by declaring them
passively, up to 50 times a second, so measuring takes next to nothing from the two cores that it
measures.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.cpu import Usage, listener, usage
from tests.benchmarks.ground import counts
from tests.conftest import maintenance
from tests.load import Message
from tests.scene import PARTITIONS, RUN
from tests.traffic import Upstream, connected
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from aiormq.abc import AbstractChannel

    from tests.benchmarks.ground import Ground
    from tests.scene import Scene

MANY_MEMBERS = 300
START_SECONDS_MAX = 60
DRAIN_SECONDS_MAX = 300
QUIET_CORES = 0.1
QUIET_SECONDS_MAX = 10

RELAY = (sys.executable, "-m", "tests.benchmarks.peers", "relay")
CAREFUL = (sys.executable, "-m", "tests.benchmarks.peers", "careful")


@dataclass(frozen=True, slots=True)
class Case:
    """What is drained, and by what."""

    name: str
    members: int
    has_replies: bool = False
    command: tuple[str, ...] = RUN
    share: float = 1.0
    """How much of the asked number of requests, where the drain is slow."""


WORKER_CASES = (
    Case(f"worker, {MANY_MEMBERS} members", MANY_MEMBERS),
    Case("worker, one member", 1),
    Case(f"worker, {MANY_MEMBERS} members, replies", MANY_MEMBERS, has_replies=True),
    Case("worker, one member, replies", 1, has_replies=True),
)
RELAY_CASE = Case("relay", MANY_MEMBERS, command=RELAY)
CAREFUL_CASES = (
    Case("careful", MANY_MEMBERS, command=CAREFUL, share=0.2),
    Case("careful, one member", 1, command=CAREFUL, share=0.1),
)


@dataclass(frozen=True, slots=True)
class Drained:
    """One run: how many requests, how many seconds, who used what meanwhile."""

    requests: int
    seconds: float
    used: Usage

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    def microseconds(self, part: str) -> float | None:
        """CPU microseconds that a part used for each request."""
        used = self.used.by_part[part]
        return None if used is None else used / self.requests * 1e6


def load(count: int, members: int, seed: int) -> list[Message]:
    """Return plain requests: three credits to two debits, one in fifty of more than there is."""
    chance = random.Random(seed)
    names = [f"member-{number:04d}" for number in range(members)]
    messages = []
    for number in range(count):
        points = chance.randint(50, 500) if chance.random() < 0.6 else -chance.randint(1, 300)
        if chance.random() < 0.02:
            points = -50_000_000
        member_id, request_id = chance.choice(names), f"order-{seed}-{number:07d}"
        document = {
            "request_id": request_id,
            "member_id": member_id,
            "points": points,
            "reason": "Goodwill for a late delivery",
            "source": "till",
            "source_id": f"receipt-{number}",
        }
        body = json.dumps(document).encode()
        messages.append(Message(number, member_id, request_id, body))
    return messages


async def drain(ground: Ground, case: Case, requests: int, seed: int) -> Drained:
    """Publish a backlog, have it drained once, and return what that took.

    Fails when the books do not hold every request afterwards.
    """
    messages = load(max(1, int(requests * case.share)), case.members, seed)
    async with (
        ground.scene() as scene,
        _counted_queues(scene, has_replies=case.has_replies) as (channel, queues),
    ):
        reply_to = queues[1] if case.has_replies else None
        await Upstream(scene.amqp_url, scene.prefix).publish(messages, reply_to=reply_to)
        servers = {"rabbitmq": listener(scene.amqp_url), "postgres": listener(scene.database_url)}
        await _quiet(servers)
        async with scene.worker(case.command) as worker:
            parts = {"worker": worker.pid, **servers}
            start = await _consumed(channel, scene, parts, worker.log_tail)
            await until(
                lambda: _filled(channel, queues, len(messages)), DRAIN_SECONDS_MAX, worker.log_tail
            )
            used = usage(parts).since(start)
        if case.command == RUN:
            await _check_books(scene, messages)
    return Drained(len(messages), used.at_seconds, used)


@contextlib.asynccontextmanager
async def _counted_queues(
    scene: Scene, *, has_replies: bool
) -> AsyncIterator[tuple[AbstractChannel, Sequence[str]]]:
    """Give a channel and the queues that fill: one bound to the events, one for the replies."""
    events, replies = f"{scene.prefix}.bench.events", f"{scene.prefix}.bench.replies"
    queues = [events, replies] if has_replies else [events]
    async with connected(scene.amqp_url) as connection:
        channel = await connection.channel()
        for queue in queues:
            await channel.queue_declare(queue, durable=True)
        await channel.queue_bind(events, f"{scene.prefix}.events", "#")
        try:
            yield channel, queues
        finally:
            for queue in queues:
                await channel.queue_delete(queue)


async def _quiet(servers: dict[str, int | None]) -> None:
    """Wait until the servers have done with the backlog, as far as one can see from here."""
    for _ in range(QUIET_SECONDS_MAX * 4):
        before = usage(servers)
        await asyncio.sleep(0.25)
        used = usage(servers).since(before)
        if sum(seconds or 0 for seconds in used.by_part.values()) < QUIET_CORES * used.at_seconds:
            return


async def _consumed(
    channel: AbstractChannel, scene: Scene, parts: Mapping[str, int | None], log: Callable[[], str]
) -> Usage:
    """Wait until a lane has a consumer; return what was used at the last look when none had.

    Read when one is seen, it would leave out what a fast process did before that.
    """
    before = usage(parts)

    async def is_consumed() -> bool:
        nonlocal before
        look = usage(parts)
        if await _has_consumer(channel, scene):
            return True
        before = look
        return False

    await until(is_consumed, START_SECONDS_MAX, log)
    return before


async def _has_consumer(channel: AbstractChannel, scene: Scene) -> bool:
    for partition in range(PARTITIONS):
        queue = f"{scene.prefix}.partition.1.{partition:03d}"
        if (await counts(channel, queue))[1]:
            return True
    return False


async def _filled(channel: AbstractChannel, queues: Sequence[str], count: int) -> bool:
    """Tell whether each queue holds so many messages."""
    for queue in queues:
        if (await counts(channel, queue))[0] < count:
            return False
    return True


async def _check_books(scene: Scene, messages: Sequence[Message]) -> None:
    """Fail unless every request has its line in the journal and the balances are its sums."""
    async with maintenance(scene.database_url) as database:
        lines = await database.fetchval("SELECT count(*) FROM points.journal")
        wrong = await database.fetchval(
            """
            SELECT count(*) FROM points.wallets AS wallet
            WHERE wallet.balance <> (
                SELECT sum(line.points) FROM points.journal AS line
                WHERE line.program_id = wallet.program_id AND line.member_id = wallet.member_id
            )
            """
        )
    assert (lines, wrong) == (len(messages), 0), f"{lines} lines, {wrong} wrong balances"
