"""Sessions: lost as a whole, promptly, and with a reason that tells what to do."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.brokers import numbered, numbers, publish, session_at, take_exactly
from tests.proxy import Proxy
from tests.waiting import DEADLINE_SECONDS, until
from worker.broker import BrokerRefused, BrokerUnreachable, SessionLost

if TYPE_CHECKING:
    from tests.brokers import Opener, Setup
    from worker.broker import Session

SECRET = "hunter2hunter2"


def changed(url: str, *, password: str | None = None, path: str | None = None) -> str:
    parts = urlsplit(url)
    password = password or parts.password
    netloc = f"{parts.username}:{password}@{parts.hostname}:{parts.port}"
    return parts._replace(netloc=netloc, path=path or parts.path).geturl()


async def test_a_closed_port_is_told_as_unreachable() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]

        with pytest.raises(BrokerUnreachable, match=f"127.0.0.1:{port} cannot be reached") as told:
            await session_at(f"amqp://user:{SECRET}@127.0.0.1:{port}/", "w")

    assert SECRET not in str(told.value)


async def test_a_server_that_says_nothing_is_told_as_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(BrokerUnreachable, match=r"did not answer in 0\.2 s"):
            await session_at(f"amqp://127.0.0.1:{port}/", "w", timeout_seconds=0.2)


async def test_a_wrong_password_is_told_as_refused(amqp_url: str) -> None:
    with pytest.raises(BrokerRefused, match="refuses user") as told:
        await session_at(changed(amqp_url, password=SECRET), "w")

    assert "ACCESS_REFUSED" in str(told.value)
    assert SECRET not in str(told.value)


async def test_a_missing_virtual_host_is_told_as_refused(amqp_url: str) -> None:
    with pytest.raises(BrokerRefused, match="nowhere"):
        await session_at(changed(amqp_url, path="/nowhere"), "w")


async def test_a_failure_reaches_everybody_who_waits(session: Session, setup: Setup) -> None:
    full = await setup.narrow_queue(1)
    publishing = asyncio.ensure_future(
        (await session.publisher()).publish(numbered(full, range(20)))
    )
    empty = [await setup.queue() for _ in range(3)]
    taking = [
        asyncio.ensure_future((await session.intake(queue, prefetch=10)).take(10))
        for queue in empty
    ]
    await until(lambda: any(reason for _, reason in setup.told), what="word of the refusal")

    session.fail(SessionLost("the database said so"))

    async with asyncio.timeout(DEADLINE_SECONDS):
        results = await asyncio.gather(publishing, *taking, return_exceptions=True)
    assert {str(result) for result in results} == {"the database said so"}
    assert str(session.lost.result()) == "the database said so"
    await session.close()
    with pytest.raises(SessionLost):
        await session.intake(empty[0], prefetch=10)
    with pytest.raises(SessionLost):
        await session.publisher()


async def test_a_lost_session_gives_everything_back_to_the_next(
    opened: Opener, setup: Setup
) -> None:
    queue = await setup.queue()
    lost = await opened()
    await publish(lost, queue, 10)
    await take_exactly(await lost.intake(queue, prefetch=10), 10)

    lost.fail(SessionLost("no matter why"))

    intake = await (await opened()).intake(queue, prefetch=10)
    assert numbers(await take_exactly(intake, 10)) == list(range(10))


async def test_the_death_of_one_connection_is_the_end_of_both(session: Session) -> None:
    session._publishing.abort()

    async with asyncio.timeout(DEADLINE_SECONDS):
        assert "connection to RabbitMQ is gone" in str(await session.lost)
        await session.close()
    assert session._consuming.is_closed


async def test_closing_takes_no_longer_than_it_may_when_the_broker_is_silent(
    opened: Opener, setup: Setup, amqp_url: str
) -> None:
    queue = await setup.queue()
    async with Proxy(amqp_url) as proxy:
        session = await opened(proxy.url)
        await session.publisher()
        await session.intake(queue, prefetch=10)
        proxy.hold()

        async with asyncio.timeout(3):
            await session.close(timeout_seconds=0.2)


async def test_a_broker_that_falls_silent_is_noticed_by_its_heartbeats(
    opened: Opener, setup: Setup, amqp_url: str
) -> None:
    queue = await setup.queue()
    async with Proxy(amqp_url) as proxy:
        session = await opened(proxy.url, heartbeat_seconds=1)
        taking = asyncio.ensure_future((await session.intake(queue, prefetch=10)).take(1))
        proxy.hold()

        async with asyncio.timeout(DEADLINE_SECONDS):
            with pytest.raises(SessionLost):
                await taking
