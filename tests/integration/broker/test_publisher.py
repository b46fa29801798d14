"""Publishers: in order, until taken, or not at all (I1, I3; "Why order holds")."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pamqp.frame
import pytest
from pamqp import commands

from tests.brokers import QUICK, events_came, numbered, numbers, reply, take_exactly
from tests.proxy import Proxy
from tests.waiting import DEADLINE_SECONDS, until
from worker.broker import Publication, PublishReport, SessionLost, Unpublishable

if TYPE_CHECKING:
    from tests.brokers import Opener, Setup
    from worker.broker import Intake, Session


def event(exchange: str, number: int) -> Publication:
    return Publication(exchange, "default.POINTS_ADJUSTED", b"%d" % number, must_be_taken=True)


async def test_a_batch_arrives_in_order_and_confirmed(session: Session, setup: Setup) -> None:
    queue = await setup.queue()

    report = await (await session.publisher()).publish(numbered(queue, range(3_000)))

    assert report == PublishReport(confirmed=3_000)
    intake = await session.intake(queue, prefetch=3_000)
    assert numbers(await take_exactly(intake, 3_000)) == list(range(3_000))


async def test_an_empty_batch_is_published_at_once(session: Session) -> None:
    assert await (await session.publisher()).publish([]) == PublishReport(confirmed=0)


async def test_everything_is_carried_and_large_bodies_come_whole(
    session: Session, setup: Setup
) -> None:
    queue = await setup.queue()
    body = bytes(range(256)) * 2_000
    sent = Publication(
        "",
        queue,
        body,
        must_be_taken=True,
        content_type="application/json",
        type="adjustment.request.v1",
        message_id="m",
        correlation_id="c",
        reply_to="somewhere",
        user_id=session.user,
        priority=0,
        headers={"traceparent": "00-1", "count": 3},
    )

    await (await session.publisher()).publish([sent, *numbered(queue, [1])])

    intake = await session.intake(queue, prefetch=10)
    received, after = await take_exactly(intake, 2)
    for name in (
        *("body", "routing_key", "content_type", "type", "message_id", "correlation_id"),
        *("reply_to", "user_id", "priority", "headers"),
    ):
        assert getattr(received, name) == getattr(sent, name), name
    assert numbers([after]) == [1]


async def test_a_refused_event_and_all_behind_it_go_out_again_in_order(
    session: Session, setup: Setup
) -> None:
    full = await setup.narrow_queue(5)
    whole = await setup.queue()
    exchange = await setup.exchange("topic", full, whole)
    answers = await setup.queue()
    publisher = await session.publisher()
    batch = [p for n in range(40) for p in (event(exchange, n), reply(answers, n))]

    publishing = asyncio.ensure_future(publisher.publish(batch))
    await until(lambda: any(reason for _, reason in setup.told), what="word of the refusal")
    intake = await session.intake(full, prefetch=5)
    seen: list[int] = []
    consuming = asyncio.ensure_future(consume(intake, seen))
    async with asyncio.timeout(DEADLINE_SECONDS):
        report = await publishing
    await until(lambda: seen and seen[-1] == 39, what="the last event")
    intake.stop()
    await consuming

    # Room may come while a batch is on its way, so that its end gets in before its middle. But
    # the middle and all behind it are sent again: what came last of each came in order.
    assert list(dict.fromkeys(reversed(seen))) == list(reversed(range(40)))
    assert report.confirmed == 80
    assert report.refusals >= 1
    assert report.replies_given_up == 0
    assert setup.told[0][0] == "publish"
    assert setup.told[-1] == ("publish", None)
    # The subscriber that takes everything sees it in order too: what it sees twice, it has seen.
    every = await session.intake(whole, prefetch=2_000)
    await until(lambda: every.in_hand >= 40)
    assert list(dict.fromkeys(numbers(await every.take(2_000)))) == list(range(40))
    # No reply was sent twice because an event was refused.
    assert await setup.depth(answers) == 40


async def test_what_was_taken_behind_a_refused_event_goes_out_again_with_it(
    session: Session, setup: Setup
) -> None:
    full, taking = await setup.narrow_queue(1), await setup.queue()
    publisher = await session.publisher()
    await publisher.publish([reply(full)])
    batch = [*numbered(taking, [0]), *numbered(full, [1]), *numbered(taking, [2, 3])]
    publishing = asyncio.ensure_future(publisher.publish(batch))
    await until(lambda: any(reason for _, reason in setup.told), what="word of the refusal")

    intake = await session.intake(full, prefetch=1)
    intake.ack_through((await take_exactly(intake, 1))[0].tag)

    async with asyncio.timeout(DEADLINE_SECONDS):
        report = await publishing
    expected = [0, *[2, 3] * (report.refusals + 1)]
    seen = await take_exactly(await session.intake(taking, prefetch=2_000), len(expected))
    assert numbers(seen) == expected
    assert numbers(await take_exactly(intake, 1)) == [1]


async def consume(intake: Intake, seen: list[int]) -> None:
    """Take one after the other until the intake stops."""
    while taken := await intake.take(1):
        seen += numbers(taken)
        intake.ack_through(taken[-1].tag)


async def test_a_forward_that_no_queue_takes_is_tried_until_one_does(
    session: Session, setup: Setup
) -> None:
    queue = await setup.queue()
    exchange = await setup.exchange("direct")
    forwards = [
        Publication(exchange, "bucket.001", b"%d" % n, must_be_taken=True, mandatory=True)
        for n in range(5)
    ]
    publishing = asyncio.ensure_future((await session.publisher()).publish(forwards))
    await until(lambda: any(reason for _, reason in setup.told), what="word of the refusal")

    await setup.bind(queue, exchange, "bucket.001")

    async with asyncio.timeout(DEADLINE_SECONDS):
        report = await publishing
    assert report.confirmed == 5
    assert report.refusals >= 1
    assert numbers(await take_exactly(await session.intake(queue, prefetch=9), 5)) == list(range(5))


async def test_what_must_be_taken_and_cannot_be_encoded_is_refused_before_anything_is_sent(
    session: Session, setup: Setup
) -> None:
    queue = await setup.queue()
    publisher = await session.publisher()
    batch = numbered(queue, [1])
    batch.append(Publication("", "x" * 256, b"", must_be_taken=True))

    with pytest.raises(Unpublishable):
        await publisher.publish(batch)

    assert await publisher.publish(numbered(queue, [2])) == PublishReport(confirmed=1)
    assert numbers(await take_exactly(await session.intake(queue, prefetch=9), 1)) == [2]


async def test_a_connection_that_breaks_mid_publication_ends_the_session_for_good(
    opened: Opener, setup: Setup, amqp_url: str
) -> None:
    queue = await setup.queue()
    async with Proxy(amqp_url) as proxy:
        session = await opened(proxy.url)
        publisher = await session.publisher()
        intake = await session.intake(await setup.queue(), prefetch=10)
        proxy.hold()
        publishing = asyncio.ensure_future(publisher.publish(numbered(queue, range(10))))
        await until(lambda: events_came(setup, queue, 10))
        taking = asyncio.ensure_future(intake.take(1))
        proxy.cut()

        async with asyncio.timeout(DEADLINE_SECONDS):
            with pytest.raises(SessionLost):
                await publishing
            with pytest.raises(SessionLost):
                await taking
        with pytest.raises(SessionLost):
            await publisher.publish(numbered(queue, [99]))
        with pytest.raises(SessionLost):
            intake.ack_through(1)
        await session.close()
    assert await setup.depth(queue) == 10


async def test_confirms_that_do_not_come_in_time_end_the_session(
    opened: Opener, setup: Setup, amqp_url: str
) -> None:
    queue = await setup.queue()
    async with Proxy(amqp_url) as proxy:
        session = await opened(proxy.url, rules=replace(QUICK, confirm_timeout_seconds=0.2))
        publisher = await session.publisher()
        proxy.hold()

        with pytest.raises(SessionLost, match=r"confirmed nothing for 0\.2 s"):
            await publisher.publish(numbered(queue, range(10)))

        assert "confirmed nothing" in str(session.lost.result())
        with pytest.raises(SessionLost):
            await publisher.publish(numbered(queue, [99]))


async def test_an_abandoned_publication_ends_the_session(session: Session, setup: Setup) -> None:
    full = await setup.narrow_queue(1)
    publisher = await session.publisher()
    publishing = asyncio.ensure_future(publisher.publish(numbered(full, range(50))))
    await until(lambda: any(reason for _, reason in setup.told), what="word of the refusal")

    publishing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await publishing
    with pytest.raises(SessionLost, match="abandoned"):
        await publisher.publish(numbered(full, [99]))
    assert setup.told[-1][1] is None


async def test_a_missing_exchange_ends_the_session_with_the_broker_s_own_words(
    session: Session,
) -> None:
    publisher = await session.publisher()

    with pytest.raises(SessionLost, match=r"no exchange 'no\.such\.exchange'"):
        await publisher.publish([event("no.such.exchange", 1)])


async def test_an_alarm_of_the_broker_is_waited_out_and_told(
    opened: Opener, setup: Setup, amqp_url: str
) -> None:
    queue = await setup.queue()
    async with Proxy(amqp_url) as proxy:
        session = await opened(proxy.url, rules=replace(QUICK, confirm_timeout_seconds=2))
        publisher = await session.publisher()
        proxy.say(pamqp.frame.marshal(commands.Connection.Blocked("low on memory"), 0))
        await until(lambda: any(condition == "blocked" for condition, _ in setup.told))
        started = time.monotonic()
        publishing = asyncio.ensure_future(publisher.publish(numbered(queue, range(10))))
        await until(lambda: time.monotonic() > started + 2.5, what="more than the timeout")
        assert not publishing.done()
        assert await setup.depth(queue) == 0

        proxy.say(pamqp.frame.marshal(commands.Connection.Unblocked(), 0))

        assert (await publishing).confirmed == 10
        assert setup.told[-1] == ("blocked", None)


async def test_a_batch_of_many_pieces_is_confirmed_whole(session: Session, setup: Setup) -> None:
    queue = await setup.queue()
    batch = [Publication("", queue, bytes(2_000), must_be_taken=True) for _ in range(10_000)]

    report = await (await session.publisher()).publish(batch)

    assert report.confirmed == 10_000
    assert await setup.depth(queue) == 10_000
