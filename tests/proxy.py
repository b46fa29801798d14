"""A TCP proxy before a real server, that can be cut, held, or made to say something more."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

PIECE_BYTES = 65_536


class Proxy:
    """`async with Proxy(url) as proxy`: `proxy.url` leads to the same server as `url`."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._answers = asyncio.Event()
        self._answers.set()
        self._clients: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        user = self._target.netloc.rpartition("@")[0]
        self.url = self._target._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Break every connection at once."""
        for client in self._clients:
            client.transport.abort()
        self._clients.clear()

    def hold(self) -> None:
        """Let nothing more through from the server to its clients."""
        self._answers.clear()

    def release(self) -> None:
        """Let everything through again."""
        self._answers.set()

    def say(self, data: bytes) -> None:
        """Tell the clients something as if the server had; between two of its own sentences."""
        for client in self._clients:
            client.write(data)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._target.hostname, self._target.port
        server_reader, server_writer = await asyncio.open_connection(host, port)
        self._clients.append(writer)
        for source, sink, gate in (
            (reader, server_writer, None),
            (server_reader, writer, self._answers),
        ):
            task = asyncio.get_running_loop().create_task(self._pass_on(source, sink, gate))
            self._tasks.add(task)

    @staticmethod
    async def _pass_on(
        source: asyncio.StreamReader, sink: asyncio.StreamWriter, gate: asyncio.Event | None
    ) -> None:
        try:
            with suppress(ConnectionError):
                while data := await source.read(PIECE_BYTES):
                    if gate is not None:
                        await gate.wait()
                    sink.write(data)
                    await sink.drain()
        finally:
            sink.transport.abort()
