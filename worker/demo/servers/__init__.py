"""Where real servers come from, for the demo and for the tests: `with Servers() as servers: …`.

For RabbitMQ and for PostgreSQL alike, the first of these that can be had:

1. the one that an explicit URL names;
2. a Docker container, when a daemon answers and the image is there or can be pulled;
3. the server that is installed on this machine, started as a private, unprivileged instance
   (never the system's own service or data);
4. on Debian and Ubuntu, the same after installing its package with apt-get.

Each choice is announced, with the reasons against those before it. Whatever was started is
stopped and removed in the end, also when this process is killed.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, Self

from worker.demo.servers import apt, docker, private_postgres, private_rabbitmq
from worker.demo.servers.guard import Guard
from worker.demo.servers.probe import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Given", "Server", "ServerError", "Servers", "Source"]

Source = Literal["docker", "private"]

# The disk, where /tmp may be memory: what is said to be durable must be.
DISK_FOLDER = Path("/var/tmp")  # noqa: S108 (the folder in it gets a name of its own)


class Server(Protocol):
    """One real server."""

    url: str
    """Where it is and how to log in, password included."""
    origin: str
    """Where it comes from, in a few words."""

    def start(self) -> None:
        """Start it again on its port and data; return once it takes connections."""

    def stop(self) -> None:
        """Stop it, ending its connections; port and data stay."""

    def discard(self) -> None:
        """Stop it for good; its data may go."""


class Given:
    """A server that an explicit URL names: used, but neither started nor stopped by us."""

    def __init__(self, url: str, variable: str) -> None:
        self.url = url
        self.origin = f"the one named by {variable}"

    def start(self) -> None:
        """Refuse: `ServerError`."""
        raise ServerError(f"{self.origin} is not ours to start")

    def stop(self) -> None:
        """Refuse: `ServerError`."""
        raise ServerError(f"{self.origin} is not ours to stop")

    def discard(self) -> None:
        """Leave it as it is."""


class Servers:
    """A RabbitMQ and a PostgreSQL, from entering the context to leaving it.

    `amqp_url`, `database_url`: servers to use rather than to start. `only`: the one source to
    take the others from. `say`: told in one sentence each which source was taken and why.
    `fsync=False`: PostgreSQL may lose data if the machine (not the server) crashes; for tests
    only. Raises `ServerError` when a server cannot be had, naming everything that was tried.
    """

    def __init__(
        self,
        *,
        amqp_url: str | None = None,
        database_url: str | None = None,
        only: Source | None = None,
        say: Callable[[str], None] = print,
        fsync: bool = True,
    ) -> None:
        self._given = (amqp_url, database_url)
        self._only = only
        self._say = say
        self._fsync = fsync
        self.rabbitmq: Server
        self.postgres: Server

    @property
    def amqp_url(self) -> str:
        """The RabbitMQ's URL."""
        return self.rabbitmq.url

    @property
    def database_url(self) -> str:
        """The URL of a database of the PostgreSQL; its user may create others."""
        return self.postgres.url

    def __enter__(self) -> Self:
        amqp_url, database_url = self._given
        self._guard = Guard()
        self._folder = _folder()
        self._guard.remove_folder("folder", str(self._folder))
        self._started: list[Server] = []
        try:
            self.rabbitmq = Given(amqp_url, "AMQP_URL") if amqp_url else self._start_rabbitmq()
            self._say(f"RabbitMQ: {self.rabbitmq.origin}.")
            self.postgres = (
                Given(database_url, "DATABASE_URL") if database_url else self._start_postgres()
            )
            self._say(f"PostgreSQL: {self.postgres.origin}.")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for server in reversed(self._started):
                server.discard()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._guard.close()

    def _start_rabbitmq(self) -> Server:
        password = secrets.token_hex(8)
        refusal = self._why_no_docker(docker.RABBITMQ_IMAGE)
        if refusal is None:
            return self._keep(docker.DockerRabbitMQ(self._guard, password))
        programs = self._programs("rabbitmq-server", private_rabbitmq.programs_folder, refusal)
        folder = self._subfolder("rabbitmq")
        return self._keep(
            private_rabbitmq.PrivateRabbitMQ(self._guard, folder, password, programs), refusal
        )

    def _start_postgres(self) -> Server:
        password = secrets.token_hex(8)
        refusal = self._why_no_docker(docker.POSTGRES_IMAGE)
        if refusal is None:
            return self._keep(docker.DockerPostgres(self._guard, password, fsync=self._fsync))
        programs = self._programs("postgresql", private_postgres.programs_folder, refusal)
        folder = self._subfolder("postgres")
        return self._keep(
            private_postgres.PrivatePostgres(
                self._guard, folder, password, programs, fsync=self._fsync
            ),
            refusal,
        )

    def _why_no_docker(self, image: str) -> str | None:
        if self._only == "private":
            return "no Docker wanted"
        return docker.why_not(image, self._say)

    def _programs(self, package: str, find: Callable[[], Path | None], refusal: str) -> Path:
        """Find an installed server's programs, or install them."""
        if self._only == "docker":
            raise ServerError(f"No server for {package}: {refusal}")
        found = find()
        if found is not None:
            return found
        obstacle = apt.why_not()
        if obstacle is None:
            apt.install(package, self._say)
            found = find()
            obstacle = "its programs are not where they are looked for"
        if found is None:
            raise ServerError(
                f"No server for {package}: no URL given; {refusal}; none installed; {obstacle}"
            )
        return found

    def _keep(self, server: Server, refusal: str | None = None) -> Server:
        self._started.append(server)
        if refusal is not None:
            server.origin = f"{server.origin} ({refusal})"
        return server

    def _subfolder(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(mode=0o700)
        return folder


def _folder() -> Path:
    """Make a folder on disk that servers under another account can pass through."""
    parent = DISK_FOLDER if DISK_FOLDER.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="points-servers-", dir=parent))
    folder.chmod(0o711)
    return folder
