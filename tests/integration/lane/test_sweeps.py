"""What falls due is done although nobody asks, by one worker of many, and not asked for twice."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import pytest

from schemas.topology import BUCKETS, bucket_of, partition_queue
from tests.crew import Crew, data_of
from tests.inside import request
from tests.waiting import until
from worker.app import publish_rules
from worker.broker import open_session
from worker.store.faults import PassingFault
from worker.store.leadership import Leadership
from worker.sweeper import Sweeper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from tests.traffic import Received
    from worker.store.pool import Pool

SWEPT = {"sweep_seconds": 0.05, "ordinal_wait_seconds": 1}
MEMBERS_MAX = 5


@pytest.fixture
async def crew(amqp_url: str, database_url: str, prefix: str) -> AsyncIterator[Crew]:
    """A crew that looks for what is due all the time."""
    async with Crew(amqp_url, database_url, prefix, **SWEPT) as made:
        yield made


def soon(seconds: float) -> str:
    """Return a time so many seconds ahead."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def types_of(events: list[Received]) -> list[tuple[str, str | None]]:
    return [(json.loads(event.body)["type"], data_of(event)["request_id"]) for event in events]


async def make_due(owner: asyncpg.Connection, count: int) -> None:
    """Make so many members of whom something seems to be due, the longest due first."""
    await owner.execute(
        "INSERT INTO points.members (program_id, member_id, due_at)"
        " SELECT 'default', 'm' || n, clock_timestamp() - make_interval(secs => 1000 - n)"
        " FROM generate_series(1, $1) AS n",
        count,
    )


async def test_points_expire_holds_lapse_and_early_requests_run_out_of_time_by_themselves(
    crew: Crew, owner: asyncpg.Connection
) -> None:
    async with crew.running():
        expiring = {"expiration_type": "CUSTOM_DATE", "expiration_date": soon(3)}
        hold = {"request_id": "h", "member_id": "b", "operation": "HOLD", "points": 5}
        await crew.send(
            request("credit", 10, "a", **expiring),
            request("other", 10, "b"),
            {**hold, "ttl_seconds": 1},
            request("early", 1, "c", ordinal=2),
        )
        # Of the first three requests, of what fell due of each member, and of each `EXPIRE`.
        events = await crew.taken(crew.events, 9)
        kinds: dict[str, list[tuple[str, str | None]]] = {}
        for event, kind in zip(events, types_of(events), strict=True):
            kinds.setdefault(data_of(event)["member_id"], []).append(kind)
        assert kinds["a"][:2] == [("POINTS_ADJUSTED", "credit"), ("POINTS_EXPIRED", None)]
        assert kinds["b"][2] == ("POINTS_RELEASED", "h")
        assert kinds["c"][0] == ("ADJUSTMENT_REJECTED", "early")
        replies = [json.loads(reply.body) for reply in await crew.taken(crew.replies, 4)]
        assert [one["error"]["key"] for one in replies if one["error"]] == ["ordinal_gap"]
        await until(lambda: crew.counted("sweeps_total") == 3, what="each is counted")
    assert await owner.fetchval("SELECT count(due_at) FROM points.members") == 0


async def test_the_request_for_what_is_due_is_the_workers_own(
    crew: Crew, owner: asyncpg.Connection
) -> None:
    """A programme that lists its publishers need not list its worker."""
    await owner.execute(
        "INSERT INTO points.programs (program_id, version, document)"
        ' SELECT \'default\', 2, document || \'{"publishers": [{"user_id": "nobody",'
        ' "may": []}]}\' FROM points.programs'
    )
    await make_due(owner, 1)
    async with crew.running():

        async def swept() -> Any:
            return await owner.fetchval("SELECT outcome FROM points.journal")

        outcome = json.loads(await until(swept, what="an outcome"))
    assert (outcome["operation"], outcome["status"]) == ("EXPIRE", "NO_CHANGE")
    assert outcome["operation_type"] == "AUTOMATIC"
    assert outcome["request_id"].startswith("sweep-")
    assert await owner.fetchval("SELECT due_at FROM points.members") is None


async def test_a_worker_that_is_told_so_never_looks(
    amqp_url: str, database_url: str, prefix: str, owner: asyncpg.Connection
) -> None:
    await make_due(owner, 1)
    async with Crew(amqp_url, database_url, prefix, sweep_seconds=0) as crew, crew.running():
        await crew.send(request("r", 1, "n"))
        await crew.taken(crew.replies, 1)
        # Nobody leads, so nobody has looked or will.
        other = Leadership(database_url, silence_seconds_max=60)
        assert await other.held()
        await other.give_up()
        assert crew.counted("sweeps_total") == 0


# One look after the other, while no lane works.


class Enough(Exception):
    """The sweeper has looked as often as the test wants."""


class Looks:
    """Lets a sweeper look so many times, and tells what waits in the lane then."""

    def __init__(self, crew: Crew, sweeper: Sweeper) -> None:
        self._crew = crew
        self._left = 0
        self.pauses: list[float] = []
        self.sweeper = sweeper
        sweeper._pause = self._pause

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._left -= 1
        if not self._left:
            raise Enough

    async def look(self, times: int) -> int:
        """Return how many requests wait after so many looks."""
        self._left = times
        with pytest.raises(Enough):
            await self.sweeper.run()
        return await self._crew.depth(partition_queue(self._crew.prefix, 1, 0))


@pytest.fixture
async def looks(amqp_url: str, database_url: str, prefix: str, pool: Pool) -> AsyncIterator[Looks]:
    """A sweeper that asks for few members at a time."""
    async with (
        Crew(amqp_url, database_url, prefix, partitions=1) as crew,
        _session(crew) as session,
    ):

        async def never(_: float) -> None:
            raise AssertionError

        sweeper = Sweeper(
            Leadership(database_url, silence_seconds_max=60),
            pool,
            await session.publisher(),
            never,
            crew.metrics,
            prefix=prefix,
            user=session.user,
            every_seconds=1,
            members_max=MEMBERS_MAX,
        )
        yield Looks(crew, sweeper)


@asynccontextmanager
async def _session(crew: Crew) -> AsyncIterator[Any]:
    session = await open_session(
        crew.amqp_url, worker_id="w", rules=publish_rules(crew.settings), heartbeat_seconds=10
    )
    yield session
    await session.close()


async def test_a_backlog_is_not_asked_for_again_before_it_is_done_or_a_minute_has_passed(
    looks: Looks, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_due(owner, 3)
    assert await looks.look(4) == 3
    monkeypatch.setattr("worker.sweeper._ASK_AGAIN_SECONDS", 0.0)
    assert await looks.look(1) == 6


async def test_members_of_a_lane_that_stands_still_keep_no_look_from_those_of_others(
    looks: Looks, owner: asyncpg.Connection
) -> None:
    """The longest due come first, and those asked for are still due while their lane is busy."""
    await make_due(owner, MEMBERS_MAX + 3)
    assert await looks.look(1) == MEMBERS_MAX
    assert await looks.look(1) == MEMBERS_MAX + 3
    assert await looks.look(3) == MEMBERS_MAX + 3
    # What is done and falls due anew is asked for as soon as a look comes to it.
    await owner.execute("UPDATE points.members SET due_at = now() WHERE member_id = 'm1'")
    assert await looks.look(2) == MEMBERS_MAX + 4


async def test_however_many_members_of_one_bucket_wait_longer_those_of_others_are_found(
    looks: Looks, owner: asyncpg.Connection
) -> None:
    """Also where all of them fell due at the same instant."""
    names = (f"n{number}" for number in count())
    crowd = list(islice((name for name in names if bucket_of(name) == 7), MEMBERS_MAX * 22))
    other = next(name for name in names if bucket_of(name) != 7)
    await owner.execute(
        "INSERT INTO points.members (program_id, member_id, due_at)"
        " SELECT 'default', unnest($1::text[]), '2020-01-01'",
        crowd,
    )
    assert await looks.look(3) == 1
    await owner.execute("INSERT INTO points.members VALUES ('default', $1)", other)
    await owner.execute(
        "UPDATE points.members SET due_at = '2021-01-01' WHERE member_id = $1", other
    )
    assert await looks.look(20) == 2
    # From the longest due on again, of whom one is done: so there is room for the next.
    await owner.execute("UPDATE points.members SET due_at = NULL WHERE member_id = $1", min(crowd))
    assert await looks.look(1) == 3


async def test_of_many_due_members_only_so_many_wait_in_the_lanes(
    looks: Looks, owner: asyncpg.Connection
) -> None:
    looks.sweeper._members_max = 500
    await make_due(owner, 5_000)
    # One of each bucket, since in all that is 20 times what this sweeper was to ask for at once.
    assert await looks.look(10) == BUCKETS
    assert await looks.look(2) == BUCKETS
    assert looks.pauses[-2:] == [1, 1]
    await owner.execute("UPDATE points.members SET due_at = NULL WHERE member_id = 'm1'")
    assert await looks.look(10) == BUCKETS + 1


async def test_where_there_may_be_more_the_next_look_comes_soon(
    looks: Looks, owner: asyncpg.Connection
) -> None:
    await looks.look(1)
    await make_due(owner, MEMBERS_MAX)
    await looks.look(1)
    assert looks.pauses == [1, 0.5]


async def test_the_age_of_what_is_due_is_told(looks: Looks, owner: asyncpg.Connection) -> None:
    ages: list[float] = []
    gauge = looks.sweeper._metrics.due_age
    await make_due(owner, 2)

    async def note(_: float) -> None:
        ages.append(gauge._value.get())
        raise Enough

    looks.sweeper._pause = note
    with pytest.raises(Enough):
        await looks.sweeper.run()
    assert 999 <= ages[0] < 1_100
    assert gauge._value.get() == 0


async def test_one_worker_leads_until_it_gives_up_or_loses_its_connection(
    database_url: str, owner: asyncpg.Connection
) -> None:
    first, second = (Leadership(database_url, silence_seconds_max=60) for _ in range(2))
    assert await first.held()
    assert await first.held()
    assert not await second.held()
    await first.give_up()
    assert await second.held()
    assert not await first.held()
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks"
        " WHERE locktype = 'advisory' AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    await until(first.held, what="the lead is free")
    with pytest.raises(PassingFault):
        await second.held()
    assert not await second.held()
    await first.give_up()
    await second.give_up()


async def test_a_worker_that_says_nothing_for_too_long_leads_no_more(
    database_url: str, owner: asyncpg.Connection
) -> None:
    frozen, other = (Leadership(database_url, silence_seconds_max=seconds) for seconds in (1, 60))
    assert await frozen.held()
    await until(other.held, what="another one leads")
    with pytest.raises(PassingFault):
        await frozen.held()
    await other.give_up()
    await frozen.give_up()


async def test_the_sweeper_waits_where_postgres_is_away_and_goes_on_afterwards(
    crew: Crew, owner: asyncpg.Connection, database_url: str
) -> None:
    async with crew.running():

        async def leads() -> bool:
            return bool(await owner.fetchval(_LEADERS))

        await until(leads, what="the worker leads")
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await make_due(owner, 1)

        async def swept() -> bool:
            return bool(await owner.fetchval("SELECT count(*) > 0 FROM points.journal"))

        await until(swept, what="the sweep goes on")


_LEADERS = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database ="
    " (SELECT oid FROM pg_database WHERE datname = current_database())"
)
