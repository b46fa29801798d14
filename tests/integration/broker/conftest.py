"""Sessions, connections and queues on a real RabbitMQ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.brokers import HEARTBEAT_SECONDS, QUICK, Opener, Setup
from worker.broker import PublishRules, Session, open_connection, open_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def setup(amqp_url: str) -> AsyncIterator[Setup]:
    connection = await open_connection(amqp_url, name="test", heartbeat_seconds=HEARTBEAT_SECONDS)
    made = Setup(connection)
    yield made
    await made.clean()
    await connection.shut()


@pytest.fixture
async def opened(amqp_url: str, setup: Setup) -> AsyncIterator[Opener]:
    """Opens sessions, and closes them when the test is over."""
    sessions: list[Session] = []

    async def open_one(
        url: str | None = None,
        *,
        rules: PublishRules = QUICK,
        heartbeat_seconds: int = HEARTBEAT_SECONDS,
    ) -> Session:
        session = await open_session(
            url or amqp_url,
            worker_id=f"w{len(sessions)}",
            rules=rules,
            heartbeat_seconds=heartbeat_seconds,
            tell=lambda condition, reason: setup.told.append((condition, reason)),
        )
        sessions.append(session)
        return session

    yield open_one
    for session in sessions:
        await session.close()


@pytest.fixture
async def session(opened: Opener) -> Session:
    return await opened()
