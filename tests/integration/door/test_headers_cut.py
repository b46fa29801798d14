"""Vendors' messages of whose headers some were lost: nobody knows whose they are, or where."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from schemas.dialects import MASTERCARD
from tests.crew import Crew
from tests.integration.door.breaking import (
    BODIES,
    SETTINGS,
    WAYS,
    acknowledged,
    identify,
    journal,
    key_of,
    sent_as,
)
from worker.broker import open_connection
from worker.broker.dead_letters import read_letters, replay_letter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

ALL_WAYS = (*WAYS, (MASTERCARD, {}))


@pytest.fixture
async def crew(amqp_url: str, database_url: str, prefix: str) -> AsyncIterator[Crew]:
    async with Crew(amqp_url, database_url, prefix, **SETTINGS) as made:
        yield made


async def test_a_vendors_message_whose_programme_found_no_room_is_applied_to_no_other(
    crew: Crew, owner: asyncpg.Connection
) -> None:
    await identify(owner)
    for number, (message_type, headers) in enumerate(ALL_WAYS):
        body = json.dumps(BODIES[message_type]).encode()
        huge = {**headers, "huge": "x" * 65_520, "program-id": "acme"}
        await crew.send(body, **sent_as(message_type, huge, f"r{number}"))
    async with crew.running():
        replies = await crew.taken(crew.replies, len(ALL_WAYS))
        letters = await crew.taken(crew.name("dead"), len(ALL_WAYS))
        await acknowledged(crew)
    assert await journal(owner) == []
    for (message_type, _), reply, letter in zip(ALL_WAYS, replies, letters, strict=True):
        assert reply.properties.message_type == message_type
        assert key_of(reply) == "invalid_payload"
        assert letter.headers["x-error-key"] == "invalid_payload"
        assert "headers" in str(letter.headers["x-error-message"])


async def test_a_letter_whose_headers_were_cut_is_listed_whole_and_replayed_to_the_same_end(
    crew: Crew, owner: asyncpg.Connection
) -> None:
    message_type, headers = WAYS[0]
    huge = {**headers, "huge": "x" * 65_000, "more": "x" * 500, "program-id": "acme"}
    body = json.dumps(BODIES[message_type]).encode()
    async with crew.running():
        await crew.send(body, **sent_as(message_type, huge, "r"))
        await crew.taken(crew.replies, 1)
        # The reply goes out before the letter.
        await acknowledged(crew)
        connection = await open_connection(crew.amqp_url, name="test", heartbeat_seconds=10)
        (letter,) = await read_letters(connection, crew.prefix)
        assert (letter.reason, letter.routing_key) == ("invalid_payload", "x")
        await replay_letter(connection, crew.prefix, letter.letter_id)
        await connection.shut()
        (reply,) = await crew.taken(crew.replies, 1)
        await acknowledged(crew)
    assert key_of(reply) == "invalid_payload"
    assert await journal(owner) == []
    assert len(await crew.taken(crew.name("dead"), 1)) == 1
