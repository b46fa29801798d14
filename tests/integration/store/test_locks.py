"""Whoever comes second to a member waits, and then sees all that the first has done (I1, I2)."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.inside import Desk, Gate, documents, request, waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.lane.applying import Applied


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    return emptied_database_url


@pytest.fixture
async def gate(owner: asyncpg.Connection, database_url: str) -> AsyncIterator[Gate]:
    async with Gate(owner, database_url) as closed:
        yield closed


async def in_turn(
    desk: Desk,
    owner: asyncpg.Connection,
    gate: Gate,
    first: list[dict[str, Any]],
    second: list[dict[str, Any]],
) -> tuple[Applied, Applied]:
    """Begin the second batch while the first, which must stop at the gate, holds its locks."""
    async with asyncio.TaskGroup() as group:
        one = group.create_task(desk.apply(*first))
        await gate.held()
        other = group.create_task(desk.apply(*second))
        await waiting(owner, 1)
        await gate.open()
    return one.result(), other.result()


@pytest.mark.parametrize(
    "before", [[], [request("before", 10)]], ids=["new_member", "known_member"]
)
async def test_the_second_of_two_transactions_sees_wallet_lots_and_answers_of_the_first(
    desk: Desk, owner: asyncpg.Connection, gate: Gate, before: list[dict[str, Any]]
) -> None:
    """A statement that waited for a lock still reads what was there before."""
    await desk.apply(*before)
    repeated = request("repeated", -20)
    first, second = await in_turn(
        desk,
        owner,
        gate,
        [request("gate", 100), repeated],
        [repeated, request("debit", -60)],
    )
    start = 10 * len(before)
    repeat, debit = documents(second)
    assert second.answers[0] == first.answers[1]
    assert second.duplicates == 1
    assert repeat["balance"] == str(start + 80)
    assert (debit["balance"], debit["total"]) == (str(start + 20), str(start + 100))
    assert debit["sequence"] == len(before) + 3
    lots = await owner.fetch("SELECT remaining FROM points.lots")
    assert [row["remaining"] for row in lots] == [start + 20]


@pytest.mark.parametrize(
    "before", [[], [request("before", 10)]], ids=["new_member", "known_member"]
)
async def test_the_second_sees_holds_awards_reversals_and_ordinals_of_the_first(
    desk: Desk, owner: asyncpg.Connection, gate: Gate, before: list[dict[str, Any]]
) -> None:
    await desk.apply(*before)
    _, second = await in_turn(
        desk,
        owner,
        gate,
        [
            request("gate", 100, award_id="A"),
            request("hold", 30, operation="HOLD"),
            request("undo", 15, operation="REVERSE", reverses="gate"),
            request("third", 3, ordinal=3),
            request("second", 2, ordinal=2),
        ],
        [
            request("capture", 30, operation="CAPTURE", hold="hold"),
            request("spend", -5, award_id="A"),
            request("too much", 86, operation="REVERSE", reverses="gate"),
            request("used", 1, ordinal=3),
            request("first", 1, ordinal=1),
        ],
    )
    keys = [item["error"] and item["error"]["key"] for item in documents(second)]
    assert keys == [None, None, "already_reversed", "ordinal_used", None]
    rows = await owner.fetch("SELECT subject FROM points.journal WHERE request_id = 'first'")
    assert {row["subject"] for row in rows} == {None, "second", "third"}


@pytest.mark.parametrize(
    "refused",
    [
        request("gate", 5, currency="no such"),
        request("gate", 5, program_id="no_such"),
        request("gate", 0),
        request("gate", 5, misspelt=True),
        request("gate", 5, comment="x" * 3_000),
        request("gate", -5),
    ],
    ids=["currency", "programme", "zero", "invalid", "too_large", "overdraft"],
)
async def test_also_a_request_that_reaches_no_wallet_holds_its_member(
    desk: Desk, owner: asyncpg.Connection, gate: Gate, refused: dict[str, Any]
) -> None:
    program = {"program_id": refused["program_id"]} if "program_id" in refused else {}
    first, second = await in_turn(
        desk, owner, gate, [refused], [refused, request("next", 7, **program)]
    )
    assert second.answers[0] == first.answers[0]
    assert [outcome["sequence"] for outcome in documents(second)] == [1, 2]


async def test_requests_of_one_id_that_race_have_one_effect(
    desk: Desk, owner: asyncpg.Connection, gate: Gate
) -> None:
    first, second = await in_turn(desk, owner, gate, [request("gate", 5)], [request("gate", 6)])
    assert documents(second)[0]["error"]["key"] == "request_id_conflict"
    assert documents(first)[0]["balance"] == "5"
    assert await owner.fetchval("SELECT balance FROM points.wallets") == 5


async def test_the_time_of_a_batch_is_taken_after_its_locks(
    desk: Desk, owner: asyncpg.Connection, gate: Gate
) -> None:
    """`now()` is when the transaction began, before it waited."""
    async with asyncio.TaskGroup() as group:
        group.create_task(desk.apply(request("gate", 5)))
        await gate.held()
        waiter = group.create_task(desk.outcomes(request("r", 5)))
        await waiting(owner, 1)
        while_it_waits = await owner.fetchval("SELECT clock_timestamp()")
        await gate.open()
    (outcome,) = waiter.result()
    assert datetime.fromisoformat(outcome["recorded_at"]) > while_it_waits


async def test_other_members_wait_for_nobody(desk: Desk, gate: Gate) -> None:
    async with asyncio.TaskGroup() as group:
        held = group.create_task(desk.apply(request("gate", 5, "held")))
        await gate.held()
        (free,) = await desk.outcomes(request("r", 5, "free"))
        assert not held.done()
        await gate.open()
    assert free["status"] == "APPLIED"


@pytest.mark.parametrize("are_new", [True, False], ids=["new_members", "known_members"])
async def test_batches_that_name_the_same_members_in_opposite_order_never_deadlock(
    desk: Desk, owner: asyncpg.Connection, database_url: str, *, are_new: bool
) -> None:
    """Both stop at the member in the middle, which somebody else holds; order decides the rest."""
    members = ["a", "B", "m", "y", "Z"]
    if not are_new:
        await desk.apply(*(request("before", 1, member) for member in members))
    somebody = await asyncpg.connect(database_url)
    middle = somebody.transaction()
    await middle.start()
    await somebody.execute(
        "INSERT INTO points.members VALUES ('default', 'm')"
        if are_new
        else "SELECT FROM points.members WHERE member_id = 'm' FOR UPDATE"
    )
    async with asyncio.TaskGroup() as group:
        forth = group.create_task(
            desk.outcomes(*(request("forth", 1, member) for member in members))
        )
        await waiting(owner, 1)
        back = group.create_task(
            desk.outcomes(*(request("back", 1, member) for member in reversed(members)))
        )
        await waiting(owner, 2)
        await middle.rollback()
    await somebody.close()
    assert {item["status"] for item in forth.result() + back.result()} == {"APPLIED"}
    totals = await owner.fetch("SELECT sequence FROM points.members")
    assert [row["sequence"] for row in totals] == [2 if are_new else 3] * 5
