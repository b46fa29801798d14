"""A worker's whole crew inside the test's process, on real servers, seen and disturbed at will."""

from __future__ import annotations

import asyncio
import contextlib
import json
from functools import partial
from typing import TYPE_CHECKING, Any, Self, cast

from pamqp.commands import Basic

from schemas.topology import bucket_key
from tests.brokers import ready_in
from tests.inside import settings_of
from tests.traffic import Received, connected, received_of
from tests.waiting import DEADLINE_SECONDS, until
from worker import app
from worker.crew import Shared
from worker.dialects.jwe import Keyring
from worker.observe.metrics import Metrics
from worker.observe.status import Status
from worker.readiness import declare_topology
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from aiormq.abc import DeliveredMessage
    from aiormq.channel import Channel

    from worker.broker import Session

QUICK = {"retry_delay_seconds_min": 0.02, "retry_delay_seconds_max": 0.05}


class Crew:
    """`async with Crew(…) as crew` declares the topology; `running` lets the worker work on it.

    It has few lanes and short pauses; `settings` adds to its settings.
    """

    def __init__(self, amqp_url: str, database_url: str, prefix: str, **settings: Any) -> None:
        self.prefix = prefix
        self.amqp_url = amqp_url
        given: dict[str, Any] = {"partitions": 2, "http_port": 0, **QUICK, **settings}
        self.settings = settings_of(amqp_url, database_url, prefix, **given)
        self.status = Status()
        self.metrics = Metrics("test")
        self.sessions: list[Session] = []
        self._queues: list[str] = []

    async def __aenter__(self) -> Self:
        self.agreement = await declare_topology(self.settings)
        self._stack = contextlib.AsyncExitStack()
        self._connection = await self._stack.enter_async_context(connected(self.amqp_url))
        self.channel = cast("Channel", await self._connection.channel())
        self.events = await self.queue(self.name("events"))
        self.replies = await self.queue()
        return self

    async def __aexit__(self, *_: object) -> None:
        for queue in self._queues:
            await self.channel.queue_delete(queue)
        await self._stack.aclose()

    def name(self, suffix: str) -> str:
        """Return the name of an exchange or queue of the topology."""
        return f"{self.prefix}.{suffix}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Event]:
        """Run the worker; leaving stops it in order. Gives the event that stops it."""
        pool = await open_pool(self.settings)
        stopping = asyncio.Event()
        shared = Shared(
            self.settings,
            self.agreement,
            pool,
            self.status,
            self.metrics,
            "w",
            stopping,
            Keyring.load(self.settings.jwe_private_keys, self.settings.jwe_public_keys),
        )
        opened = app._open_session

        async def open_noted(shared: Shared) -> Session:
            session = await opened(shared)
            self.sessions.append(session)
            return session

        app._open_session = open_noted
        try:
            worker = asyncio.create_task(app._supervise(shared))
            await until(
                lambda: worker.done() or self.counted("session_up"), what="a worker at work"
            )
            try:
                yield stopping
            finally:
                stopping.set()
                await asyncio.wait_for(worker, DEADLINE_SECONDS)
        finally:
            app._open_session = opened
            await close_pool(pool)

    # What the test does at the broker.

    async def queue(self, exchange: str | None = None, pattern: str = "#", **arguments: Any) -> str:
        """Declare a queue of the test's own, bound to what matches of an exchange."""
        name = f"{self.prefix}.test.{len(self._queues)}"
        given = {key.replace("_", "-"): value for key, value in arguments.items()}
        await self.channel.queue_declare(name, durable=True, arguments=given)
        if exchange is not None:
            await self.channel.queue_bind(name, exchange, pattern)
        self._queues.append(name)
        return name

    async def full_queue(self, room: int, pattern: str = "#") -> str:
        """Declare a subscriber's queue for `room` events that is full, so that it refuses more."""
        queue = await self.queue(
            self.name("events"), pattern, x_max_length=room, x_overflow="reject-publish"
        )
        for _ in range(room):
            await self.channel.basic_publish(b"filler", routing_key=queue)
        return queue

    async def empty(self, queue: str) -> None:
        """Throw away what is in a queue."""
        await self.channel.queue_purge(queue)

    async def send(
        self,
        *messages: Mapping[str, Any] | bytes,
        routing_key: str | None = None,
        exchange: str | None = None,
        **properties: Any,
    ) -> None:
        """Publish messages in order, confirmed; documents go to their member's bucket."""
        confirms: list[Awaitable[Any]] = []
        for message in messages:
            body = message if isinstance(message, bytes) else json.dumps(message).encode()
            key = routing_key
            if key is None:
                key = bucket_key(cast("Mapping[str, Any]", message)["member_id"])
            # Without one the client would make one up.
            message_id = "" if isinstance(message, bytes) else message.get("request_id", "")
            given = {
                "delivery_mode": 2,
                "reply_to": self.replies,
                "message_id": message_id or "none",
                **properties,
            }
            confirms.append(
                self.channel.basic_publish(
                    body,
                    exchange=self.name("adjustments") if exchange is None else exchange,
                    routing_key=key,
                    properties=Basic.Properties(**given),
                    wait=False,
                )
            )
        await asyncio.gather(*confirms)

    async def depth(self, queue: str) -> int:
        """How many messages are ready in a queue."""
        return await ready_in(self.channel, queue)

    async def taken(
        self,
        queue: str,
        enough: int | Callable[[list[Received]], bool],
    ) -> list[Received]:
        """Take messages until there are enough, and what else is there then."""
        taken: list[Received] = []
        is_enough = enough if callable(enough) else lambda found: len(found) >= enough

        async def take() -> bool:
            while True:
                message = await self.channel.basic_get(queue, no_ack=True)
                if isinstance(message.delivery, Basic.GetEmpty):
                    return is_enough(taken)
                taken.append(received_of(message))

        await until(take, what=lambda: f"enough messages in {queue} ({len(taken)} came)")
        return taken

    async def consumed(self, queues: Sequence[str], count: int) -> list[Received]:
        """Consume so many messages of queues that are not to be asked one by one."""
        found: list[Received] = []

        async def keep(message: DeliveredMessage) -> None:
            found.append(received_of(message))

        async with connected(self.amqp_url) as connection:
            channel = await connection.channel()
            for queue in queues:
                await channel.basic_consume(queue, keep, no_ack=True)
            await until(lambda: len(found) >= count, what=f"{count} messages")
        return found

    async def return_often(self, queue: str, times: int) -> None:
        """Take all that is in a queue and die, so many times, as workers do over a message."""
        count = await self.depth(queue)
        for _ in range(times):
            async with connected(self.amqp_url) as connection:
                channel = await connection.channel()
                held: list[object] = []

                async def keep(message: object, held: list[object] = held) -> None:
                    held.append(message)

                await channel.basic_consume(queue, keep)
                await until(partial(has, held, count), what="the deliveries")
                await channel.close()

            async def is_back() -> bool:
                return await self.depth(queue) == count

            await until(is_back, what="the return of what was delivered")

    def counted(self, name: str, **labels: str) -> float:
        """The value of a metric."""
        return self.metrics.registry.get_sample_value(f"points_{name}", labels) or 0.0


def has(found: list[object], count: int) -> bool:
    """Whether so many have been found."""
    return len(found) >= count


def data_of(event: Received) -> dict[str, Any]:
    """Return the outcome in an event."""
    return cast("dict[str, Any]", json.loads(event.body)["data"])


def ids_of(events: list[Received]) -> list[str]:
    """Return which requests events are about, in order."""
    return [data_of(event)["caused_by"] or data_of(event)["request_id"] for event in events]
