"""The worker as a process of its own, to be started, asked, killed and started again."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from worker.demo.servers.guard import Guard
from worker.demo.servers.probe import LOOPBACK, ServerError, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02
LOG_TAIL_LINES = 12
HTTP_OK = b" 200 "


class WorkerProcess:
    """`points-worker run --setup`, its log in a file; stopped when the context is left.

    It does not outlive this process, however this one ends.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.http_port = free_port()
        self._environment = {
            **environment,
            "POINTS_HTTP_HOST": LOOPBACK,
            "POINTS_HTTP_PORT": str(self.http_port),
            "LOG_FORMAT": "json",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._guard = Guard()
        folder = tempfile.mkdtemp(prefix="points-demo-")
        self._guard.remove_folder("folder", folder)
        self.log_path = Path(folder) / "worker.log"
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(signal.SIGTERM)
                try:
                    self._process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    self.kill()
        finally:
            self._guard.close()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None, "it was started"
        return self._process.pid

    async def start(self) -> float:
        """Start the worker and wait until it says that it is ready; return after how many seconds.

        Raises ServerError, with the end of the log, when it ends or takes too long.
        """
        started = time.monotonic()
        process = self._spawn()
        while not await self._is_ready():
            code = process.poll()
            if code is not None:
                raise ServerError(f"The worker ended with {code}:\n{self._log_tail()}")
            if time.monotonic() > started + READY_SECONDS:
                raise ServerError(f"The worker was not ready in time:\n{self._log_tail()}")
            await asyncio.sleep(POLL_SECONDS)
        return time.monotonic() - started

    def kill(self) -> None:
        """SIGKILL: the worker has no chance to finish anything."""
        assert self._process is not None, "it was started"
        self._process.kill()
        self._process.wait()
        self._guard.forget("worker")

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker", "run", "--setup"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the demo, which then stops the worker in order.
                start_new_session=True,
            )
        self._guard.stop_group("worker", self._process.pid, signal.SIGTERM)
        return self._process

    async def _is_ready(self) -> bool:
        """Ask /readyz."""
        try:
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection(LOOPBACK, self.http_port)
                try:
                    writer.write(
                        b"GET /readyz HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n"
                    )
                    return HTTP_OK in await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False

    def _log_tail(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])


def worker_environment(environ: Mapping[str, str], **values: str) -> dict[str, str]:
    """Return an environment for the worker: `environ` with these variables instead of its own.

    A variable that named a file with the same value is left out.
    """
    files = {f"{name}_FILE" for name in values}
    return {name: value for name, value in environ.items() if name not in files} | values
