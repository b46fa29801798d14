"""One run of the whole path: upstream, workers as processes of their own, downstream, a verdict."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.brokers import delete_topology
from tests.model import Model
from tests.traffic import Downstream, Upstream
from tests.verdict import verdict
from tests.waiting import until
from tests.workers import WorkerProcess
from worker.settings import PARTITIONS_DEFAULT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.load import Message

ANSWERED_SECONDS_MAX = 250
PARTITIONS = PARTITIONS_DEFAULT
RUN = (sys.executable, "-m", "worker", "run", "--setup")


@dataclass
class Scene:
    """Where a run takes place: the broker, a database of its own, a prefix of its own."""

    amqp_url: str
    database_url: str
    prefix: str
    env: dict[str, str] = field(default_factory=dict)

    def worker(self, command: Sequence[str] = RUN) -> WorkerProcess:
        """Return a worker that starts when its context is entered."""
        return WorkerProcess(
            amqp_url=self.amqp_url,
            database_url=self.database_url,
            prefix=self.prefix,
            env=self.env,
            command=command,
        )

    async def delete_topology(self) -> None:
        """Delete what a worker declared under this prefix."""
        await delete_topology(self.amqp_url, self.prefix)

    @contextlib.asynccontextmanager
    async def traffic(
        self, messages: Sequence[Message], *, by_door: bool = False
    ) -> AsyncIterator[Traffic]:
        """Read from now on what comes back; the topology must be there."""
        async with Downstream(self.amqp_url, self.prefix) as downstream:
            upstream = Upstream(self.amqp_url, self.prefix, by_door=by_door)
            yield Traffic(self, messages, upstream, downstream)


@dataclass
class Traffic:
    """A load on its way through the workers."""

    scene: Scene
    messages: Sequence[Message]
    upstream: Upstream
    downstream: Downstream

    async def publish(self, start: int = 0, end: int | None = None) -> None:
        """Publish everything, or what stands from `start` up to `end`, back to back."""
        await self.upstream.publish(self.messages[start:end], reply_to=self.downstream.reply_to)

    @property
    def answers(self) -> int:
        """How many messages have been answered so far."""
        return len(self.downstream.answered)

    async def answered(self, count: int | None = None) -> None:
        """Wait until so many messages, by default all, are answered and all events are there."""
        wanted = len(self.messages) if count is None else count
        await until(
            lambda: self.answers >= wanted,
            deadline_seconds=ANSWERED_SECONDS_MAX,
            what=f"{wanted} messages are answered",
        )
        if count is not None:
            return
        model = Model()
        events = {
            (expected.member_id, expected.sequence)
            for expected in (model.expect(message.body) for message in self.messages)
            if expected.stored
        }
        await until(
            lambda: len(self.downstream.event_ids) >= len(events),
            deadline_seconds=ANSWERED_SECONDS_MAX,
            what=f"{len(events)} events have come",
        )

    async def faults(self, killers: Sequence[Message] = ()) -> list[str]:
        """Return what differs from the model; empty when all is well."""
        return await verdict(
            self.downstream, self.scene.database_url, self.messages, killers=killers
        )
