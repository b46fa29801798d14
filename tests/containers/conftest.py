"""The servers that production runs, in containers: RabbitMQ 4 and PostgreSQL 17.

Fixtures of the whole test run are made anew here under the same names, so that tests of this
folder stand on containers whatever the others stand on.
"""

from __future__ import annotations

import asyncio
import secrets
from functools import cache
from typing import TYPE_CHECKING

import pytest
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from tests.conftest import SharedServers, drop_database, make_template
from tests.scene import Scene
from worker.demo.servers import Given
from worker.demo.servers.docker import POSTGRES_IMAGE, RABBITMQ_IMAGE, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 120


@cache
def obstacle(image: str) -> str | None:
    """Say what is missing for containers of an image; asked once, for a pull can take long."""
    return why_not(image, print)


def need(*images: str) -> None:
    """Skip the test unless containers of these images can run, naming what is missing."""
    for image in images:
        missing = obstacle(image)
        if missing is not None:
            pytest.skip(f"needs containers of {image}: {missing}")


@pytest.fixture(scope="session")
def servers() -> Iterator[SharedServers]:
    """RabbitMQ 4 and PostgreSQL 17, by testcontainers."""
    need(RABBITMQ_IMAGE, POSTGRES_IMAGE)
    if not testcontainers_config.ryuk_disabled:
        # testcontainers' helper; TESTCONTAINERS_RYUK_DISABLED=true does without it.
        need(testcontainers_config.ryuk_image)
    rabbitmq = (
        DockerContainer(RABBITMQ_IMAGE)
        .with_envs(RABBITMQ_DEFAULT_USER="points", RABBITMQ_DEFAULT_PASS="points")
        .with_exposed_ports(5672)
        .waiting_for(
            LogMessageWaitStrategy("Server startup complete").with_startup_timeout(START_SECONDS)
        )
    )
    postgres = PostgresContainer(
        POSTGRES_IMAGE, username="points", password="points", dbname="points", driver=None
    )
    with rabbitmq, postgres:
        address = f"{rabbitmq.get_container_host_ip()}:{rabbitmq.get_exposed_port(5672)}"
        yield SharedServers(
            Given(f"amqp://points:points@{address}/", "testcontainers"),
            Given(postgres.get_connection_url(), "testcontainers"),
        )


@pytest.fixture(scope="session")
def amqp_url(servers: SharedServers) -> str:
    """The URL of RabbitMQ 4."""
    return servers.amqp_url


@pytest.fixture(scope="session")
def database_server_url(servers: SharedServers) -> str:
    """The URL of PostgreSQL 17."""
    return servers.database_url


@pytest.fixture(scope="session")
def migrated_template(database_server_url: str) -> Iterator[str]:
    """The name of a database with every migration applied, made once to be cloned."""
    name = f"template_{secrets.token_hex(4)}"
    asyncio.run(make_template(database_server_url, name))
    yield name
    asyncio.run(drop_database(database_server_url, name))


@pytest.fixture
def scene(amqp_url: str, database_url: str, prefix: str) -> Scene:
    """A broker, a migrated database and a prefix of the test's own."""
    return Scene(amqp_url, database_url, prefix)
