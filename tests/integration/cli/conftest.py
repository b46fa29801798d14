"""The command line as its users run it: with settings, output and an exit code."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tests.scene import Scene
from tests.workers import OURS, ROOT
from worker.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typer.testing import Result

COMMAND_SECONDS = 120


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
    """Runs commands against the servers of a scene, one at a time."""

    scene: Scene

    async def __call__(
        self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> Done:
        """Run a command to its end, in a thread of this process: that spares starting one."""
        given: dict[str, str | None] = dict.fromkeys(filter(is_ours, os.environ))
        given |= self._settings | dict(env or {})

        def run() -> Result:
            return CliRunner().invoke(app, list(arguments), input=stdin, env=given)

        result = await asyncio.wait_for(asyncio.to_thread(run), COMMAND_SECONDS)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout_bytes, result.stderr)

    async def start(
        self, *arguments: str, stdout: int = asyncio.subprocess.PIPE
    ) -> asyncio.subprocess.Process:
        """Start a command as a process of its own."""
        inherited = {name: value for name, value in os.environ.items() if not is_ours(name)}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker", *arguments),
            cwd=ROOT,
            env=inherited | self._settings,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
        )

    @property
    def _settings(self) -> dict[str, str]:
        return {
            "AMQP_URL": self.scene.amqp_url,
            "DATABASE_URL": self.scene.database_url,
            "POINTS_PREFIX": self.scene.prefix,
            "POINTS_HTTP_PORT": "0",  # That of the default may be taken.
        }


def is_ours(name: str) -> bool:
    """Tell whether a variable would change how the worker behaves."""
    return name.startswith(OURS)


@pytest.fixture
def fresh(amqp_url: str, empty_database_url: str, prefix: str) -> CommandLine:
    """Commands on an empty database, and a broker where nothing is declared."""
    return CommandLine(Scene(amqp_url, empty_database_url, prefix))


@pytest.fixture(scope="module")
def points(working_scene: Scene) -> CommandLine:
    """Commands beside a running worker; tests keep apart by their members."""
    return CommandLine(working_scene)
