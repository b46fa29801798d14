"""Probes and scrapers get their pages, and nobody can hold up the worker by asking."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from prometheus_client import Info

from tests.waiting import DEADLINE_SECONDS, until
from worker.demo.servers.probe import free_port
from worker.observe import http
from worker.observe.metrics import Metrics
from worker.observe.status import Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "127.0.0.1"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.content)


class Pages(NamedTuple):
    """The server under test, asked over real sockets."""

    port: int
    status: Status
    metrics: Metrics

    async def send(self, request: bytes, *, end: bool = False) -> Answer | None:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            writer.write(request)
            # Like most clients, this one listens once it has said all.
            await writer.drain()
            if end:
                writer.write_eof()
            return parsed(await asyncio.wait_for(reader.read(), DEADLINE_SECONDS))
        finally:
            writer.close()

    async def get(self, target: str, method: str = "GET") -> Answer:
        request = f"{method} {target} HTTP/1.1\r\nHost: {HOST}\r\nAccept: */*\r\n\r\n"
        answer = await self.send(request.encode())
        assert answer is not None
        return answer


def parsed(received: bytes) -> Answer | None:
    if not received:
        return None
    head, _, content = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(content) == int(headers["Content-Length"])
    return Answer(int(first.split()[1]), headers, content)


@asynccontextmanager
async def served() -> AsyncIterator[Pages]:
    pages = Pages(free_port(), Status(), Metrics("1.2.3"))
    async with http.serve(HOST, pages.port, pages.status, pages.metrics.registry):
        yield pages


async def test_readyz_is_503_with_every_reason_until_nothing_is_wrong() -> None:
    async with served() as pages:
        pages.status.set_fault("postgres", "connection refused, trying again")
        answer = await pages.get("/readyz")
        assert answer.status == 503
        assert answer.headers["Content-Type"] == "application/json"
        assert not answer.document["ready"]
        assert [
            (reason["condition"], reason["reason"]) for reason in answer.document["reasons"]
        ] == [
            ("starting", "not connected yet"),
            ("postgres", "connection refused, trying again"),
        ]

        pages.status.clear("starting")
        pages.status.clear("postgres")
        answer = await pages.get("/readyz")
        assert (answer.status, answer.document) == (200, {"ready": True, "reasons": []})


async def test_livez_does_not_depend_on_any_server() -> None:
    async with served() as pages:
        pages.status.set_fault("postgres", "gone")
        answer = await pages.get("/livez")

    assert (answer.status, answer.document) == (200, {"live": True})


class Clock:
    """A clock that is turned by hand."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def test_livez_is_503_when_the_loop_stood_still(monkeypatch: pytest.MonkeyPatch) -> None:
    # The loop is seen to turn once, when the pages are first served, and not again.
    monkeypatch.setattr(http, "TURN_SECONDS", 3_600.0)
    clock, port = Clock(), free_port()
    status, metrics = Status(clock), Metrics("1.2.3")
    pages = Pages(port, status, metrics)
    async with http.serve(HOST, port, status, metrics.registry):
        assert (await pages.get("/livez")).status == 200
        clock.seconds += http.TURN_AGE_SECONDS_MAX + 1
        answer = await pages.get("/livez")

    assert answer.status == 503
    assert answer.document == {"live": False, "turn_age_seconds": http.TURN_AGE_SECONDS_MAX + 1}


async def test_metrics_are_what_the_registry_holds() -> None:
    async with served() as pages:
        pages.metrics.duplicates.inc(7)
        answer = await pages.get("/metrics")

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert b"\npoints_duplicates_total 7.0\n" in answer.content


@pytest.mark.parametrize("target", ["/", "/healthz", "/livez/", "/readyz/x", "/%6civez"])
async def test_other_pages_are_not_found(target: str) -> None:
    async with served() as pages:
        assert (await pages.get(target)).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_only_get_is_answered(method: str) -> None:
    async with served() as pages:
        answer = await pages.get("/livez", method)

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET"


@pytest.mark.parametrize(
    "request_",
    [
        b"hello\r\n\r\n",
        b"\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"get /livez HTTP/1.1\r\n\r\n",
        b"GET livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/2.0\r\n\r\n",
        b"GET /li\xffvez HTTP/1.1\r\n\r\n",
        b"GET /li vez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\n\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nX: " + b"x" * 20_000_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_a_bad_one(request_: bytes) -> None:
    async with served() as pages:
        answer = await pages.send(request_)

    assert answer is not None
    assert answer.status == 400
    assert answer.document["error"]


async def test_a_request_that_breaks_off_is_a_bad_one() -> None:
    async with served() as pages:
        answer = await pages.send(b"GET /livez HTTP/1.1\r\n", end=True)

    assert answer is not None
    assert answer.status == 400


async def test_a_connection_that_says_nothing_is_just_closed() -> None:
    async with served() as pages:
        assert await pages.send(b"", end=True) is None


async def test_a_client_that_ends_its_half_first_gets_the_whole_page() -> None:
    async with served() as pages:
        # More than the system takes at once, so that the server must keep some of it for later.
        long = Info("long", "A long page.", registry=pages.metrics.registry)
        long.info({"text": "x" * 10_000_000})
        answer = await pages.send(b"GET /metrics HTTP/1.0\r\n\r\n", end=True)

    assert answer is not None
    assert answer.content.endswith(b"\n")


async def ended(reader: asyncio.StreamReader) -> bool:
    """Tell whether the server ended the connection without a word."""
    try:
        return await asyncio.wait_for(reader.read(), DEADLINE_SECONDS) == b""
    except ConnectionResetError:
        return True


async def test_a_slow_client_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REQUEST_SECONDS_MAX", 0.05)
    async with served() as pages:
        reader, writer = await asyncio.open_connection(HOST, pages.port)
        writer.write(b"GET /livez HTTP/1.1\r\n")
        assert await ended(reader)
        writer.close()


async def test_connections_beyond_the_bound_are_turned_away_and_places_come_free() -> None:
    async with served() as pages:
        idle = [
            await asyncio.open_connection(HOST, pages.port) for _ in range(http.CONNECTIONS_MAX)
        ]
        for _, writer in idle:
            writer.write(b"GET ")
        assert not await answered(pages)

        for _, writer in idle:
            writer.write(b"/livez HTTP/1.1\r\n\r\n")
        for reader, writer in idle:
            answer = parsed(await asyncio.wait_for(reader.read(), DEADLINE_SECONDS))
            assert answer is not None
            assert answer.status == 200
            writer.close()
            await writer.wait_closed()
        await until(partial(answered, pages), what="a free place")


async def answered(pages: Pages) -> bool:
    """Tell whether there was a place for one more connection."""
    with suppress(ConnectionResetError):
        return await pages.send(b"GET /livez HTTP/1.1\r\n\r\n") is not None
    return False


async def test_leaving_ends_open_connections_and_frees_the_port() -> None:
    async with served() as pages:
        reader, writer = await asyncio.open_connection(HOST, pages.port)
        writer.write(b"GET ")
        assert (await pages.get("/livez")).status == 200
    assert await ended(reader)
    writer.close()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind((HOST, pages.port))


async def test_a_port_in_use_is_not_served() -> None:
    async with served() as pages:
        with pytest.raises(OSError, match="address already in use"):
            async with http.serve(HOST, pages.port, pages.status, pages.metrics.registry):
                raise AssertionError("it serves")


async def test_a_host_that_is_not_ours_is_not_served() -> None:
    with pytest.raises(OSError, match=r"203\.0\.113\.1"):
        async with http.serve("203.0.113.1", free_port(), Status(), Metrics("1").registry):
            raise AssertionError("it serves")


async def test_port_0_serves_none() -> None:
    before = len(asyncio.all_tasks())
    async with http.serve(HOST, 0, Status(), Metrics("1").registry):
        assert len(asyncio.all_tasks()) == before
