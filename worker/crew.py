"""One session's crew: a lane for each partition, the door, and the sweeper."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from schemas.topology import door, partition_of, partition_queue
from worker.broker import SessionLost
from worker.broker.topology import consumer_priority
from worker.caution import Caution
from worker.domain.ordinals import Parking
from worker.door.bindings import Bindings
from worker.door.door import Door
from worker.door.translating import Translator
from worker.envelope.reading import Reader
from worker.lane.applying import Applier
from worker.lane.holding import Holder
from worker.lane.lane import Lane
from worker.store.agreement import read_agreement
from worker.store.directory import Directory
from worker.store.leadership import Leadership
from worker.store.suspects import Suspects
from worker.store.transaction import Books
from worker.sweeper import Sweeper

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from worker.broker import Intake, Session
    from worker.dialects.jwe import Keyring
    from worker.observe.metrics import Metrics
    from worker.observe.status import Status
    from worker.settings import Settings
    from worker.store.agreement import Agreement
    from worker.store.pool import Pool

_log = structlog.get_logger("worker.crew")

# So long, and three sweeps, may a worker that leads say nothing before another one leads.
_SILENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Shared:
    """What one worker process has, whatever becomes of its sessions."""

    settings: Settings
    agreement: Agreement
    pool: Pool
    status: Status
    metrics: Metrics
    worker_id: str
    stopping: asyncio.Event
    keyring: Keyring


async def work(shared: Shared, session: Session) -> None:
    """Run the door and every lane until the worker stops; what is in hand is then finished.

    Raises SessionLost where the session ends before; every transaction has ended by then. Any
    other exception is a bug, and ends the session first.
    """
    intakes, parts = await _open(shared, session)
    tasks = [asyncio.create_task(_run(part)) for part in parts]
    shared.metrics.session_up.set(1)
    shared.metrics.in_hand.set_function(lambda: sum(intake.in_hand for intake in intakes))
    shared.status.clear("rabbitmq")
    shared.status.clear("starting")
    _log.info("session_began", lanes=shared.agreement.partitions)
    stop = asyncio.create_task(shared.stopping.wait())
    try:
        await asyncio.wait({stop, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for intake in intakes if shared.stopping.is_set() else ():
            intake.stop()
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        stop.cancel()
        if not all(task.done() for task in tasks):
            # Nobody is cancelled: everyone who waits for the session is told, and transactions
            # that run come to their own end.
            session.fail(SessionLost("another lane failed"))
            await asyncio.wait(tasks)
    failures = [failure for task in tasks if (failure := task.exception()) is not None]
    for failure in failures:
        if not isinstance(failure, SessionLost):
            raise failure
    if failures:
        raise failures[0]


class _Stopped(SessionLost):
    """The worker stops, and what is being held goes back to the broker unacknowledged."""


async def _run(part: Lane | Door | Sweeper) -> None:
    """Run a part; one that had to let go of what it held has stopped in order."""
    with suppress(_Stopped):
        await part.run()


async def _open(
    shared: Shared, session: Session
) -> tuple[list[Intake], list[Lane | Door | Sweeper]]:
    """Open an intake and a publisher for the door and every lane; the sweeper needs no intake."""
    settings, agreement = shared.settings, shared.agreement
    pause = partial(_pause, session, shared.stopping)
    reader = Reader(settings.body_bytes_max, session.user)
    applier = Applier(
        Books(shared.pool),
        agreement.prefix,
        session.user,
        parking=Parking(settings.ordinal_wait_seconds, settings.parked_max),
        keyring=shared.keyring,
    )
    caution = Caution(
        Suspects(shared.pool),
        pause,
        shared.status,
        deliveries_min=settings.suspect_deliveries_min,
        deaths_max=settings.suspect_deaths_max,
    )
    queues = [
        partition_queue(agreement.prefix, agreement.generation, partition)
        for partition in range(agreement.partitions)
    ]
    intakes = []
    for queue in [*queues, door(agreement.prefix)]:
        priority = consumer_priority(shared.worker_id, queue)
        intake = await session.intake(queue, prefetch=agreement.prefetch, priority=priority)
        caution.watch(intake)
        intakes.append(intake)
    parts: list[Lane | Door | Sweeper] = []
    for partition, intake in enumerate(intakes[:-1]):
        name = f"{agreement.generation}.{partition:03d}"
        holder = Holder(
            applier,
            pause,
            shared.status,
            shared.metrics,
            name=name,
            delay_seconds_min=settings.retry_delay_seconds_min,
            delay_seconds_max=settings.retry_delay_seconds_max,
        )
        lane = Lane(
            name,
            intake,
            await session.publisher(),
            reader,
            holder,
            caution,
            shared.metrics,
            owns_bucket=partial(_leads_to, partition, agreement.partitions),
            batch_max=settings.batch_max,
        )
        parts.append(lane)
    parts.append(await _open_door(shared, session, intakes[-1], reader, caution))
    if settings.sweep_seconds:
        parts.append(await _sweeper(shared, session, pause))
    return intakes, parts


async def _open_door(
    shared: Shared, session: Session, intake: Intake, reader: Reader, caution: Caution
) -> Door:
    settings, prefix = shared.settings, shared.agreement.prefix
    pause = partial(_pause, session, shared.stopping)
    publisher = await session.publisher()
    key = settings.identifier_key
    translator = Translator(
        reader,
        Directory(shared.pool),
        shared.keyring,
        identifier_key=key.get_secret_value() if key else None,
        prefix=prefix,
        user=session.user,
    )
    bindings = Bindings(
        intake,
        publisher,
        pause,
        session.watch,
        partial(_declared_at, shared.pool),
        shared.status,
        prefix=prefix,
    )
    return Door(
        intake,
        publisher,
        reader,
        translator,
        bindings,
        caution,
        pause,
        shared.status,
        shared.metrics,
        prefix=prefix,
        user=session.user,
        batch_max=settings.batch_max,
        delay_seconds_min=settings.retry_delay_seconds_min,
        delay_seconds_max=settings.retry_delay_seconds_max,
    )


async def _sweeper(
    shared: Shared, session: Session, pause: Callable[[float], Awaitable[None]]
) -> Sweeper:
    settings = shared.settings
    leadership = Leadership(
        settings.database_url.get_secret_value(),
        silence_seconds_max=3 * settings.sweep_seconds + _SILENCE_SECONDS,
    )
    return Sweeper(
        leadership,
        shared.pool,
        await session.publisher(),
        pause,
        shared.metrics,
        prefix=shared.agreement.prefix,
        user=session.user,
        every_seconds=settings.sweep_seconds,
        members_max=settings.sweep_max,
    )


def _leads_to(partition: int, partitions: int, bucket: int) -> bool:
    return partition_of(bucket, partitions) == partition


async def _declared_at(pool: Pool) -> datetime | None:
    agreement = await read_agreement(pool)
    return agreement.declared_at if agreement else None


async def _pause(session: Session, stopping: asyncio.Event, seconds: float) -> None:
    """Wait; raises SessionLost as soon as the session is lost, _Stopped when the worker stops."""
    stop = asyncio.create_task(stopping.wait())
    try:
        waited_for: set[asyncio.Future[Any]] = {stop, session.lost}
        await asyncio.wait(waited_for, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()
    if session.lost.done():
        raise session.lost.result()
    if stopping.is_set():
        raise _Stopped("the worker stops")
