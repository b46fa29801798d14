"""What a client does: publish one request, wait for its reply, watch the events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from schemas.topology import bucket_key, events_exchange
from tests.brokers import numbers, take_exactly
from tests.waiting import DEADLINE_SECONDS
from worker.broker import NotTaken, Publication, SessionLost
from worker.broker.client import publish_once, request, request_reply, tail
from worker.broker.topology import Topology, declare

if TYPE_CHECKING:
    from tests.brokers import Setup
    from worker.broker import Delivery, Session

KEY = bucket_key("123456789")


async def test_a_request_is_answered_at_the_address_that_was_made_for_it(
    session: Session, setup: Setup, prefix: str
) -> None:
    topology = Topology(prefix, 1, 1)
    await declare(setup.connection, topology)
    intake = await session.intake(topology.partition_queues[0], prefetch=10)
    asking = asyncio.ensure_future(
        request_reply(
            setup.connection,
            request(prefix, KEY, b"1", message_id="m"),
            timeout_seconds=DEADLINE_SECONDS,
        )
    )
    (asked,) = await take_exactly(intake, 1)
    assert (asked.type, asked.content_type) == ("adjustment.request.v1", "application/json")
    assert asked.reply_to is not None

    answer = Publication("", asked.reply_to, b"2", must_be_taken=False, mandatory=True)
    answer.correlation_id = asked.message_id
    await (await session.publisher()).publish([answer])

    reply = await asking
    assert (reply.body, reply.correlation_id) == (b"2", "m")


async def test_a_reply_that_does_not_come_is_waited_for_no_longer_than_said(
    setup: Setup, prefix: str
) -> None:
    await declare(setup.connection, Topology(prefix, 1, 1))

    with pytest.raises(TimeoutError):
        await request_reply(setup.connection, request(prefix, KEY, b"1"), timeout_seconds=0.2)


async def test_a_request_that_no_queue_takes_is_told_at_once(setup: Setup) -> None:
    exchange = await setup.exchange("direct")
    lost = Publication(exchange, KEY, b"1", must_be_taken=False, mandatory=True)

    with pytest.raises(NotTaken):
        await publish_once(setup.connection, lost)


async def test_a_request_to_a_broker_without_topology_is_told_in_its_own_words(
    setup: Setup,
) -> None:
    with pytest.raises(SessionLost, match="no exchange"):
        await publish_once(setup.connection, request("nothing.here", KEY, b"1"))


async def test_events_are_watched_in_order_and_by_pattern(
    session: Session, setup: Setup, prefix: str
) -> None:
    await declare(setup.connection, Topology(prefix, 1, 1))
    publisher = await session.publisher()
    async with tail(setup.connection, prefix, "acme.#") as events:
        await publisher.publish(
            [
                Publication(
                    events_exchange(prefix),
                    f"{program}.POINTS_ADJUSTED",
                    b"%d" % n,
                    must_be_taken=True,
                )
                for n in range(500)
                for program in ("acme", "other")
            ]
        )
        seen: list[Delivery] = []
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(seen) < 500:
                seen.append(await anext(events))

    assert numbers(seen) == list(range(500))


async def test_nothing_is_left_behind_on_the_connection(setup: Setup, prefix: str) -> None:
    await declare(setup.connection, Topology(prefix, 1, 1))
    before = len(setup.connection.amqp.channels)

    async with tail(setup.connection, prefix):
        await publish_once(setup.connection, request(prefix, KEY, b"1"))

    assert len(setup.connection.amqp.channels) == before
