"""What one request caused is told whole, in order, though the worker died before it could (I3)."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.crew import Crew, data_of
from tests.inside import request
from tests.scene import RUN
from tests.waiting import until
from tests.workers import WorkerProcess

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

DIE = (sys.executable, "-m", "tests.chaos.killed_before_telling", "trigger")


async def test_lots_holds_and_released_requests_are_told_after_a_death_between_commit_and_telling(
    amqp_url: str, database_url: str, prefix: str, owner: asyncpg.Connection
) -> None:
    async with Crew(amqp_url, database_url, prefix) as crew:
        env = {"POINTS_PARTITIONS": "2", "POINTS_SWEEP_SECONDS": "0"}
        async with WorkerProcess(
            amqp_url=amqp_url, database_url=database_url, prefix=prefix, env=env, command=DIE
        ) as worker:
            waiting = await crew.queue()
            await worker.ready()
            await crew.send(*_before(await owner.fetchval("SELECT clock_timestamp()")))
            await crew.send(
                request("second", -3, ordinal=2),
                {"request_id": "third", "member_id": "m", "operation": "REVERSE"}
                | {"reverses": "keep", "points": 2, "ordinal": 3},
                reply_to=waiting,
            )
            assert len(await crew.taken(crew.events, 3)) == 3
            await until(lambda: _all_due(owner), what="lot and hold fall due")

            await crew.send(request("trigger", -10, ordinal=1))
            assert await worker.exited() == -9
            assert await owner.fetchval("SELECT count(*) FROM points.journal") == 8
            assert await crew.depth(crew.events) == await crew.depth(waiting) == 0

            worker.command = list(RUN)
            worker.start()
            events = await crew.taken(crew.events, 5)
            answers = await crew.taken(waiting, 2)
            replies = await crew.taken(crew.replies, 4)
            worker.stop_signal()
            assert await worker.exited() == 0
    told = [data_of(event) for event in events]
    assert [one["sequence"] for one in told] == [4, 5, 6, 7, 8]
    assert [(one["operation"], one["request_id"], one["caused_by"]) for one in told] == [
        ("EXPIRE", None, "trigger"),
        ("RELEASE", "hold", "trigger"),
        ("ADJUST", "trigger", None),
        ("ADJUST", "second", "trigger"),
        ("REVERSE", "third", "trigger"),
    ]
    assert [one["balance"] for one in told] == ["100", "100", "90", "87", "85"]
    assert [json.loads(answer.body) for answer in answers] == told[3:]
    assert json.loads(replies[-1].body) == told[2]


def _before(now: datetime) -> list[dict[str, Any]]:
    """Return requests after which a lot and a hold soon fall due."""
    soon = (now + timedelta(seconds=3)).isoformat()
    return [
        request("keep", 100),
        request("brief", 50, expiration_type="CUSTOM_DATE", expiration_date=soon),
        {
            "request_id": "hold",
            "member_id": "m",
            "operation": "HOLD",
            "points": 60,
            "ttl_seconds": 1,
        },
    ]


async def _all_due(owner: asyncpg.Connection) -> bool:
    """Whether lot and hold have fallen due, and both requests with ordinals wait."""
    return bool(
        await owner.fetchval(
            "SELECT (SELECT count(*) FROM points.lots WHERE expires_at < clock_timestamp()) = 1"
            " AND (SELECT count(*) FROM points.holds WHERE lapses_at < clock_timestamp()) = 1"
            " AND (SELECT count(*) FROM points.early_requests) = 2"
        )
    )
