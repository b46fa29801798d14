"""A new version of a programme comes in between batches, never beside one that knows the old."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.waiting import until
from worker.domain.document import BadDocument
from worker.store.programs import apply_program, stored_program, stored_programs

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

BOTH = {"currencies": [{"code": "points"}, {"code": "coins", "decimals": 2}]}
ONE = {"currencies": [{"code": "points"}]}


async def test_versions_count_from_one_and_the_newest_is_the_one_in_force(
    database_url: str,
) -> None:
    applied = [await apply_program(database_url, "acme", one) for one in (ONE, BOTH, BOTH, ONE)]
    assert [(one.version, one.is_new) for one in applied] == [
        (1, True), (2, True), (2, False), (3, True),
    ]  # fmt: skip
    assert [one.previous for one in applied] == [None, ONE, BOTH, BOTH]
    old = await stored_program(database_url, "acme", 2)
    assert old is not None
    assert (old.version, old.document) == (2, BOTH)
    newest = {one.program_id: one.version for one in await stored_programs(database_url)}
    assert newest == {"acme": 3, "default": 1}
    assert await stored_program(database_url, "acme", 4) is None


async def test_a_batch_in_flight_that_credits_a_currency_keeps_it_from_going(
    owner: asyncpg.Connection, database_url: str
) -> None:
    await apply_program(database_url, "acme", BOTH)
    batch = await asyncpg.connect(database_url)
    transaction = batch.transaction()
    await transaction.start()
    await batch.execute("INSERT INTO points.members (program_id, member_id) VALUES ('acme', 'a')")
    going = asyncio.create_task(apply_program(database_url, "acme", ONE))
    await until(waits(owner, "points.members"), what="the new version waits for the batch")
    await batch.execute(
        "INSERT INTO points.wallets VALUES ('acme', 'a', 'coins', 'REGULAR', 5, 0, 5, 1)"
    )
    await transaction.commit()
    await batch.close()
    with pytest.raises(BadDocument, match="must keep coins, in which members have points"):
        await going
    assert len(await stored_programs(database_url)) == 2


@pytest.mark.parametrize(
    "wallet", ["-5, 5, 0, 1, 0", "0, 0, 5, 1, 3", "0, 0, 5, 1, 0"], ids=["owed", "held", "empty"]
)
async def test_points_that_are_owed_or_held_keep_a_currency_too(
    owner: asyncpg.Connection, database_url: str, wallet: str
) -> None:
    await apply_program(database_url, "acme", BOTH)
    await owner.execute("INSERT INTO points.members (program_id, member_id) VALUES ('acme', 'a')")
    await owner.execute(
        "INSERT INTO points.wallets (program_id, member_id, currency, category, balance, deficit,"
        f" total, version, held) VALUES ('acme', 'a', 'coins', 'REGULAR', {wallet})"
    )
    if wallet == "0, 0, 5, 1, 0":
        assert (await apply_program(database_url, "acme", ONE)).version == 2
        return
    with pytest.raises(BadDocument, match="must keep coins"):
        await apply_program(database_url, "acme", ONE)


def waits(connection: asyncpg.Connection, table: str) -> Callable[[], Coroutine[Any, Any, bool]]:
    async def ask() -> bool:
        asked = "SELECT count(*) FROM pg_locks WHERE relation = $1::regclass AND NOT granted"
        return bool(await connection.fetchval(asked, table))

    return ask
