"""The worker's own parts, put together inside the test's process on the real database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

import asyncpg
from pydantic import SecretStr

from tests.waiting import until
from worker.broker import Delivery
from worker.domain.ordinals import Parking
from worker.envelope.reading import Reader, Reading
from worker.lane.applying import Applier
from worker.settings import Settings
from worker.store.audit import audit
from worker.store.transaction import Books

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from worker.broker import Publication
    from worker.lane.applying import Applied
    from worker.store.audit import Fault
    from worker.store.pool import Pool

    Message = Mapping[str, Any] | bytes | Delivery

BODY_BYTES_MAX = 2_000
PREFIX = "desk"
USER = "worker"
QUEUE = "desk.partition.1.000"
_PARKING = Parking()

TABLES_OF_MEMBERS = (
    "members",
    "wallets",
    "lots",
    "journal",
    "holds",
    "awards",
    "reversals",
    "streams",
    "early_requests",
    "day_sums",
    "operator_days",
)
"""Where the books keep what requests make of members."""


def settings_of(amqp_url: str, database_url: str, prefix: str, **more: Any) -> Settings:
    """Return the worker's settings for these servers."""
    return Settings(
        amqp_url=SecretStr(amqp_url), database_url=SecretStr(database_url), prefix=prefix, **more
    )


def user_of(amqp_url: str) -> str:
    """Return the user that the URL names."""
    return unquote(urlsplit(amqp_url).username or "guest")


def delivered(message: Message, *, tag: int = 1, **properties: Any) -> Delivery:
    """Return a message as a lane gets it; a document becomes a JSON body."""
    if isinstance(message, Delivery):
        return message
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    given: dict[str, Any] = {"reply_to": "answers", **properties}
    return Delivery(tag, body, "desk.adjustments", "bucket.000", QUEUE, **given)


def request(request_id: str, points: object, member_id: str = "m", **more: Any) -> dict[str, Any]:
    """Return an adjustment request."""
    return {"request_id": request_id, "member_id": member_id, "points": points, **more}


def documents(applied: Applied) -> list[dict[str, Any]]:
    """Return the outcomes that answer the messages of a batch, in order."""
    return [json.loads(entry.outcome) for entry in applied.answers]


def replies(applied: Applied) -> list[tuple[str, dict[str, Any]]]:
    """Return who is answered what by a batch, in order."""
    return [
        (item.routing_key, json.loads(item.body))
        for item in applied.publications
        if item.exchange == ""
    ]


def told(applied: Applied) -> list[dict[str, Any]]:
    """Return the outcomes in the events that a batch publishes, in order."""
    return [json.loads(item.body)["data"] for item in events(applied)]


def events(applied: Applied) -> list[Publication]:
    """Return the events that a batch publishes, in order."""
    return [item for item in applied.publications if item.exchange.endswith(".events")]


class Clock:
    """Tells a batch whatever time the test wants."""

    def __init__(self, time: datetime) -> None:
        self.time = time

    def __call__(self, now: datetime) -> datetime:
        return self.time


class Desk:
    """Reads and applies messages as a lane does, in one transaction for each call."""

    def __init__(
        self,
        pool: Pool,
        clock: Callable[[datetime], datetime] = lambda now: now,
        parking: Parking = _PARKING,
    ) -> None:
        self.reader = Reader(BODY_BYTES_MAX, USER)
        self.applier = Applier(Books(pool), PREFIX, USER, clock, parking)

    def read(self, *messages: Message) -> list[Reading]:
        """Read messages as those of a lane to which every bucket belongs."""
        return [
            self.reader.read(delivered(message, tag=tag), lambda _: True)
            for tag, message in enumerate(messages, 1)
        ]

    async def apply(self, *messages: Message) -> Applied:
        """Apply messages as one batch."""
        return await self.applier.apply(self.read(*messages))

    async def outcomes(self, *messages: Message) -> list[dict[str, Any]]:
        """Apply messages as one batch and return their outcomes."""
        return documents(await self.apply(*messages))


async def add_program(owner: asyncpg.Connection, document: Mapping[str, Any]) -> None:
    """Put a programme document into the books as its next version."""
    await owner.execute(
        "INSERT INTO points.programs (program_id, version, document)"
        " SELECT $1, coalesce(max(version), 0) + 1, $2 FROM points.programs WHERE program_id = $1",
        document["program_id"],
        json.dumps(document),
    )


async def faults_in(pool: Pool) -> list[Fault]:
    """Return what an audit of the books finds wrong."""
    return [fault async for findings in audit(pool) for fault in findings.faults]


class Gate:
    """`async with Gate(owner, url)`: holds each transaction that journals a request "gate…".

    The transaction is held in the midst of writing, with all its locks, until `open`.
    """

    _TRIGGER = """
    CREATE OR REPLACE FUNCTION public.wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(4712);
        RETURN NEW;
    END
    $$;
    CREATE OR REPLACE TRIGGER gate BEFORE INSERT ON points.journal
    FOR EACH ROW WHEN (NEW.request_id LIKE 'gate%') EXECUTE FUNCTION public.wait_at_the_gate();
    """

    def __init__(self, owner: asyncpg.Connection, database_url: str) -> None:
        self._owner = owner
        self._database_url = database_url

    async def __aenter__(self) -> Self:
        await self._owner.execute(self._TRIGGER)
        self._keeper = await asyncpg.connect(self._database_url)
        await self.close()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._keeper.close()

    async def close(self) -> None:
        """Hold whoever comes."""
        await self._keeper.execute("SELECT pg_advisory_lock(4712)")

    async def open(self) -> None:
        """Let everybody through."""
        await self._keeper.execute("SELECT pg_advisory_unlock(4712)")

    async def held(self, count: int = 1) -> None:
        """Wait until so many transactions stand at the gate."""
        await waiting(self._owner, count, "advisory")


async def waiting(owner: asyncpg.Connection, count: int, *events: str) -> None:
    """Wait until so many sessions of the database wait for a lock of one of these kinds."""
    kinds = events or ("transactionid", "tuple")

    async def so_many() -> bool:
        found = await owner.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock' AND wait_event = ANY($1)",
            list(kinds),
        )
        return bool(found == count)

    await until(so_many, what=f"{count} sessions that wait for a lock ({', '.join(kinds)})")
