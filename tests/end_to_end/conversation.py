"""Single messages sent exactly as a test wants them, and everything that comes back for each."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, Self, cast

import aiormq
from pamqp.commands import Basic

from schemas.event import Event
from schemas.outcome import Outcome
from tests.load import bucket_key
from tests.traffic import Downstream, Received, take_all, write_raw
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiormq.channel import Channel

    from tests.scene import Scene

JSON = "application/json"
REQUEST = "adjustment.request.v1"


class Conversation:
    """One publisher without confirms, one reader, and the dead letters as they come in."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.downstream = Downstream(scene.amqp_url, scene.prefix)
        self.letters: list[Received] = []
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> Self:
        await self.downstream.__aenter__()
        self._connection = await aiormq.connect(self.scene.amqp_url)
        self._channel = cast("Channel", await self._connection.channel(publisher_confirms=False))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()
        await self.downstream.__aexit__(None, None, None)

    def new_member(self) -> str:
        """Return the id of a member whom no other test uses."""
        return f"m-{next(self._numbers)}"

    def send(
        self,
        message: dict[str, Any] | bytes,
        *,
        routing_key: str | None = None,
        reply: bool = True,
        **properties: Any,
    ) -> str:
        """Publish a document or a raw body; return the reply's correlation id.

        By default it goes to the member's bucket with a reply address and valid properties.
        """
        number = next(self._numbers)
        defaults = {
            "content_type": JSON,
            "message_type": REQUEST,
            "delivery_mode": 2,
            "correlation_id": f"c-{number}",
            "reply_to": self.downstream.reply_to if reply else None,
        }
        properties = {**defaults, **properties}
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        if routing_key is None:
            routing_key = bucket_key(cast("dict[str, Any]", message)["member_id"])
        write_raw(
            self._channel,
            body,
            exchange=f"{self.scene.prefix}.adjustments",
            routing_key=routing_key,
            properties=Basic.Properties(**properties),
        )
        return properties["correlation_id"] or properties.get("message_id") or ""

    async def reply(self, correlation_id: str) -> Received:
        """Wait for the reply with this correlation id."""

        def find() -> Received | None:
            return next(
                (
                    reply
                    for reply in self.downstream.replies
                    if reply.properties.correlation_id == correlation_id
                ),
                None,
            )

        found = await until(find, what=f"a reply to {correlation_id}")
        assert found is not None
        return found

    async def ask(self, document: dict[str, Any], **how: Any) -> dict[str, Any]:
        """Send a request, wait for its reply, hold it to the schema and return the outcome."""
        reply = await self.reply(self.send(document, **how))
        assert reply.properties.message_type == "adjustment.result.v1"
        Outcome.model_validate_json(reply.body)
        return cast("dict[str, Any]", json.loads(reply.body))

    async def credit(self, member_id: str, points: int = 100, **more: Any) -> dict[str, Any]:
        """Ask for a credit and return its outcome, which must be applied."""
        outcome = await self.ask(self.request(member_id, points, **more))
        assert outcome["status"] == "APPLIED"
        return outcome

    def request(self, member_id: str, points: object, **more: Any) -> dict[str, Any]:
        """Return a request with an id of its own."""
        return {
            "request_id": f"r-{next(self._numbers)}",
            "member_id": member_id,
            "points": points,
            **more,
        }

    def events_of(self, member_id: str) -> list[Received]:
        """The events of a member so far, in the order of arrival, repeats dropped by their id."""
        events: dict[str | None, Received] = {}
        for event in self.downstream.events:
            if event.headers.get("member-id") == member_id:
                events.setdefault(event.properties.message_id, event)
        return list(events.values())

    async def events(self, member_id: str, count: int) -> list[Received]:
        """Wait for so many events of a member, hold them to the schema, and return them."""
        await until(
            lambda: len(self.events_of(member_id)) >= count,
            what=f"{count} events of {member_id}",
        )
        events = self.events_of(member_id)
        for event in events:
            Event.model_validate_json(event.body)
        return events

    async def letter(self, body: bytes) -> Received:
        """Wait for the dead letter with this body."""
        return await self.found(lambda letter: letter.body == body, "a dead letter")

    async def found(self, is_wanted: Callable[[Received], bool], what: str) -> Received:
        """Wait for a dead letter; those that came before are looked at without asking again."""

        async def find() -> Received | None:
            known = next(filter(is_wanted, self.letters), None)
            if known is None:
                dead = f"{self.scene.prefix}.dead"
                self.letters += await take_all(self.scene.amqp_url, dead)
            return known

        found = await until(find, what=what)
        assert found is not None
        return found

    async def settle(self, member_id: str) -> None:
        """Wait until everything sent for a member before is done: its lane works in order."""
        await self.credit(member_id)
