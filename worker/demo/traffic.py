"""Upstream and downstream of the demo: publishes requests, and reads every reply and event."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from schemas.topology import events_exchange
from worker.app import publish_rules
from worker.broker import SessionLost, open_connection, open_session
from worker.broker.client import request, temporary_queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from worker.broker import Delivery, Intake
    from worker.demo.burst import Message
    from worker.settings import Settings

_TAKEN_AT_ONCE = 1000
_PUBLISHED_AT_ONCE = 250


@dataclass(frozen=True, slots=True)
class Event:
    """What an event says of its place."""

    event_id: str
    member_id: str
    sequence: int


@dataclass(slots=True)
class Traffic:
    """Everything that was published and came back so far.

    `replies` are by the number of the message in `published`, `answers` by member and request id;
    `events` are as they came, repeats included.
    """

    published: list[Message] = field(default_factory=list)
    replies: dict[int, bytes] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    event_ids: set[str] = field(default_factory=set)
    repeated_replies: int = 0
    differing_replies: int = 0
    answers: dict[tuple[str, str], bytes] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def requests(self) -> int:
        """How many different requests were published; each makes one event."""
        return len({(message.member_id, message.request_id) for message in self.published})

    def answer(self, number: int) -> dict[str, Any] | None:
        """Return the outcome that a message was answered with, None while it was not."""
        body = self.replies.get(number)
        return None if body is None else json.loads(body)

    async def wait(self, condition: Callable[[], bool], timeout_seconds: float) -> bool:
        """Wait until the condition holds, and tell whether it came to that.

        It is looked at whenever something was published or came back.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                while not condition():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            return False
        return True

    def take_reply(self, delivery: Delivery) -> None:
        """Take note of a reply; a request is answered alike however often it is sent."""
        number = int(delivery.correlation_id or -1)
        self.repeated_replies += number in self.replies
        self.replies[number] = delivery.body
        message = self.published[number]
        answer = self.answers.setdefault((message.member_id, message.request_id), delivery.body)
        self.differing_replies += answer != delivery.body

    def take_event(self, delivery: Delivery) -> None:
        """Take note of an event."""
        document = json.loads(delivery.body)
        event = Event(document["id"], document["subject"], int(document["sequence"]))
        self.events.append(event)
        self.event_ids.add(event.event_id)


class Publisher:
    """Publishes messages in order, confirmed, their replies asked for."""

    def __init__(self, traffic: Traffic, publish: Any, prefix: str, reply_to: str) -> None:
        self._traffic = traffic
        self._publish = publish
        self._prefix = prefix
        self._reply_to = reply_to

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish without waiting for any answer but the broker's confirms."""
        traffic = self._traffic
        for start in range(0, len(messages), _PUBLISHED_AT_ONCE):
            window = messages[start : start + _PUBLISHED_AT_ONCE]
            first = len(traffic.published)
            # Before the broker has them: an answer may be faster than the last confirm.
            traffic.published += window
            await self._publish(
                [
                    # Whoever must not lose a request sends it until it is taken, in order.
                    replace(
                        request(
                            self._prefix,
                            message.routing_key,
                            message.body,
                            message_id=message.request_id,
                            correlation_id=str(number),
                            reply_to=self._reply_to,
                        ),
                        must_be_taken=True,
                        type=message.type,
                        headers=message.headers,
                    )
                    for number, message in enumerate(window, first)
                ]
            )
            traffic.changed.set()


@asynccontextmanager
async def open_traffic(settings: Settings) -> AsyncIterator[tuple[Traffic, Publisher]]:
    """Give traffic that reads from now on, and its publisher; the topology must be there.

    Raises BrokerUnreachable, BrokerRefused and SessionLost.
    """
    traffic = Traffic()
    amqp_url, prefix = settings.amqp_url.get_secret_value(), settings.prefix
    connection = await open_connection(
        amqp_url, name="points-worker demo", heartbeat_seconds=settings.heartbeat_seconds
    )
    try:
        session = await open_session(
            amqp_url,
            worker_id="demo",
            rules=publish_rules(settings),
            heartbeat_seconds=settings.heartbeat_seconds,
        )
        try:
            sender = await session.publisher()
            async with (
                temporary_queue(connection) as (reply_to, replies),
                temporary_queue(connection, events_exchange(prefix), "#") as (_, events),
            ):
                tasks = [
                    asyncio.create_task(_read(replies, traffic.take_reply, traffic.changed)),
                    asyncio.create_task(_read(events, traffic.take_event, traffic.changed)),
                ]
                try:
                    yield traffic, Publisher(traffic, sender.publish, prefix, reply_to)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await session.close()
    finally:
        await connection.shut()


async def _read(intake: Intake, take: Callable[[Delivery], None], changed: asyncio.Event) -> None:
    """Hand every delivery on, until cancelled or until the connection goes."""
    try:
        while deliveries := await intake.take(_TAKEN_AT_ONCE):
            for delivery in deliveries:
                take(delivery)
            intake.ack_through(deliveries[-1].tag)
            changed.set()
    except SessionLost:
        # What did not come is missing in the audit, which says so.
        return
