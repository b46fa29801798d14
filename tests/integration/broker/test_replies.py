"""Replies: given up where nobody takes them, and no event waits for one (I3)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pamqp import commands

from tests.brokers import QUICK, events_came, numbered, numbers, reply, take_exactly
from tests.waiting import DEADLINE_SECONDS, until
from worker.broker import Publication, PublishReport

if TYPE_CHECKING:
    from tests.brokers import Opener, Setup
    from worker.broker import Session


async def test_a_reply_that_a_full_queue_refuses_is_given_up_after_a_few_attempts(
    session: Session, setup: Setup
) -> None:
    full = await setup.narrow_queue(1)
    events = await setup.queue()
    publisher = await session.publisher()
    await publisher.publish([reply(full)])

    report = await publisher.publish([reply(full), *numbered(events, range(10)), reply(full)])

    assert report == PublishReport(confirmed=10, replies_given_up=2)
    assert numbers(await take_exactly(await session.intake(events, prefetch=20), 10)) == list(
        range(10)
    )
    assert not [reason for _, reason in setup.told if reason]


async def test_replies_that_are_tried_again_hold_up_no_later_batch(
    opened: Opener, setup: Setup
) -> None:
    full = await setup.narrow_queue(1)
    events = await setup.queue()
    publisher = await (await opened()).publisher()
    await publisher.publish([reply(full)])
    # So long that the first batch cannot end before the second has.
    rules = replace(QUICK, retry_delay_seconds_min=60, retry_delay_seconds_max=60)
    slow = await (await opened(rules=rules)).publisher()

    first = asyncio.ensure_future(slow.publish([*numbered(events, [0]), reply(full)]))
    await until(lambda: events_came(setup, events, 1))
    async with asyncio.timeout(DEADLINE_SECONDS):
        second = await slow.publish(numbered(events, [1]))

    assert second.confirmed == 1
    assert not first.done()
    first.cancel()


async def test_a_reply_to_nobody_is_given_up_at_once_and_no_other_with_it(
    session: Session, setup: Setup
) -> None:
    there = await setup.queue()
    batch = [reply("no.such.queue"), reply(there, 1), reply("nor.this"), reply(there, 2)]
    batch += numbered(there, [3])

    report = await (await session.publisher()).publish(batch)

    assert report == PublishReport(confirmed=3, replies_given_up=2)
    assert numbers(await take_exactly(await session.intake(there, prefetch=9), 3)) == [1, 2, 3]


@pytest.mark.parametrize(
    "impossible",
    [
        reply("x" * 256),
        reply("\ud800"),
        Publication("", "q", b"", must_be_taken=False, correlation_id="x" * 256),
        Publication("", "q", b"", must_be_taken=False, user_id="somebody-else"),
    ],
    ids=["long address", "no text", "long correlation id", "another user"],
)
async def test_a_reply_that_would_close_the_channel_is_given_up_unsent(
    session: Session, setup: Setup, impossible: Publication
) -> None:
    queue = await setup.queue()

    report = await (await session.publisher()).publish([impossible, *numbered(queue, [1])])

    assert report == PublishReport(confirmed=1, replies_given_up=1)


@pytest.mark.parametrize(
    "address", ["amq.rabbitmq.reply-to.garbage", "amq.rabbitmq.reply-to.", "\udcff\x00", ""]
)
async def test_a_nonsensical_reply_address_does_not_end_the_session(
    session: Session, setup: Setup, address: str
) -> None:
    queue = await setup.queue()

    report = await (await session.publisher()).publish([reply(address), *numbered(queue, [1])])

    assert report.confirmed + report.replies_given_up == 2
    assert not session.lost.done()


async def test_a_direct_reply_is_delivered_and_not_counted_as_given_up(
    session: Session, setup: Setup
) -> None:
    asking = await setup.connection.amqp.channel()
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def answered(message: object) -> None:
        await answers.put(message.body)  # type: ignore[attr-defined]

    await asking.basic_consume("amq.rabbitmq.reply-to", answered, no_ack=True)
    queue = await setup.queue()
    properties = commands.Basic.Properties(reply_to="amq.rabbitmq.reply-to")
    await asking.basic_publish(b"question", routing_key=queue, properties=properties)
    question = (await take_exactly(await session.intake(queue, prefetch=1), 1))[0]
    assert question.reply_to is not None

    report = await (await session.publisher()).publish([reply(question.reply_to, 42)])

    assert report == PublishReport(confirmed=1)
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await answers.get() == b"42"
    await asking.close()
