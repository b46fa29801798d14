"""Ports, and whether a server behind one answers."""

from __future__ import annotations

import random
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Below the range from which Linux and macOS take the ports of outgoing connections: while a
# server is stopped on purpose, nothing else can come to sit on its port.
PORT_MIN, PORT_MAX = 20_000, 32_000
PORT_TRIES_MAX = 200
LOOPBACK = "127.0.0.1"

AMQP_GREETING = b"AMQP\x00\x00\x09\x01"
METHOD_FRAME = 1


class ServerError(Exception):
    """A server could not be had, started or stopped; the text says which and why."""


def free_port() -> int:
    """Return a port on which nothing listens now."""
    for _ in range(PORT_TRIES_MAX):
        port = random.randint(PORT_MIN, PORT_MAX)  # noqa: S311 (not a secret)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise ServerError(f"No free port found between {PORT_MIN} and {PORT_MAX}")


def speaks_amqp(port: int) -> bool:
    """Tell whether an AMQP 0-9-1 server on this port greets back."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2) as connection:
            connection.sendall(AMQP_GREETING)
            return connection.recv(1)[:1] == bytes([METHOD_FRAME])
    except OSError:
        return False


def await_ready(
    what: str, ready: Callable[[], bool], fault: Callable[[], str | None], timeout_seconds: float
) -> None:
    """Wait until `ready`; raise `ServerError` as soon as `fault` says why it never will be."""
    deadline = time.monotonic() + timeout_seconds
    while not ready():
        reason = fault()
        if reason is not None:
            raise ServerError(f"{what} did not start: {reason}")
        if time.monotonic() > deadline:
            raise ServerError(f"{what} was not ready within {timeout_seconds:.0f} s")
        time.sleep(0.05)
