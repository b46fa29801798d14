"""Where each run takes place: a database and topology names of its own, on servers that stay."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.conftest import database_named, drop_database, maintenance, make_template
from tests.scene import PARTITIONS, Scene
from tests.traffic import connected
from worker.demo.servers import Servers
from worker.readiness import set_up
from worker.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiormq.abc import AbstractChannel


@dataclass(frozen=True, slots=True)
class Ground:
    """Two servers and a database to clone."""

    amqp_url: str
    server_url: str
    template: str
    rabbitmq_version: str
    postgres_version: str

    @contextlib.asynccontextmanager
    async def scene(self) -> AsyncIterator[Scene]:
        """Give a migrated database and a declared topology, and take both away afterwards."""
        name = f"bench_{secrets.token_hex(4)}"
        async with maintenance(self.server_url) as server:
            await server.execute(f"CREATE DATABASE {name} TEMPLATE {self.template}")
        scene = Scene(self.amqp_url, database_named(self.server_url, name), name)
        settings = Settings.load(
            {
                "AMQP_URL": scene.amqp_url,
                "DATABASE_URL": scene.database_url,
                "POINTS_PREFIX": scene.prefix,
                "POINTS_PARTITIONS": str(PARTITIONS),
            }
        )
        try:
            await set_up(settings)
            async with maintenance(scene.database_url) as database:
                # Each run begins with nothing left to write from the one before.
                await database.execute("CHECKPOINT")
            yield scene
        finally:
            await scene.delete_topology()
            await drop_database(self.server_url, name)


@contextlib.asynccontextmanager
async def ground(
    amqp_url: str | None, database_url: str | None, say: Callable[[str], None]
) -> AsyncIterator[Ground]:
    """Give the servers that the URLs name, or private ones; fsync stays on."""
    template = f"template_{secrets.token_hex(4)}"
    with Servers(
        amqp_url=amqp_url, database_url=database_url, only="private", say=say, fsync=True
    ) as servers:
        await make_template(servers.database_url, template)
        async with connected(servers.amqp_url) as connection:
            rabbitmq_version = str(connection.server_properties["version"])
        async with maintenance(servers.database_url) as server:
            postgres_version = str(await server.fetchval("SHOW server_version")).split()[0]
        try:
            yield Ground(
                servers.amqp_url,
                servers.database_url,
                template,
                rabbitmq_version,
                postgres_version,
            )
        finally:
            await drop_database(servers.database_url, template)


async def counts(channel: AbstractChannel, queue: str) -> tuple[int, int]:
    """Return how many messages lie ready in a queue, and how many consumers it has."""
    declared = await channel.queue_declare(queue, passive=True)
    return declared.message_count or 0, declared.consumer_count or 0
