"""Confirms: whichever way the broker answers, each publication gets the verdict that is its own."""

from __future__ import annotations

import asyncio

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from worker.broker.confirms import REFUSED, RETURNED, TAKEN, Confirms
from worker.broker.errors import SessionLost
from worker.broker.messages import Publication


def publications(count: int, routing_key: str = "k") -> list[Publication]:
    return [
        Publication("", routing_key, b"body", must_be_taken=False, mandatory=True)
        for _ in range(count)
    ]


def answer(confirms: Confirms, *frames: object) -> None:
    for frame in frames:
        data = pamqp.frame.marshal(frame, 1)  # type: ignore[arg-type]
        assert confirms.frame(data[0], data, 7, len(data) - 1)


def ack(number: int, *, multiple: bool = False) -> commands.Basic.Ack:
    return commands.Basic.Ack(number, multiple)


def nack(number: int, *, multiple: bool = False) -> commands.Basic.Nack:
    return commands.Basic.Nack(number, multiple)


def returned(routing_key: str) -> tuple[object, ...]:
    return (
        commands.Basic.Return(312, "NO_ROUTE", "", routing_key),
        ContentHeader(body_size=4),
        ContentBody(b"body"),
    )


async def test_answers_may_come_singly_in_any_order_and_up_to_a_number() -> None:
    confirms = Confirms()
    flight = confirms.begin(publications(6))

    answer(confirms, ack(4), nack(2), ack(3, multiple=True), ack(6))
    assert not flight.landed.done()
    answer(confirms, nack(6, multiple=True))

    assert flight.landed.done()
    assert list(flight.verdicts) == [TAKEN, REFUSED, TAKEN, TAKEN, REFUSED, TAKEN]


async def test_one_answer_may_settle_several_flights() -> None:
    confirms = Confirms()
    first, second = confirms.begin(publications(2)), confirms.begin(publications(2))

    answer(confirms, ack(3, multiple=True))
    assert first.landed.done()
    assert not second.landed.done()
    answer(confirms, ack(4))

    assert second.landed.done()


async def test_a_returned_publication_is_known_by_where_it_went() -> None:
    confirms = Confirms()
    batch = [*publications(1, "a"), *publications(2, "b"), *publications(1, "a")]
    flight = confirms.begin(batch)

    answer(confirms, *returned("b"), *returned("b"), *returned("a"), ack(4, multiple=True))

    assert list(flight.verdicts) == [TAKEN, RETURNED, RETURNED, RETURNED]


async def test_what_was_not_mandatory_is_never_taken_for_returned() -> None:
    confirms = Confirms()
    batch = publications(2)
    batch[0].mandatory = False
    flight = confirms.begin(batch)

    answer(confirms, *returned("k"), ack(2, multiple=True))

    assert list(flight.verdicts) == [TAKEN, RETURNED]


async def test_a_lost_channel_tells_every_flight_and_takes_no_more() -> None:
    confirms = Confirms()
    flight = confirms.begin(publications(1))

    confirms.lose(SessionLost("gone"))

    with pytest.raises(SessionLost, match="gone"):
        await flight.landed
    with pytest.raises(SessionLost, match="gone"):
        confirms.begin(publications(1))


@given(st.data())
def test_every_publication_gets_its_first_answer(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30))
    answers = data.draw(
        st.lists(st.tuples(st.integers(1, count), st.booleans(), st.booleans()), max_size=40)
    )
    expected = [0] * count
    for number, is_ack, multiple in answers:
        for index in range(number) if multiple else [number - 1]:
            expected[index] = expected[index] or (TAKEN if is_ack else REFUSED)

    async def settle() -> list[int]:
        confirms = Confirms()
        size = data.draw(st.integers(1, count))
        flights = [
            confirms.begin(publications(min(size, count - at))) for at in range(0, count, size)
        ]
        for number, is_ack, multiple in answers:
            answer(confirms, (ack if is_ack else nack)(number, multiple=multiple))
        assert all(flight.landed.done() == (flight.unsettled == 0) for flight in flights)
        return [verdict for flight in flights for verdict in flight.verdicts]

    assert expected == asyncio.run(settle())
