"""Vendors' messages over which workers die at the door: stored as refused, and set aside (I5)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from schemas.dialects import BEANS
from tests.crew import Crew, data_of
from tests.integration.door.breaking import (
    BODIES,
    DEATHS_MAX,
    MEMBER,
    SETTINGS,
    WAYS,
    acknowledged,
    condemn,
    identify,
    journal,
    key_of,
    sent_as,
)
from tests.waiting import until
from worker.dialects.beans import Beans

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from worker.store.pool import Pool


@pytest.fixture
async def crew(amqp_url: str, database_url: str, prefix: str) -> AsyncIterator[Crew]:
    async with Crew(amqp_url, database_url, prefix, **SETTINGS) as made:
        yield made


@pytest.fixture(autouse=True)
async def identified(owner: asyncpg.Connection) -> None:
    await identify(owner)


async def test_a_message_that_kills_at_the_door_is_stored_as_refused_answered_and_set_aside(
    crew: Crew, pool: Pool, owner: asyncpg.Connection
) -> None:
    bodies = {
        f"r{n}": json.dumps(BODIES[message_type]).encode()
        for n, (message_type, _) in enumerate(WAYS)
    }
    for (request_id, body), (message_type, headers) in zip(bodies.items(), WAYS, strict=True):
        await crew.send(body, **sent_as(message_type, headers, request_id))
    await condemn(crew, pool, bodies)
    async with crew.running():
        events = await crew.taken(crew.events, len(WAYS))
        replies = await crew.taken(crew.replies, len(WAYS))
        letters = await crew.taken(crew.name("dead"), len(WAYS))
        await acknowledged(crew)
    assert await owner.fetchval("SELECT count(*) FROM points.suspects") == 0
    killed = "killed_the_worker"
    assert await journal(owner) == [("default", MEMBER, name, killed) for name in bodies]
    assert [data_of(event)["error"]["key"] for event in events] == [killed] * len(WAYS)
    assert [key_of(reply) for reply in replies] == [killed] * len(WAYS)
    assert [item.properties.message_type for item in replies] == [name for name, _ in WAYS]
    assert [letter.headers["x-error-key"] for letter in letters] == [killed] * len(WAYS)
    assert [letter.body for letter in letters] == list(bodies.values())


async def test_what_killed_workers_is_never_applied_later_and_its_repeat_gets_the_stored_answer(
    crew: Crew, pool: Pool, owner: asyncpg.Connection
) -> None:
    body = json.dumps(BODIES[BEANS]).encode()
    sent = sent_as(*WAYS[0], "r")
    await crew.send(body, **sent)
    await condemn(crew, pool, {"r": body})
    async with crew.running():
        (first,) = await crew.taken(crew.replies, 1)
        await crew.send(body, **sent)
        (again,) = await crew.taken(crew.replies, 1)
        await crew.send(body.replace(b"20", b"21"), **sent)
        (other,) = await crew.taken(crew.replies, 1)
        await acknowledged(crew)
    assert again.body == first.body
    assert key_of(first) == "killed_the_worker"
    assert key_of(other) == "request_id_conflict"
    assert await owner.fetchval("SELECT count(*) FROM points.wallets") == 0


async def test_what_had_gone_on_before_it_killed_keeps_its_true_answer(
    crew: Crew, pool: Pool, owner: asyncpg.Connection
) -> None:
    """The worker died after the broker had taken the request: it is carried out, once."""
    body = json.dumps(BODIES[BEANS]).encode()
    sent = sent_as(*WAYS[0], "r")
    async with crew.running():
        await crew.send(body, **sent)
        (first,) = await crew.taken(crew.replies, 1)
        await acknowledged(crew)
    await crew.send(body, **sent)
    await condemn(crew, pool, {"r": body})
    async with crew.running():
        (again,) = await crew.taken(crew.replies, 1)
        (letter,) = await crew.taken(crew.name("dead"), 1)
        await acknowledged(crew)
    assert again.body == first.body
    assert json.loads(first.body)["status"] == "committed"
    assert letter.headers["x-error-key"] == "killed_the_worker"
    assert await owner.fetchval("SELECT count(*) FROM points.journal") == 1


async def test_what_kills_while_its_headers_are_read_is_set_aside_unread_after_as_many_deaths(
    crew: Crew, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would end one worker after the other for ever."""
    read = Beans.read

    def dies_of_it(self: Beans, document: object, headers: Any, message_id: str | None) -> Any:
        if message_id == "killer":
            raise KeyError("as the test wants it")
        return read(self, document, headers, message_id)

    monkeypatch.setattr(Beans, "read", dies_of_it)
    body = json.dumps(BODIES[BEANS]).encode()
    for request_id in ("killer", "behind"):
        await crew.send(body, **sent_as(*WAYS[0], request_id))
    await crew.return_often(crew.name("door"), 1)
    for deaths in range(1, 1 + 2 * DEATHS_MAX):
        with pytest.raises(KeyError):
            async with crew.running():
                await until(crew.sessions[-1].lost.done, what="the worker's end")
        assert await owner.fetchval("SELECT tries FROM points.suspects") == deaths
    async with crew.running():
        (letter,) = await crew.taken(crew.name("dead"), 1)
        replies = await crew.taken(crew.replies, 2)
        await acknowledged(crew)
    assert letter.headers["x-error-key"] == "killed_the_worker"
    assert letter.body == body
    told = {reply.properties.correlation_id: reply for reply in replies}
    assert key_of(told["killer"]) == "killed_the_worker"
    assert json.loads(told["behind"].body)["status"] == "committed"
    assert await owner.fetchval("SELECT request_id FROM points.journal") == "behind"
    assert await owner.fetchval("SELECT count(*) FROM points.suspects") == 0
