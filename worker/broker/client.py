"""What a client of the worker does: publish one request, wait for its reply, watch the events.

Each of these takes a plain connection and leaves nothing behind on it. The command line uses
them, and so may a service that wants an example to start from.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import aiormq

from schemas.names import JSON_CONTENT_TYPE, REQUEST_TYPE
from schemas.topology import adjustments_exchange, events_exchange
from worker.broker.connection import call
from worker.broker.errors import NotTaken, SessionLost
from worker.broker.intake import Intake
from worker.broker.messages import Delivery, Publication
from worker.broker.publisher import Publisher, PublishRules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.broker.connection import WireConnection

_PREFETCH = 200
CLIENT_RULES = PublishRules(
    confirm_timeout_seconds=30,
    retry_delay_seconds_min=0.1,
    retry_delay_seconds_max=5,
    reply_attempts_max=1,
)


class QueueCount(NamedTuple):
    """What a queue holds: messages that wait to be delivered, and who consumes it."""

    ready: int
    consumers: int


async def publish_once(connection: WireConnection, publication: Publication) -> None:
    """Publish one message and return once the broker has taken it.

    Raises NotTaken when it does not: it refused, or (if mandatory) no queue receives it; raises
    Unpublishable or SessionLost like `Publisher.publish`.
    """

    def fail(error: SessionLost) -> None:
        publisher.lose(error)

    publisher = Publisher(connection.user, CLIENT_RULES, fail, refused=lambda _: None)
    await publisher.open(connection)
    try:
        report = await publisher.publish([publication])
    finally:
        await publisher.close()
    if report.replies_given_up:
        raise NotTaken(f"RabbitMQ did not take the message for {publication.exchange}.")


def request(
    prefix: str,
    routing_key: str,
    body: bytes,
    *,
    message_id: str | None = None,
    correlation_id: str | None = None,
    reply_to: str | None = None,
) -> Publication:
    """Return an adjustment request as contract version 1 wants it published.

    `routing_key` is the member's bucket key (`schemas.topology.bucket_key`), or anything else to
    have the door route it.
    """
    return Publication(
        exchange=adjustments_exchange(prefix),
        routing_key=routing_key,
        body=body,
        must_be_taken=False,
        mandatory=True,
        content_type=JSON_CONTENT_TYPE,
        type=REQUEST_TYPE,
        message_id=message_id,
        correlation_id=correlation_id,
        reply_to=reply_to,
    )


async def request_reply(
    connection: WireConnection, publication: Publication, *, timeout_seconds: float
) -> Delivery:
    """Publish a request and return the reply to it.

    The reply comes to a queue of its own, so `reply_to` is set here, and `user_id` for programmes
    that ask who publishes. Raises TimeoutError when no reply comes in time (the request may still
    be carried out; repeating it is harmless), and whatever `publish_once` raises.
    """
    async with asyncio.timeout(timeout_seconds), temporary_queue(connection) as (queue, intake):
        asked = replace(publication, reply_to=queue, user_id=connection.user)
        await publish_once(connection, asked)
        return (await intake.take(1))[0]


def server_version(connection: WireConnection) -> str:
    """Return the broker's version as it names itself; raises SessionLost once closed."""
    return str(connection.amqp.server_properties.get("version", "unknown"))


async def queue_count(connection: WireConnection, queue: str) -> QueueCount | None:
    """Return what a queue holds, None where there is no such queue. Raises SessionLost."""
    amqp = await call(connection.amqp.channel(publisher_confirms=False), "open a channel")
    try:
        declared = await amqp.queue_declare(queue, passive=True)
    except aiormq.exceptions.ChannelNotFoundEntity:
        return None
    except (aiormq.AMQPError, RuntimeError, OSError) as error:
        raise SessionLost(f"RabbitMQ does not tell what {queue} holds: {error}") from None
    await call(amqp.close(), "close a channel")
    return QueueCount(declared.message_count or 0, declared.consumer_count or 0)


@asynccontextmanager
async def tail(
    connection: WireConnection, prefix: str, routing_key: str = "#"
) -> AsyncIterator[AsyncIterator[Delivery]]:
    """Give an endless iterator over the events published from now on.

    `routing_key` is a topic pattern over `<program_id>.<event type>`. Iterating raises
    SessionLost when the connection breaks.
    """
    async with temporary_queue(connection, events_exchange(prefix), routing_key) as (_, intake):
        yield _each(intake)


async def _each(intake: Intake) -> AsyncIterator[Delivery]:
    while deliveries := await intake.take(_PREFETCH):
        for delivery in deliveries:
            yield delivery
        intake.ack_through(deliveries[-1].tag)


@asynccontextmanager
async def temporary_queue(
    connection: WireConnection, exchange: str | None = None, routing_key: str = ""
) -> AsyncIterator[tuple[str, Intake]]:
    """Give a queue of this connection's own, consumed, that goes when it is left.

    It is bound to the exchange, if one is named, by `routing_key`. Raises SessionLost.
    """
    amqp = await call(connection.amqp.channel(publisher_confirms=False), "open a channel")
    try:
        declared = await call(amqp.queue_declare(exclusive=True), "declare a queue")
        queue = str(declared.queue)
        if exchange is not None:
            await call(amqp.queue_bind(queue, exchange, routing_key), f"bind to {exchange}")

        def fail(error: SessionLost) -> None:
            intake.lose(error)

        intake = Intake(queue, fail)
        await intake.open(connection, prefetch=_PREFETCH, priority=0)
        try:
            yield queue, intake
        finally:
            await intake.close()
            await call(amqp.queue_delete(queue), "delete a queue")
    finally:
        await amqp.close()
