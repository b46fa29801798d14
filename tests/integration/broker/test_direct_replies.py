"""Replies to direct reply addresses: what is wrong with one of them hurts nothing else."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from pamqp import commands

from tests.brokers import QUICK, numbered, numbers, reply, take_exactly
from tests.proxy import Proxy
from tests.waiting import until
from worker.broker import Publication, PublishReport, open_connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.brokers import Opener, Setup
    from worker.broker import Session, WireConnection

# Each of them makes RabbitMQ close the whole connection with INTERNAL_ERROR, at least in some
# version.
POISON = [f"amq.rabbitmq.reply-to.{rest}" for rest in ("garbage.x", "!!!.x", "g1h2AA==.k")]


class Asker:
    """A client that waits at a direct reply address."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.answers: list[int] = []


@asynccontextmanager
async def asker(session: Session, setup: Setup) -> AsyncIterator[Asker]:
    asking = await setup.connection.amqp.channel()
    made = Asker("")

    async def answered(message: object) -> None:
        made.answers.append(int(message.body))  # type: ignore[attr-defined]

    await asking.basic_consume("amq.rabbitmq.reply-to", answered, no_ack=True)
    queue = await setup.queue()
    properties = commands.Basic.Properties(reply_to="amq.rabbitmq.reply-to")
    await asking.basic_publish(b"question", routing_key=queue, properties=properties)
    (question,) = await take_exactly(await session.intake(queue, prefetch=1), 1)
    assert question.reply_to is not None
    made.address = question.reply_to
    yield made
    await asking.close()


@pytest.mark.parametrize("address", [*POISON, "amq.rabbitmq.reply-to"])
async def test_a_poisonous_address_is_given_up_and_nothing_else(
    session: Session, setup: Setup, address: str
) -> None:
    queue = await setup.queue()
    publisher = await session.publisher()
    for number in range(3):
        batch = [*numbered(queue, [number]), reply(address), reply(queue, number)]
        report = await publisher.publish(batch)
        assert report == PublishReport(confirmed=2, replies_given_up=1)
    assert not session.lost.done()
    seen = numbers(await take_exactly(await session.intake(queue, prefetch=9), 6))
    assert seen == [0, 0, 1, 1, 2, 2]


async def test_honest_clients_beside_a_poisonous_address_get_their_replies(
    session: Session, setup: Setup
) -> None:
    publisher = await session.publisher()
    async with asker(session, setup) as client:
        batch = [reply(client.address, number) for number in range(20)]
        batch.insert(10, reply(POISON[0]))
        report = await publisher.publish(batch)
        assert report == PublishReport(confirmed=20, replies_given_up=1)
        await until(lambda: set(client.answers) == set(range(20)), what="every reply")
    assert not session.lost.done()


async def test_publishers_of_a_session_send_direct_replies_side_by_side(
    session: Session, setup: Setup
) -> None:
    publishers = [await session.publisher() for _ in range(4)]
    async with asker(session, setup) as client:
        reports = await asyncio.gather(
            *(
                publisher.publish([reply(POISON[n % 3]), reply(client.address, n)])
                for n, publisher in enumerate(publishers)
            )
        )
        assert reports == [PublishReport(confirmed=1, replies_given_up=1)] * 4
        await until(lambda: set(client.answers) == set(range(4)), what="every reply")


def count_openings(session: Session, url: str) -> list[str]:
    """Let the session open connections for direct replies to a URL; return one entry for each."""
    opened: list[str] = []

    async def open_counted() -> WireConnection:
        opened.append(url)
        return await open_connection(url, name="test", heartbeat_seconds=10)

    session._direct_replies._connect = open_counted
    return opened


async def test_a_batch_of_nothing_but_poison_costs_a_few_connections(
    session: Session, setup: Setup, amqp_url: str
) -> None:
    queue = await setup.queue()
    publisher = await session.publisher()
    opened = count_openings(session, amqp_url)
    batch = [reply(POISON[0]) for _ in range(500)]
    report = await publisher.publish([*batch, *numbered(queue, [1])])
    assert report == PublishReport(confirmed=1, replies_given_up=500)
    assert 1 <= len(opened) <= QUICK.reply_attempts_max
    assert not session.lost.done()


async def test_direct_replies_that_are_not_confirmed_in_time_are_given_up(
    opened: Opener, setup: Setup, amqp_url: str
) -> None:
    """A connection that stays silent costs one short wait; then none is opened for a while."""
    queue = await setup.queue()
    session = await opened(rules=replace(QUICK, retry_delay_seconds_max=60))
    publisher = await session.publisher()
    async with asker(session, setup) as client, Proxy(amqp_url) as proxy:
        opened_to_the_proxy = count_openings(session, proxy.url)
        batch = [*numbered(queue, [1]), reply(client.address)]
        assert await publisher.publish(batch) == PublishReport(confirmed=2)
        proxy.hold()
        # The first of them waits; the others have no connection to wait for.
        for _ in range(20):
            report = await publisher.publish(batch)
            assert report == PublishReport(confirmed=1, replies_given_up=1)
    assert len(opened_to_the_proxy) == 1
    assert not session.lost.done()


async def test_no_connection_for_direct_replies_is_no_end_of_the_session(
    opened: Opener, setup: Setup, amqp_url: str
) -> None:
    queue = await setup.queue()
    session = await opened(rules=replace(QUICK, retry_delay_seconds_max=0.05))
    publisher = await session.publisher()
    async with asker(session, setup) as client:
        batch = [reply(client.address), *numbered(queue, [1])]
        connect = session._direct_replies._connect
        session._direct_replies._connect = partial(
            open_connection, "amqp://127.0.0.1:1", name="test", heartbeat_seconds=10
        )
        report = await publisher.publish(batch)
        assert report == PublishReport(confirmed=1, replies_given_up=1)
        session._direct_replies._connect = connect

        async def is_confirmed() -> bool:
            return await publisher.publish(batch) == PublishReport(confirmed=2)

        await until(is_confirmed, what="a direct reply over a new connection")
    assert not session.lost.done()


async def test_a_closed_session_opens_no_connection_any_more(
    session: Session, setup: Setup
) -> None:
    direct = session._direct_replies
    async with asker(session, setup) as client:
        assert await direct.publish([reply(client.address)]) == 0
        await session.close()
        assert await direct.publish([reply(client.address)]) == 1
    assert direct._connection is None


async def test_a_reply_address_that_only_its_own_channel_may_use_is_not_published_again(
    session: Session, setup: Setup
) -> None:
    """RabbitMQ would close the channel: nobody consumes direct replies on it."""
    queue = await setup.queue()
    bare = Publication("", queue, b"1", must_be_taken=True, reply_to="amq.rabbitmq.reply-to")
    report = await (await session.publisher()).publish([bare, *numbered(queue, [2])])
    assert report == PublishReport(confirmed=2)
    first, _ = await take_exactly(await session.intake(queue, prefetch=9), 2)
    assert first.reply_to is None
    assert not session.lost.done()
