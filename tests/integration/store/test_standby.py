"""Whoever finds that a session's server takes no writes any more goes on with another session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.inside import delivered, request
from worker.caution import Caution, Verdict
from worker.observe.status import Status
from worker.store.directory import Asked, Directory
from worker.store.faults import PassingFault
from worker.store.keys import MemberKey
from worker.store.suspects import Suspects
from worker.store.transaction import Books

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from worker.store.pool import Pool


async def try_suspect(pool: Pool) -> None:
    await Suspects(pool).try_("queue", b"digest")


async def look_up(pool: Pool) -> None:
    await Directory(pool).members([Asked("default", "EMAIL", b"fingerprint", "r")])


async def lock(pool: Pool) -> None:
    async with Books(pool).transaction() as transaction:
        await transaction.lock({MemberKey("default", "m"): None})


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    return emptied_database_url


@pytest.fixture
async def stale(pool: Pool) -> Pool:
    """A pool whose one session is with a server that has become a standby."""
    await pool.execute("SET default_transaction_read_only = on")
    assert pool.get_size() == 1
    return pool


@pytest.mark.parametrize("write", [try_suspect, look_up, lock])
async def test_what_cannot_be_written_is_a_fault_that_passes_with_the_next_session(
    stale: Pool, write: Callable[[Pool], Awaitable[None]]
) -> None:
    with pytest.raises(PassingFault):
        await write(stale)
    await write(stale)


async def test_a_worker_that_cannot_mark_a_suspect_says_so_until_it_can(stale: Pool) -> None:
    status = Status()
    status.clear("starting")
    told: list[tuple[str, bool]] = []

    async def pause(_: float) -> None:
        told.extend((fault.condition, "ReadOnly" in fault.reason) for fault in status.faults())

    caution = Caution(Suspects(stale), pause, status, deliveries_min=2, deaths_max=2)
    async with caution.alone(delivered(request("r", 1))) as verdict:
        assert verdict is Verdict.TRIED
    assert told == [("postgres", True)]
    assert not status.faults()


async def test_a_session_that_ends_before_a_suspect_is_marked_leaves_no_fault_behind(
    stale: Pool,
) -> None:
    status = Status()
    status.clear("starting")

    class Ends(Exception):
        pass

    async def pause(_: float) -> None:
        raise Ends

    caution = Caution(Suspects(stale), pause, status, deliveries_min=2, deaths_max=2)
    with pytest.raises(Ends):
        async with caution.alone(delivered(request("r", 1))):
            raise AssertionError("it is not tried")
    assert not status.faults()
