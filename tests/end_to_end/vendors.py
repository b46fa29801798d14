"""Vendors' systems in conversation with a running worker, each in its own words."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pamqp.commands import Basic

from tests.end_to_end.conversation import Conversation
from tests.traffic import connected
from worker.identifiers import fingerprint, key_digest
from worker.store.keys import MemberKey
from worker.store.members import identify
from worker.store.programs import apply_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiormq.channel import Channel

    from tests.dialect_vectors import Vector
    from tests.scene import Scene
    from tests.traffic import Received

IDENTIFIER_KEY = "a key for tests of identifiers"


class Said(NamedTuple):
    """One message of a vendor's system."""

    dialect: str
    message_id: str
    headers: Mapping[str, Any]
    body: bytes


class Vendors(Conversation):
    """Sends messages through the door; requests that prepare for them go to their buckets."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._ids = itertools.count(1)

    async def set_up(self, vector: Vector, member_id: str) -> None:
        """Do what the vector says comes before: programme, identifiers, requests."""
        if vector.programme is not None:
            await self.apply(vector.programme)
        for name, value in vector.identifiers:
            own = value.replace("{member}", member_id)
            await self.know(vector.program_id, member_id, name, own)
        for number, fields in enumerate(vector.setup):
            whose = {"program_id": vector.program_id, "member_id": member_id}
            outcome = await self.ask({"request_id": f"before-{number}", **whose, **fields})
            assert outcome["status"] == "APPLIED", outcome

    async def apply(self, programme: Mapping[str, Any]) -> None:
        """Apply a programme document, as `points-worker program apply` does."""
        await apply_program(self.scene.database_url, programme["program_id"], programme)

    async def know(self, program_id: str, member_id: str, name: str, value: str) -> None:
        """Let an identifier lead to a member, as `points-worker member identify` does."""
        secret, key = IDENTIFIER_KEY.encode(), MemberKey(program_id, member_id)
        keyed = fingerprint(secret, name, value)
        await identify(self.scene.database_url, key, name, keyed, key_digest(secret))

    async def say(
        self,
        dialect: str,
        body: object,
        headers: Mapping[str, object],
        message_id: str | None = None,
    ) -> Any:
        """Send a message in a dialect through the door and return the parsed reply to it."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        correlation_id = self.send(
            raw,
            routing_key="anything",
            message_type=dialect,
            message_id=message_id or f"v-{next(self._ids)}",
            headers=dict(headers),
        )
        reply = await self.reply(correlation_id)
        assert reply.properties.message_type == dialect
        assert reply.properties.content_type == "application/json"
        return json.loads(reply.body)

    async def send_all(self, messages: Iterable[Said]) -> None:
        """Publish messages back to back, confirmed, and wait for no reply."""
        async with connected(self.scene.amqp_url) as connection:
            channel = cast("Channel", await connection.channel())
            confirms = [
                channel.basic_publish(
                    said.body,
                    exchange=f"{self.scene.prefix}.adjustments",
                    routing_key="anything",
                    properties=Basic.Properties(
                        delivery_mode=2,
                        message_type=said.dialect,
                        message_id=said.message_id,
                        correlation_id=said.message_id,
                        reply_to=self.downstream.reply_to,
                        headers=dict(said.headers),
                    ),
                    wait=False,
                )
                for said in messages
            ]
            await asyncio.gather(*confirms)

    async def letter_of(self, message_id: str) -> Received:
        """Wait for the dead letter of the message with this id."""
        return await self.found(
            lambda letter: letter.properties.message_id == message_id,
            f"a dead letter of {message_id}",
        )


def ids(vectors: Iterable[Vector]) -> list[str]:
    """Return what each test of a vector is called."""
    return [f"{vector.dialect.partition('.')[0]}-{vector.name}" for vector in vectors]
