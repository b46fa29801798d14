"""Vendors' messages that are broken as such: stored as refused, answered, and set aside (I5).

Whose request it is stands in the headers of all dialects but Mastercard's.
"""

from __future__ import annotations

import asyncio
import json
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import pytest

from schemas.dialects import BEANS, CAPILLARY, MASTERCARD
from schemas.errors import ERRORS
from schemas.topology import bucket_key
from tests.brokers import session_at
from tests.crew import Crew, data_of
from tests.inside import user_of
from tests.integration.door.breaking import (
    ACCOUNT,
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
from tests.integration.door.forwarding import BODY_BYTES_MAX, KEY, MOBILE, Forwarding
from tests.proxy import Proxy
from tests.waiting import until
from tests.workers import WorkerProcess

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


BROKEN: Final[list[tuple[bytes, dict[str, Any], str]]] = [
    (b'{"points": 20,', {}, "malformed_json"),
    (b'{"points": "\xff"}', {}, "not_utf8"),
    (b"{}".ljust(BODY_BYTES_MAX + 1), {}, "too_large"),
    (b"x" * (17 * BODY_BYTES_MAX), {}, "too_large"),
    (b"<points/>", {"content_type": "text/xml"}, "unsupported_content_type"),
    (b"{}", {"content_type": "text/plain"}, "unsupported_content_type"),
]


@pytest.mark.parametrize(
    ("body", "properties", "key"),
    BROKEN,
    ids=["json", "utf8", "large", "far_too_large", "xml", "content_type"],
)
async def test_a_broken_message_is_stored_as_refused_answered_and_set_aside(
    crew: Crew, owner: asyncpg.Connection, body: bytes, properties: dict[str, Any], key: str
) -> None:
    for number, (message_type, headers) in enumerate(WAYS):
        await crew.send(body, **sent_as(message_type, headers, f"r{number}", **properties))
    async with crew.running():
        events = await crew.taken(crew.events, len(WAYS))
        replies = await crew.taken(crew.replies, len(WAYS))
        letters = await crew.taken(crew.name("dead"), len(WAYS))
        await acknowledged(crew)
    # All are one member's, and keep their order in its lane.
    assert await journal(owner) == [("default", MEMBER, f"r{n}", key) for n in range(len(WAYS))]
    for number, (message_type, headers) in enumerate(WAYS):
        outcome, reply, letter = data_of(events[number]), replies[number], letters[number]
        assert (outcome["request_id"], outcome["status"]) == (f"r{number}", "REJECTED")
        assert outcome["error"]["key"] == key
        assert reply.properties.message_type == message_type
        assert reply.properties.correlation_id == f"r{number}"
        assert ERRORS[key_of(reply)] == ERRORS[key]
        assert letter.body == body
        assert letter.headers["x-error-key"] == key
        assert letter.headers["x-original-queue"] == crew.name("door")
        assert letter.headers.items() >= headers.items()
        assert letter.properties.message_type == message_type
        assert outcome["error"]["message"] == f"{letter.headers['x-error-message']}."
    assert crew.counted("dead_letters_total", key=key) == len(WAYS)


async def test_a_broken_message_that_comes_again_gets_the_stored_answer_and_no_second_outcome(
    crew: Crew, owner: asyncpg.Connection
) -> None:
    sent = sent_as(BEANS, {"member-id": MEMBER}, "r")
    async with crew.running():
        for _ in range(2):
            await crew.send(b"{", **sent)
        first, again = await crew.taken(crew.replies, 2)
        await crew.taken(crew.name("dead"), 2)
        # What is sent instead needs an id of its own.
        await crew.send(json.dumps(BODIES[BEANS]).encode(), **sent)
        (mended,) = await crew.taken(crew.replies, 1)
        await acknowledged(crew)
    assert again.body == first.body
    assert key_of(first) == "malformed_json"
    assert key_of(mended) == "request_id_conflict"
    assert await journal(owner) == [("default", MEMBER, "r", "malformed_json")]
    assert await crew.depth(crew.name("dead")) == 0


async def test_what_was_asked_counts_wherever_the_body_can_be_read(crew: Crew) -> None:
    """As with requests by the contract, properties are no part of what is asked."""
    sent = sent_as(BEANS, {"member-id": MEMBER}, "r")
    async with crew.running():
        await crew.send(b'{"points":20,"type":"credit"}', **sent, content_type="text/plain")
        await crew.send(b'{"type": "credit", "points": "20.0"}', **sent)
        first, again = await crew.taken(crew.replies, 2)
    assert key_of(first) == "unsupported_content_type"
    assert again.body == first.body


async def test_a_broken_message_by_an_identifier_of_nobody_is_answered_at_the_door(
    crew: Crew, owner: asyncpg.Connection
) -> None:
    await owner.execute("DELETE FROM points.identifiers")
    await crew.send(b"{", **sent_as(*WAYS[-1], "r"))
    async with crew.running():
        (reply,) = await crew.taken(crew.replies, 1)
        (letter,) = await crew.taken(crew.name("dead"), 1)
        await acknowledged(crew)
    assert reply.properties.message_type == CAPILLARY
    assert ERRORS[key_of(reply)] == ERRORS["malformed_json"]
    assert letter.headers["x-error-key"] == "malformed_json"
    assert await journal(owner) == []
    assert await owner.fetchval("SELECT count(*) FROM points.resolutions") == 0


async def test_a_broken_message_by_identifier_reaches_the_member_whom_the_first_one_reached(
    crew: Crew, owner: asyncpg.Connection
) -> None:
    async with crew.running():
        await crew.send(b"{", **sent_as(*WAYS[-1], "r"))
        (first,) = await crew.taken(crew.replies, 1)
        await owner.execute("UPDATE points.identifiers SET member_id = 'another'")
        await crew.send(b"{", **sent_as(*WAYS[-1], "r"))
        (again,) = await crew.taken(crew.replies, 1)
    assert again.body == first.body
    assert await journal(owner) == [("default", MEMBER, "r", "malformed_json")]


async def test_the_account_number_is_in_the_body_so_one_that_cannot_be_read_is_nobodys(
    crew: Crew, owner: asyncpg.Connection
) -> None:
    """Where it can be read, the refusal is stored."""
    body = json.dumps(BODIES[MASTERCARD]).encode()
    async with crew.running():
        await crew.send(body[:-1], **sent_as(MASTERCARD, {}, "cut off"))
        (reply,) = await crew.taken(crew.replies, 1)
        assert key_of(reply) == "malformed_json"
        await crew.send(body, **sent_as(MASTERCARD, {}, "typed", content_type="text/plain"))
        (reply,) = await crew.taken(crew.replies, 1)
        assert key_of(reply) == "unsupported_content_type"
        letters = await crew.taken(crew.name("dead"), 2)
        await acknowledged(crew)
    assert [letter.body for letter in letters] == [body[:-1], body]
    assert await journal(owner) == [("default", MEMBER, "typed", "unsupported_content_type")]


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
async def test_no_digest_is_made_of_a_body_in_which_an_account_number_stands(
    crew: Crew, pool: Pool, content_type: str
) -> None:
    """It has no key, so whoever knows the rest of the body could find the number by trying."""
    body = json.dumps(BODIES[MASTERCARD]).encode()
    sent = sent_as(MASTERCARD, {}, "r", content_type=content_type)
    (message,) = await Forwarding(crew, pool, key=KEY).forwarded(body, **sent)
    assert sha256(body).hexdigest() not in str(message.headers)
    assert ACCOUNT not in f"{message.headers} {message.body!r}"


async def test_the_letter_and_what_goes_on_are_confirmed_before_a_broken_message_is_acknowledged(
    crew: Crew, pool: Pool
) -> None:
    forwarding = Forwarding(crew, pool, key=KEY)
    async with Proxy(crew.amqp_url) as proxy:
        consuming = await session_at(crew.amqp_url, "consuming")
        publishing = await session_at(proxy.url, "publishing")
        intake = await consuming.intake(crew.name("door"), prefetch=100)
        publisher = await publishing.publisher()
        async with asyncio.TaskGroup() as group:
            group.create_task(forwarding.door(intake, publisher).run())
            proxy.hold()
            await crew.send(b"{", **sent_as(*WAYS[0], "r"))

            async def are_both_there() -> bool:
                lane = int(bucket_key(MEMBER)[-3:]) % 2
                queues = (crew.name(f"partition.1.00{lane}"), crew.name("dead"))
                return [await crew.depth(queue) for queue in queues] == [1, 1]

            await until(are_both_there, what="the request in its lane, and the letter")
            assert intake.in_hand == 1
            proxy.release()
            await until(lambda: intake.in_hand == 0, what="the door is done")
            intake.stop()
        await consuming.close()
        await publishing.close()
    (message,) = await forwarding.in_lanes(1)
    ids = {"request_id": "r", "program_id": "default", "member_id": MEMBER}
    assert json.loads(message.body) == ids
    assert json.loads(message.headers["x-refusal"])["key"] == "malformed_json"
    assert message.headers["x-body-digest"] == sha256(b"{").hexdigest()
    assert "x-content-digest" not in message.headers
    assert message.properties.user_id == user_of(crew.amqp_url)


async def test_no_line_of_the_log_shows_an_identifier_or_a_body_of_a_broken_message(
    crew: Crew, pool: Pool, amqp_url: str, database_url: str
) -> None:
    secret = b'{"reasonOfReturn": "a very private reason"'
    killer = json.dumps(BODIES[CAPILLARY]).encode()
    by_nobody = {"identifier-name": "mobile", "identifier-value": f"{MOBILE}9"}
    sent = sent_as(*WAYS[-1], "killer")
    await crew.send(killer, **sent)
    await condemn(crew, pool, {"killer": killer})
    await crew.send(secret, **sent_as(*WAYS[-1], "r1"))
    await crew.send(secret, **sent_as(CAPILLARY, by_nobody, "r2"))
    await crew.send(secret + b"\xff", **sent_as(*WAYS[-1], "r3"))
    account = json.dumps(BODIES[MASTERCARD]).encode()
    await crew.send(account, **sent_as(MASTERCARD, {}, "r4", content_type="text/plain"))
    await crew.send(account[:-1], **sent_as(MASTERCARD, {}, "r5"))
    env = {
        "LOG_LEVEL": "debug",
        "POINTS_IDENTIFIER_KEY": KEY.decode(),
        "POINTS_SUSPECT_DELIVERIES_MIN": "1",
        "POINTS_SUSPECT_DEATHS_MAX": str(DEATHS_MAX),
    }
    async with WorkerProcess(
        amqp_url=amqp_url,
        database_url=database_url,
        prefix=crew.prefix,
        env=env,
        command=(sys.executable, "-m", "worker", "run"),
    ) as worker:
        await worker.ready()
        await crew.taken(crew.replies, 6)
        letters = await crew.taken(crew.name("dead"), 6)
        worker.stop_signal()
        assert await worker.exited() == 0
        log = worker.log()
    assert {letter.headers["x-error-key"] for letter in letters} == {
        *("killed_the_worker", "malformed_json", "not_utf8", "unsupported_content_type")
    }
    assert '"suspect_tried_again"' in log
    assert '"request"' in log
    for private in (MOBILE, MOBILE.replace(" ", ""), "0000000", ACCOUNT, "a very private reason"):
        assert private not in log
