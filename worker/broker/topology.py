"""The broker's topology as data: what must exist, how to make it, and what differs from it.

The map from members to lanes is ours alone: 256 buckets, bound one by one to a direct exchange,
bucket b to partition b modulo the number of partitions. It needs no plugin, every message can be
checked against it, and the number of partitions can change while publishers publish.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import aiormq

from schemas.topology import (
    BUCKETS,
    adjustments_exchange,
    bucket_key_of,
    dead,
    door,
    events_exchange,
    partition_of,
    partition_queue,
)
from worker.broker.connection import call
from worker.broker.errors import BrokerRefused, TopologyDiffers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from aiormq.abc import AbstractChannel
    from pamqp.common import FieldTable

    from worker.broker.connection import WireConnection

    Question = Callable[[AbstractChannel], Awaitable[object]]

# Without an explicit limit RabbitMQ 4 drops whole prefetched groups of messages after 20 crashes,
# and with "none" RabbitMQ 3 drops them at the first return. So: explicit, and out of reach.
DELIVERY_LIMIT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange."""

    name: str
    kind: str
    arguments: FieldTable = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable quorum queue."""

    name: str
    arguments: FieldTable


@dataclass(frozen=True, slots=True)
class Binding:
    """What an exchange passes on to a queue."""

    exchange: str
    queue: str
    routing_key: str


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that must exist on the broker for one generation of partitions (1 to 256)."""

    prefix: str
    generation: int
    partitions: int

    def __post_init__(self) -> None:
        if not 1 <= self.partitions <= BUCKETS:
            raise ValueError(f"There are 1 to {BUCKETS} partitions, not {self.partitions}.")
        if self.generation < 1:
            raise ValueError(f"Generations count from 1, so there is no {self.generation}.")

    @property
    def partition_queues(self) -> tuple[str, ...]:
        """The queues of the lanes, by partition."""
        return tuple(
            partition_queue(self.prefix, self.generation, partition)
            for partition in range(self.partitions)
        )

    def queue_of(self, bucket: int) -> str:
        """Return the queue of the lane that a bucket, 0 to 255, belongs to."""
        return partition_queue(self.prefix, self.generation, partition_of(bucket, self.partitions))

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Every exchange, in an order in which they can be declared."""
        the_door = door(self.prefix)
        return (
            Exchange(the_door, "fanout"),
            Exchange(dead(self.prefix), "topic"),
            Exchange(events_exchange(self.prefix), "topic"),
            Exchange(adjustments_exchange(self.prefix), "direct", {"alternate-exchange": the_door}),
        )

    @property
    def queues(self) -> tuple[Queue, ...]:
        """Every queue, the dead letters' first: a letter must not find it missing."""
        limit: FieldTable = {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT}
        lane: FieldTable = {
            **limit,
            "x-single-active-consumer": True,
            "x-dead-letter-exchange": dead(self.prefix),
            "x-dead-letter-strategy": "at-least-once",
            # At-least-once dead-lettering needs it; with no length limit it refuses nothing.
            "x-overflow": "reject-publish",
        }
        return (
            Queue(dead(self.prefix), limit),
            Queue(door(self.prefix), lane),
            *(Queue(name, lane) for name in self.partition_queues),
        )

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """Every binding; the buckets' come last, once everything else can take messages."""
        the_door, the_dead = door(self.prefix), dead(self.prefix)
        adjustments = adjustments_exchange(self.prefix)
        return (
            Binding(the_dead, the_dead, "#"),
            Binding(the_door, the_door, ""),
            *(
                Binding(adjustments, self.queue_of(bucket), bucket_key_of(bucket))
                for bucket in range(BUCKETS)
            ),
        )


async def declare(connection: WireConnection, topology: Topology) -> None:
    """Make what is missing; what is there and equal stays as it is. Can be repeated.

    Raises TopologyDiffers, in one sentence, when something exists with other properties,
    BrokerRefused when the user may not do it, and SessionLost when the connection breaks.
    """
    ask = _Asking(connection, topology.prefix)
    for what, question in _declarations(topology, passive=False):
        refusal = await ask(question)
        if refusal is not None:
            raise TopologyDiffers(f"{what} is not as it must be: {_text(refusal)}.")
    for binding in topology.bindings:
        refusal = await ask(_binding(binding))
        if refusal is not None:
            raise TopologyDiffers(f"Queue {binding.queue} cannot be bound: {_text(refusal)}.")
    await ask.close()


async def verify(connection: WireConnection, topology: Topology) -> list[str]:
    """Return what differs from the topology, each in one sentence; [] when nothing does.

    Changes nothing. Bindings cannot be asked for over AMQP: a bucket whose binding is missing
    shows at the door. Raises BrokerRefused when the user may not ask, and SessionLost when the
    connection breaks.
    """
    faults: list[str] = []
    ask = _Asking(connection, topology.prefix)
    there = _declarations(topology, passive=True)
    same = _declarations(topology, passive=False)
    for (what, is_there), (_, is_same) in zip(there, same, strict=True):
        refusal = await ask(is_there)
        if isinstance(refusal, aiormq.exceptions.ChannelNotFoundEntity):
            faults.append(f"{what} is missing.")
            continue
        # Declaring again what exists changes nothing, and is refused where anything differs.
        refusal = refusal or await ask(is_same)
        if refusal is not None:
            faults.append(f"{what} is not as it must be: {_text(refusal)}.")
    await ask.close()
    return faults


def consumer_priority(worker_id: str, queue: str) -> int:
    """Return how much this worker wants the queue, 0 to 2^31 - 1: equal on every machine.

    The worker with the highest priority gets the queue, so queues spread evenly over workers,
    and only those of a worker that comes or goes move (rendezvous hashing).
    """
    digest = blake2b(f"{worker_id}\0{queue}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


class _Asking:
    """Puts questions to the broker on one channel, and on a new one after each refusal."""

    def __init__(self, connection: WireConnection, prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix
        self._channel: AbstractChannel | None = None

    async def __call__(self, question: Question) -> aiormq.exceptions.ChannelClosed | None:
        """Return the broker's refusal, if it is one. Raises BrokerRefused for want of a right."""
        if self._channel is None:
            opening = self._connection.amqp.channel(publisher_confirms=False)
            self._channel = await call(opening, "open a channel")
        refusal = await call(_answer(question(self._channel)), "answer about its topology")
        if refusal is not None:
            self._channel = None
        if isinstance(refusal, aiormq.exceptions.ChannelAccessRefused):
            raise BrokerRefused(
                f"User {self._connection.user} may not declare or check the topology:"
                f" {_text(refusal)}. Use the worker's user, or give this one the right to configure"
                f" {self._prefix}.*."
            )
        return refusal

    async def close(self) -> None:
        """Close the last channel."""
        if self._channel is not None:
            await call(self._channel.close(), "close a channel")


async def _answer(question: Awaitable[object]) -> aiormq.exceptions.ChannelClosed | None:
    try:
        await question
    except aiormq.exceptions.ChannelClosed as refusal:
        return refusal
    return None


def _text(refusal: aiormq.exceptions.ChannelClosed) -> str:
    return str(refusal.args[-1]).strip(" .")


def _declarations(topology: Topology, *, passive: bool) -> Iterator[tuple[str, Question]]:
    """Yield each exchange and queue by name, with the question that declares it."""
    for exchange in topology.exchanges:
        yield f"Exchange {exchange.name}", _exchange(exchange, passive=passive)
    for queue in topology.queues:
        yield f"Queue {queue.name}", _queue(queue, passive=passive)


def _exchange(exchange: Exchange, *, passive: bool) -> Question:
    return lambda channel: channel.exchange_declare(
        exchange.name,
        exchange_type=exchange.kind,
        passive=passive,
        durable=True,
        arguments=exchange.arguments,
    )


def _queue(queue: Queue, *, passive: bool) -> Question:
    return lambda channel: channel.queue_declare(
        queue.name, passive=passive, durable=True, arguments=queue.arguments
    )


def _binding(binding: Binding) -> Question:
    return lambda channel: channel.queue_bind(binding.queue, binding.exchange, binding.routing_key)
