"""The composition root: puts the worker together, keeps it running, and takes it down in order."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

import structlog

from worker import __version__
from worker.backoff import delays
from worker.broker import (
    BrokerRefused,
    BrokerUnreachable,
    PublishRules,
    Session,
    SessionLost,
    open_session,
)
from worker.crew import Shared, work
from worker.dialects.jwe import Keyring
from worker.exits import EXIT_BUG, EXIT_OK, EXIT_TRY_AGAIN, EXIT_UNREACHABLE
from worker.observe import http, logging
from worker.observe.metrics import Metrics
from worker.observe.status import Status
from worker.readiness import NotReady, check, set_up
from worker.settings import BadSettings, Settings, variable_of
from worker.store.faults import PassingFault
from worker.store.pool import close_pool, open_pool, ping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator

    from worker.store.agreement import Agreement

_log = structlog.get_logger("worker.app")

_PULSE_SECONDS = 2.0

# A request makes some twenty that live as long as its batch, and several batches are in hand.
_OBJECTS_PER_REQUEST = 100


async def run(settings: Settings, *, setup: bool = False) -> int:
    """Run one worker until it is told to stop; return the exit code.

    With `setup` the database is migrated and the topology declared first. Raises BadSettings where
    keys cannot be read or the health pages cannot be served. A bug is logged, with its traceback,
    and ends with EXIT_BUG.
    """
    worker_id = f"{os.uname().nodename}-{os.getpid()}"
    logging.configure(
        settings.log_level, settings.log_format, worker_id=worker_id, version=__version__
    )
    try:
        return await _run(settings, worker_id, setup=setup)
    except BadSettings:
        raise
    except Exception:  # noqa: BLE001 - whoever looks for the cause finds it in the log.
        _log.exception("bug")
        return EXIT_BUG


async def _run(settings: Settings, worker_id: str, *, setup: bool) -> int:
    keyring = Keyring.load(settings.jwe_private_keys, settings.jwe_public_keys)
    status = Status()
    metrics = Metrics(__version__)
    stopping = asyncio.Event()
    _listen_for_signals(stopping, status, settings.shutdown_grace_seconds)
    async with AsyncExitStack() as stack:
        pages = http.serve(settings.http_host, settings.http_port, status, metrics.registry)
        try:
            await stack.enter_async_context(pages)
        except OSError as error:
            fault = (
                f"{variable_of('http_port')}={settings.http_port} cannot be served on"
                f" {variable_of('http_host')}={settings.http_host} ({error.strerror}): choose"
                " another port, or 0 for none."
            )
            raise BadSettings([fault]) from error
        try:
            agreement = await _unless_stopped(stopping, _prepare(settings, status, setup=setup))
        except NotReady as error:
            _log.error("not_ready", reason=str(error))
            return error.exit_code
        if agreement is None:
            return EXIT_OK
        pool = await open_pool(settings, name=f"points-worker {worker_id}")
        stack.push_async_callback(close_pool, pool)
        shared = Shared(settings, agreement, pool, status, metrics, worker_id, stopping, keyring)
        _log.info(
            "started",
            prefix=agreement.prefix,
            generation=agreement.generation,
            partitions=agreement.partitions,
            prefetch=agreement.prefetch,
        )
        _spare_the_collector(settings.batch_max)
        async with _felt_pulse(shared):
            await _supervise(shared)
    _log.info("stopped")
    return EXIT_OK


def _spare_the_collector(batch_max: int) -> None:
    """Let searches for garbage leave out what is none: what starting made, and batches in hand.

    Nearly everything is freed when the last one lets go of it. Searches for the rest go through
    all that is alive, and would take more than a tenth of the worker's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(max(gc.get_threshold()[0], _OBJECTS_PER_REQUEST * batch_max))


async def _prepare(settings: Settings, status: Status, *, setup: bool) -> Agreement:
    """Wait for the servers, set them up if asked to, and return what the workers agreed on."""
    deadline = asyncio.get_running_loop().time() + settings.connect_timeout_seconds
    waits = _waits(settings)
    while True:
        try:
            if setup:
                await set_up(settings)
            return await check(settings)
        except (PassingFault, BrokerUnreachable, SessionLost) as error:
            server = "postgres" if isinstance(error, PassingFault) else "rabbitmq"
            delay_seconds = next(waits)
            if asyncio.get_running_loop().time() + delay_seconds > deadline:
                raise NotReady(
                    f"{server} was not reachable within {settings.connect_timeout_seconds:g} s:"
                    f" {error}",
                    EXIT_UNREACHABLE,
                ) from error
            status.set_fault("starting", f"waiting for {server}: {error}")
            _log.warning("waiting_for_server", server=server, reason=str(error))
        await asyncio.sleep(delay_seconds)


def _waits(settings: Settings) -> Iterator[float]:
    return delays(settings.retry_delay_seconds_min, settings.retry_delay_seconds_max)


@asynccontextmanager
async def _felt_pulse(shared: Shared) -> AsyncIterator[None]:
    """Feel the pulse meanwhile; a bug there stops the worker in order and is raised then."""
    pulse = asyncio.create_task(_feel_pulse(shared))
    # It ends by itself only where the worker stops, or of a bug.
    pulse.add_done_callback(lambda _: shared.stopping.set())
    try:
        yield
    finally:
        pulse.cancel()
        await asyncio.wait({pulse})
    if not pulse.cancelled():
        pulse.result()


async def _feel_pulse(shared: Shared) -> None:
    """Notice that Postgres is away also while there is nothing to do, until told to stop."""
    while not shared.stopping.is_set():
        try:
            await ping(shared.pool)
        except PassingFault as fault:
            shared.status.set_fault("postgres", f"Postgres does not answer: {fault}")
        else:
            shared.status.clear("postgres")
        with suppress(TimeoutError):
            await asyncio.wait_for(shared.stopping.wait(), _PULSE_SECONDS)


async def _supervise(shared: Shared) -> None:
    """Open a session, work, and open another when it is lost, until told to stop."""
    settings, status = shared.settings, shared.status
    loop = asyncio.get_running_loop()
    waits = _waits(settings)
    while not shared.stopping.is_set():
        try:
            session = await _open_session(shared)
        except (BrokerUnreachable, BrokerRefused) as error:
            status.set_fault("rabbitmq", str(error))
            _log.warning("broker_away", reason=str(error))
        else:
            began = loop.time()
            shared.metrics.sessions.inc()
            try:
                await work(shared, session)
            except SessionLost as error:
                if not shared.stopping.is_set():
                    status.set_fault("rabbitmq", str(error))
                    _log.warning("session_lost", reason=str(error))
            finally:
                shared.metrics.session_up.set(0)
                await session.close()
            if loop.time() - began > settings.retry_delay_seconds_max:
                waits = _waits(settings)
        with suppress(TimeoutError):
            # Workers that lost the same broker do not come back all at once.
            jittered = next(waits) * random.uniform(0.5, 1)  # noqa: S311
            await asyncio.wait_for(shared.stopping.wait(), jittered)


async def _open_session(shared: Shared) -> Session:
    settings, status = shared.settings, shared.status
    waiting: set[str] = set()

    def hear(condition: str, reason: str | None) -> None:
        (waiting.discard if reason is None else waiting.add)(condition)
        shared.metrics.publish_waiting.set(len(waiting))
        if reason is None:
            status.clear("publish", holder=condition)
        else:
            status.set_fault("publish", reason, holder=condition)
            _log.warning("publish_waits", condition=condition, reason=reason)

    return await open_session(
        settings.amqp_url.get_secret_value(),
        worker_id=shared.worker_id,
        rules=publish_rules(settings),
        tell=hear,
        heartbeat_seconds=settings.heartbeat_seconds,
    )


def publish_rules(settings: Settings) -> PublishRules:
    """Return what the settings say about publishing."""
    return PublishRules(
        confirm_timeout_seconds=settings.confirm_timeout_seconds,
        retry_delay_seconds_min=settings.retry_delay_seconds_min,
        retry_delay_seconds_max=settings.retry_delay_seconds_max,
        reply_attempts_max=settings.reply_attempts_max,
    )


def _listen_for_signals(stopping: asyncio.Event, status: Status, grace_seconds: float) -> None:
    """Stop in order at the first SIGTERM or SIGINT, at once at the second or after the grace time.

    Stopping at once loses nothing: what is not acknowledged is delivered again.
    """
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if stopping.is_set():
            _exit_now("second_signal")
        _log.info("draining", grace_seconds=grace_seconds)
        status.set_fault("draining", "the worker was told to stop")
        stopping.set()
        loop.call_later(grace_seconds, _exit_now, "grace_time_over")

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def _exit_now(reason: str) -> NoReturn:
    _log.warning("stopped_at_once", reason=reason)
    os._exit(EXIT_TRY_AGAIN)


async def _unless_stopped(
    stopping: asyncio.Event, preparing: Coroutine[None, None, Agreement]
) -> Agreement | None:
    """Return what comes of the preparation, None where the worker is told to stop meanwhile."""
    task = asyncio.create_task(preparing)
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait({task})
    return None
