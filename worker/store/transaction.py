"""One batch's transaction: what it locks, reads and writes.

The number of round trips does not depend on the size of the batch: every statement takes lists,
and what only some batches need is asked only where there is something to ask about.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from worker.domain.member import Member, OperatorDay
from worker.store import originals, reading, whole, writing
from worker.store.catalogue import Catalogue
from worker.store.early import Early
from worker.store.entry import Entry
from worker.store.faults import blamed
from worker.store.keys import MemberKey, RequestKey
from worker.store.pool import acquired
from worker.store.statements import columns, statement
from worker.store.writing import Stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Mapping
    from datetime import date, datetime

    import asyncpg

    from worker.domain.program import Program
    from worker.store.early import ArrivalOf, EarlyEnd, EarlyRow
    from worker.store.keys import OperatorKey, WalletKey


class Books:
    """The database as a source of transactions, with the programmes it has read so far."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._catalogue = Catalogue()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Run one batch's transaction; it commits when the block ends without an error.

        Raises PassingFault and RequestFault for what goes wrong in the database.
        """
        async with acquired(self._pool) as connection, connection.transaction():
            transaction = Transaction(connection, self._catalogue)
            with blamed(transaction.waiting):
                yield transaction


class Transaction:
    """The statements of one batch, in the order in which they are to be called.

    `members` are always the objects that `lock` returned: what they held when they were read is
    remembered, and `write` stores what has changed since. `waiting` are the requests that waited
    and may have been decided, each stream's in order.
    """

    def __init__(self, connection: asyncpg.Connection, catalogue: Catalogue) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self.waiting: list[RequestKey] = []
        self._stored: dict[MemberKey, Stored] = {}
        self._operators: dict[OperatorKey, tuple[OperatorDay, int]] = {}

    async def lock(self, keys: Collection[MemberKey]) -> dict[MemberKey, Member]:
        """Create the members that are new, lock all in key order and return them.

        They come with all that stands in their own row: counter, clock, `status`, `is_enrolled`,
        `due_at` and `has_streams`.
        """
        wanted = columns(keys, 2)
        await self._connection.execute(statement("create_members"), *wanted)
        rows = await self._connection.fetch(statement("lock_members"), *wanted)
        members = {}
        for program_id, member_id, sequence, last_recorded_at, *rest in rows:
            due_at, has_streams, status, is_enrolled = rest
            key = MemberKey(program_id, member_id)
            members[key] = Member(
                program_id,
                member_id,
                sequence,
                last_recorded_at,
                status=status,
                is_enrolled=is_enrolled,
                due_at=due_at,
                has_streams=has_streams,
            )
            self._stored[key] = Stored(sequence, last_recorded_at, due_at, has_streams)
        return members

    async def clock_and_programs(
        self, program_ids: Collection[str]
    ) -> tuple[datetime, dict[str, Program]]:
        """Return the database's time after the locks and the programmes that exist.

        One version of each programme serves the whole batch. Raises PassingFault for a document
        that this version of the worker does not know.
        """
        return await self._catalogue.read(self._connection, program_ids)

    async def known(self, keys: Collection[RequestKey]) -> dict[RequestKey, list[Entry]]:
        """Return all that those of the requests have caused that were carried out before.

        In the order of their steps. A request's own outcome is the entry with a fingerprint. A
        request that was early is not among them: see `early`.
        """
        rows = await self._connection.fetch(statement("read_known"), *columns(keys, 3))
        known: dict[RequestKey, list[Entry]] = {}
        for row in rows:
            known.setdefault(RequestKey(row[0], row[1], row[2]), []).append(Entry(*row))
        return known

    async def early(
        self,
        members: Mapping[MemberKey, Member],
        requests: Collection[RequestKey],
        named: Collection[tuple[MemberKey, str]],
        ending: Collection[MemberKey],
    ) -> Early:
        """Read the ordinals: streams and waiting requests into the members that have any.

        `named` are the streams that requests of the batch count in, `ending` the members of whom
        requests may end because they have waited too long. What waits of these members is read,
        but for its content, which may be much: see `read_turns`; of others only what is among
        `requests`. Other streams than `named` are read only where something of that waits: a
        member may have had any number of them.
        Returns what the batch's requests have to do with earlier early ones. Members without
        streams cost nothing, and if none has any, no round trip is made.
        """
        having = {key: member for key, member in members.items() if member.has_streams}
        if not having:
            return Early()
        return await reading.early(self._connection, having, requests, named, ending, self._stored)

    async def read_turns(
        self,
        keys: Collection[RequestKey],
        members: Mapping[MemberKey, Member],
        arrival_of: ArrivalOf,
    ) -> None:
        """Read the content of requests that `early` found waiting, before they are decided.

        Each stream's in order. `arrival_of` makes the request of a stored row.
        """
        if keys:
            await reading.turns(self._connection, keys, members, arrival_of)
            self.waiting += keys

    async def known_elsewhere(self, members: Collection[Member]) -> None:
        """Find out of members whether another programme has enrolled them, or they have points."""
        if members:
            await reading.known_elsewhere(self._connection, members)

    async def read_wallets(
        self, keys: Collection[WalletKey], members: Mapping[MemberKey, Member]
    ) -> None:
        """Put the wallets that exist into their members, without their lots."""
        rows = await self._connection.fetch(statement("read_wallets"), *columns(keys, 4))
        reading.place_wallets(rows, members)

    async def read_all_wallets(
        self, keys: Collection[MemberKey], members: Mapping[MemberKey, Member]
    ) -> None:
        """Put all their wallets into members of whom something may be due, without their lots.

        `read_named` was called for them, and `read_lots` is to be, with what leaves a lot of each
        wallet: that tells what falls due next.
        """
        if keys:
            rows = await self._connection.fetch(statement("whole_wallets"), *columns(keys, 2))
            reading.place_wallets(rows, members)
            for key in keys:
                members[key].has_next = True

    async def read_lots(
        self,
        cover: Mapping[WalletKey, int],
        members: Mapping[MemberKey, Member],
        times: Mapping[MemberKey, datetime],
    ) -> None:
        """Put into each wallet its due lots, and the next to be used until `cover` is reached.

        `cover` is in minor units; `times` is each member's time, at which a lot is due or not.
        """
        wanted = columns(cover, 4)
        rows = await self._connection.fetch(
            statement("read_lots"),
            *wanted,
            list(cover.values()),
            [times[key.member] for key in cover],
        )
        reading.place_lots(rows, members)

    async def read_named(
        self,
        keys: Collection[MemberKey],
        ids: Collection[RequestKey],
        members: Mapping[MemberKey, Member],
    ) -> None:
        """Put into members all their open holds, and what requests name.

        `ids` are the ids that requests of these members give in `reverses` and `hold`: those that
        are applied changes come into `originals`, those that are holds no longer open into
        `ended_holds`.
        """
        if keys:
            await originals.read(self._connection, keys, ids, members, self._stored)

    async def read_whole(
        self,
        keys: Collection[MemberKey],
        awards: Collection[tuple[MemberKey, str]],
        members: Mapping[MemberKey, Member],
    ) -> None:
        """Read all wallets and lots of members for whom `read_named` was called.

        `awards` are the awards that requests name: of all that a member has ever got, only these
        are read. Must come before `read_days`, and instead of `read_wallets` and `read_lots` for
        these members.
        """
        if keys:
            await whole.read(self._connection, keys, awards, members, self._stored)

    async def read_days(
        self, since: Mapping[WalletKey, date], members: Mapping[MemberKey, Member]
    ) -> None:
        """Put into wallets what they earned and spent on each day from `since` on."""
        if since:
            await reading.days(self._connection, since, members)

    async def operators(self, keys: Collection[OperatorKey]) -> dict[OperatorKey, OperatorDay]:
        """Lock the operators' days, in key order, and return what each has moved.

        They span members, so all members of the batch must be locked before. `write` stores them.
        """
        if not keys:
            return {}
        found = await reading.operators(self._connection, keys)
        self._operators = {key: (day, day.points) for key, day in found.items()}
        return found

    async def write(
        self,
        entries: Collection[Entry],
        members: Iterable[Member],
        *,
        parked: Collection[EarlyRow] = (),
        ended: Collection[EarlyEnd] = (),
        readdressed: Mapping[RequestKey, dict[str, Any] | None] | None = None,
    ) -> None:
        """Add to the journal, and store what the members have become.

        `parked` are the requests that wait since this batch, `ended` those that were decided with
        another request, also of those that this batch parked; `readdressed` are waiting requests
        that were sent again, with the new address.
        """
        await writing.books(self._connection, entries, members, self._stored)
        await writing.early(self._connection, parked, ended, readdressed or {})
        changed = {
            key: day for key, (day, before) in self._operators.items() if day.points != before
        }
        await writing.operators(self._connection, changed)
