"""What rules ask of the books beside the member: other programmes, operators, days, what is due."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.everything import apply_strict_program, enrol, strict
from tests.inside import Desk, request, waiting
from worker.domain.wallet import Day
from worker.store.keys import MemberKey, OperatorKey, WalletKey
from worker.store.sweep import Due, due, due_age_seconds, still_due
from worker.store.transaction import Books

if TYPE_CHECKING:
    import asyncpg

    from worker.store.pool import Pool

TODAY = date(2030, 5, 17)
NOW = datetime(2030, 5, 17, 12, tzinfo=UTC)


def operator_key(name: str, day: date = TODAY) -> OperatorKey:
    return OperatorKey("strict", name, "points", day)


async def move(pool: Pool, member_id: str, names: list[str], points: int) -> dict[str, int]:
    """Lock operators for a member's batch and add to each; return what they had moved before."""
    async with Books(pool).transaction() as transaction:
        await transaction.lock([MemberKey("strict", member_id)])
        days = await transaction.operators([operator_key(name) for name in names])
        before = {key.operator: day.points for key, day in days.items()}
        for day in days.values():
            day.points += points
        await transaction.write([], [])
    return before


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    return emptied_database_url


async def test_an_operators_day_counts_over_all_members(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    assert await move(pool, "a", ["x", "y"], 5) == {"x": 0, "y": 0}
    assert await move(pool, "b", ["y", "z"], 7) == {"y": 5, "z": 0}
    rows = await owner.fetch("SELECT operator, points FROM points.operator_days ORDER BY operator")
    assert [tuple(row) for row in rows] == [("x", 5), ("y", 12), ("z", 7)]


@pytest.mark.parametrize("are_new", [True, False], ids=["new_days", "known_days"])
async def test_whoever_comes_second_to_an_operator_waits_and_sees_what_the_first_has_moved(
    pool: Pool, owner: asyncpg.Connection, *, are_new: bool
) -> None:
    if not are_new:
        await move(pool, "before", ["y"], 100)
    async with Books(pool).transaction() as transaction:
        await transaction.lock([MemberKey("strict", "a")])
        days = await transaction.operators([operator_key("y")])
        second = asyncio.create_task(move(pool, "b", ["y"], 1))
        await waiting(owner, 1)
        days[operator_key("y")].points += 5
        await transaction.write([], [])
    assert await second == {"y": 105 - 100 * are_new}


@pytest.mark.parametrize("are_new", [True, False], ids=["new_days", "known_days"])
async def test_batches_that_name_the_same_operators_in_opposite_order_never_deadlock(
    pool: Pool, owner: asyncpg.Connection, *, are_new: bool
) -> None:
    """Both stop at the operator in the middle, whom somebody else holds."""
    names = ["a", "B", "m", "y", "Z"]
    if not are_new:
        await move(pool, "before", names, 1)
    async with Books(pool).transaction() as middle:
        await middle.operators([operator_key("m")])
        forth = asyncio.create_task(move(pool, "forth", names, 1))
        await waiting(owner, 1)
        back = asyncio.create_task(move(pool, "back", names[::-1], 1))
        await waiting(owner, 2)
    await asyncio.gather(forth, back)
    sums = await owner.fetch("SELECT points FROM points.operator_days")
    assert [row["points"] for row in sums] == [2 if are_new else 3] * 5


async def test_a_batch_without_a_limit_on_operators_locks_none(
    desk: Desk, owner: asyncpg.Connection
) -> None:
    await desk.apply(request("r", 5, adjusted_by="agent-19"))
    assert await owner.fetchval("SELECT count(*) FROM points.operator_days") == 0


async def test_a_member_is_known_elsewhere_who_is_enrolled_or_has_points_in_another_programme(
    desk: Desk, pool: Pool, owner: asyncpg.Connection
) -> None:
    await apply_strict_program(owner)
    await owner.execute("INSERT INTO points.programs SELECT 'p' || n, 1, '{}'"
                        " FROM generate_series(1, 50) AS n")  # fmt: skip
    await desk.apply(request("r", 5, "rich"), request("r", 0, "refused"))
    await enrol(owner, ["enrolled here", "nobody"])
    await owner.execute("UPDATE points.members SET enrolled_at = NULL WHERE member_id = 'nobody'")
    await owner.execute(
        "INSERT INTO points.members (program_id, member_id, enrolled_at)"
        " VALUES ('p50', 'enrolled', now()), ('p7', 'not enrolled', NULL)"
    )
    names = ["rich", "refused", "enrolled", "not enrolled", "enrolled here", "nobody"]
    async with Books(pool).transaction() as transaction:
        members = await transaction.lock([MemberKey("strict", name) for name in names])
        await transaction.known_elsewhere(list(members.values()))
    known = {key.member_id for key, member in members.items() if member.is_known_elsewhere}
    assert known == {"rich", "enrolled"}
    enrolled = {key.member_id for key, member in members.items() if member.is_enrolled}
    assert enrolled == {"enrolled here"}


async def test_days_come_back_from_the_first_one_that_is_asked_for(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    days = [TODAY + timedelta(days=n) for n in range(-3, 1)]
    await owner.executemany(
        "INSERT INTO points.day_sums VALUES ('strict', 'm', 'points', $1, $2, 10, $3)",
        [(place, day, day.day) for place in ("REGULAR", "PROMISED") for day in days],
    )
    async with Books(pool).transaction() as transaction:
        members = await transaction.lock([MemberKey("strict", "m")])
        regular = WalletKey("strict", "m", "points", "REGULAR")
        await transaction.read_days({regular: days[2]}, members)
    wallets = members[regular.member].wallets
    assert wallets["points", "REGULAR"].days == {days[2]: Day(10, 16), days[3]: Day(10, 17)}
    assert ("points", "PROMISED") not in wallets


async def test_caps_count_the_same_day_in_one_batch_after_the_other(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    await apply_strict_program(owner)
    await enrol(owner, ["m"])
    desk = Desk(pool, lambda _: NOW)
    for number in range(3):
        await desk.apply(
            strict(f"c{number}", "m", points=400), strict(f"d{number}", "m", points=-9)
        )
    row = await owner.fetchrow("SELECT day, earned, spent FROM points.day_sums")
    assert row is not None
    assert tuple(row) == (TODAY, 1000, 27)
    moved = await owner.fetchrow("SELECT operator, day, points FROM points.operator_days")
    assert moved is not None
    assert tuple(moved) == ("agent-19", TODAY, 1027)


async def test_the_longest_due_members_are_found_first_and_only_so_many(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    now = datetime.now(UTC)
    hours = {"later": 1, "long": -5, "longest": -9, "long-too": -5}
    times = {name: now + timedelta(hours=n) for name, n in hours.items()}
    await owner.executemany(
        "INSERT INTO points.members (program_id, member_id, due_at) VALUES ('default', $1, $2)",
        [*times.items(), ("never", None)],
    )
    found = [
        Due(MemberKey("default", name), times[name]) for name in ("longest", "long", "long-too")
    ]
    assert await due(pool, None, 10) == found
    assert await due(pool, None, 2) == found[:2]
    # Those behind another one, also where both are due since the same time.
    assert await due(pool, found[1], 10) == found[2:]
    assert await due(pool, found[2], 10) == []
    age = timedelta(seconds=await due_age_seconds(pool))
    assert timedelta(hours=9) <= age <= datetime.now(UTC) - times["longest"]


async def test_where_nobody_is_due_nobody_has_waited(pool: Pool) -> None:
    assert await due(pool, None, 10) == []
    assert await due_age_seconds(pool) == 0


async def test_whoever_is_done_or_due_anew_is_no_longer_due_as_they_were(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    await owner.execute(
        "INSERT INTO points.members (program_id, member_id, due_at)"
        " SELECT 'default', name, '2020-01-01' FROM unnest('{as-was,done,anew}'::text[]) AS name"
    )
    found = await due(pool, None, 10)
    await owner.execute("UPDATE points.members SET due_at = NULL WHERE member_id = 'done'")
    await owner.execute("UPDATE points.members SET due_at = '2021-01-01' WHERE member_id = 'anew'")
    assert await still_due(pool, found) == {one for one in found if one.member[1] == "as-was"}


async def test_a_credit_that_expires_makes_its_member_due_until_that_was_carried_out(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    at = NOW
    desk = Desk(pool, lambda _: at)
    custom = {"expiration_type": "CUSTOM_DATE"}
    await desk.apply(
        request("c", 5, **custom, expiration_date="2030-05-20"),
        request("d", 5, **custom, expiration_date="2030-05-18"),
    )
    first, second = datetime(2030, 5, 19, tzinfo=UTC), datetime(2030, 5, 21, tzinfo=UTC)
    due_at = "SELECT due_at FROM points.members"
    for moment, next_one in ((first, second), (second, None)):
        assert await owner.fetchval(due_at) == moment
        at = moment
        await desk.apply({"request_id": f"{moment}", "member_id": "m", "operation": "EXPIRE"})
        assert await owner.fetchval(due_at) == next_one
    assert await owner.fetchval("SELECT balance FROM points.wallets") == 0
