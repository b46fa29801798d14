"""Real servers for the tests, and for each test its own database and topology names.

`POINTS_TEST_SERVERS` says where the servers come from: `private` (the default: instances of our
own of what is installed), `docker`, or `any`, which tries Docker first. `AMQP_URL` and
`DATABASE_URL` name servers to use instead; their users must be allowed to create queues and
databases. See tests/README.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import aio_pika
import asyncpg
import pytest
import pytest_asyncio

from tests.brokers import delete_topology
from tests.scene import Scene
from worker.demo.servers import Given, Server, Servers, Source
from worker.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class SharedServers(NamedTuple):
    """The session's servers; `rabbitmq` and `postgres` can be stopped and started."""

    rabbitmq: Server
    postgres: Server

    @property
    def amqp_url(self) -> str:
        """The RabbitMQ's URL."""
        return self.rabbitmq.url

    @property
    def database_url(self) -> str:
        """The URL of the PostgreSQL's maintenance database."""
        return self.postgres.url


def servers_from_environment() -> Servers:
    """Servers as the environment asks for them."""
    sources: dict[str, Source | None] = {"private": "private", "docker": "docker", "any": None}
    wanted = os.environ.get("POINTS_TEST_SERVERS", "private")
    if wanted not in sources:
        raise pytest.UsageError(f"POINTS_TEST_SERVERS is one of {', '.join(sources)}")
    return Servers(
        amqp_url=os.environ.get("AMQP_URL"),
        database_url=os.environ.get("DATABASE_URL"),
        only=sources[wanted],
        # The tests ask what survives a killed server process, not what survives a power cut.
        fsync=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers once for all xdist workers, in the process that controls them."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        servers = servers_from_environment()
        servers.__enter__()
        config.stash[shared_key] = servers
        config.add_cleanup(servers.__exit__)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker where the servers are."""
    servers = node.config.stash[shared_key]
    node.workerinput["server_urls"] = (servers.amqp_url, servers.database_url)


shared_key = pytest.StashKey[Servers]()


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Iterator[SharedServers]:
    """A real RabbitMQ and a real PostgreSQL."""
    urls = getattr(request.config, "workerinput", {}).get("server_urls")
    if urls is not None:
        origin = "the process that controls the test run"
        yield SharedServers(Given(urls[0], origin), Given(urls[1], origin))
        return
    with servers_from_environment() as started:
        yield SharedServers(started.rabbitmq, started.postgres)


@pytest.fixture(scope="session")
def amqp_url(servers: SharedServers) -> str:
    """The URL of a real RabbitMQ."""
    return servers.amqp_url


@pytest.fixture(scope="session")
def database_server_url(servers: SharedServers) -> str:
    """The URL of a real PostgreSQL's maintenance database, whose user may create databases."""
    return servers.database_url


@pytest.fixture(scope="session")
def broker_version(amqp_url: str) -> tuple[int, ...]:
    """The broker's version, such as (4, 0, 5)."""

    async def ask() -> tuple[int, ...]:
        async with await aio_pika.connect(amqp_url) as connection:
            assert connection.transport is not None
            properties = connection.transport.connection.server_properties
        version = properties["version"]
        return tuple(int(part) for part in str(version).split("-")[0].split("."))

    return asyncio.run(ask())


@pytest.fixture
async def prefix(amqp_url: str) -> AsyncIterator[str]:
    """A prefix for topology names that no other test uses; what is declared under it is deleted."""
    own = f"t{secrets.token_hex(4)}"
    yield own
    await delete_topology(amqp_url, own)


@pytest.fixture(scope="session")
def migrated_template(database_server_url: str) -> Iterator[str]:
    """The name of a database with every migration applied, made once to be cloned."""
    name = f"template_{secrets.token_hex(4)}"
    asyncio.run(make_template(database_server_url, name))
    yield name
    asyncio.run(drop_database(database_server_url, name))


async def make_template(server_url: str, name: str) -> None:
    """Make a database with every migration applied."""
    async with maintenance(server_url) as server:
        # The migrations make a role, which all databases of a server share.
        await server.execute("SELECT pg_advisory_lock(4711)")
        await server.execute(f"CREATE DATABASE {name}")
        await migrate(database_named(server_url, name))


@pytest.fixture
async def database_url(database_server_url: str, migrated_template: str) -> AsyncIterator[str]:
    """The URL of a migrated database of the test's own, dropped afterwards."""
    async with own_database(database_server_url, migrated_template) as url:
        yield url


@pytest.fixture
async def empty_database_url(database_server_url: str) -> AsyncIterator[str]:
    """The URL of an empty database of the test's own, dropped afterwards."""
    async with own_database(database_server_url) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def working_scene(
    amqp_url: str, database_server_url: str, migrated_template: str
) -> AsyncIterator[Scene]:
    """A scene with one running worker, which the tests of a module share."""
    async with own_database(database_server_url, migrated_template) as url:
        scene = Scene(amqp_url, url, f"t{secrets.token_hex(4)}")
        async with scene.worker() as worker:
            await worker.ready()
            yield scene
        await scene.delete_topology()


@contextlib.asynccontextmanager
async def own_database(server_url: str, template: str = "template1") -> AsyncIterator[str]:
    """Give the URL of a new database, a copy of another, and drop it afterwards."""
    name = f"test_{secrets.token_hex(4)}"
    async with maintenance(server_url) as server:
        await server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield database_named(server_url, name)
    finally:
        await drop_database(server_url, name)


class maintenance:  # noqa: N801 (used like a function)
    """`async with maintenance(url) as connection`: one connection to the server."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> asyncpg.Connection:
        self._connection = await asyncpg.connect(self._url)
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()


async def drop_database(server_url: str, name: str) -> None:
    """Drop a database, ending the connections that a killed worker left behind."""
    async with maintenance(server_url) as server:
        await server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def database_named(server_url: str, name: str) -> str:
    """Return the URL of another database of the same server."""
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()
