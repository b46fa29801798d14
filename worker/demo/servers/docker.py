"""Servers as Docker containers, driven by the `docker` command."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from typing import TYPE_CHECKING

from worker.demo.servers.probe import LOOPBACK, ServerError, await_ready, free_port, speaks_amqp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.demo.servers.guard import Guard

POSTGRES_IMAGE = "postgres:17"
RABBITMQ_IMAGE = "rabbitmq:4-management"

ANSWER_SECONDS = 10.0
PULL_SECONDS = 180.0
START_SECONDS = 120.0
STOP_SECONDS = 60.0


def why_not(image: str, say: Callable[[str], None]) -> str | None:
    """Say why no container of this image can run here, or None if one can.

    An image that is not there is pulled, which is announced through `say`.
    """
    if shutil.which("docker") is None:
        return "the docker command is not installed"
    if not _succeeds("docker", "version", "--format", "{{.Server.Version}}"):
        return "no Docker daemon answers"
    if _succeeds("docker", "image", "inspect", image):
        return None
    say(f"Pulling the image {image} …")
    if _succeeds("docker", "pull", "--quiet", image, timeout_seconds=PULL_SECONDS):
        return None
    return f"the image {image} is not here and cannot be pulled"


class Container:
    """A container on a free port of the loopback interface, removed with its data in the end."""

    def __init__(
        self, guard: Guard, image: str, inner_port: int, *options: str, command: Sequence[str] = ()
    ) -> None:
        self.origin = f"a Docker container of {image}"
        self.name = f"points-{uuid.uuid4().hex[:12]}"
        self.port = free_port()
        self._guard = guard
        guard.run(self.name, "docker", "rm", "--force", "--volumes", self.name)
        published = f"--publish={LOOPBACK}:{self.port}:{inner_port}"
        docker("create", f"--name={self.name}", published, *options, image, *command)
        self.start()

    def start(self) -> None:
        """Start the container, and return once its server takes connections."""
        docker("start", self.name)
        await_ready(f"The container {self.name}", self.answers, self._fault, START_SECONDS)

    def stop(self) -> None:
        """Stop the server, ending its connections; port and data stay for the next start."""
        docker("stop", "--time=30", self.name)

    def discard(self) -> None:
        """Remove the container and its data."""
        docker("rm", "--force", "--volumes", self.name)
        self._guard.forget(self.name)

    def answers(self) -> bool:
        """Tell whether the server takes connections."""
        raise NotImplementedError

    def _fault(self) -> str | None:
        running = docker("inspect", "--format={{.State.Running}}", self.name)
        if running.strip() == "true":
            return None
        return f"it ended\n{docker('logs', '--tail=12', self.name)}"


class DockerPostgres(Container):
    """PostgreSQL in a container; `url` names its database `points` and its superuser."""

    def __init__(self, guard: Guard, password: str, *, fsync: bool) -> None:
        command = ["postgres", "-c", "max_connections=200"]
        if not fsync:
            command += ["-c", "fsync=off", "-c", "full_page_writes=off"]
        super().__init__(
            guard,
            POSTGRES_IMAGE,
            5432,
            "--env=POSTGRES_USER=points",
            "--env=POSTGRES_DB=points",
            f"--env=POSTGRES_PASSWORD={password}",
            command=command,
        )
        self.url = f"postgresql://points:{password}@{LOOPBACK}:{self.port}/points"

    def answers(self) -> bool:
        """Tell whether the server takes connections.

        Over TCP: while the image makes its cluster, a first server listens on the socket only.
        """
        asked = ["--quiet", "--host=127.0.0.1", "--username=points", "--dbname=points"]
        return _succeeds("docker", "exec", self.name, "pg_isready", *asked)


class DockerRabbitMQ(Container):
    """RabbitMQ in a container."""

    def __init__(self, guard: Guard, password: str) -> None:
        super().__init__(
            guard,
            RABBITMQ_IMAGE,
            5672,
            "--env=RABBITMQ_DEFAULT_USER=points",
            f"--env=RABBITMQ_DEFAULT_PASS={password}",
        )
        self.url = f"amqp://points:{password}@{LOOPBACK}:{self.port}/"

    def answers(self) -> bool:
        """Tell whether the server takes connections."""
        return speaks_amqp(self.port)


def docker(*arguments: str) -> str:
    """Run a docker command and return what it printed."""
    done = subprocess.run(
        ["docker", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=STOP_SECONDS,
    )
    if done.returncode != 0:
        raise ServerError(f"`docker {arguments[0]}` failed: {done.stderr.strip()}")
    return done.stdout + (done.stderr if arguments[0] == "logs" else "")


def _succeeds(*command: str, timeout_seconds: float = ANSWER_SECONDS) -> bool:
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
