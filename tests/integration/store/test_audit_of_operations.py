"""The audit of what stands beside wallets: holds, early requests, reversals, awards (I4)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.inside import Desk, faults_in, request

if TYPE_CHECKING:
    import asyncpg

    from worker.store.pool import Pool

LATER = datetime(2095, 6, 1, tzinfo=UTC)


async def books_of_every_operation(pool: Pool) -> None:
    """Write lines of every kind for a member `m`, some of them early, some released or lapsed."""
    ordinal = {"operation": "ADJUST", "ordinal_stream": "till"}
    await Desk(pool).apply(
        request("award", 100, award_id="A", award_type="bill_regular"),
        request("hold", 30, operation="HOLD"),
        request("kept", 10, operation="HOLD", ttl_seconds=60),
        {"request_id": "capture", "member_id": "m", "operation": "CAPTURE", "hold": "hold"},
        request("undo", 5, operation="REVERSE", reverses="capture"),
        request("promised", 7, category="PROMISED"),
        request("convert", 7, operation="CONVERT", category="PROMISED"),
        request("same", 82, operation="SET_BALANCE"),
        request("third", 3, ordinal=3, **ordinal),
        request("second", 2, ordinal=2, **ordinal),
        request("tenth", 10, ordinal=10, **ordinal),
    )
    await Desk(pool).apply(request("first", 1, ordinal=1, **ordinal))


@pytest.mark.parametrize("later", [False, True], ids=["now", "after_all_was_due"])
async def test_an_audit_of_books_of_every_operation_finds_nothing(
    pool: Pool, owner: asyncpg.Connection, *, later: bool
) -> None:
    await books_of_every_operation(pool)
    if later:
        desk = Desk(pool, lambda _: LATER)
        await desk.apply({"request_id": "due", "member_id": "m", "operation": "EXPIRE"})
    statuses = {row[0] for row in await owner.fetch("SELECT status FROM points.journal")}
    assert statuses >= {"APPLIED", "NO_CHANGE"}
    assert await owner.fetchval("SELECT count(*) FROM points.early_requests") == 3
    assert await owner.fetchval("SELECT count(*) FROM points.holds") == (0 if later else 1)
    assert await faults_in(pool) == []


@pytest.mark.parametrize(
    ("damage", "rules", "words"),
    [
        (
            "UPDATE points.wallets SET held = 11 WHERE category = 'REGULAR'",
            {"held"},
            "says that 11 are held, but its open holds sum to 10.",
        ),
        (
            "DELETE FROM points.holds",
            {"held"},
            "says that 10 are held, but its open holds sum to 0.",
        ),
        (
            "UPDATE points.members SET due_at = NULL",
            {"due"},
            "but is looked for never.",
        ),
        (
            "UPDATE points.members SET due_at = '2090-01-01'",
            {"due"},
            "but is looked for not before 2090-01-01T00:00:00",
        ),
        (
            "UPDATE points.members SET has_streams = FALSE",
            {"ordinal"},
            "There are ordinals of member m of programme default, but nobody looks for any.",
        ),
        (
            "UPDATE points.streams SET next = 10",
            {"ordinal"},
            "Request tenth of member m of programme default waits although it is its turn",
        ),
        (
            "UPDATE points.streams SET used = '[[6, 9], [10, 12]]'",
            {"ordinal"},
            "waits although it is its turn or its number is used up.",
        ),
        (
            "UPDATE points.early_requests SET ended_step = 2 WHERE request_id = 'second'",
            {"answer"},
            "Request second of member m of programme default waited and has ended, but has no",
        ),
        (
            "DELETE FROM points.early_requests WHERE request_id = 'third'",
            {"answer"},
            "has an outcome with another request, but never waited for it.",
        ),
        (
            (
                "INSERT INTO points.journal SELECT program_id, member_id, 'third', 0, sequence,"
                " 'NO_CHANGE', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '', recorded_at,"
                " outcome FROM points.journal WHERE request_id = 'first' AND step = 0"
            ),
            {"answer"},
            "Request third of member m of programme default waited for its turn, but also has",
        ),
        (
            "UPDATE points.journal SET fingerprint = '' WHERE request_id = 'first' AND step = 1",
            {"answer"},
            "Request first of member m of programme default has 2 outcomes of its own",
        ),
        (
            "UPDATE points.reversals SET points = 31",
            {"reversal"},
            "Request capture of member m of programme default changed 30 points, but 31 of them",
        ),
        (
            "DELETE FROM points.awards",
            {"award"},
            "Lot 1 of member m of programme default is of an award that the member never got.",
        ),
    ],
    ids=lambda value: value[:70] if isinstance(value, str) else "",
)
async def test_an_audit_names_every_kind_of_fault_beside_the_wallets(
    pool: Pool, owner: asyncpg.Connection, damage: str, rules: set[str], words: str
) -> None:
    await books_of_every_operation(pool)
    assert await faults_in(pool) == []
    await owner.execute(damage)
    faults = await faults_in(pool)
    sentences = "\n".join(fault.sentence for fault in faults)
    assert words in sentences
    assert {fault.rule for fault in faults} == rules, sentences
