"""What the worker is compared with, each a process of its own on the same queues.

`relay` takes batches off all lanes and publishes one message for each, confirmed, before it
acknowledges: the worker's own AMQP path without reading, rules and database. `careful` is how one
would write a safe worker without batches: one transaction per request, then its event, confirmed,
then the acknowledgement, lanes side by side.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

import aio_pika
import asyncpg

from schemas import topology
from tests.brokers import session_at
from tests.scene import PARTITIONS
from worker.broker import Intake, Publication, Publisher, SessionLost

PREFETCH = 1000
BATCH_MAX = 500

_TABLES = """
CREATE TABLE IF NOT EXISTS peer_members (
    member_id text PRIMARY KEY, balance bigint NOT NULL, sequence bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS peer_journal (
    member_id text, request_id text, points bigint NOT NULL, outcome bytea NOT NULL,
    PRIMARY KEY (member_id, request_id)
);
"""


async def relay(amqp_url: str, prefix: str) -> None:
    """Take, republish, await the confirms, acknowledge; until the broker goes or we are killed."""
    session = await session_at(amqp_url, "relay")
    lanes = [
        (await session.intake(queue, prefetch=PREFETCH), await session.publisher())
        for queue in _queues(prefix)
    ]
    await asyncio.gather(*(_relay_lane(*lane, prefix) for lane in lanes))


async def _relay_lane(intake: Intake, publisher: Publisher, prefix: str) -> None:
    while deliveries := await intake.take(BATCH_MAX):
        await publisher.publish(
            [
                Publication(
                    exchange=topology.events_exchange(prefix),
                    routing_key="default.POINTS_ADJUSTED",
                    body=delivery.body,
                    must_be_taken=True,
                    content_type=delivery.content_type,
                    message_id=delivery.message_id,
                )
                for delivery in deliveries
            ]
        )
        intake.ack_through(deliveries[-1].tag)


async def careful(amqp_url: str, database_url: str, prefix: str) -> None:
    """Apply one request after the other in each lane, until killed."""
    async with asyncpg.create_pool(database_url, min_size=PARTITIONS, max_size=PARTITIONS) as pool:
        await pool.execute(_TABLES)
        connection = await aio_pika.connect(amqp_url)
        publishing = await connection.channel(publisher_confirms=True)
        events = await publishing.get_exchange(topology.events_exchange(prefix))
        await asyncio.gather(
            *(_careful_lane(connection, queue, pool, events) for queue in _queues(prefix))
        )


async def _careful_lane(
    connection: aio_pika.abc.AbstractConnection,
    name: str,
    pool: asyncpg.Pool,
    events: aio_pika.abc.AbstractExchange,
) -> None:
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=PREFETCH)
    queue = await channel.get_queue(name)
    async with pool.acquire() as database, queue.iterator() as messages:
        async for message in messages:
            outcome = await _apply(database, json.loads(message.body))
            event = aio_pika.Message(outcome, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await events.publish(event, "default.POINTS_ADJUSTED")
            await message.ack()


async def _apply(
    database: asyncpg.pool.PoolConnectionProxy, request: dict[str, str | int]
) -> bytes:
    """Apply one request in one transaction, known ones not again; return its outcome."""
    member_id, request_id = request["member_id"], request["request_id"]
    points = int(request["points"])
    async with database.transaction():
        await database.execute(
            "INSERT INTO peer_members VALUES ($1, 0, 0) ON CONFLICT DO NOTHING", member_id
        )
        row = await database.fetchrow(
            "SELECT balance, sequence FROM peer_members WHERE member_id = $1 FOR UPDATE", member_id
        )
        known = await database.fetchval(
            "SELECT outcome FROM peer_journal WHERE member_id = $1 AND request_id = $2",
            member_id,
            request_id,
        )
        if known is not None:
            return bytes(known)
        assert row is not None, "it was created before"
        applied = points if row["balance"] + points >= 0 else 0
        balance, sequence = row["balance"] + applied, row["sequence"] + 1
        outcome = json.dumps(
            {"request_id": request_id, "points": applied, "balance": balance, "sequence": sequence}
        ).encode()
        await database.execute(
            "INSERT INTO peer_journal VALUES ($1, $2, $3, $4)",
            member_id,
            request_id,
            applied,
            outcome,
        )
        await database.execute(
            "UPDATE peer_members SET balance = $2, sequence = $3 WHERE member_id = $1",
            member_id,
            balance,
            sequence,
        )
    return outcome


def _queues(prefix: str) -> list[str]:
    return [topology.partition_queue(prefix, 1, partition) for partition in range(PARTITIONS)]


def main() -> None:
    """Run the peer that the first argument names, on the servers of the environment."""
    amqp_url, database_url = os.environ["AMQP_URL"], os.environ["DATABASE_URL"]
    prefix = os.environ["POINTS_PREFIX"]
    peers = {
        "relay": lambda: relay(amqp_url, prefix),
        "careful": lambda: careful(amqp_url, database_url, prefix),
    }
    try:
        asyncio.run(peers[sys.argv[1]]())
    except SessionLost as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
