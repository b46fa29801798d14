"""Intakes: in order, and everything comes back in order when the channel closes (I1).

The measured facts 2, 3, 4 and 11 of the design are held here, each on the broker that runs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.brokers import die, numbers, publish, take_exactly
from tests.waiting import DEADLINE_SECONDS, until
from worker.broker import Publication, SessionLost

if TYPE_CHECKING:
    from tests.brokers import Opener, Setup
    from worker.broker import Session


async def test_a_take_returns_what_is_buffered_and_no_more_than_asked(
    session: Session, setup: Setup
) -> None:
    queue = await setup.queue()
    await publish(session, queue, 25)
    intake = await session.intake(queue, prefetch=100)
    await until(lambda: intake.in_hand == 25)

    assert numbers(await intake.take(10)) == list(range(10))
    assert numbers(await intake.take(100)) == list(range(10, 25))


async def test_an_idle_take_answers_as_soon_as_something_comes(
    session: Session, setup: Setup
) -> None:
    queue = await setup.queue()
    intake = await session.intake(queue, prefetch=100)
    taking = asyncio.ensure_future(intake.take(10))

    await publish(session, queue, 1)

    async with asyncio.timeout(DEADLINE_SECONDS):
        assert numbers(await taking) == [0]


async def test_no_more_than_the_prefetch_is_ever_in_hand(session: Session, setup: Setup) -> None:
    queue = await setup.queue()
    await publish(session, queue, 30)
    intake = await session.intake(queue, prefetch=10)

    for acknowledged in range(0, 30, 10):
        taken = await take_exactly(intake, 10)
        assert numbers(taken) == list(range(acknowledged, acknowledged + 10))
        assert intake.in_hand == 10
        intake.ack_through(taken[-1].tag)


@pytest.mark.parametrize("end", ["closed channel", "dead connection"])
async def test_everything_unacknowledged_comes_back_in_order_over_repeated_takeovers(
    opened: Opener, setup: Setup, end: str
) -> None:
    queue = await setup.queue()
    await publish(await opened(), queue, 2_000)
    done = 0

    for _ in range(4):
        session = await opened()
        intake = await session.intake(queue, prefetch=2_000)
        taken = await take_exactly(intake, 2_000 - done)
        assert numbers(taken) == list(range(done, 2_000))
        intake.ack_through(taken[299].tag)
        done += 300
        # An answer shows that the acknowledgement before it has arrived.
        await intake._channel.amqp.basic_qos(prefetch_count=2_000)
        await (intake.close() if end == "closed channel" else die(session))

    intake = await (await opened()).intake(queue, prefetch=2_000)
    assert numbers(await take_exactly(intake, 2_000 - done)) == list(range(done, 2_000))


async def test_a_stopped_intake_keeps_what_it_took_until_it_is_acknowledged_or_closed(
    opened: Opener, setup: Setup
) -> None:
    queue = await setup.queue()
    old, new = await opened(), await opened()
    await publish(old, queue, 20)
    draining = await old.intake(queue, prefetch=20)
    taken = numbers_in_hand = await take_exactly(draining, 5)
    await until(lambda: draining.in_hand == 20)
    successor = await new.intake(queue, prefetch=20)
    taking = asyncio.ensure_future(successor.take(100))

    draining.stop()

    assert await draining.take(10) == []
    draining.ack_through(taken[-1].tag)
    assert not taking.done()
    await draining.close()
    assert len(numbers_in_hand) == 5
    assert numbers(await taking)[0] == 5
    with pytest.raises(SessionLost):
        await draining.take(1)


async def test_a_consumer_cancelled_with_messages_in_hand_would_let_later_ones_overtake(
    opened: Opener, setup: Setup
) -> None:
    """Fact 2, and why an intake never cancels: what we avoid, seen on the broker itself."""
    queue = await setup.queue()
    await publish(await opened(), queue, 20)
    old = await (await opened()).intake(queue, prefetch=10)
    await take_exactly(old, 10)
    successor = await (await opened()).intake(queue, prefetch=10)

    amqp = old._channel.amqp
    await amqp.basic_cancel(next(iter(amqp.consumers)))

    assert numbers(await take_exactly(successor, 10)) == list(range(10, 20))


async def test_a_message_rejected_where_no_delivery_limit_is_set_would_go_to_the_back(
    opened: Opener, setup: Setup, broker_version: tuple[int, ...]
) -> None:
    """Fact 2, and why an intake never rejects: what we avoid, seen on the broker itself."""
    # RabbitMQ 4 sets a limit by itself, and takes -1 for none.
    queue = await setup.queue(x_delivery_limit=None if broker_version < (4,) else -1)
    await publish(await opened(), queue, 5)
    intake = await (await opened()).intake(queue, prefetch=1)
    first = (await take_exactly(intake, 1))[0]

    await intake._channel.amqp.basic_nack(first.tag)

    assert numbers(await take_exactly(intake, 1)) == [1]


async def test_thirty_crashes_lose_nothing_under_the_explicit_delivery_limit(
    opened: Opener, setup: Setup
) -> None:
    """Fact 3: RabbitMQ 4 drops at 20 unless told otherwise."""
    queue = await setup.queue()
    await publish(await opened(), queue, 5)
    for _ in range(30):
        session = await opened()
        await take_exactly(await session.intake(queue, prefetch=10), 5)
        await die(session)

    intake = await (await opened()).intake(queue, prefetch=10)
    assert numbers(await take_exactly(intake, 5)) == list(range(5))


async def test_a_delivery_limit_of_minus_one_would_discard_on_rabbitmq_3(
    opened: Opener, setup: Setup, broker_version: tuple[int, ...]
) -> None:
    """Fact 3, and why the limit is positive: what we avoid, seen on the broker itself."""
    queue = await setup.queue(x_delivery_limit=-1)
    await publish(await opened(), queue, 5)
    intake = await (await opened()).intake(queue, prefetch=5)
    await take_exactly(intake, 5)

    await intake.close()
    await publish(await opened(), queue, 1)

    successor = await (await opened()).intake(queue, prefetch=10)
    expected = [0] if broker_version < (4,) else [0, 1, 2, 3, 4, 0]
    assert numbers(await take_exactly(successor, len(expected))) == expected


async def test_successors_with_the_same_prefetch_keep_the_order(
    opened: Opener, setup: Setup
) -> None:
    """Fact 4, as it is with us: every worker uses the prefetch that all agreed on."""
    assert await order_after_a_successor_died(opened, setup, successor_prefetch=20) == list(
        range(60)
    )


async def test_a_successor_with_a_smaller_prefetch_would_break_the_order(
    opened: Opener, setup: Setup
) -> None:
    """Fact 4, and why workers agree on it: what we avoid, seen on the broker itself."""
    seen = await order_after_a_successor_died(opened, setup, successor_prefetch=5)

    assert sorted(seen) == list(range(60))
    assert seen != list(range(60))


async def order_after_a_successor_died(
    opened: Opener, setup: Setup, *, successor_prefetch: int
) -> list[int]:
    """Let one consumer die with 20 in hand, then its successor; return what a third sees."""
    queue = await setup.queue()
    await publish(await opened(), queue, 60)
    for prefetch in (20, successor_prefetch):
        session = await opened()
        await take_exactly(await session.intake(queue, prefetch=prefetch), prefetch)
        await die(session)
    last = await (await opened()).intake(queue, prefetch=20)
    seen: list[int] = []
    while len(seen) < 60:
        taken = await take_exactly(last, 1)
        seen += numbers(taken)
        last.ack_through(taken[-1].tag)
    return seen


async def test_after_four_deaths_every_prefetched_message_carries_a_raised_count(
    opened: Opener, setup: Setup
) -> None:
    """Fact 11: counts alone condemn the innocent, so they only make the worker careful."""
    queue = await setup.queue()
    await publish(await opened(), queue, 50)
    for _ in range(4):
        session = await opened()
        await take_exactly(await session.intake(queue, prefetch=40), 40)
        await die(session)

    intake = await (await opened()).intake(queue, prefetch=100)
    taken = await take_exactly(intake, 50)

    assert [delivery.delivery_count for delivery in taken] == [4] * 40 + [0] * 10
    assert intake.raised_in_hand(4) == intake.raised_in_hand(1) == 40
    assert intake.raised_in_hand(5) == 0
    intake.ack_through(taken[29].tag)
    assert intake.raised_in_hand(4) == 10
    intake.ack_through(taken[-1].tag)
    assert intake.raised_in_hand(1) == intake.in_hand == 0


async def test_a_deleted_queue_ends_the_session(session: Session, setup: Setup) -> None:
    queue = await setup.queue()
    intake = await session.intake(queue, prefetch=10)
    taking = asyncio.ensure_future(intake.take(10))

    await setup.delete(queue)

    async with asyncio.timeout(DEADLINE_SECONDS):
        with pytest.raises(SessionLost, match=queue):
            await taking
        assert queue in str(await session.lost)


async def test_a_missing_queue_ends_the_session_with_the_broker_s_own_words(
    session: Session,
) -> None:
    with pytest.raises(SessionLost, match=r"no\.such\.queue"):
        await session.intake("no.such.queue", prefetch=10)

    assert "NOT_FOUND" in str(session.lost.result())


async def test_a_publisher_s_own_delivery_count_is_not_believed(
    opened: Opener, setup: Setup
) -> None:
    """RabbitMQ 4 leaves such a header alone until it has something to count itself."""
    queue = await setup.queue()
    claim = Publication("", queue, b"0", must_be_taken=True, headers={"x-delivery-count": 1_000})
    await (await (await opened()).publisher()).publish([claim])
    counts = []
    for _ in range(2):
        session = await opened()
        intake = await session.intake(queue, prefetch=10)
        (delivery,) = await take_exactly(intake, 1)
        counts.append((delivery.delivery_count, intake.raised_in_hand(1)))
        await die(session)
    assert counts == [(0, 0), (1, 1)]
