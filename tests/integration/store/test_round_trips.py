"""What a batch costs on the way to the database does not depend on how much is in it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import pytest

from tests.everything import apply_strict_program, batches, enrol
from tests.inside import Desk, request, settings_of
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

# Begin; create and lock members; clock, known requests, wallets, lots; journal, members, wallets
# and lots again; commit.
TURNS = 12
# Where a batch needs whole members, their ordinals, the days of caps and those of operators.
TURNS_MAX = 26


class Turns:
    """A proxy before Postgres that counts how often a client speaks and waits for the answer."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server_spoke_last = True
        self.count = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        user = self._target.netloc.rpartition("@")[0]
        self.url = self._target._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(
            self._target.hostname, self._target.port
        )
        for from_server, source, sink in (
            (False, reader, server_writer),
            (True, server_reader, writer),
        ):
            passing = self._pass_on(source, sink, from_server=from_server)
            self._tasks.add(asyncio.get_running_loop().create_task(passing))

    async def _pass_on(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, from_server: bool
    ) -> None:
        with suppress(ConnectionError):
            while data := await source.read(1 << 20):
                if self._server_spoke_last and not from_server:
                    self.count += 1
                if not (from_server and _is_go_ahead(data)):
                    self._server_spoke_last = from_server
                sink.write(data)
                await sink.drain()
        sink.close()


def _is_go_ahead(data: bytes) -> bool:
    """Tell whether the server says only that it takes a COPY, for which the client never waits."""
    return data[:1] == b"G" and len(data) == 1 + int.from_bytes(data[1:5])


class CountedDesk:
    """A desk with one connection whose round trips are counted."""

    def __init__(self, turns: Turns, desk: Desk) -> None:
        self._turns = turns
        self._desk = desk

    async def cost(self, *messages: dict[str, Any]) -> int:
        """Apply a batch and return the number of its round trips."""
        before = self._turns.count
        await self._desk.apply(*messages)
        return self._turns.count - before


@pytest.fixture
async def counted(database_url: str) -> AsyncIterator[CountedDesk]:
    async with Turns(database_url) as turns:
        pool = await open_pool(settings_of("amqp://nobody", turns.url, "desk", pool_size_max=1))
        counted = CountedDesk(turns, Desk(pool))
        # The first batch connects, and prepares the statements for all that follow.
        await counted.cost(request("first", 1))
        yield counted
        await close_pool(pool)


async def test_a_batch_of_five_hundred_costs_as_many_round_trips_as_a_batch_of_one(
    counted: CountedDesk,
) -> None:
    assert await counted.cost(request("r", 5)) == TURNS
    batch = [
        request(f"r{n}", (-1) ** n * 7, f"m{n % 100}", category=("REGULAR", "PROMISED")[n % 3 == 0])
        for n in range(480)
    ]
    wrong = [request(f"w{n}", "0.5", f"new{n}", program_id=f"p{n}") for n in range(10)]
    assert await counted.cost(*batch, *batch[:10], *wrong) == TURNS


async def test_debits_that_consume_a_thousand_lots_cost_no_round_trip_more(
    counted: CountedDesk,
) -> None:
    for part in range(2):
        credits_ = [request(f"c{part}.{n}", 2, f"m{n % 3}") for n in range(500)]
        assert await counted.cost(*credits_) == TURNS
    debits = [request(f"d{n}", -666, f"m{n % 3}") for n in range(3)]
    assert await counted.cost(*debits) == TURNS


async def test_what_a_batch_of_any_kind_costs_does_not_depend_on_how_many_members_it_has(
    counted: CountedDesk, owner: asyncpg.Connection
) -> None:
    """Whole members, holds, reversals, ordinals, caps, operators, strangers, all set-wise."""
    await apply_strict_program(owner)
    costs = []
    # The first run prepares the statements.
    for members in (["warm"], ["few"], [f"many-{n}" for n in range(40)]):
        await enrol(owner, members)
        costs.append([await counted.cost(*batch) for batch in batches(members)])
    _, of_few, of_many = costs
    assert of_few == of_many
    assert max(of_many) <= TURNS_MAX
    refused = await owner.fetch(
        "SELECT DISTINCT error_key FROM points.journal WHERE member_id NOT LIKE '%-stranger'"
    )
    assert [row["error_key"] for row in refused] == [None]
