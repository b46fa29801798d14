"""A RabbitMQ of this machine, started as a private and unprivileged instance."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING

from worker.demo.servers.private import (
    START_SECONDS,
    Process,
    account_for,
    hand_over,
    newest_with,
    write_private,
)
from worker.demo.servers.probe import LOOPBACK, await_ready, free_port, speaks_amqp

if TYPE_CHECKING:
    from pathlib import Path

    from worker.demo.servers.guard import Guard

FOLDERS = (
    # Inside the release: Debian's wrapper in /usr/sbin insists on the system's own data.
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
)


def programs_folder() -> Path | None:
    """Return the folder with RabbitMQ's own start script, if it and Erlang are installed."""
    if shutil.which("erl") is None:
        return None
    return newest_with(FOLDERS, "rabbitmq-server")


class PrivateRabbitMQ:
    """A RabbitMQ node of our own, with its own Erlang port mapper."""

    def __init__(self, guard: Guard, folder: Path, password: str, programs: Path) -> None:
        self.origin = f"a private server, started from {programs}"
        self._programs = programs
        self._port, self._mapper_port = free_port(), free_port()
        self.url = f"amqp://points:{password}@{LOOPBACK}:{self._port}/"
        self._account = account_for("rabbitmq")
        hand_over(folder, self._account)
        mapper, node = folder / "epmd", folder / "node"
        for place in (mapper, node, node / "data", node / "log"):
            place.mkdir()
            hand_over(place, self._account)
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
        write_private(node / "rabbitmq.conf", configuration, self._account)
        write_private(node / "rabbitmq-env.conf", "", self._account)
        write_private(node / "advanced.config", "[].\n", self._account)
        write_private(node / "enabled_plugins", "[].\n", self._account)

    def _start_mapper(self) -> None:
        # Started by us and first: a port mapper that Erlang starts by itself is a daemon that
        # nobody ever stops.
        program = shutil.which("epmd") or "epmd"
        self._mapper.spawn(
            [program, "-port", str(self._mapper_port), "-address", LOOPBACK],
            {},
            abandoned=signal.SIGKILL,
        )
