"""The demo: the whole path on real servers, a worker killed half-way, and an audit at the end."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from schemas.names import REQUEST_TYPE
from worker import environment
from worker.demo.audit import Check, checks, dead_letters, read_books
from worker.demo.burst import burst, member_name, message, message_in_dialect
from worker.demo.process import WorkerProcess, worker_environment
from worker.demo.screen import Screen, Stage
from worker.demo.servers import Servers
from worker.demo.stories import Step, Story, request_id, stories
from worker.demo.traffic import open_traffic
from worker.exits import EXIT_FAULT_FOUND, EXIT_OK
from worker.readiness import set_up
from worker.settings import BadSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from worker.demo.burst import Message
    from worker.demo.traffic import Publisher, Traffic

ANSWER_SECONDS_MAX = 30.0
BURST_SECONDS_MAX = 120.0
_SERVERS = ("AMQP_URL", "DATABASE_URL")


@dataclass(frozen=True, slots=True)
class Options:
    """How the demo goes: its size, whether the worker is killed, and what is left behind."""

    requests: int
    members: int
    kill: bool
    keep: bool
    as_json: bool


def run(options: Options) -> int:
    """Show everything and return the exit code: 0 only if the whole audit holds, otherwise 3.

    Raises ServerError where no server or worker can be had, BadSettings for variables that cannot
    be used, and what reaching the servers raises. Everything started is stopped again.
    """
    environ = dict(os.environ)
    texts, faults = environment.read_variables(environ, _SERVERS)
    if faults:
        raise BadSettings(list(faults.values()))
    screen = Screen(as_json=options.as_json)
    screen.opening()
    # Ended from outside, too, it takes back what it started.
    signal.signal(signal.SIGTERM, _leave)
    with ExitStack() as stack:
        servers = stack.enter_context(
            Servers(
                amqp_url=texts.get("AMQP_URL"),
                database_url=texts.get("DATABASE_URL"),
                say=screen.say,
            )
        )
        own = worker_environment(
            environ, AMQP_URL=servers.amqp_url, DATABASE_URL=servers.database_url
        )
        worker = stack.enter_context(WorkerProcess(own))
        started = {name: own[name] for name in _SERVERS if name not in texts}
        return asyncio.run(_show(options, screen, worker, own, started))


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


async def _show(
    options: Options,
    screen: Screen,
    worker: WorkerProcess,
    environ: Mapping[str, str],
    started: Mapping[str, str],
) -> int:
    settings = Settings.load(environ)
    run_name = secrets.token_hex(2)
    applied, _ = await set_up(settings)
    screen.say(f"Database: {len(applied)} migrations applied." if applied else "Database: ready.")
    seconds = await worker.start()
    screen.say(f"Worker: a process of its own (pid {worker.pid}), ready after {seconds:.1f} s.")
    letters_before = await dead_letters(settings)
    async with open_traffic(settings) as (traffic, publisher):
        told = await _first_act(screen, traffic, publisher, run_name)
        figures = await _second_act(options, screen, traffic, publisher, worker, run_name)
        right = sum(right for *_, right in told)
        books = await read_books(settings, run_name, letters_before)
        found = checks(traffic, books, run_name, (right, len(told)))
    screen.third_act(found)
    holds = all(check.holds for check in found)
    if options.as_json:
        screen.json(_document(holds, run_name, told, figures, found))
    screen.closing(holds=holds)
    if options.keep:
        screen.kept(started, settings.prefix, worker)
        with suppress(asyncio.CancelledError):
            # Ctrl-C is the way to end it.
            await asyncio.Event().wait()
    return EXIT_OK if holds else EXIT_FAULT_FOUND


Told = tuple[Story, Step, dict[str, Any] | None, bool]


async def _first_act(
    screen: Screen, traffic: Traffic, publisher: Publisher, run_name: str
) -> list[Told]:
    """Publish every step of every story back to back, and show what came of each."""
    screen.heading(1, "What five vendors' documents show, one of them in its vendor's own words")
    told_of = stories(datetime.now(UTC).date())
    pairs = [(story, step) for story in told_of for step in story.steps]
    steps = [(story, step.numbered(number)) for number, (story, step) in enumerate(pairs, 1)]
    await publisher.publish(
        [
            _message_of(story, step, run_name, request_id(number))
            for number, (story, step) in enumerate(steps, 1)
        ]
    )
    await traffic.wait(lambda: len(traffic.replies) >= len(steps), ANSWER_SECONDS_MAX)
    told = []
    for number, (story, step) in enumerate(steps):
        outcome = traffic.answer(number)
        told.append((story, step, outcome, is_as_told(step, outcome)))
    screen.stories(told)
    return told


def _message_of(story: Story, step: Step, run_name: str, request_id: str) -> Message:
    member_id = member_name(story.member, run_name)
    if step.dialect is not None:
        return message_in_dialect(step.dialect, member_id, request_id, step.fields)
    return message(member_id, request_id, step.fields, by_door=story.by_door)


def is_as_told(step: Step, outcome: Mapping[str, Any] | None) -> bool:
    """Tell whether the outcome is what the step says must come of it."""
    if outcome is None:
        return False
    if step.dialect is not None:
        wanted = step.reply | {"balance": step.balance, "total": step.total}
        return all(outcome.get(name) == value for name, value in wanted.items())
    error = outcome["error"]
    return (
        (error and error["key"]) == step.error
        and outcome["status"] == ("REJECTED" if step.error else "APPLIED")
        and (step.balance is None or outcome["balance"] == str(step.balance))
        and (step.total is None or outcome["total"] == str(step.total))
        and (not step.takes_soonest or all(lot["expires_at"] for lot in outcome["lots"]))
    )


async def _second_act(
    options: Options,
    screen: Screen,
    traffic: Traffic,
    publisher: Publisher,
    worker: WorkerProcess,
    run_name: str,
) -> dict[str, Any]:
    """Publish the burst, kill the worker half-way and start it again; return the figures."""
    screen.heading(
        2,
        f"{options.requests:,} requests for {options.members} members, back to back"
        + (", the worker killed half-way" if options.kill else ""),
    )
    before = len(traffic.replies)
    messages = burst(options.requests, options.members, run=run_name)
    stage = Stage(traffic, len(messages), worker=f"running (pid {worker.pid})")
    killed_after = None
    started = time.monotonic()
    with screen.live(stage):
        publishing = asyncio.create_task(publisher.publish(messages))
        if options.kill:
            half = before + len(messages) // 2
            await traffic.wait(lambda: len(traffic.replies) >= half, BURST_SECONDS_MAX)
            worker.kill()
            killed_after = len(traffic.replies) - before
            stage.tell(f"killed with SIGKILL after {killed_after:,} answers")
            seconds = await worker.start()
            stage.tell(f"started again (pid {worker.pid}), ready after {seconds:.1f} s")
        await publishing
        answers, events = len(traffic.published), traffic.requests
        await traffic.wait(
            lambda: len(traffic.replies) >= answers and len(traffic.event_ids) >= events,
            BURST_SECONDS_MAX,
        )
        seconds = time.monotonic() - started
    by_door = sum(not item.routing_key.startswith("bucket.") for item in messages)
    repeats = len(messages) - len({(item.member_id, item.request_id) for item in messages})
    screen.burst_told(len(messages), seconds, by_door=by_door, repeats=repeats)
    return {
        "requests": len(messages),
        "members": options.members,
        "through_the_door": by_door,
        "sent_twice": repeats,
        "seconds": round(seconds, 3),
        "killed_after_answers": killed_after,
    }


def _document(
    holds: bool,  # noqa: FBT001 - one of the facts.
    run_name: str,
    told: list[Told],
    figures: dict[str, Any],
    found: list[Check],
) -> dict[str, Any]:
    return {
        "ok": holds,
        "run": run_name,
        "stories": [
            {
                "vendor": story.vendor,
                "page": story.page,
                "says": step.says,
                "type": step.dialect or REQUEST_TYPE,
                "request": step.fields,
                "outcome": outcome,
                "ok": right,
            }
            for story, step, outcome, right in told
        ],
        "burst": figures,
        "audit": [
            {
                "name": check.name,
                "expected": check.expected,
                "found": check.found,
                "note": check.note,
                "how": check.how,
                "ok": check.holds,
            }
            for check in found
        ],
    }
