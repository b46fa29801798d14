"""The few pages that probes and scrapers read, from a server small enough to see through.

=============  ===================================================================================
/livez         200 while the event loop turns, 503 when it stood still for too long
/readyz        200 when nothing is wrong, else 503 with every reason
/metrics       everything in the registry, as Prometheus reads it
=============  ===================================================================================

Every connection serves one GET. Size, time and number of requests are bounded, so that whoever can
reach the port cannot hold up the worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prometheus_client import CollectorRegistry

    from worker.observe.status import Status

HEAD_BYTES_MAX = 8_192
CONNECTIONS_MAX = 32

# A probe gives up after a second or so, a scraper after ten.
REQUEST_SECONDS_MAX = 10.0

# How often the event loop is seen to turn, and how long it may stand still before /livez says so.
TURN_SECONDS = 1.0
TURN_AGE_SECONDS_MAX = 30.0

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.[01]")


class _Answer(NamedTuple):
    status: HTTPStatus
    content: bytes
    content_type: str = "application/json"


@contextlib.asynccontextmanager
async def serve(
    host: str, port: int, status: Status, registry: CollectorRegistry
) -> AsyncIterator[None]:
    """Serve the pages while the context lasts; port 0 serves none.

    Raises `OSError` when the address is in use or not ours.
    """
    if port == 0:
        yield
        return
    pages = _Pages(status, registry)
    server = await asyncio.start_server(pages.connected, host, port, limit=HEAD_BYTES_MAX)
    turning = asyncio.create_task(_turn(status), name="loop turns")
    try:
        yield
    finally:
        turning.cancel()
        server.close()
        await pages.close()
        await server.wait_closed()
        await asyncio.gather(turning, return_exceptions=True)


async def _turn(status: Status) -> None:
    while True:
        status.turn()
        await asyncio.sleep(TURN_SECONDS)


class _Pages:
    """Answers connections, and knows them all so that it can end them."""

    def __init__(self, status: Status, registry: CollectorRegistry) -> None:
        self._status = status
        self._registry = registry
        self._open = True
        self._tasks: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close the connection, whatever it sends and however slowly."""
        task = asyncio.current_task()
        if task is None or not self._open or len(self._tasks) >= CONNECTIONS_MAX:
            writer.transport.abort()
            return
        self._tasks[writer] = task
        try:
            async with asyncio.timeout(REQUEST_SECONDS_MAX):
                answer = await self._answer(reader)
                if answer is not None:
                    await _send(answer, reader, writer)
        except (TimeoutError, ConnectionError):
            # Whoever asked has gone, or is too slow to be worth a place.
            pass
        finally:
            writer.transport.abort()
            del self._tasks[writer]

    async def close(self) -> None:
        """End every connection at once and take no more."""
        self._open = False
        for writer in self._tasks:
            writer.transport.abort()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader) -> _Answer | None:
        """Read a request and answer it; nobody is left to answer where nothing was sent."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _fault(HTTPStatus.BAD_REQUEST, f"more than {HEAD_BYTES_MAX} bytes of headers")
        except asyncio.IncompleteReadError as error:
            return _fault(HTTPStatus.BAD_REQUEST, "not a whole request") if error.partial else None
        line = _REQUEST_LINE.fullmatch(head.partition(b"\r\n")[0])
        if line is None:
            return _fault(HTTPStatus.BAD_REQUEST, "not a request of HTTP/1.0 or HTTP/1.1")
        return self._page(method=line[1].decode(), target=line[2].decode())

    def _page(self, method: str, target: str) -> _Answer:
        path = target.partition("?")[0]
        if path not in {"/livez", "/readyz", "/metrics"}:
            return _fault(HTTPStatus.NOT_FOUND, "only /livez, /readyz and /metrics are here")
        if method != "GET":
            return _fault(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is answered")
        if path == "/metrics":
            return _Answer(HTTPStatus.OK, generate_latest(self._registry), CONTENT_TYPE_LATEST)
        return (_livez if path == "/livez" else _readyz)(self._status)


def _livez(status: Status) -> _Answer:
    age_seconds = status.turn_age_seconds()
    if age_seconds <= TURN_AGE_SECONDS_MAX:
        return _json(HTTPStatus.OK, {"live": True})
    content: dict[str, object] = {"live": False, "turn_age_seconds": round(age_seconds, 3)}
    return _json(HTTPStatus.SERVICE_UNAVAILABLE, content)


def _readyz(status: Status) -> _Answer:
    faults = status.faults()
    content: dict[str, object] = {
        "ready": not faults,
        "reasons": [
            fault._replace(since_seconds=round(fault.since_seconds, 3))._asdict()
            for fault in faults
        ],
    }
    return _json(HTTPStatus.SERVICE_UNAVAILABLE if faults else HTTPStatus.OK, content)


def _fault(status: HTTPStatus, reason: str) -> _Answer:
    return _json(status, {"error": reason})


def _json(status: HTTPStatus, content: dict[str, object]) -> _Answer:
    return _Answer(status, json.dumps(content).encode() + b"\n")


async def _send(
    answer: _Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Write the answer, and close in the order that lets it arrive."""
    allow = "Allow: GET\r\n" if answer.status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    head = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
        f"Content-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.content)}\r\n"
        "Cache-Control: no-store\r\n"
        f"{allow}"
        "Connection: close\r\n\r\n"
    )
    writer.write(head.encode() + answer.content)
    writer.write_eof()
    await writer.drain()
    # Closing while something unread comes in would make the system throw the answer away, so what
    # still comes is read and dropped until the other side closes, or its time is over.
    while await reader.read(HEAD_BYTES_MAX):
        pass
    writer.close()
    await writer.wait_closed()
