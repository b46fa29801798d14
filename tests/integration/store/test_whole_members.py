"""What a batch made of its members is what the next one reads, whatever the operations were."""

from __future__ import annotations

import copy
import random
from contextlib import asynccontextmanager
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.inside import Desk, request
from worker.envelope.reading import early_arrival
from worker.store.audit import audit
from worker.store.keys import MemberKey, RequestKey
from worker.store.transaction import Books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

    import asyncpg

    from worker.domain.member import Member
    from worker.store.pool import Pool
    from worker.store.transaction import Transaction

MEMBERS = ("a", "b", "c")
START = datetime(2030, 1, 31, 9, tzinfo=UTC)
PROGRAM = """{
    "program_id": "wild", "name": "Wild Rewards", "status": "active", "time_zone": "Europe/Berlin",
    "currencies": [
        {"code": "points", "decimals": 2, "expiry": {"rule": "after", "days": 20},
         "earn_caps": [{"per": "month", "points": "900"}], "balance_cap": "700"},
        {"code": "coins", "decimals": 0, "expiry": {"rule": "never"}}],
    "limits": {"points_per_operator_per_day": "600"}
}"""


def numbered(request_id: str, ordinal: int) -> dict[str, Any]:
    return request(request_id, 1, ordinal=ordinal)


async def test_a_lot_that_was_used_up_gets_back_what_two_debits_took(
    desk: Desk, owner: asyncpg.Connection
) -> None:
    """It is made again with less than it once held, and then filled up beyond that."""
    await desk.apply(request("c", 100), request("d", -60), request("e", -40))
    assert await owner.fetchval("SELECT count(*) FROM points.lots") == 0
    for undone, remaining in (("d", 60), ("e", 100)):
        undo = {"operation": "REVERSE", "reverses": undone}
        await desk.apply({"request_id": f"undo-{undone}", "member_id": "m", **undo})
        row = await owner.fetchrow("SELECT lot_id, remaining, points FROM points.lots")
        assert row is not None
        assert tuple(row) == (1, remaining, remaining)


async def test_a_first_early_request_is_found_again_where_nothing_else_of_its_member_changes(
    desk: Desk, owner: asyncpg.Connection
) -> None:
    """The member's counter stays, and something else falls due before the request's deadline."""
    await desk.apply(request("c", 100), request("h", 1, operation="HOLD", ttl_seconds=60))
    before = await owner.fetchrow("SELECT sequence, due_at FROM points.members")
    await desk.apply(numbered("second", 2))
    assert await owner.fetchrow("SELECT sequence, due_at FROM points.members") == before
    await desk.apply(numbered("first", 1))
    rows = await owner.fetch("SELECT request_id, subject FROM points.journal ORDER BY sequence")
    assert [tuple(row) for row in rows[2:]] == [("first", None), ("first", "second")]


async def test_of_all_awards_that_a_member_ever_got_only_those_are_read_that_requests_name(
    desk: Desk, pool: Pool
) -> None:
    await desk.apply(*(request(f"c{n}", 5, award_id=f"a{n}") for n in range(20)))
    books = desk.applier._books = Watched(pool)
    await desk.apply(
        request("d", -5, award_id="a7"),
        request("e", -5, award_id="a7"),
        request("f", 5, award_id="new"),
        request("g", 1, operation="HOLD"),
    )
    (member,) = books.written.values()
    assert member.is_whole
    assert member.awards == {"a7": None, "new": None}


class Watched(Books):
    """Books that keep what each member was when its batch was written."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.written: dict[MemberKey, Member] = {}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Give a transaction whose members are looked at when it ends."""
        async with super().transaction() as transaction:
            write = transaction.write

            async def watched(entries: Any, members: Iterable[Member], **more: Any) -> None:
                members = list(members)
                await write(entries, members, **more)
                for member in members:
                    key = MemberKey(member.program_id, member.member_id)
                    self.written[key] = copy.deepcopy(member)

            transaction.write = watched  # type: ignore[method-assign]
            yield transaction

    async def read(self, named: Mapping[MemberKey, list[str]]) -> dict[MemberKey, Member]:
        """Read members whole in a transaction of its own."""
        async with super().transaction() as transaction:
            members = await transaction.lock(list(named))
            await transaction.early(members, [], [(key, "") for key in named], [])
            waiting = [RequestKey(*key, one) for key in named for one in members[key].waiting]
            await transaction.read_turns(waiting, members, early_arrival)
            awards = [(key, award_id) for key in named for award_id in ("A", "B")]
            ids = [RequestKey(*key, name) for key in named for name in named[key]]
            await transaction.read_named(list(named), ids, members)
            await transaction.read_whole(list(named), awards, members)
            return members


class History:
    """Random requests of every operation for a few members; what they name is mostly there."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._ids: dict[str, list[str]] = {member_id: [] for member_id in MEMBERS}
        self._ordinals = {member_id: [*range(1, 200)] for member_id in MEMBERS}
        self.now = START

    def batch(self, count: int) -> Iterator[dict[str, Any]]:
        """Yield so many requests, and let some time go by."""
        self.now += timedelta(hours=self._random.choice((0, 1, 5, 30, 90)))
        for _ in range(count):
            member_id = self._random.choice(MEMBERS)
            request_id = f"r{len(self._ids[member_id])}"
            yield {
                "program_id": "wild",
                "member_id": member_id,
                "request_id": request_id,
                **self._some_operation(member_id),
                **self._ordinal(member_id),
                **self._random.choice(({}, {}, {"adjusted_by": "agent"}, {"source": "till"})),
            }
            self._ids[member_id].append(request_id)

    def named(self) -> dict[MemberKey, list[str]]:
        """All request ids of all members."""
        return {MemberKey("wild", member_id): ids for member_id, ids in self._ids.items()}

    def _earlier(self, member_id: str) -> str:
        ids = self._ids[member_id][-25:] or ["none"]
        return self._random.choice(ids)

    def _ordinal(self, member_id: str) -> dict[str, Any]:
        ahead = self._ordinals[member_id]
        if self._random.random() > 0.3:
            return {}
        number = ahead.pop(min(int(self._random.expovariate(0.7)), len(ahead) - 1))
        return {"ordinal": number}

    def _some_operation(self, member_id: str) -> dict[str, Any]:
        pick = self._random
        points = f"{pick.randint(1, 20_000) / 100:.2f}"
        part = pick.choice(({}, {"points": f"{pick.randint(1, 5000) / 100:.2f}"}))
        category = pick.choice(({}, {}, {"category": "PROMISED"}))
        award = pick.choice(
            ({}, {}, {"award_id": "A", "award_type": "bill_regular"}, {"award_id": "B"})
        )
        promotion = pick.choice(({}, {}, {"promotion_id": "P"}))
        expiry = pick.choice(
            (
                {},
                {"expiration_type": "NON_EXPIRING"},
                {"expiration_type": "CUSTOM_DATE", "expiration_date": "2030-03-01"},
            )
        )
        negative = pick.choice(({}, {}, {}, {"allow_negative": True}))
        earlier = self._earlier(member_id)
        return pick.choice(
            [
                {"points": points, **category, **award, **promotion, **expiry},
                {"points": points, **category, **award, **promotion, **expiry},
                {"points": str(pick.randint(1, 90)), "currency": "coins"},
                {"points": f"-{points}", **category, **negative},
                {"points": f"-{points}", **award, **promotion, **negative},
                {"operation": "SET_BALANCE", "points": points, **category},
                {"operation": "HOLD", "points": points, "ttl_seconds": pick.randint(1, 500_000)},
                {"operation": "CAPTURE", "hold": earlier, **part},
                {"operation": "RELEASE", "hold": earlier},
                {"operation": "REVERSE", "reverses": earlier, **part},
                {"operation": "REVERSE", "reverses": earlier},
                {"operation": "CONVERT", "category": "PROMISED", **part},
                {"operation": "EXPIRE"},
                {"points": points, "dry_run": True},
            ]
        )


def told(member: Member, *, whole: bool) -> dict[str, Any]:
    """Return all that the books hold of a member; `whole` says that all of it was read."""
    wallets = {
        key: (
            wallet.balance,
            wallet.deficit,
            wallet.total,
            wallet.version,
            wallet.held,
            [(lot.lot_id, lot.points, lot.remaining, lot.expires_at, lot.label)
             for lot in wallet.lots],
        )
        for key, wallet in member.wallets.items()
        if wallet.version
    }  # fmt: skip
    own = {
        "counter": (member.sequence, member.last_recorded_at, member.due_at, member.has_streams),
    }
    if not whole:
        return own
    return own | {
        "wallets": wallets,
        "holds": {key: astuple(hold) for key, hold in member.holds.items()},
    }


def waiting(member: Member, read: Iterable[str]) -> dict[str, Any]:
    """Return what waits of a member; the content of those that were `read`."""
    return {
        key: (one.ordinal, one.deadline, one.arrival.fingerprint, key in read and one.arrival[:-2])
        for key, one in member.waiting.items()
    }


@pytest.mark.parametrize("seed", range(6))
async def test_what_a_batch_made_of_its_members_is_what_the_next_one_reads(
    pool: Pool, owner: asyncpg.Connection, seed: int
) -> None:
    await owner.execute("INSERT INTO points.programs VALUES ('wild', 1, $1::text::jsonb)", PROGRAM)
    history = History(seed)
    desk = Desk(pool, lambda _: history.now)
    books = desk.applier._books = Watched(pool)
    originals: dict[tuple[MemberKey, str], Any] = {}
    for _ in range(25):
        await desk.apply(*history.batch(12))
        read = await books.read(history.named())
        for key, written in books.written.items():
            whole = written.is_whole
            assert told(read[key], whole=whole) == told(written, whole=whole)
            content = {name for name, one in written.waiting.items() if one.is_read}
            held, known = waiting(read[key], content), waiting(written, content)
            assert held == known if written.knows_waiting else held.items() >= known.items()
            assert read[key].streams.items() >= written.streams.items()
            assert read[key].awards.items() >= written.awards.items()
            assert read[key].ended_holds.items() >= written.ended_holds.items()
            originals |= {(key, name): one for name, one in written.originals.items()}
        found = {(key, name): one for key in read for name, one in read[key].originals.items()}
        assert {name: one for name, one in found.items() if name in originals} == originals
    assert len(originals) > 50
    assert any(original.reversed for original in originals.values())
    assert any(original.converted_lots for original in originals.values())
    kinds = {row[0] for row in await owner.fetch("SELECT event_type FROM points.journal")}
    assert len(kinds) == 7, "all six events, and none for what changed nothing"
    assert await owner.fetchval("SELECT count(*) FROM points.early_requests WHERE ended_step > 0")
    faults = [fault.sentence async for part in audit(pool) for fault in part.faults]
    assert faults == []
