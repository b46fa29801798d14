"""The command line as its users run it: a process with settings, output and an exit code."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.conftest import database_named, drop_database, maintenance
from tests.scene import Scene
from tests.workers import OURS, ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

COMMAND_SECONDS = 40


@dataclass(frozen=True)
class Done:
    """What became of a command."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def json(self) -> Any:
        """The data that it printed."""
        return json.loads(self.stdout)


@dataclass(frozen=True)
class CommandLine:
    """Runs commands against the servers of a scene; `env` overrides their settings."""

    scene: Scene

    async def __call__(
        self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> Done:
        """Run a command to its end."""
        process = await self.start(*arguments, env=env)
        try:
            output, errors = await asyncio.wait_for(process.communicate(stdin), COMMAND_SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        errors_text = errors.decode()
        assert "Traceback" not in errors_text, errors_text
        return Done(process.returncode, output, errors_text)

    async def start(
        self, *arguments: str, env: Mapping[str, str] | None = None
    ) -> asyncio.subprocess.Process:
        """Start a command and return its process."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
        settings = {
            "AMQP_URL": self.scene.amqp_url,
            "DATABASE_URL": self.scene.database_url,
            "POINTS_PREFIX": self.scene.prefix,
        }
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker", *arguments),
            cwd=ROOT,
            env=inherited | settings | dict(env or {}),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )


@pytest.fixture
def fresh(amqp_url: str, empty_database_url: str, prefix: str) -> CommandLine:
    """Commands on an empty database, and a broker where nothing is declared."""
    return CommandLine(Scene(amqp_url, empty_database_url, prefix))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def points(
    amqp_url: str, database_server_url: str, migrated_template: str
) -> AsyncIterator[CommandLine]:
    """Commands beside a running worker; tests keep apart by their members."""
    name = f"test_{secrets.token_hex(4)}"
    async with maintenance(database_server_url) as server:
        await server.execute(f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    scene = Scene(amqp_url, database_named(database_server_url, name), f"t{secrets.token_hex(4)}")
    async with scene.worker() as worker:
        await worker.ready()
        yield CommandLine(scene)
    await scene.delete_topology()
    await drop_database(database_server_url, name)
