"""What the state of the database brings is no request's fault, and refuses none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.inside import Desk, request
from worker.store import pool as store_pool
from worker.store.faults import PassingFault, RefusedFault
from worker.store.pool import check_role, close_pool

if TYPE_CHECKING:
    import asyncpg

    from worker.store.pool import Pool

RAISE = """
CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'as the test wants it' USING ERRCODE = 'program_limit_exceeded'; END
$$;
CREATE TRIGGER fail BEFORE INSERT ON points.journal
FOR EACH STATEMENT EXECUTE FUNCTION public.fail();
"""


async def test_a_role_that_is_missing_holds_the_batch_and_blames_nobody(
    desk: Desk, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database restored from a dump has no roles."""
    await pool.expire_connections()
    monkeypatch.setattr(store_pool, "ROLE", "points_nobody")
    with pytest.raises(RefusedFault, match="points_nobody"):
        await desk.apply(request("r", 1))
    await close_pool(pool)


async def test_a_role_that_is_missing_is_noticed_before_a_worker_starts(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await check_role(database_url)
    monkeypatch.setattr(store_pool, "ROLE", "points_nobody")
    with pytest.raises(RefusedFault, match="points_nobody"):
        await check_role(database_url)


async def test_a_server_that_has_run_out_of_transactions_is_waited_for(
    desk: Desk, owner: asyncpg.Connection
) -> None:
    await owner.execute(RAISE)
    with pytest.raises(PassingFault) as raised:
        await desk.apply(request("r", 1))
    assert raised.value.timed_out
    assert type(raised.value) is PassingFault


async def test_a_programme_that_only_a_newer_worker_knows_is_waited_for(
    desk: Desk, owner: asyncpg.Connection
) -> None:
    document = {"currencies": [{"code": "points"}], "balance_cap": "5000"}
    await owner.execute(
        "INSERT INTO points.programs (program_id, version, document) VALUES ('newer', 1, $1)",
        json.dumps(document),
    )
    with pytest.raises(PassingFault, match="balance_cap"):
        await desk.apply(request("r", 1, program_id="newer"))
    assert await owner.fetchval("SELECT count(*) FROM points.journal") == 0
