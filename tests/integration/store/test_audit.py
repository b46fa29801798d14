"""The audit finds nothing in healthy books, and names every kind of fault in others (I4)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.inside import Desk, request
from tests.load import generate
from worker.store.audit import FAULTS_MAX, Findings, audit, count_members

if TYPE_CHECKING:
    import asyncpg

    from worker.store.pool import Pool

MEMBERS = 12
LATER = datetime(2095, 6, 1, tzinfo=UTC)


async def audited(pool: Pool, *, members_max: int = 5) -> Findings:
    """Audit everything, in stretches of a few members."""
    found = Findings()
    async for stretch in audit(pool, members_max=members_max):
        found += stretch
    return found


async def write_history(pool: Pool, seed: int, count: int = 400) -> None:
    """Write a random history, with some points that have fallen due in the end."""
    messages = [message.body for message in generate(count, MEMBERS, seed=seed)]
    early, late = Desk(pool), Desk(pool, lambda _: LATER)
    for start in range(0, count, 50):
        desk = early if start < count // 2 else late
        await desk.apply(*messages[start : start + 50])


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_an_audit_of_a_healthy_history_finds_nothing(
    pool: Pool, owner: asyncpg.Connection, seed: int
) -> None:
    await write_history(pool, seed)
    assert await owner.fetchval("SELECT count(*) FROM points.journal WHERE step > 0")
    found = await audited(pool)
    assert found.faults == []
    counts = [await owner.fetchval(f"SELECT count(*) FROM points.{name}")
              for name in ("members", "wallets", "lots", "journal")]  # fmt: skip
    assert [found.members, found.wallets, found.lots, found.entries] == counts
    assert await count_members(pool) == found.members


@pytest.mark.parametrize("members_max", [1, 2, MEMBERS, 1000])
async def test_an_audit_is_the_same_in_stretches_of_any_length(
    pool: Pool, owner: asyncpg.Connection, members_max: int
) -> None:
    await write_history(pool, 4, 200)
    await owner.execute("UPDATE points.wallets SET total = total + 1")
    wallets = await owner.fetchval("SELECT count(*) FROM points.wallets")
    found = await audited(pool, members_max=members_max)
    assert (found.members, len(found.faults)) == (MEMBERS, wallets)


async def test_a_stretch_ends_early_where_members_have_many_events(pool: Pool) -> None:
    await write_history(pool, 5, 200)
    stretches = [stretch async for stretch in audit(pool, events_max=1)]
    assert [stretch.members for stretch in stretches] == [1] * MEMBERS + [0]


async def test_an_audit_finds_nothing_while_workers_write(pool: Pool) -> None:
    async def write() -> None:
        for number in range(40):
            await desk.apply(*(request(f"r{number}-{n}", 5 - n, f"m{n}") for n in range(10)))
            await desk.apply(
                *(request(f"h{number}-{n}", 1, f"m{n}", operation="HOLD") for n in range(5)),
                *(
                    request(f"o{number}-{n}", 1, f"m{n}", ordinal=number ^ 1 or 99)
                    for n in range(5)
                ),
            )

    desk = Desk(pool)
    writing = asyncio.create_task(write())
    audits = 0
    while not writing.done():
        assert (await audited(pool, members_max=3)).faults == []
        audits += 1
    await writing
    assert audits > 1


async def books_of_one_member(pool: Pool) -> None:
    """Write a few lines for a member `m`: 100 with an expiry, 50, -30, and one refused."""
    custom = {"expiration_type": "CUSTOM_DATE", "expiration_date": "2090-12-31"}
    await Desk(pool).apply(
        request("first", 100, **custom),
        request("second", 50),
        request("third", -30),
        request("refused", -1000),
        request("other", 7, "another member"),
    )


JOURNAL = "UPDATE points.journal SET {} WHERE member_id = 'm' AND request_id = '{}'"


@pytest.mark.parametrize(
    ("damage", "rules", "words"),
    [
        (
            "UPDATE points.wallets SET balance = 121 WHERE member_id = 'm'",
            {"balance", "lots"},
            "has a balance of 121, but its journal sums to 120.",
        ),
        (
            "UPDATE points.lots SET remaining = 69 WHERE member_id = 'm' AND lot_id = 1",
            {"lots"},
            "has a balance of 120, but its open lots hold 119 and its deficit is 0.",
        ),
        (
            "DELETE FROM points.lots WHERE member_id = 'm'",
            {"lots"},
            "open lots hold 0",
        ),
        (
            "UPDATE points.wallets SET deficit = 3 WHERE member_id = 'm'",
            {"lots"},
            "open lots hold 120 and its deficit is 3.",
        ),
        (
            (
                "WITH owing AS (UPDATE points.wallets SET deficit = 3 WHERE member_id = 'm')"
                " UPDATE points.lots SET remaining = 73 WHERE member_id = 'm' AND lot_id = 1"
            ),
            {"lots"},
            "has a deficit of 3, but its open lots hold 123: these are to be used up first.",
        ),
        (
            "UPDATE points.wallets SET version = 4 WHERE member_id = 'm'",
            {"version"},
            "is at version 4, but its journal has 3 changes and ends at version 3.",
        ),
        (
            "UPDATE points.wallets SET total = 120 WHERE member_id = 'm'",
            {"total"},
            "has a lifetime total of 120, but the last line of its journal says 150.",
        ),
        (
            "DELETE FROM points.wallets WHERE member_id = 'm'",
            {"balance", "lots", "total", "version"},
            "has a balance of 0, but its journal sums to 120.",
        ),
        (
            "INSERT INTO points.wallets VALUES ('default', 'm', 'points', 'PROMISED', 5, 0, 5, 1)",
            {"balance", "lots", "total", "version"},
            "The PROMISED wallet of points of member m of programme default has a balance of 5",
        ),
        (
            (
                "INSERT INTO points.lots VALUES"
                " ('default', 'nobody', 'points', 'REGULAR', 'infinity', 1, 5, 5)"
            ),
            {"lots"},
            "member nobody of programme default has a balance of 0, but its open lots hold 5",
        ),
        (
            JOURNAL.format("points = 51", "second"),
            {"balance", "chain"},
            "says a balance of 150, but 100 before it and a change of 51 make 151.",
        ),
        (
            JOURNAL.format("balance = 151", "second"),
            {"chain"},
            "says a balance of 120, but 151 before it and a change of -30 make 121.",
        ),
        (
            JOURNAL.format("total = 90", "second"),
            {"total"},
            "says a lifetime total of 90, which is less than 100 before it.",
        ),
        (
            JOURNAL.format("total = 160", "second"),
            {"total"},
            "adds 60 to the lifetime total.",
        ),
        (
            JOURNAL.format("version = 5", "second"),
            {"version"},
            (
                "Line 2 of the journal of member m of programme default, in the REGULAR wallet of"
                " points, has version 5, but it is the turn of 2."
            ),
        ),
        (
            JOURNAL.format("status = 'REJECTED', points = 0", "third"),
            {"version", "chain", "balance"},
            "has version 3, but it is the turn of 2.",
        ),
        (
            "DELETE FROM points.journal WHERE member_id = 'm' AND request_id = 'second'",
            {"balance", "chain", "total", "version", "sequence"},
            "The 3 events of member m of programme default are not numbered from 1 to 3",
        ),
        (
            "DELETE FROM points.journal WHERE member_id = 'm' AND request_id = 'refused'",
            {"sequence"},
            "The counter of member m of programme default is at 4, but the last event has number 3",
        ),
        (
            "UPDATE points.members SET sequence = 5 WHERE member_id = 'm'",
            {"sequence"},
            "is at 5, but the last event has number 4.",
        ),
        (
            "DELETE FROM points.members WHERE member_id = 'm'",
            {"sequence", "due"},
            "There are 4 events of member m of programme default, who has no counter.",
        ),
        (
            "DROP INDEX points.journal_sequence_used_once; "
            + JOURNAL.format("sequence = 2", "first"),
            {"sequence"},
            "the order breaks at number 1.",
        ),
        (
            JOURNAL.format("fingerprint = NULL", "second"),
            {"answer"},
            "Request second of member m of programme default has 0 outcomes of its own",
        ),
        (
            (
                "INSERT INTO points.journal SELECT program_id, member_id, request_id, 1, sequence,"
                " 'NO_CHANGE', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, fingerprint,"
                " recorded_at, outcome FROM points.journal"
                " WHERE member_id = 'm' AND request_id = 'refused'"
            ),
            {"answer"},
            "Request refused of member m of programme default has 2 outcomes of its own",
        ),
        (
            (
                "INSERT INTO points.journal SELECT program_id, member_id, request_id, 1, sequence,"
                " 'NO_CHANGE', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, recorded_at,"
                " outcome FROM points.journal WHERE member_id = 'm' AND request_id = 'refused'"
            ),
            {"answer"},
            "has its own outcome at step 0 instead of the last of its own, 1.",
        ),
        (
            JOURNAL.format("step = 2", "second"),
            {"answer"},
            "has 1 steps, but they are numbered 2 to 2.",
        ),
    ],
    ids=lambda value: value[:70] if isinstance(value, str) else "",
)
async def test_an_audit_names_every_kind_of_fault(
    pool: Pool, owner: asyncpg.Connection, damage: str, rules: set[str], words: str
) -> None:
    await books_of_one_member(pool)
    assert (await audited(pool)).faults == []
    await owner.execute(damage)
    found = await audited(pool)
    sentences = "\n".join(fault.sentence for fault in found.faults)
    assert words in sentences
    assert {fault.rule for fault in found.faults} == rules, sentences
    assert {fault.member_id for fault in found.faults} <= {"m", "nobody"}


async def test_amounts_are_told_with_the_decimals_of_their_currency(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    await owner.execute(
        """INSERT INTO points.programs VALUES ('acme', 1, '{"currencies": [
        {"code": "points", "decimals": 0}, {"code": "coins", "decimals": 3}]}')"""
    )
    await Desk(pool).apply(request("r", "1.5", program_id="acme", currency="coins"))
    await owner.execute("UPDATE points.lots SET remaining = 1499")
    [fault] = (await audited(pool)).faults
    assert "a balance of 1.500, but its open lots hold 1.499" in fault.sentence


async def test_an_audit_goes_no_further_once_there_are_enough_faults(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    await owner.execute(
        "INSERT INTO points.members SELECT 'default', 'm' || n, 1, now()"
        " FROM generate_series(1, 2500) AS n"
    )
    found = await audited(pool, members_max=300)
    assert FAULTS_MAX <= len(found.faults) < FAULTS_MAX + 300


async def test_an_audit_changes_nothing(pool: Pool, owner: asyncpg.Connection) -> None:
    async def books() -> list[object]:
        tables = ("members", "wallets", "lots", "journal")
        return [
            await owner.fetch(f"SELECT xmin, xmax, * FROM points.{table} ORDER BY member_id, ctid")
            for table in tables
        ]

    await books_of_one_member(pool)
    before = await books()
    await audited(pool)
    assert await books() == before
