"""A hostile load against one running worker, and what must be true of it all the while."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote, urlsplit

import asyncpg

from schemas.topology import bucket_of, partition_of
from tests.hostile import Enemy, Hostile
from tests.hostile_values import ENDED, GUARDED, MEMBERS, RICH, SECRET
from tests.inside import faults_in, settings_of
from tests.load import bucket_key
from tests.reckoning import Reckoning, stored_requests
from tests.scene import PARTITIONS
from tests.traffic import connected
from tests.waiting import until
from tests.wire import publish_raw
from worker.identifiers import fingerprint, key_digest
from worker.store.keys import MemberKey
from worker.store.members import identify
from worker.store.pool import close_pool, open_pool
from worker.store.programs import apply_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiormq.channel import Channel

    from tests.scene import Scene
    from tests.workers import WorkerProcess

FAULTS_SHOWN_MAX: Final = 10
KINDS_MIN: Final = 20
QUIET_SECONDS_MAX: Final = 120
LANE_SECONDS_MAX: Final = 60
MEMORY_GROWTH_BYTES_MAX: Final = 48 * 1024 * 1024
_IDENTIFIER_KEY: Final = "a key for hostile messages"
_ENV: Final = {
    "POINTS_IDENTIFIER_KEY": _IDENTIFIER_KEY,
    "POINTS_ORDINAL_WAIT_SECONDS": "1",
    "POINTS_SWEEP_SECONDS": "0.5",
    # The log must be quiet, also on a machine so busy that the usual limits would be reached.
    "POINTS_HEARTBEAT_SECONDS": "60",
    "POINTS_CONFIRM_TIMEOUT_SECONDS": "100",
    "POINTS_LOCK_TIMEOUT_SECONDS": "60",
    "POINTS_STATEMENT_TIMEOUT_SECONDS": "100",
    "POINTS_IDLE_TRANSACTION_TIMEOUT_SECONDS": "100",
}


async def besiege(scene: Scene, count: int, *, seed: int) -> list[str]:
    """Send so many hostile messages to a worker; return what is wrong with what came of them.

    Fails where the worker ends, a lane stops, or its memory grows with the second half of them:
    with the first it fills all that it may hold at once.
    """
    scene.env |= _ENV
    messages = list(Enemy(seed).messages(count))
    async with scene.worker() as worker:
        await worker.ready()
        await _prepare(scene)
        async with Reckoning(scene.amqp_url, scene.prefix) as reckoning:
            first = messages[: count // 2]
            await _publish(scene, first, reckoning.reply_to)
            await _quiet(worker, reckoning, first)
            warm_bytes = _memory_bytes(worker)
            async with asyncio.TaskGroup() as group:
                group.create_task(_publish(scene, messages[count // 2 :], reckoning.reply_to))
                await _quiet(worker, reckoning, messages)
            grown_bytes = _memory_bytes(worker) - warm_bytes
            assert grown_bytes < MEMORY_GROWTH_BYTES_MAX, f"{grown_bytes} bytes more than before"
            await _every_lane_answers(scene, reckoning)
            faults = await _faults(scene, reckoning, messages)
        return [*faults, *_log_faults(worker)]


async def _prepare(scene: Scene) -> None:
    for document in (RICH, GUARDED, ENDED):
        await apply_program(scene.database_url, document["program_id"], document)
    for program_id in ("default", "rich"):
        for name, value in (("bankAccountNumber", SECRET), ("email", f"{SECRET}@example.org")):
            secret, key = _IDENTIFIER_KEY.encode(), MemberKey(program_id, MEMBERS[1])
            keyed = fingerprint(secret, name, value)
            await identify(scene.database_url, key, name, keyed, key_digest(secret))


async def _publish(scene: Scene, messages: Iterable[Hostile], reply_to: str) -> None:
    user = unquote(urlsplit(scene.amqp_url).username or "guest")
    words = {b"{replies}": reply_to.encode(), b"{user}": user.encode()}
    async with connected(scene.amqp_url) as connection:
        channel = cast("Channel", await connection.channel(publisher_confirms=False))
        for message in messages:
            properties: dict[str, Any] = {
                name: words.get(value, value) if isinstance(value, bytes) else value
                for name, value in message.properties.items()
            }
            await publish_raw(
                channel,
                message.exchange and f"{scene.prefix}.{message.exchange}",
                message.routing_key.replace(b"{prefix}", scene.prefix.encode()),
                properties,
                message.body,
            )
        # The broker closes the channel of whoever sends what it does not take.
        await channel.queue_declare(reply_to, passive=True)


async def _quiet(worker: WorkerProcess, reckoning: Reckoning, messages: Sequence[Hostile]) -> None:
    """Wait until all that name an address are answered, for as long as answers go on coming."""
    missing = {message.name for message in messages if message.is_answered}
    while missing:
        before = len(missing)

        def some_come(before: int = before) -> bool:
            assert worker._running().poll() is None, worker.log_tail()
            missing.difference_update(reckoning.replies.keys() & missing)
            return len(missing) < before

        await until(
            some_come,
            QUIET_SECONDS_MAX,
            lambda: f"{len(missing)} more replies, to {sorted(missing)[:5]}; {worker.log_tail()}",
        )


async def _every_lane_answers(scene: Scene, reckoning: Reckoning) -> None:
    """Ask each lane, and the door, for something plain that must be done in time."""
    members: dict[int, str] = {}
    for number in range(10 * PARTITIONS):
        members.setdefault(partition_of(bucket_of(f"late-{number}"), PARTITIONS), f"late-{number}")
    assert len(members) == PARTITIONS
    plain = [
        _plain(f"e-{number:06d}", member, bucket_key(member)) for number, member in members.items()
    ]
    plain.append(_plain("e-999999", "late-by-the-door", "anything"))
    await _publish(scene, plain, reckoning.reply_to)
    for message in plain:
        await until(
            partial(reckoning.replies.__contains__, message.name),
            LANE_SECONDS_MAX,
            f"an answer to {message}",
        )
        (reply,) = reckoning.replies[message.name]
        assert json.loads(reply.body)["status"] == "APPLIED"


def _plain(name: str, member_id: str, routing_key: str) -> Hostile:
    document = {"request_id": name, "member_id": member_id, "points": 1}
    properties = {"correlation_id": name.encode(), "reply_to": b"{replies}"}
    body = json.dumps(document).encode()
    return Hostile(name, "adjustments", routing_key.encode(), properties, body, is_answered=True)


async def _faults(scene: Scene, reckoning: Reckoning, messages: Sequence[Hostile]) -> list[str]:
    owner = await asyncpg.connect(scene.database_url)
    try:
        await until(
            lambda: owner.fetchval(
                "SELECT count(*) = 0 FROM points.early_requests WHERE ended_by IS NULL"
            ),
            QUIET_SECONDS_MAX,
            "the end of what nobody waits for",
        )
        await reckoning.settled(owner)
        stored = await stored_requests(owner)
        kinds = {error for errors in stored.values() for error in errors}
        assert len(kinds) >= KINDS_MIN, f"the load has become tame: {kinds}"
    finally:
        await owner.close()
    faults = list(islice(reckoning.faults(messages, stored), FAULTS_SHOWN_MAX))
    pool = await open_pool(settings_of(scene.amqp_url, scene.database_url, scene.prefix))
    try:
        return [*faults, *map(str, await faults_in(pool))]
    finally:
        await close_pool(pool)


def _log_faults(worker: WorkerProcess) -> list[str]:
    """Return what the log must not hold: payloads, errors, and sessions that were lost."""
    log = worker.log()
    lines = [json.loads(line) for line in log.splitlines()]
    faults = [f"the log tells what was sent: {line}" for line in lines if SECRET in str(line)]
    quiet = {"debug", "info"}
    faults += [f"something went wrong: {line}" for line in lines if line["level"] not in quiet]
    return faults[:FAULTS_SHOWN_MAX]


def _memory_bytes(worker: WorkerProcess) -> int:
    """Return the memory that the worker's process holds."""
    status = Path(f"/proc/{worker.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
