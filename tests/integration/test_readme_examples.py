"""The README's programs and commands, run as they stand beside a real worker.

They use the names that a worker has by default, so they get a RabbitMQ of their own: on the one
that the other tests share, they would meet whatever else goes by these names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import aio_pika
import pytest
from aio_pika.exceptions import ChannelNotFoundEntity

from schemas.topology import events_exchange
from tests.conftest import servers_from_environment
from tests.readmes import README, blocks
from tests.scene import Scene
from tests.waiting import until
from tests.workers import OURS, ROOT
from worker.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

DEADLINE_SECONDS = 120

PUBLISHER, VENDOR, SUBSCRIBER = blocks(README, "python")
[VENDORS_REPLY] = [block for block in blocks(README, "") if block.startswith("{'points'")]
BY_HAND, FOR_MEMBERS = [
    block for block in blocks(README, "sh") if block.startswith("points-worker ")
]

SUBSCRIBERS_QUEUE = "balances"

APPLIED_IN_ORDER = [
    "alice 0000000000000000001 POINTS_ADJUSTED 100 100",
    "alice 0000000000000000002 POINTS_ADJUSTED -30 70",
    "alice 0000000000000000003 POINTS_ADJUSTED 12 82",
]


class Running(NamedTuple):
    """A command that was started; its output goes to files."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def said(self) -> str:
        """Everything that it has written so far."""
        return self.out.read_text() + self.err.read_text()

    async def ends_well(self) -> str:
        """Wait until it has ended with 0, and return what it printed."""
        await until(
            lambda: self.process.poll() is not None,
            DEADLINE_SECONDS,
            lambda: f"the end of {self.process.args!r} ({self.said()})",
        )
        assert self.process.returncode == 0, self.said()
        return self.out.read_text()

    async def prints(self, count: int) -> list[str]:
        """Wait until it has printed so many lines, and return all that it has printed."""

        def enough() -> list[str]:
            assert self.process.poll() is None, self.said()
            lines = self.out.read_text().splitlines(keepends=True)
            whole = [line.rstrip("\n") for line in lines if line.endswith("\n")]
            return whole if len(whole) >= count else []

        return await until(enough, DEADLINE_SECONDS, lambda: f"{count} lines ({self.said()})")


class Reader(NamedTuple):
    """Somebody who has read the README, and has set AMQP_URL and DATABASE_URL, no more."""

    scene: Scene
    folder: Path

    @contextmanager
    def starts(self, *command: str, folder: Path = ROOT, told: str = "") -> Iterator[Running]:
        """Start a command in a folder, which is killed in the end if it still runs.

        `told` is what it can read from standard input.
        """
        number = len(list(self.folder.glob("*.out")))
        out, err = self.folder / f"{number}.out", self.folder / f"{number}.err"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        # `points-worker` is where Python is; what is printed is wanted at once.
        path = f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', os.defpath)}"
        settings = {
            "AMQP_URL": self.scene.amqp_url,
            "DATABASE_URL": self.scene.database_url,
            "POINTS_IDENTIFIER_KEY": "a key for tests of identifiers",
        }
        given = self.folder / f"{number}.in"
        given.write_text(told)
        with given.open("rb") as stdin, out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=inherited | settings | {"PATH": path, "PYTHONUNBUFFERED": "1"},
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
            )
        try:
            yield Running(process, out, err)
        finally:
            process.kill()
            process.wait()

    async def runs(self, *command: str) -> str:
        """Run a command, which has to end with 0, and return what it printed."""
        with self.starts(*command) as running:
            return await running.ends_well()

    async def runs_line(self, line: str) -> str:
        """Run a line of a shell, which has to end with 0, and return what it printed."""
        return await self.runs("sh", "-c", f"exec {line}")


@pytest.fixture(scope="module")
def own_amqp_url(database_server_url: str) -> Iterator[str]:
    """The URL of a RabbitMQ that is used by this module alone, and is gone after it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("AMQP_URL", raising=False)
        environment.setenv("DATABASE_URL", database_server_url)
        servers = servers_from_environment()
    with servers:
        yield servers.amqp_url


@pytest.fixture
async def reader(own_amqp_url: str, database_url: str, tmp_path: Path) -> AsyncIterator[Reader]:
    """A reader beside a worker that has nothing to remember."""
    scene = Scene(own_amqp_url, database_url, Settings.model_fields["prefix"].default)
    async with scene.worker() as worker:
        await worker.ready()
        yield Reader(scene, tmp_path)
    await scene.delete_topology()
    async with await aio_pika.connect(own_amqp_url) as connection:
        channel = await connection.channel()
        await channel.queue_delete(SUBSCRIBERS_QUEUE)


async def subscribed(amqp_url: str) -> None:
    """Wait until somebody reads the queue of the README's subscriber."""

    async def is_read() -> bool:
        async with await aio_pika.connect(amqp_url) as connection:
            channel = await connection.channel()
            try:
                queue = await channel.declare_queue(SUBSCRIBERS_QUEUE, passive=True)
            except ChannelNotFoundEntity:
                return False
            return bool(queue.declaration_result.consumer_count)

    await until(is_read, DEADLINE_SECONDS, "a subscriber")


async def test_what_the_publisher_sends_is_applied_in_order_and_seen_by_the_subscriber(
    reader: Reader,
) -> None:
    with reader.starts(sys.executable, "-c", SUBSCRIBER) as subscriber:
        await subscribed(reader.scene.amqp_url)
        await reader.runs(sys.executable, "-c", PUBLISHER)

        assert await subscriber.prints(3) == APPLIED_IN_ORDER
        with reader.starts("points-worker", "adjust", "alice", "-83"):
            told = await subscriber.prints(4)
    assert told[3:] == ["alice 0000000000000000004 ADJUSTMENT_REJECTED insufficient_points"]


async def test_what_the_publisher_sends_again_is_told_again_and_applied_once(
    reader: Reader,
) -> None:
    with reader.starts(sys.executable, "-c", SUBSCRIBER) as subscriber:
        await subscribed(reader.scene.amqp_url)
        for _ in range(2):
            await reader.runs(sys.executable, "-c", PUBLISHER)

        assert await subscriber.prints(6) == APPLIED_IN_ORDER * 2
    [wallet] = json.loads(await reader.runs_line("points-worker balance alice --json"))["wallets"]
    assert wallet["balance"] == "82"


async def test_every_command_to_look_and_act_by_hand_ends_well(reader: Reader) -> None:
    # One of the commands asks for a request of the program above it. The first adjusts the same
    # member, so once it has its answer, that request has been applied.
    await reader.runs(sys.executable, "-c", PUBLISHER)
    for line in BY_HAND.splitlines():
        if line.startswith("points-worker tail "):
            await follows_one_event(reader, line)
        else:
            await reader.runs_line(line)
    history = json.loads(await reader.runs_line("points-worker history alice --json"))
    balances = [event["data"]["balance"] for event in history]
    assert balances == ["100", "70", "82", "182", "182", "181"]


async def test_every_command_for_programmes_and_members_ends_well(
    reader: Reader, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    example = ROOT / "schemas" / "examples" / "program.toml"
    (folder / "acme.toml").write_bytes(example.read_bytes())
    (folder / "balances.csv").write_text("member_id,balance,total\nerin,100,250\n")
    (folder / "requests.jsonl").write_text('{"member_id": "erin", "points": -30}\n')
    # Nobody can be blocked of whom nothing is known.
    await reader.runs_line("points-worker adjust alice 1")
    for line in FOR_MEMBERS.splitlines():
        # Whoever erases is asked whether they mean it.
        told = "y" if " erase " in line else "+49 000 0000"
        with reader.starts("sh", "-c", f"exec {line}", folder=folder, told=told) as running:
            await running.ends_well()
    [wallet] = json.loads(await reader.runs_line("points-worker balance erin --json"))["wallets"]
    assert (wallet["balance"], wallet["total"]) == ("70", "250")
    answer = await reader.runs_line("points-worker program show acme")
    assert 'program_id = "acme"' in answer


async def test_a_vendors_message_is_answered_as_shown(reader: Reader) -> None:
    for _ in range(2):
        assert await reader.runs(sys.executable, "-c", VENDOR) == VENDORS_REPLY


async def follows_one_event(reader: Reader, line: str) -> None:
    """Run the line with an end, for it would follow the events for ever."""
    events = events_exchange(reader.scene.prefix)
    ending = line.replace(" tail ", " tail --limit 1 ")
    with reader.starts("sh", "-c", f"exec {ending}") as tail:
        await until(
            lambda: events in tail.said() or tail.process.poll() is not None,
            DEADLINE_SECONDS,
            "a tail that follows",
        )
        await reader.runs_line("points-worker adjust alice -1")
        assert "POINTS_ADJUSTED" in await tail.ends_well()


def test_there_is_nothing_to_run_that_is_not_run_here() -> None:
    assert ".publish(" in PUBLISHER
    assert ".iterator(" in SUBSCRIBER
    assert [line.split()[1] for line in BY_HAND.splitlines()].count("tail") == 1
