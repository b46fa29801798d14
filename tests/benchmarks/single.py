"""One at a time: the latency of a lone request, and how fast a lone commit reaches the disk."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast

from pamqp.commands import Basic

from tests.benchmarks.throughput import load
from tests.conftest import maintenance
from tests.load import bucket_key
from tests.traffic import connected

if TYPE_CHECKING:
    from aiormq.abc import DeliveredMessage
    from aiormq.channel import Channel

    from tests.benchmarks.ground import Ground
    from tests.load import Message

WARM_UP = 50
REPLY_SECONDS_MAX = 10
FSYNC_SECONDS = 2.0


async def latencies(ground: Ground, requests: int, seed: int) -> list[float]:
    """Return the seconds from publishing to the reply in hand, one request after the other."""
    async with ground.scene() as scene, scene.worker() as worker:
        await worker.ready()
        async with connected(scene.amqp_url) as connection:
            channel = cast("Channel", await connection.channel())
            replies: asyncio.Queue[DeliveredMessage] = asyncio.Queue()
            declared = await channel.queue_declare(exclusive=True)
            reply_to = str(declared.queue)
            await channel.basic_consume(reply_to, replies.put, no_ack=True)
            seconds = []
            for message in load(WARM_UP + requests, members=20, seed=seed):
                started = time.perf_counter()
                await _publish(channel, scene.prefix, message, reply_to)
                async with asyncio.timeout(REPLY_SECONDS_MAX):
                    await replies.get()
                seconds.append(time.perf_counter() - started)
    return seconds[WARM_UP:]


async def _publish(channel: Channel, prefix: str, message: Message, reply_to: str) -> None:
    """Publish one request and wait for its confirm."""
    await channel.basic_publish(
        message.body,
        exchange=f"{prefix}.adjustments",
        routing_key=bucket_key(message.member_id),
        properties=Basic.Properties(
            content_type="application/json",
            delivery_mode=2,
            correlation_id=message.correlation_id,
            reply_to=reply_to,
        ),
        mandatory=True,
    )


async def commits_per_second(ground: Ground) -> float:
    """Return how many one-row transactions one connection commits to disk in a second."""
    async with ground.scene() as scene, maintenance(scene.database_url) as database:
        await database.execute("CREATE TABLE lone (number bigint)")
        insert = await database.prepare("INSERT INTO lone VALUES ($1)")
        started = time.perf_counter()
        count = 0
        while time.perf_counter() - started < FSYNC_SECONDS:
            await insert.fetch(count)
            count += 1
        return count / (time.perf_counter() - started)
