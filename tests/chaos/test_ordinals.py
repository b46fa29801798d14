"""Requests with ordinals, by several processes at once, in any order, while workers die."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import random
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import asyncpg

from tests.inside import faults_in, settings_of
from tests.load import Message
from tests.traffic import Downstream, Received, Upstream, connected, received_of
from tests.waiting import until
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiormq.abc import DeliveredMessage

    from tests.scene import Scene
    from tests.workers import WorkerProcess

PUBLISHERS = 4
STREAMS = (None, "orders")
LENGTH = 40
WHOLE = [f"whole-{number}" for number in range(16)]
TORN = [f"torn-{number}" for number in range(6)]
KILLS = 6
WAIT_SECONDS = 30
DEADLINE_SECONDS = 300
ENV = {
    "POINTS_BATCH_MAX": "25",
    "POINTS_ORDINAL_WAIT_SECONDS": str(WAIT_SECONDS),
    "POINTS_SWEEP_SECONDS": "0.5",
}

Place = tuple[str, str | None]
"""A member and a stream."""


@dataclass
class Plan:
    """What is published: `sent` by publisher, `missing` numbers, those that are faulty.

    A request's id is its stream, its number and a letter: two requests with one number are rivals.
    """

    chance: random.Random
    sent: list[list[Message]] = field(default_factory=lambda: [[] for _ in range(PUBLISHERS)])
    missing: dict[Place, list[int]] = field(default_factory=dict)
    faulty: set[tuple[Place, int]] = field(default_factory=set)
    rivals: set[tuple[Place, int]] = field(default_factory=set)
    numbered: int = 0

    def add(self, place: Place, number: int, rival: str = "a", **more: Any) -> None:
        """Let one publisher send a request, one time in five two of them."""
        document = document_of(place, number, rival, **more)
        for publisher in self.chance.sample(range(PUBLISHERS), self.chance.choice((1, 1, 1, 1, 2))):
            self.numbered += 1
            body = json.dumps(document).encode()
            message = Message(self.numbered, place[0], document["request_id"], body)
            self.sent[publisher].append(message)

    @property
    def addresses(self) -> dict[tuple[str, str], set[tuple[int, str]]]:
        """The publishers, and their correlation ids, of each member's request."""
        found: dict[tuple[str, str], set[tuple[int, str]]] = defaultdict(set)
        for publisher, messages in enumerate(self.sent):
            for message in messages:
                request = (message.member_id, message.request_id)
                found[request].add((publisher, message.correlation_id))
        return found


def document_of(place: Place, number: int, rival: str = "a", **more: Any) -> dict[str, Any]:
    """Return a credit, or now and then a debit that is refused in its turn."""
    member_id, stream = place
    document = {
        "request_id": f"{stream}/{number}/{rival}",
        "member_id": member_id,
        "points": -(10**9) if number % 7 == 0 else number,
        "ordinal": number,
        **more,
    }
    return document if stream is None else {**document, "ordinal_stream": stream}


def plan(seed: int) -> Plan:
    """Return what is published in the first place: each number once, or never, or by rivals."""
    made = Plan(random.Random(seed))
    chance = made.chance
    for member_id in (*WHOLE, *TORN):
        for stream in STREAMS:
            place = (member_id, stream)
            made.missing[place] = []
            if member_id in TORN:
                made.missing[place] = sorted(chance.sample(range(1, LENGTH), 2))
            for number in range(1, LENGTH + 1):
                draw = chance.random()
                if number in made.missing[place]:
                    continue
                if draw < 0.05:
                    made.faulty.add((place, number))
                    made.add(place, number, points="abc")
                    continue
                made.add(place, number)
                if draw < 0.1:
                    made.rivals.add((place, number))
                    made.add(place, number, "b")
    for messages in made.sent:
        chance.shuffle(messages)
    return made


class Mailboxes:
    """`async with Mailboxes(…)`: a reply queue for each publisher, read as replies come."""

    def __init__(self, amqp_url: str, prefix: str) -> None:
        self.amqp_url = amqp_url
        self.names = [f"{prefix}.test.publisher-{number}" for number in range(PUBLISHERS)]
        self.replies: list[list[Received]] = [[] for _ in self.names]
        self.answered: set[tuple[str, str]] = set()

    async def __aenter__(self) -> Self:
        self._stack = contextlib.AsyncExitStack()
        connection = await self._stack.enter_async_context(connected(self.amqp_url))
        self._channel = await connection.channel()
        for name, kept in zip(self.names, self.replies, strict=True):
            await self._channel.queue_declare(name, durable=True)

            async def keep(message: DeliveredMessage, kept: list[Received] = kept) -> None:
                kept.append(received_of(message))
                outcome = json.loads(message.body)
                self.answered.add((outcome["member_id"], outcome["request_id"]))

            await self._channel.basic_consume(name, keep, no_ack=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        for name in self.names:
            await self._channel.queue_delete(name)
        await self._stack.aclose()


async def publish(scene: Scene, boxes: Mailboxes, sent: Sequence[Sequence[Message]]) -> None:
    """Let all publish at the same time: the odd ones to the buckets, the even ones by the door.

    Each is a process of its own.
    """
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(len(sent), multiprocessing.get_context("spawn")) as processes:
        published = [
            loop.run_in_executor(
                processes,
                publish_alone,
                Upstream(scene.amqp_url, scene.prefix, by_door=number % 2 == 0),
                messages,
                boxes.names[number],
            )
            for number, messages in enumerate(sent)
        ]
        await asyncio.gather(*published)


def publish_alone(upstream: Upstream, messages: Sequence[Message], reply_to: str) -> None:
    """Publish as one of several processes."""
    asyncio.run(upstream.publish(messages, reply_to=reply_to))


async def test_requests_by_many_publishers_are_applied_by_their_numbers_though_workers_die(
    scene: Scene,
) -> None:
    scene.env |= ENV
    made = plan(seed=1)
    async with (
        scene.worker() as worker,
        Mailboxes(scene.amqp_url, scene.prefix) as boxes,
    ):
        await worker.ready()
        async with Downstream(scene.amqp_url, scene.prefix) as downstream:
            async with asyncio.TaskGroup() as group:
                group.create_task(publish(scene, boxes, made.sent))
                await kill_often(worker, boxes)
            await all_answered(boxes, made)
            assert list(reply_faults(boxes, made)) == []
            # What is missing comes after all, and the streams go on behind all that was used up.
            late = Plan(random.Random(2))
            for place, missing in made.missing.items():
                for number in (*missing, LENGTH + 1):
                    late.add(place, number)
            await publish(scene, boxes, late.sent)
            await all_answered(boxes, late)
            outcomes = await told(scene, downstream)
            assert list(order_faults(outcomes, made)) == []
        pool = await open_pool(settings_of(scene.amqp_url, scene.database_url, scene.prefix))
        assert await faults_in(pool) == []
        await close_pool(pool)


async def test_a_gap_of_one_member_holds_up_no_other_and_is_given_up_in_time(scene: Scene) -> None:
    scene.env |= ENV | {"POINTS_ORDINAL_WAIT_SECONDS": "3600"}
    gaps = Plan(random.Random(3))
    others = Plan(random.Random(4))
    for number in range(50):
        gaps.add((f"gap-{number}", None), 2)
        others.add((f"whole-{number}", None), 1)
        others.add((f"plain-{number}", "orders"), 1)
    async with scene.worker() as worker, Mailboxes(scene.amqp_url, scene.prefix) as boxes:
        await worker.ready()
        await publish(scene, boxes, gaps.sent)
        owner = await asyncpg.connect(scene.database_url)
        waiting = "SELECT count(*) FROM points.early_requests WHERE ended_by IS NULL"
        await until(lambda: _is(owner, waiting, 50), what="50 requests that wait")
        await publish(scene, boxes, others.sent)
        await all_answered(boxes, others)
        assert await owner.fetchval(waiting) == 50
        assert boxes.answered == others.addresses.keys()
        # An hour passes.
        await owner.execute(
            "UPDATE points.early_requests SET deadline = now() WHERE ended_by IS NULL;"
            "UPDATE points.members SET due_at = now() WHERE due_at IS NOT NULL"
        )
        await all_answered(boxes, gaps)
        await owner.close()
    errors = {
        (outcome["error"] or {}).get("key")
        for outcome in map(json.loads, {reply.body for kept in boxes.replies for reply in kept})
        if outcome["member_id"].startswith("gap")
    }
    assert errors == {"ordinal_gap"}


async def _is(owner: asyncpg.Connection, query: str, value: object) -> bool:
    return bool(await owner.fetchval(query) == value)


async def kill_often(worker: WorkerProcess, boxes: Mailboxes) -> None:
    """Kill the worker at so many numbers of answers, and start it again each time."""
    moments = random.Random(5).sample(range(5, len(WHOLE) * LENGTH), KILLS)
    for moment in sorted(moments):
        await until(
            lambda moment=moment: len(boxes.answered) >= moment,  # type: ignore[misc]
            DEADLINE_SECONDS,
            f"{moment} answers",
        )
        worker.kill()
        await worker.exited()
        worker.start()


async def all_answered(boxes: Mailboxes, made: Plan) -> None:
    """Wait until every request that was published has an answer."""
    wanted = made.addresses.keys()
    await until(
        lambda: wanted <= boxes.answered,
        DEADLINE_SECONDS,
        lambda: f"answers to {sorted(wanted - boxes.answered)[:5]}",
    )


def reply_faults(boxes: Mailboxes, made: Plan) -> Iterable[str]:
    """Each request is answered where it was asked, with one content; a repeat may move that."""
    bodies: dict[tuple[str, str], set[bytes]] = defaultdict(set)
    answered: dict[tuple[str, str], set[tuple[int, str]]] = defaultdict(set)
    for publisher, replies in enumerate(boxes.replies):
        for reply in replies:
            outcome = json.loads(reply.body)
            request = (outcome["member_id"], outcome["request_id"])
            bodies[request].add(reply.body)
            answered[request].add((publisher, reply.properties.correlation_id or ""))
    for request, addresses in made.addresses.items():
        if not answered[request] or not answered[request] <= addresses:
            yield f"{request} was answered at {answered[request]}, and came from {addresses}"
        if len(bodies[request]) != 1:
            yield f"answers to {request} differ: {bodies[request]}"


async def told(scene: Scene, downstream: Downstream) -> list[dict[str, Any]]:
    """Return the outcomes in the events, in order, repeats dropped, once all are there."""
    owner = await asyncpg.connect(scene.database_url)
    wanted = await owner.fetchval("SELECT sum(sequence) FROM points.members")
    await owner.close()
    await until(lambda: len(downstream.event_ids) >= wanted, what=f"{wanted} events")
    first: dict[str | None, Received] = {}
    for event in downstream.events:
        first.setdefault(event.properties.message_id, event)
    return [json.loads(event.body)["data"] for event in first.values()]


def order_faults(outcomes: Iterable[dict[str, Any]], made: Plan) -> Iterable[str]:
    """Of each stream all numbers are decided once, in order, until one is missing."""
    sequences: dict[str, int] = defaultdict(int)
    numbers: dict[tuple[Place, str], list[int]] = defaultdict(list)
    for outcome in outcomes:
        member_id = outcome["member_id"]
        sequences[member_id] += 1
        if outcome["sequence"] != sequences[member_id]:
            yield f"event {sequences[member_id]} of {member_id} is out of place: {outcome}"
        if outcome["operation"] == "EXPIRE":
            continue
        stream, number, _ = outcome["request_id"].split("/")
        key = outcome["error"]["key"] if outcome["error"] else "applied"
        if key in {"applied", "insufficient_points"}:
            key = "in turn" if (key == "applied") == bool(int(number) % 7) else f"wrong: {key}"
        numbers[(member_id, None if stream == "None" else stream), key].append(int(number))
    for place, missing in made.missing.items():
        faulty = {number for where, number in made.faulty if where == place}
        sound = set(range(1, LENGTH + 1)) - faulty
        late = {n for n in sound if missing and n > missing[0]}.difference(missing)
        wanted = {
            "in turn": [*sorted(sound - late), LENGTH + 1],
            "invalid_payload": sorted(faulty),
            "ordinal_gap": sorted(late),
            "ordinal_used": sorted(number for where, number in made.rivals if where == place),
        }
        got = {key: found for (where, key), found in numbers.items() if where == place}
        for key in wanted.keys() | got.keys():
            found = got.get(key, [])
            if (found if key == "in turn" else sorted(found)) != wanted.get(key, []):
                yield f"{place}, {key}: {found}, not {wanted.get(key)}"
