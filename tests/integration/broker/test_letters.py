"""Dead letters: looked at without a trace, dropped for good, or sent back where they came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from schemas.topology import adjustments_exchange, bucket_key, dead
from tests.brokers import numbers, take_exactly
from tests.waiting import until
from worker.broker import NotTaken, Publication
from worker.broker.dead_letters import drop_letter, read_letters, replay_letter
from worker.broker.topology import Topology, declare

if TYPE_CHECKING:
    from tests.brokers import Setup
    from worker.broker import Session

KEY = bucket_key("123456789")


@pytest.fixture
async def letters(session: Session, setup: Setup, prefix: str) -> list[str]:
    """Three dead letters as a lane makes them; their ids."""
    await declare(setup.connection, Topology(prefix, 1, 1))
    await (await session.publisher()).publish([letter(session, prefix, n) for n in range(3)])
    return [found.letter_id for found in await read_letters(setup.connection, prefix)]


def letter(session: Session, prefix: str, number: int, routing_key: str = KEY) -> Publication:
    return Publication(
        dead(prefix),
        "malformed_json",
        b"%d" % number,
        must_be_taken=True,
        content_type="application/json",
        type="adjustment.request.v1",
        message_id="the same for all",
        correlation_id="c",
        reply_to="somewhere",
        user_id=session.user,
        priority=2,
        headers={
            "x-error-key": "malformed_json",
            "x-error-message": "It is no JSON.",
            "x-original-exchange": adjustments_exchange(prefix),
            "x-original-routing-key": routing_key,
            "x-original-queue": "somewhere",
            "x-original-user-id": "till-service",
            "traceparent": "00-1",
        },
    )


async def test_reading_leaves_every_letter_where_it_was(
    letters: list[str], setup: Setup, prefix: str
) -> None:
    assert len(set(letters)) == 3

    for _ in range(2):
        found = await read_letters(setup.connection, prefix)
        assert [f.letter_id for f in found] == letters
        assert numbers(f.delivery for f in found) == [0, 1, 2]
        assert {(f.reason, f.routing_key) for f in found} == {("malformed_json", KEY)}
    assert [f.letter_id for f in await read_letters(setup.connection, prefix, 2)] == letters[:2]
    await until(lambda: all_are_back(setup, prefix), what="the return of all letters")


async def all_are_back(setup: Setup, prefix: str) -> bool:
    return await setup.depth(dead(prefix)) == 3


async def test_one_letter_is_dropped_and_the_others_stay_in_order(
    letters: list[str], setup: Setup, prefix: str
) -> None:
    dropped = await drop_letter(setup.connection, prefix, letters[1])

    assert dropped is not None
    assert dropped.letter_id == letters[1]
    left = await read_letters(setup.connection, prefix)
    assert [f.letter_id for f in left] == [letters[0], letters[2]]
    assert await drop_letter(setup.connection, prefix, letters[1]) is None


async def test_a_letter_is_sent_back_as_it_was_first_published(
    letters: list[str], session: Session, setup: Setup, prefix: str
) -> None:
    replayed = await replay_letter(setup.connection, prefix, letters[2])

    assert replayed is not None
    (again,) = await take_exactly(
        await session.intake(Topology(prefix, 1, 1).partition_queues[0], prefetch=10), 1
    )
    assert numbers([again]) == [2]
    assert (again.exchange, again.routing_key) == (adjustments_exchange(prefix), KEY)
    assert (again.content_type, again.type) == ("application/json", "adjustment.request.v1")
    assert (again.message_id, again.correlation_id) == ("the same for all", "c")
    assert (again.reply_to, again.priority) == ("somewhere", 2)
    assert again.user_id == session.user
    assert again.headers == {"x-original-user-id": "till-service", "traceparent": "00-1"}
    assert [f.letter_id for f in await read_letters(setup.connection, prefix)] == letters[:2]


async def test_a_letter_that_nobody_takes_back_stays_a_dead_letter(
    letters: list[str], session: Session, setup: Setup, prefix: str
) -> None:
    await setup.delete(Topology(prefix, 1, 1).partition_queues[0])
    channel = await setup.connection.amqp.channel()
    await channel.queue_unbind(f"{prefix}.door", f"{prefix}.door")
    await channel.close()

    with pytest.raises(NotTaken):
        await replay_letter(setup.connection, prefix, letters[0])

    assert [f.letter_id for f in await read_letters(setup.connection, prefix)] == letters


async def test_who_published_first_is_not_what_a_publisher_claims(
    session: Session, setup: Setup, prefix: str
) -> None:
    """A letter that the broker made still carries what its publisher wrote into it."""
    topology = Topology(prefix, 1, 1)
    await declare(setup.connection, topology)
    claim = letter(session, prefix, 7)
    claim.user_id = None
    await (await session.publisher()).publish([claim])
    (found,) = await read_letters(setup.connection, prefix)

    await replay_letter(setup.connection, prefix, found.letter_id)

    intake = await session.intake(topology.partition_queues[0], prefetch=10)
    (again,) = await take_exactly(intake, 1)
    assert again.headers["x-original-user-id"] == ""
