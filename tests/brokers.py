"""What tests of the broker make on a real RabbitMQ, and how they read it."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Protocol

from tests.traffic import connected
from tests.waiting import DEADLINE_SECONDS
from worker.broker import Publication, PublishRules, Session, open_session
from worker.broker.topology import DELIVERY_LIMIT, Topology
from worker.settings import PARTITIONS_DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiormq.abc import AbstractChannel

    from worker.broker import Delivery, Intake, WireConnection

QUICK = PublishRules(
    confirm_timeout_seconds=DEADLINE_SECONDS,
    retry_delay_seconds_min=0.02,
    retry_delay_seconds_max=0.1,
    reply_attempts_max=3,
)
HEARTBEAT_SECONDS = 10
EMPTY_ANSWERS = 3


async def delete_topology(amqp_url: str, prefix: str, partitions: int = PARTITIONS_DEFAULT) -> None:
    """Delete all that may be declared under a prefix; deleting what is not there succeeds."""
    topology = Topology(prefix, 1, partitions)
    async with connected(amqp_url) as connection:
        channel = await connection.channel()
        for queue in topology.queues:
            await channel.queue_delete(queue.name)
        for exchange in topology.exchanges:
            await channel.exchange_delete(exchange.name)


class Opener(Protocol):
    async def __call__(
        self,
        url: str | None = None,
        *,
        rules: PublishRules = QUICK,
        heartbeat_seconds: int = HEARTBEAT_SECONDS,
    ) -> Session: ...


async def session_at(
    url: str, worker_id: str, *, timeout_seconds: float = DEADLINE_SECONDS
) -> Session:
    """Open a session that nobody closes for the test."""
    return await open_session(
        url,
        worker_id=worker_id,
        rules=QUICK,
        heartbeat_seconds=HEARTBEAT_SECONDS,
        timeout_seconds=timeout_seconds,
    )


class Setup:
    """Makes what a test needs on the broker, and deletes it afterwards."""

    def __init__(self, connection: WireConnection) -> None:
        self.connection = connection
        self.told: list[tuple[str, str | None]] = []
        self._queues: list[str] = []
        self._exchanges: list[str] = []

    async def queue(self, **arguments: object) -> str:
        """Declare a queue like a lane's; arguments replace or add, None leaves out."""
        wanted: dict[str, object] = {
            "x-queue-type": "quorum",
            "x-single-active-consumer": True,
            "x-delivery-limit": DELIVERY_LIMIT,
        }
        for name, value in arguments.items():
            wanted[name.replace("_", "-")] = value
        name = f"t{secrets.token_hex(4)}.queue"
        channel = await self.connection.amqp.channel()
        await channel.queue_declare(
            name,
            durable=True,
            arguments={k: v for k, v in wanted.items() if v is not None},  # type: ignore[misc]
        )
        await channel.close()
        self._queues.append(name)
        return name

    async def narrow_queue(self, length: int) -> str:
        """Declare a subscriber's queue that refuses what goes beyond its length."""
        return await self.queue(
            x_queue_type="classic",
            x_delivery_limit=None,
            x_max_length=length,
            x_overflow="reject-publish",
        )

    async def exchange(self, kind: str, *queues: str) -> str:
        """Declare an exchange and bind the queues to it with every routing key."""
        name = f"t{secrets.token_hex(4)}.exchange"
        channel = await self.connection.amqp.channel()
        await channel.exchange_declare(name, exchange_type=kind)
        self._exchanges.append(name)
        for queue in queues:
            await channel.queue_bind(queue, name, "#")
        await channel.close()
        return name

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        channel = await self.connection.amqp.channel()
        await channel.queue_bind(queue, exchange, routing_key)
        await channel.close()

    async def delete(self, queue: str) -> None:
        channel = await self.connection.amqp.channel()
        await channel.queue_delete(queue)
        await channel.close()

    async def depth(self, queue: str) -> int:
        """How many messages are ready in a queue."""
        channel = await self.connection.amqp.channel()
        count = await ready_in(channel, queue)
        await channel.close()
        return count

    async def clean(self) -> None:
        for queue in self._queues:
            await self.delete(queue)
        channel = await self.connection.amqp.channel()
        for exchange in self._exchanges:
            await channel.exchange_delete(exchange)
        await channel.close()


async def ready_in(channel: AbstractChannel, queue: str) -> int:
    """How many messages are ready in a queue.

    RabbitMQ says 0 also of a quorum queue that does not tell within a quarter of a second, so a 0
    is asked for again.
    """
    for _ in range(EMPTY_ANSWERS):
        declared = await channel.queue_declare(queue, passive=True)
        if declared.message_count:
            return declared.message_count
    return 0


def numbered(queue: str, numbers: Iterable[int]) -> list[Publication]:
    """Publications straight to a queue, whose bodies are the numbers."""
    return [Publication("", queue, b"%d" % number, must_be_taken=True) for number in numbers]


def reply(address: str, number: int = 0) -> Publication:
    """Return a reply whose body is the number."""
    return Publication("", address, b"%d" % number, must_be_taken=False, mandatory=True)


async def events_came(setup: Setup, queue: str, count: int) -> bool:
    """Whether so many messages are ready in a queue."""
    return await setup.depth(queue) == count


def numbers(deliveries: Iterable[Delivery]) -> list[int]:
    """The numbers that were published."""
    return [int(delivery.body) for delivery in deliveries]


async def take_exactly(intake: Intake, count: int) -> list[Delivery]:
    """Take so many deliveries, in as many goes as it needs."""
    taken: list[Delivery] = []
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(taken) < count:
            taken += await intake.take(count - len(taken))
    return taken


async def publish(session: Session, queue: str, count: int) -> None:
    """Publish the numbers from 0 straight to a queue."""
    await (await session.publisher()).publish(numbered(queue, range(count)))


async def die(session: Session) -> None:
    """Break the consuming connection, as a killed worker's breaks."""
    session._consuming.abort()
    await session.lost
