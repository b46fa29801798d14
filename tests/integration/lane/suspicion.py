"""What tests of messages that kill workers share: lanes, members, and the marks of deaths."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from schemas.topology import bucket_key
from worker.broker import Delivery
from worker.caution import _digest
from worker.store.suspects import Suspects

if TYPE_CHECKING:
    import asyncpg

    from tests.crew import Crew
    from worker.store.pool import Pool

DELIVERIES_MIN = 2
DEATHS_MAX = 2


def member_of(lane: int, number: int = 0) -> str:
    """Return a member of one of the two lanes."""
    found = (f"m{n}" for n in range(1_000) if int(bucket_key(f"m{n}")[-3:]) % 2 == lane)
    return [next(found) for _ in range(number + 1)][-1]


LEFT, RIGHT = member_of(0), member_of(1)


def lane_queue(crew: Crew, lane: int) -> str:
    return crew.name(f"partition.1.00{lane}")


async def mark(crew: Crew, pool: Pool, lane: int, message: dict[str, Any], deaths: int) -> None:
    """Leave the mark that so many workers leave who die with this message alone in hand."""
    body = json.dumps(message).encode()
    queue = lane_queue(crew, lane)
    delivery = Delivery(1, body, "", "", queue, message_id=message["request_id"])
    for _ in range(deaths):
        await Suspects(pool).try_(queue, _digest(delivery))


async def marks(owner: asyncpg.Connection) -> int:
    return int(await owner.fetchval("SELECT count(*) FROM points.suspects"))


async def door_marked(crew: Crew, pool: Pool, message: bytes, deaths: int) -> None:
    """Leave the mark of so many workers that died with this message alone in hand at the door."""
    delivery = Delivery(1, message, "", "", crew.name("door"), message_id="none")
    for _ in range(deaths):
        await Suspects(pool).try_(delivery.queue, _digest(delivery))
