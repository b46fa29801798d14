"""A PostgreSQL of this machine, started as a private and unprivileged instance."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

from worker.demo.servers.private import (
    START_SECONDS,
    Process,
    account_for,
    clean_environment,
    folder_on_path,
    hand_over,
    newest_with,
    run_as,
    write_private,
)
from worker.demo.servers.probe import LOOPBACK, ServerError, await_ready, free_port

if TYPE_CHECKING:
    from pathlib import Path

    from worker.demo.servers.guard import Guard

FOLDERS = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # the PostgreSQL project's packages for Red Hat
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)


def programs_folder() -> Path | None:
    """Return the folder with the newest PostgreSQL's programs, if one is installed."""
    return newest_with(FOLDERS, "initdb") or folder_on_path("initdb")


class PrivatePostgres:
    """A PostgreSQL cluster of our own; `url` names its database `points` and its superuser."""

    def __init__(
        self, guard: Guard, folder: Path, password: str, programs: Path, *, fsync: bool
    ) -> None:
        self.origin = f"a private server, started from {programs}"
        self._programs = programs
        self._port = free_port()
        self.url = f"postgresql://points:{password}@{LOOPBACK}:{self._port}/points"
        self._durable = fsync
        self._account = account_for("postgres")
        self._data = folder / "data"
        self._process = Process(guard, folder, self._account)
        hand_over(folder, self._account)
        self._initialise(folder, password)
        self.start()

    def start(self) -> None:
        """Start the server on its port and data, and return once it takes connections."""
        options = [
            f"-cport={self._port}",
            f"-clisten_addresses={LOOPBACK}",
            "-cunix_socket_directories=",
            "-cmax_connections=200",
        ]
        if not self._durable:
            options += ["-cfsync=off", "-cfull_page_writes=off"]
        command: list[str | Path] = [self._programs / "postgres", "-D", self._data, *options]
        # Immediate shutdown when abandoned: unlike SIGKILL it frees the shared memory.
        self._process.spawn(command, {}, abandoned=signal.SIGQUIT)
        await_ready("PostgreSQL", self._answers, self._process.fault, START_SECONDS)

    def stop(self) -> None:
        """Stop the server, ending its connections; port and data stay for the next start."""
        self._process.end(signal.SIGINT)

    def discard(self) -> None:
        """Stop the server as fast as it can be, without care for its data."""
        self._process.end(signal.SIGQUIT)

    def _initialise(self, folder: Path, password: str) -> None:
        secret = folder / "password"
        write_private(secret, password, self._account)
        self._run(
            "initdb", "-D", self._data, "-U", "points", "--pwfile", secret,
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip
        secret.unlink()
        self._run("postgres", "--single", "-D", self._data, "postgres",
                  input=b"CREATE DATABASE points\n")  # fmt: skip

    def _run(self, program: str, *arguments: str | Path, input: bytes = b"") -> None:  # noqa: A002 (as in subprocess)
        done = subprocess.run(
            [self._programs / program, *arguments],
            input=input,
            cwd=self._process.folder,
            env=clean_environment(self._process.folder, {}),
            capture_output=True,
            check=False,
            timeout=START_SECONDS,
            **run_as(self._account),
        )
        if done.returncode != 0:
            raise ServerError(f"`{program}` failed: {done.stderr.decode(errors='replace').strip()}")

    def _answers(self) -> bool:
        """Read the server's own note: the eighth line of its pid file says `ready`."""
        try:
            note = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(note) >= 8 and note[7].strip() == "ready"
