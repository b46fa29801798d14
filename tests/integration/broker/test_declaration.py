"""The topology on a real broker: made once, verified without a change, and faults told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from schemas.topology import adjustments_exchange, bucket_key_of, dead, door
from tests.brokers import numbered, numbers, take_exactly
from worker.broker import BrokerRefused, Publication, TopologyDiffers
from worker.broker.topology import Topology, declare, verify

if TYPE_CHECKING:
    from tests.brokers import Setup
    from worker.broker import Session


async def test_what_was_declared_verifies_and_can_be_declared_again(
    setup: Setup, prefix: str
) -> None:
    topology = Topology(prefix, 1, 3)

    await declare(setup.connection, topology)
    await declare(setup.connection, topology)

    assert await verify(setup.connection, topology) == []


async def test_on_an_empty_broker_everything_is_missing_and_stays_so(
    setup: Setup, prefix: str
) -> None:
    topology = Topology(prefix, 1, 2)
    things = [f"Exchange {e.name}" for e in topology.exchanges]
    things += [f"Queue {q.name}" for q in topology.queues]

    for _ in range(2):
        faults = await verify(setup.connection, topology)
        assert faults == [f"{thing} is missing." for thing in things]


async def test_what_exists_with_other_properties_is_told_by_name_and_never_changed(
    setup: Setup, prefix: str
) -> None:
    topology = Topology(prefix, 1, 2)
    queue = topology.partition_queues[1]
    channel = await setup.connection.amqp.channel()
    await channel.queue_declare(
        queue, durable=True, arguments={"x-queue-type": "quorum", "x-delivery-limit": 20}
    )
    await channel.exchange_declare(
        adjustments_exchange(prefix), exchange_type="topic", durable=True
    )
    await channel.close()

    with pytest.raises(TopologyDiffers, match=f"Exchange {adjustments_exchange(prefix)} is not"):
        await declare(setup.connection, topology)

    told = [f for f in await verify(setup.connection, topology) if "missing" not in f]
    assert len(told) == 2
    assert told[0].startswith(f"Exchange {adjustments_exchange(prefix)} is not as it must be")
    assert told[1].startswith(f"Queue {queue} is not as it must be")
    assert "PRECONDITION_FAILED" in told[1]


async def test_a_right_that_is_missing_is_told_as_such_and_not_as_a_wrong_queue(
    setup: Setup,
) -> None:
    # Names that begin with "amq." are nobody's to make: the broker answers as to a missing right.
    with pytest.raises(BrokerRefused, match=r"right to configure amq\.t\.\*") as told:
        await declare(setup.connection, Topology("amq.t", 1, 1))

    assert f"User {setup.connection.user} " in str(told.value)
    assert "ACCESS_REFUSED" in str(told.value)


async def test_every_bucket_leads_to_its_partition_and_all_else_to_the_door(
    session: Session, setup: Setup, prefix: str
) -> None:
    topology = Topology(prefix, 1, 3)
    await declare(setup.connection, topology)
    exchange = adjustments_exchange(prefix)
    keys = [bucket_key_of(bucket) for bucket in range(256)]

    await (await session.publisher()).publish(
        [
            Publication(exchange, key, b"%d" % n, must_be_taken=True, mandatory=True)
            for n, key in enumerate([*keys, "member-1", "bucket.256"])
        ]
    )

    for partition, queue in enumerate(topology.partition_queues):
        expected = list(range(partition, 256, 3))
        intake = await session.intake(queue, prefetch=300)
        assert numbers(await take_exactly(intake, len(expected))) == expected
    at_the_door = await session.intake(door(prefix), prefetch=10)
    assert numbers(await take_exactly(at_the_door, 2)) == [256, 257]


async def test_what_a_lane_s_queue_gives_up_goes_to_the_dead_letters(
    session: Session, setup: Setup, prefix: str
) -> None:
    topology = Topology(prefix, 1, 1)
    await declare(setup.connection, topology)
    (queue,) = topology.partition_queues
    intake = await session.intake(dead(prefix), prefetch=10)
    await (await session.publisher()).publish(numbered(queue, [7]))
    lane = await session.intake(queue, prefetch=10)
    (message,) = await take_exactly(lane, 1)

    await lane._channel.amqp.basic_reject(message.tag, requeue=False)

    (letter,) = await take_exactly(intake, 1)
    assert numbers([letter]) == [7]
    assert letter.headers["x-first-death-reason"] == "rejected"
