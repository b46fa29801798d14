"""Messages that no library can read or write again must not stop a lane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pamqp.frame
import pytest
from pamqp import commands
from pamqp.body import ContentBody

from tests.brokers import numbered, take_exactly
from worker.broker import Publication

if TYPE_CHECKING:
    from tests.brokers import Setup
    from worker.broker import Session


def table(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def raw(queue: str, channel: int, flags: int, properties: bytes) -> bytes:
    """The frames of a publication with properties that no library would write."""
    payload = b"\0\x3c\0\0" + (4).to_bytes(8, "big") + flags.to_bytes(2, "big") + properties
    header = b"\x02" + channel.to_bytes(2, "big") + table(payload) + b"\xce"
    publish = commands.Basic.Publish(routing_key=queue)
    return (
        pamqp.frame.marshal(publish, channel)
        + header
        + pamqp.frame.marshal(ContentBody(b"body"), channel)
    )


@pytest.mark.parametrize(
    ("flags", "properties"),
    [
        (0x2000, table(b"\x01tT" + b"\x7f" * 8)),
        (0x0040, b"\x7f" * 8),
        (0x0080, b"\x02\xff\xfe"),
        (0x2000, table(b"\x02\xff\xfe" + b"S" + table(b"\xff"))),
        (0x2000, table(b"\x04huge" + b"S" + table(b"x" * 131_000))),
    ],
    ids=["header year", "year", "message id", "header text", "huge header"],
)
async def test_a_message_that_libraries_choke_on_is_delivered_and_can_be_passed_on(
    session: Session, setup: Setup, flags: int, properties: bytes
) -> None:
    queue, grave = await setup.queue(), await setup.queue()
    channel = await setup.connection.amqp.channel()
    assert setup.connection.writer is not None
    setup.connection.writer.write(raw(queue, channel.number, flags, properties))
    await channel.close()
    publisher = await session.publisher()
    await publisher.publish(numbered(queue, [1]))

    poison, after = await take_exactly(await session.intake(queue, prefetch=10), 2)
    assert (poison.body, after.body) == (b"body", b"1")
    letter = Publication(
        "",
        grave,
        poison.body,
        must_be_taken=True,
        message_id=poison.message_id,
        headers=poison.headers | {"x-error-message": "It is no JSON."},
    )
    assert (await publisher.publish([letter])).confirmed == 1
    assert not session.lost.done()
