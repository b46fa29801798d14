"""Vendors' messages while workers die and identifiers change hands (I1 to I3)."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import asyncpg

from tests.dialect_vectors.beans import BEANS
from tests.dialect_vectors.capillary import CAPILLARY
from tests.dialect_vectors.mastercard import ASKED, BANK, MASTERCARD
from tests.dialect_vectors.voucherify import VOUCHERIFY
from tests.end_to_end.vendors import IDENTIFIER_KEY, Said, Vendors
from tests.waiting import until

if TYPE_CHECKING:
    from tests.scene import Scene
    from tests.workers import WorkerProcess

COUNT = 4_000
KILLS = 8
MEMBERS = [f"m{n}" for n in range(20)]
PROGRAM_ID = BANK["program_id"]
BY_ID = (BEANS, VOUCHERIFY)
DIALECTS = (BEANS, MASTERCARD, VOUCHERIFY, CAPILLARY)


def said(number: int) -> Said:
    """Return one message: some name their member, the others an identifier of theirs."""
    whose = MEMBERS[number % len(MEMBERS)]
    dialect = DIALECTS[number // len(MEMBERS) % len(DIALECTS)]
    headers: dict[str, Any] = {"program-id": PROGRAM_ID}
    body: dict[str, Any]
    match dialect:
        case "mastercard.points_adjustment":
            body = {**ASKED, "bankAccountNumber": f"account of {whose}"}
        case "capillary.negative_points_adjustment":
            headers |= {"identifier-name": "email", "identifier-value": f"{whose}@example.org"}
            body = {"pointsToBeAdjusted": 1, "reasonOfReturn": "One of many"}
        case "beans.balance":
            headers |= {"member-id": whose}
            body = {"type": "credit", "points": 1}
        case _:
            headers |= {"member-id": whose}
            body = {"points": 1}
    return Said(dialect, f"r{number:05}", headers, json.dumps(body).encode())


async def change_hands(connection: asyncpg.Connection) -> None:
    """Let every identifier lead to the next member from now on."""
    following = dict(zip(MEMBERS, [*MEMBERS[1:], MEMBERS[0]], strict=True))
    await connection.execute(
        "UPDATE points.identifiers SET member_id = next.following"
        " FROM unnest($1::text[], $2::text[]) AS next (member_id, following)"
        " WHERE identifiers.member_id = next.member_id",
        list(following),
        list(following.values()),
    )


async def test_no_message_reaches_two_members_or_one_twice_whatever_dies_and_changes_hands(
    scene: Scene,
) -> None:
    scene.env["POINTS_IDENTIFIER_KEY"] = IDENTIFIER_KEY
    first = [said(number) for number in range(COUNT)]
    async with scene.worker() as worker:
        await worker.ready()
        owner = await asyncpg.connect(scene.database_url)
        async with Vendors(scene) as vendors:
            await vendors.apply(BANK)
            for member_id in MEMBERS:
                await vendors.ask(
                    {
                        "request_id": "before",
                        "program_id": PROGRAM_ID,
                        "member_id": member_id,
                        "points": 1_000_000,
                    }
                )
                account = f"account of {member_id}"
                await vendors.know(PROGRAM_ID, member_id, "bankAccountNumber", account)
                await vendors.know(PROGRAM_ID, member_id, "email", f"{member_id}@example.org")
            replies = vendors.downstream.replies
            before = len(replies)
            async with asyncio.TaskGroup() as group:
                killing = group.create_task(kill_often(worker, vendors, before))
                for start in range(0, COUNT, COUNT // 4):
                    await vendors.send_all(first[start : start + COUNT // 4])
                    await change_hands(owner)
                # A publisher that was not sure sends everything again.
                await vendors.send_all(first)
                await killing
            await until(
                lambda: len(replies) >= before + 2 * COUNT,
                deadline_seconds=400,
                what=lambda: f"all replies ({len(replies) - before} came)",
            )
            answers = defaultdict(set)
            for reply in replies[before:]:
                answers[reply.properties.correlation_id].add(reply.body)
        rows = await owner.fetch(
            "SELECT request_id, member_id, status FROM points.journal"
            " WHERE request_id <> 'before' ORDER BY program_id, member_id, sequence"
        )
        await owner.close()
    assert {row["status"] for row in rows} == {"APPLIED"}
    assert sorted(row["request_id"] for row in rows) == [one.message_id for one in first]
    assert answers.keys() == {one.message_id for one in first}
    assert {len(bodies) for bodies in answers.values()} == {1}
    by_id = {one.message_id for one in first if one.dialect in BY_ID}
    for member_id in MEMBERS:
        told = [row["request_id"] for row in rows if row["member_id"] == member_id]
        direct = [request_id for request_id in told if request_id in by_id]
        assert direct == sorted(direct)


async def kill_often(worker: WorkerProcess, vendors: Vendors, before: int) -> None:
    """Kill the worker at so many numbers of replies, and start it again each time."""
    chance = random.Random(8)
    for moment in sorted(chance.sample(range(100, 2 * COUNT - 500), KILLS)):
        await until(
            lambda moment=moment: len(vendors.downstream.replies) >= before + moment,  # type: ignore[misc]
            deadline_seconds=400,
            what=f"{moment} replies",
        )
        worker.kill()
        await worker.exited()
        worker.start()
