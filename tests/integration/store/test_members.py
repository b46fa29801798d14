"""What is said of a member changes under the lock, and erasure can change answers alone."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.waiting import until
from worker.store import members
from worker.store.keys import MemberKey
from worker.store.members import NotDone, OtherKey, blanked

if TYPE_CHECKING:
    from worker.store.pool import Pool

ALICE = MemberKey("default", "alice")
BOB = MemberKey("default", "bob")
DIGEST = b"k" * 32
STATUS = "SELECT status FROM points.members WHERE member_id = 'alice'"


async def test_a_change_waits_for_the_batch_that_has_the_member(
    owner: asyncpg.Connection, database_url: str
) -> None:
    await members.enrol(database_url, ALICE)
    async with owner.transaction():
        await owner.execute("SELECT FROM points.members WHERE member_id = 'alice' FOR UPDATE")
        blocking = asyncio.create_task(members.set_blocked(database_url, ALICE, is_blocked=True))
        watcher = await asyncpg.connect(database_url)
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        await until(lambda: watcher.fetchval(waiting), what="the change waits")
        assert await watcher.fetchval(STATUS) == "active"
        await watcher.close()
    assert (await blocking).status == "blocked"
    assert await owner.fetchval(STATUS) == "blocked"


async def test_of_two_members_who_claim_an_identifier_at_once_one_gets_it(
    owner: asyncpg.Connection, database_url: str
) -> None:
    claims = (
        members.identify(database_url, key, "mobile", b"f" * 32, DIGEST) for key in (ALICE, BOB)
    )
    done = await asyncio.gather(*claims, return_exceptions=True)
    assert sorted(isinstance(one, NotDone) for one in done) == [False, True]
    assert len(await owner.fetch("SELECT FROM points.identifiers")) == 1


async def test_the_same_identifier_may_be_another_members_under_another_name_or_programme(
    owner: asyncpg.Connection, database_url: str
) -> None:
    await owner.execute(
        "INSERT INTO points.programs SELECT 'other', 1, document FROM points.programs"
    )
    for key, name in ((ALICE, "mobile"), (BOB, "card"), (MemberKey("other", "carol"), "mobile")):
        assert (await members.identify(database_url, key, name, b"f" * 32, DIGEST)).is_changed
    await members.erase(database_url, ALICE)
    left = await owner.fetch("SELECT member_id FROM points.identifiers ORDER BY member_id")
    assert [row["member_id"] for row in left] == ["bob", "carol"]


async def test_of_two_keys_that_come_at_once_one_is_that_of_all_identifiers(
    owner: asyncpg.Connection, database_url: str
) -> None:
    """Else one number, which has two fingerprints then, would belong to two members."""
    digests = (b"k" * 32, b"l" * 32)
    claims = (
        members.identify(database_url, key, "mobile", digest, digest)
        for key, digest in zip((ALICE, BOB), digests, strict=True)
    )
    done = await asyncio.gather(*claims, return_exceptions=True)
    refused = [isinstance(one, OtherKey) for one in done]
    assert sorted(refused) == [False, True]
    kept = digests[refused.index(False)]
    assert await owner.fetchval("SELECT digest FROM points.identifier_key") == kept
    rows = await owner.fetch("SELECT fingerprint FROM points.identifiers")
    assert [row["fingerprint"] for row in rows] == [kept]


async def test_another_key_takes_no_identifier_away_and_a_removal_records_none(
    owner: asyncpg.Connection, database_url: str
) -> None:
    await members.enrol(database_url, ALICE)
    with pytest.raises(NotDone, match="not this member's"):
        await members.identify(database_url, ALICE, "mobile", b"f", b"other", is_removed=True)
    assert await owner.fetchval("SELECT count(*) FROM points.identifier_key") == 0
    await members.identify(database_url, ALICE, "mobile", b"f", DIGEST)
    with pytest.raises(OtherKey):
        await members.identify(database_url, ALICE, "mobile", b"f", b"other", is_removed=True)
    assert await owner.fetchval("SELECT count(*) FROM points.identifiers") == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE points.journal SET points = 0",
        "UPDATE points.journal SET fingerprint = NULL",
        "UPDATE points.members SET sequence = 0",
        "UPDATE points.wallets SET balance = 0",
        "UPDATE points.early_requests SET ended_by = NULL",
        "DELETE FROM points.journal",
        "DELETE FROM points.members",
        "DELETE FROM points.lots",
        "INSERT INTO points.identifiers VALUES ('default', 'mobile', 'x', 'alice')",
    ],
)
async def test_who_erases_can_change_nothing_but_what_may_be_personal(
    owner: asyncpg.Connection, change: str
) -> None:
    await owner.execute(f"SET ROLE {members.ERASER_ROLE}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await owner.execute(change)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE points.journal SET outcome = ''",
        "INSERT INTO points.identifiers VALUES ('default', 'mobile', 'x', 'alice')",
        "DELETE FROM points.identifiers",
        "INSERT INTO points.identifier_key (digest) VALUES ('x')",
        "INSERT INTO points.programs VALUES ('new', 1, '{}')",
    ],
)
async def test_workers_can_neither_change_answers_nor_programmes_nor_identifiers(
    pool: Pool, change: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(change)


def test_an_answer_is_blanked_to_the_byte_and_one_without_personal_fields_kept() -> None:
    outcome = (
        b'{"points":"-12.50","reason":"why","comment":null,"source_id":"\xc3\xa4","metadata":'
        b'{"a":[1.50,1E+2,12345678901234567890123]},"lots":[{"lot_id":"1"}],"error":null}'
    )
    blank = (
        b'{"points":"-12.50","reason":null,"comment":null,"source_id":null,"metadata":null,'
        b'"lots":[{"lot_id":"1"}],"error":null}'
    )
    assert blanked(outcome) == blank
    assert blanked(blank) is blank
    assert json.loads(blank)["points"] == "-12.50"
