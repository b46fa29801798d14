"""What must be taken and is routed nowhere is owed: nothing vanishes with a binding."""

from __future__ import annotations

import pytest

from schemas.topology import bucket_key
from tests.crew import Crew, ids_of
from tests.inside import request
from tests.waiting import until
from worker.readiness import declare_topology


async def publish_waits(crew: Crew) -> None:
    await until(
        lambda: [fault.condition for fault in crew.status.faults()] == ["publish"],
        what="the worker says so",
    )


@pytest.mark.parametrize("routing_key", [bucket_key("m"), "anything"], ids=["by_bucket", "by_door"])
async def test_dead_letters_that_no_queue_takes_are_kept_until_one_does(
    crew: Crew, routing_key: str
) -> None:
    dead = crew.name("dead")
    await crew.channel.queue_unbind(dead, dead, "#")
    rubbish = [b"rubbish %d" % n for n in range(3)]
    async with crew.running():
        await crew.send(*rubbish, routing_key=routing_key)
        await publish_waits(crew)
        await until(lambda: crew.counted("in_hand") == 3, what="the worker holds them")
        await declare_topology(crew.settings)
        # Where the binding came back in between, those behind it have gone out twice.
        letters = await crew.taken(dead, lambda found: len({one.body for one in found}) == 3)
        await until(lambda: crew.counted("in_hand") == 0, what="everything is acknowledged")
        assert not crew.status.faults()
    assert {letter.body for letter in letters} == set(rubbish)


async def test_a_forward_that_neither_a_lane_nor_the_door_takes_is_kept_until_one_does(
    crew: Crew,
) -> None:
    key, door, adjustments = bucket_key("m"), crew.name("door"), crew.name("adjustments")
    lane = crew.name(f"partition.1.00{int(key[-3:]) % 2}")
    await crew.send(*(request(f"r{n}", 1) for n in range(3)), routing_key="anything")
    await crew.channel.queue_unbind(lane, adjustments, key)
    await crew.channel.queue_unbind(door, door, "")
    async with crew.running():
        await publish_waits(crew)
        await until(lambda: crew.counted("in_hand") == 3, what="the worker holds them")
        await crew.channel.queue_bind(lane, adjustments, key)
        events = await crew.taken(crew.events, lambda found: len(set(ids_of(found))) == 3)
        # Some went out again with one before them that was returned.
        assert set(ids_of(events)) == {"r0", "r1", "r2"}
