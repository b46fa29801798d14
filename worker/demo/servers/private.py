"""Servers installed on this machine, started as private and unprivileged instances.

Each has its own data folder, its own free port on the loopback interface and its own password.
The system's own services, configuration and data are never touched.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.demo.servers.probe import LOOPBACK, ServerError, await_ready, free_port, speaks_amqp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from worker.demo.servers.guard import Guard

START_SECONDS = 90.0
STOP_SECONDS = 30.0
LOG_TAIL_LINES = 12

POSTGRES_FOLDERS = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # the PostgreSQL project's packages for Red Hat
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)
RABBITMQ_FOLDERS = (
    # Inside the release: Debian's wrapper in /usr/sbin insists on the system's own data.
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
)


def postgres_folder() -> Path | None:
    """Return the folder with the newest PostgreSQL's programs, if one is installed."""
    return _newest(POSTGRES_FOLDERS, "initdb") or _on_path("initdb")


def rabbitmq_folder() -> Path | None:
    """Return the folder with RabbitMQ's own start script, if it and Erlang are installed."""
    if shutil.which("erl") is None:
        return None
    return _newest(RABBITMQ_FOLDERS, "rabbitmq-server")


class Process:
    """One program in a process group of its own, under an unprivileged user, watched by a guard."""

    def __init__(self, guard: Guard, folder: Path, account: str | None) -> None:
        self._guard = guard
        self._account = account
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        *,
        abandoned: signal.Signals,
    ) -> None:
        """Start the program; its output goes to `output.log` in the folder.

        `abandoned` is the signal that the guard sends first if this process dies.
        """
        with (self.folder / "output.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=_environment(self.folder, environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **run_as(self._account),
            )
        self._guard.stop_group(str(self.folder), self._process.pid, abandoned)

    def fault(self) -> str | None:
        """Say why the program is not running, or None while it is."""
        if self._process is None:
            return "it was not started"
        # The exit is looked at without reaping: until it is reaped, the number of the process
        # cannot become another's, so that neither we nor the guard can hit a stranger.
        waited = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return None if waited is None else f"it ended\n{self._log_tail()}"

    def end(self, first_signal: signal.Signals) -> None:
        """Stop the program and wait for it; SIGKILL follows if the first signal is not enough."""
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            _signal_group(process.pid, first_signal)
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()
        self._guard.forget(str(self.folder))

    def _log_tail(self) -> str:
        lines = (self.folder / "output.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])


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
        self._account = _account("postgres")
        self._data = folder / "data"
        self._process = Process(guard, folder, self._account)
        _own(folder, self._account)
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
        _write(secret, password, self._account)
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
            env=_environment(self._process.folder, {}),
            capture_output=True,
            check=False,
            timeout=START_SECONDS,
            **run_as(self._account),
        )
        if done.returncode != 0:
            raise ServerError(f"{program} failed: {done.stderr.decode(errors='replace').strip()}")

    def _answers(self) -> bool:
        """Read the server's own note: the eighth line of its pid file says `ready`."""
        try:
            note = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(note) >= 8 and note[7].strip() == "ready"


class PrivateRabbitMQ:
    """A RabbitMQ node of our own, with its own Erlang port mapper."""

    def __init__(self, guard: Guard, folder: Path, password: str, programs: Path) -> None:
        self.origin = f"a private server, started from {programs}"
        self._programs = programs
        self._port, self._mapper_port = free_port(), free_port()
        self.url = f"amqp://points:{password}@{LOOPBACK}:{self._port}/"
        self._account = _account("rabbitmq")
        _own(folder, self._account)
        mapper, node = folder / "epmd", folder / "node"
        for place in (mapper, node, node / "data", node / "log"):
            place.mkdir()
            _own(place, self._account)
        self._mapper = Process(guard, mapper, self._account)
        self._node = Process(guard, node, self._account)
        self._configure(node, password)
        self._start_mapper()
        self.start()

    def start(self) -> None:
        """Start the node on its port and data, and return once it takes connections."""
        node = self._node.folder
        environment = {
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": f"points-{self._port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_CONF_ENV_FILE": str(node / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(node / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(node / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(node / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(node / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(node / "data"),
            "RABBITMQ_LOG_BASE": str(node / "log"),
            "RABBITMQ_PID_FILE": str(node / "pid"),
            # Idle schedulers go to sleep at once rather than burn a core that others need.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+sbwt none +sbwtdcpu none +sbwtdio none"
                " -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }
        self._node.spawn(
            [self._programs / "rabbitmq-server"], environment, abandoned=signal.SIGKILL
        )
        await_ready("RabbitMQ", lambda: speaks_amqp(self._port), self._node.fault, START_SECONDS)

    def stop(self) -> None:
        """Stop the node, closing its connections; port and data stay for the next start."""
        self._node.end(signal.SIGTERM)

    def discard(self) -> None:
        """Stop node and port mapper as fast as they can be, without care for their data."""
        self._node.end(signal.SIGKILL)
        self._mapper.end(signal.SIGKILL)

    def _configure(self, node: Path, password: str) -> None:
        self._dist_port = free_port()
        configuration = (
            f"listeners.tcp.1 = {LOOPBACK}:{self._port}\n"
            "default_user = points\n"
            f"default_pass = {password}\n"
            # On a small machine or a full disk the defaults would hold publishers back.
            "vm_memory_high_watermark.relative = 0.8\n"
            "disk_free_limit.absolute = 50MB\n"
        )
        _write(node / "rabbitmq.conf", configuration, self._account)
        _write(node / "rabbitmq-env.conf", "", self._account)
        _write(node / "advanced.config", "[].\n", self._account)
        _write(node / "enabled_plugins", "[].\n", self._account)

    def _start_mapper(self) -> None:
        # Started by us and first: a port mapper that Erlang starts by itself is a daemon that
        # nobody ever stops.
        program = shutil.which("epmd") or "epmd"
        self._mapper.spawn(
            [program, "-port", str(self._mapper_port), "-address", LOOPBACK],
            {},
            abandoned=signal.SIGKILL,
        )


def _environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Pass on nothing of our own environment but the search path."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", **more}


def _account(own: str) -> str | None:
    """Choose whom a server runs as: ourselves, or for root the package's own user or `nobody`."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return own if own in names else "nobody"


def run_as(account: str | None) -> dict[str, Any]:
    """Return the arguments that make `subprocess` drop to an account."""
    if account is None:
        return {}
    entry = pwd.getpwnam(account)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _own(path: Path, account: str | None) -> None:
    if account is not None:
        shutil.chown(path, account)


def _write(path: Path, text: str, account: str | None) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
    _own(path, account)


def _signal_group(group: int, sent: signal.Signals) -> None:
    try:
        os.killpg(group, sent)
    except ProcessLookupError:
        return


def _newest(patterns: Iterable[str], program: str) -> Path | None:
    found = [
        folder
        for pattern in patterns
        for folder in Path("/").glob(pattern.lstrip("/"))
        if os.access(folder / program, os.X_OK)
    ]
    return max(found, key=_version, default=None)


def _version(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(folder))]


def _on_path(program: str) -> Path | None:
    found = shutil.which(program)
    return Path(found).resolve().parent if found else None
