"""The real worker as a process of its own, to be started, frozen, killed and asked."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.waiting import until
from worker.demo.servers.probe import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parent.parent
READY_SECONDS = 100.0
EXIT_SECONDS = 100.0
LOG_TAIL_LINES = 40
APPLICATION_NAME_BYTES_MAX = 63  # Postgres cuts the rest off.

# Variables that would change how the worker behaves are set by the test or not at all.
OURS = ("AMQP_URL", "DATABASE_URL", "LOG_", "POINTS_")


class WorkerProcess:
    """`points-worker run --setup`; entering starts it, leaving kills it if it still runs.

    `env` adds to or overrides its settings; `command` replaces what is run. Its output goes to
    `log_path`, on a restart too.
    """

    def __init__(
        self,
        *,
        amqp_url: str,
        database_url: str,
        prefix: str,
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = (sys.executable, "-m", "worker", "run", "--setup"),
    ) -> None:
        self.http_port = free_port()
        self.command = list(command)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(OURS)},
            "AMQP_URL": amqp_url,
            "DATABASE_URL": database_url,
            "POINTS_PREFIX": prefix,
            "POINTS_HTTP_PORT": str(self.http_port),
            "POINTS_HTTP_HOST": "127.0.0.1",
            "LOG_FORMAT": "json",
            **(env or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        descriptor, name = tempfile.mkstemp(prefix=f"worker-{prefix}-", suffix=".log")
        os.close(descriptor)
        self.log_path = Path(name)

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
        await self.exited()
        self.log_path.unlink()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._running().pid

    @property
    def session_name(self) -> str:
        """What its sessions are called in `pg_stat_activity.application_name`."""
        return f"points-worker {os.uname().nodename}-{self.pid}"[:APPLICATION_NAME_BYTES_MAX]

    def start(self) -> None:
        """Start the worker, again if it has ended before."""
        assert self._process is None or self._process.poll() is not None, "it still runs"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def ready(self, deadline_seconds: float = READY_SECONDS) -> None:
        """Wait until `/readyz` says 200; fails with the end of the log if the worker ends first."""

        async def answers() -> bool:
            code = self._running().poll()
            assert code is None, f"the worker ended with {code}:\n{self.log_tail()}"
            status, _ = await self.get("/readyz")
            return status == 200

        await until(answers, deadline_seconds, lambda: f"a ready worker ({self.log_tail()})")

    async def get(self, path: str) -> tuple[int, str]:
        """Ask the worker over HTTP: status (0 when it does not answer) and body."""
        return await asyncio.to_thread(_get, f"http://127.0.0.1:{self.http_port}{path}")

    def kill(self) -> None:
        """SIGKILL; does nothing to a worker that has ended."""
        self._signal(signal.SIGKILL)

    def stop_signal(self) -> None:
        """SIGTERM: asks the worker to drain and end."""
        self._signal(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: the worker stands still, its connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    async def exited(self, deadline_seconds: float = EXIT_SECONDS) -> int:
        """Wait for the end and return the exit code (negative: the signal that killed it)."""
        process = self._running()
        await until(
            lambda: process.poll() is not None,
            deadline_seconds,
            lambda: f"the worker's exit ({self.log_tail()})",
        )
        return process.wait()

    def log(self) -> str:
        """Everything it has logged so far."""
        return self.log_path.read_text(errors="replace")

    def log_tail(self) -> str:
        """The last lines of the log."""
        return "\n".join(self.log().splitlines()[-LOG_TAIL_LINES:])

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the worker was never started"
        return self._process

    def _signal(self, sent: signal.Signals) -> None:
        process = self._running()
        if process.poll() is None:
            process.send_signal(sent)


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()
    except OSError:
        return 0, ""
