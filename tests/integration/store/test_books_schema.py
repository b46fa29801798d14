"""What the tables promise: updates in place, answers byte for byte, invariants restated."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import asyncpg
import pytest

from schemas.outcome import Outcome
from tests.inside import TABLES_OF_MEMBERS, Desk, request, settings_of
from worker.store.pool import close_pool, open_pool

if TYPE_CHECKING:
    from worker.store.pool import Pool

CHANGING = {
    "members": {"sequence", "last_recorded_at"},
    "wallets": {"balance", "deficit", "total", "version"},
    "lots": {"points", "remaining"},
}
OF_A_MEMBER = {*TABLES_OF_MEMBERS} - {"operator_days"}


async def test_updates_of_members_wallets_and_lots_stay_on_their_page(
    database_url: str, owner: asyncpg.Connection
) -> None:
    """An index over what changes would make every update write to all indexes."""
    pool = await open_pool(settings_of("amqp://nobody", database_url, "desk", pool_size_max=1))
    desk = Desk(pool)
    await desk.apply(request("c", 1_000))
    for n in range(60):
        await desk.apply(request(f"d{n}", -1))
    await pool.execute("SELECT pg_stat_force_next_flush()")
    await close_pool(pool)
    rows = await owner.fetch(
        "SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = ANY($1)",
        list(CHANGING),
    )
    assert {row["relname"] for row in rows if row["n_tup_upd"] >= 60} == set(CHANGING)
    assert [row["n_tup_hot_upd"] for row in rows] == [row["n_tup_upd"] for row in rows]


async def test_updates_of_members_of_whom_something_falls_due_stay_on_their_page(
    database_url: str, owner: asyncpg.Connection
) -> None:
    """`due_at` is indexed, but what sets it to what it was changes no index."""
    pool = await open_pool(settings_of("amqp://nobody", database_url, "desk", pool_size_max=1))
    desk = Desk(pool)
    custom = {"expiration_type": "CUSTOM_DATE", "expiration_date": "2090-12-31"}
    await desk.apply(request("c", 1_000, **custom))
    assert await owner.fetchval("SELECT due_at IS NOT NULL FROM points.members")
    hot = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'members'"
    await pool.execute("SELECT pg_stat_force_next_flush()")
    before = await owner.fetchrow(hot)
    for n in range(60):
        await desk.apply(request(f"d{n}", -1), request(f"e{n}", 1, **custom))
    await pool.execute("SELECT pg_stat_force_next_flush()")
    await close_pool(pool)
    after = await owner.fetchrow(hot)
    assert before is not None
    assert after is not None
    assert [after[n] - before[n] for n in (0, 1)] == [60, 60]


async def test_updates_of_many_lots_at_once_stay_on_their_page(
    database_url: str, owner: asyncpg.Connection
) -> None:
    # A snapshot of somebody else's would keep the old versions on their pages.
    for table in CHANGING:
        await owner.execute(f"ALTER TABLE points.{table} SET (autovacuum_enabled = false)")
    pool = await open_pool(settings_of("amqp://nobody", database_url, "desk", pool_size_max=1))
    desk = Desk(pool)
    await desk.apply(*(request(f"c{n}", 10, f"m{n}") for n in range(100)))
    for step in range(3):
        await desk.apply(*(request(f"d{step}.{n}", -1, f"m{n}") for n in range(100)))
    await pool.execute("SELECT pg_stat_force_next_flush()")
    await close_pool(pool)
    rows = await owner.fetch(
        "SELECT n_tup_upd AS all, n_tup_hot_upd AS hot FROM pg_stat_user_tables"
        " WHERE relname = ANY($1)",
        list(CHANGING),
    )
    assert all(row["all"] >= 300 for row in rows), rows
    # Free space on each page takes a part of the first round, and each later one takes the space
    # that the round before it gave up.
    assert all(row["hot"] > 100 for row in rows), rows


async def test_no_index_covers_a_column_that_changes(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'points'"
    )
    covered = {
        (row["indexname"], column)
        for row in rows
        for column in CHANGING.get(row["tablename"], ())
        if re.search(rf"\b{column}\b", row["indexdef"].partition(" USING ")[2])
    }
    assert {row["tablename"] for row in rows} >= set(CHANGING)
    assert covered == set()


async def test_every_key_leads_with_programme_and_member(owner: asyncpg.Connection) -> None:
    """The tables can be partitioned or distributed by member as they are."""
    rows = await owner.fetch(
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'points'"
        " AND tablename = ANY($1) AND indexname <> ALL($2)",
        [*OF_A_MEMBER],
        # The sweep's, each part of a partitioned table has its own.
        ["members_due"],
    )
    assert {row["tablename"] for row in rows} == OF_A_MEMBER
    assert [
        row["indexname"] for row in rows if "(program_id, member_id" not in row["indexdef"]
    ] == []
    shared = await owner.fetchval("SELECT count(*) FROM pg_sequences WHERE schemaname = 'points'")
    assert shared == 0


async def test_an_answer_comes_back_byte_for_byte(desk: Desk, owner: asyncpg.Connection) -> None:
    """A jsonb outcome would come back with its keys in another order."""
    metadata = {"zebra": 1, "a": [1.50, {"y": "ü", "b": None}], "Ω": "🙂"}
    asked = request("r", 5, metadata=metadata, comment='quoted "twice" \\ and / slashed')
    first = await desk.apply(asked)
    (stored,) = await owner.fetch("SELECT outcome FROM points.journal")
    again = await desk.apply(asked)
    assert again.publications == first.publications
    assert again.answers == first.answers
    body = stored["outcome"]
    event, reply = first.publications
    assert reply.body == body
    assert event.body.endswith(b',"data":' + body + b"}")
    assert list(json.loads(body)) == list(Outcome.model_fields)
    assert list(json.loads(body)["metadata"]) == list(metadata)


@pytest.mark.parametrize("field", ["comment", "reason", "source", "currency"])
async def test_a_text_that_postgres_cannot_hold_is_refused_and_stored(
    desk: Desk, owner: asyncpg.Connection, field: str
) -> None:
    asked = request("r", 5, **{field: "a\x00b"})
    (outcome,) = await desk.outcomes(asked)
    assert (outcome["status"], outcome["error"]["key"]) == ("REJECTED", "invalid_payload")
    assert outcome["error"]["details"][0]["field"] == field
    assert await owner.fetchval("SELECT error_key FROM points.journal") == "invalid_payload"
    assert await desk.outcomes(asked) == [outcome]


@pytest.mark.parametrize("spoilt", [{"a\x00": 1}, {"a": ["\x00"]}], ids=str)
async def test_a_null_character_anywhere_in_metadata_is_refused_or_kept_as_it_is(
    desk: Desk, spoilt: dict[str, object]
) -> None:
    """Whatever the schema says about it, it never holds up the lane, and repeats are the same."""
    first = await desk.apply(request("r", 5, metadata=spoilt))
    again = await desk.apply(request("r", 5, metadata=spoilt))
    assert again.publications == first.publications
    assert again.duplicates == 1


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE points.wallets SET deficit = -1", "wallets_deficit_not_negative"),
        ("UPDATE points.wallets SET balance = -1", "wallets_balance_not_below_deficit"),
        ("UPDATE points.wallets SET total = -1", "wallets_total_not_negative"),
        ("UPDATE points.wallets SET version = 0", "wallets_version_positive"),
        ("UPDATE points.wallets SET held = -1", "wallets_held_not_negative"),
        ("UPDATE points.members SET sequence = -1", "members_sequence_not_negative"),
        ("UPDATE points.members SET status = 'gone'", "members_status_known"),
        ("UPDATE points.holds SET points = 0", "holds_points_positive"),
        ("UPDATE points.reversals SET points = 0", "reversals_points_positive"),
        ("UPDATE points.streams SET next = 0", "streams_next_positive"),
        ("UPDATE points.early_requests SET ordinal = 0", "early_requests_ordinal_positive"),
        ("UPDATE points.early_requests SET ended_by = 'x'", "early_requests_end_told_whole"),
        (
            "UPDATE points.early_requests SET ended_by = 'x', ended_step = 1",
            "early_requests_no_body_after_the_end",
        ),
        (
            (
                "INSERT INTO points.early_requests SELECT program_id, member_id, 'other', stream,"
                " ordinal, body, fingerprint, publisher, is_trusted, address, deadline"
                " FROM points.early_requests"
            ),
            "early_requests_waiting",
        ),
        (
            "INSERT INTO points.day_sums VALUES ('p', 'm', 'c', 'REGULAR', now(), -1, 0)",
            "day_sums_not_negative",
        ),
        (
            "INSERT INTO points.operator_days VALUES ('p', 'o', 'c', now(), -1)",
            "operator_days_points_not_negative",
        ),
        ("UPDATE points.lots SET remaining = 0", "lots_remaining_within_points"),
        ("UPDATE points.lots SET remaining = 6", "lots_remaining_within_points"),
        (
            "UPDATE points.journal SET status = 'REJECTED'",
            "journal_only_applied_moves_points",
        ),
        ("UPDATE points.journal SET balance = NULL", "journal_wallet_facts_together"),
        (
            (
                "INSERT INTO points.journal SELECT program_id, member_id, 'other', step, sequence,"
                " status, event_type, error_key, currency, category, points, balance, total,"
                " version, fingerprint, recorded_at, outcome FROM points.journal"
            ),
            "journal_sequence_used_once",
        ),
    ],
)
async def test_the_tables_refuse_what_the_invariants_forbid(
    desk: Desk, owner: asyncpg.Connection, statement: str, constraint: str
) -> None:
    await desk.apply(request("r", 5))
    await desk.apply(
        request("hold", 1, operation="HOLD"),
        request("undo", 1, operation="REVERSE", reverses="r"),
        request("early", 1, ordinal=2),
    )
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as caught:
        await owner.execute(statement)
    assert caught.value.constraint_name == constraint


async def test_the_pool_speaks_for_a_role_that_cannot_log_in(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    assert await pool.fetchval("SELECT current_user::text") == "points_worker"
    found = await owner.fetchrow(
        "SELECT rolcanlogin, rolsuper, rolcreatedb FROM pg_roles WHERE rolname = 'points_worker'"
    )
    assert found is not None
    assert tuple(found) == (False, False, False)


MAY = {
    "points_worker": {
        "members": "SELECT INSERT UPDATE",
        "wallets": "SELECT INSERT UPDATE",
        "lots": "SELECT INSERT UPDATE DELETE",
        "journal": "SELECT INSERT",
        "holds": "SELECT INSERT DELETE",
        "awards": "SELECT INSERT",
        "reversals": "SELECT INSERT UPDATE",
        "streams": "SELECT INSERT UPDATE",
        "early_requests": "SELECT INSERT UPDATE",
        "day_sums": "SELECT INSERT UPDATE",
        "operator_days": "SELECT INSERT UPDATE",
        "identifiers": "SELECT",
        "identifier_key": "SELECT",
        "resolutions": "SELECT INSERT",
        "programs": "SELECT",
        "topology": "SELECT",
        "migrations": "SELECT",
        "suspects": "SELECT INSERT UPDATE DELETE",
    },
    "points_eraser": {
        "members": "SELECT",
        "journal": "SELECT",
        "early_requests": "SELECT",
        "identifiers": "SELECT DELETE",
    },
}
MAY_CHANGE = {
    "members": {"status", "due_at"},
    "journal": {"outcome", "lots"},
    "early_requests": {"body", "deadline"},
}


@pytest.mark.parametrize("role", sorted(MAY))
async def test_each_role_may_do_what_it_needs_and_nothing_else(
    owner: asyncpg.Connection, role: str
) -> None:
    """Workers add to the journal and never change it; who erases changes nothing but answers."""
    rows = await owner.fetch(
        "SELECT relname AS table, privilege FROM pg_class, unnest($2::text[]) AS privilege"
        " WHERE relnamespace = 'points'::regnamespace AND relkind = 'r'"
        " AND has_table_privilege($1, oid, privilege)",
        role,
        ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"],
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["table"], set()).add(row["privilege"])
    assert found == {table: set(privileges.split()) for table, privileges in MAY[role].items()}


async def test_who_erases_may_change_only_what_may_be_personal(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        "SELECT attrelid::regclass::text AS table, attname AS column FROM pg_attribute"
        " WHERE attnum > 0 AND attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'points'::regnamespace)"
        " AND has_column_privilege('points_eraser', attrelid, attnum, 'UPDATE')"
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["table"].removeprefix("points."), set()).add(row["column"])
    assert found == MAY_CHANGE
