"""One batch's transaction: what it locks, reads and writes.

The number of round trips does not depend on the size of the batch: every statement takes lists.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import asyncpg

from worker.domain.document import from_document
from worker.domain.member import Member
from worker.domain.wallet import Lot, Wallet
from worker.store.entry import Entry
from worker.store.faults import PassingFault, blamed, translated
from worker.store.statements import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Mapping
    from datetime import datetime

    from worker.domain.program import Program

_ENTRY_FIELDS = attrgetter(*(field.name for field in fields(Entry)))
_ENTRY_WIDTH = len(fields(Entry))


class MemberKey(NamedTuple):
    """A member of a programme."""

    program_id: str
    member_id: str


class RequestKey(NamedTuple):
    """A request: ids are unique per member of a programme."""

    program_id: str
    member_id: str
    request_id: str

    @property
    def member(self) -> MemberKey:
        """The member that the request is about."""
        return MemberKey(self.program_id, self.member_id)


class WalletKey(NamedTuple):
    """A wallet of a member."""

    program_id: str
    member_id: str
    currency: str
    category: str

    @property
    def member(self) -> MemberKey:
        """The member whose wallet it is."""
        return MemberKey(self.program_id, self.member_id)


class Books:
    """The database as a source of transactions, with the programmes it has read so far."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._programs: dict[str, Program] = {}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Run one batch's transaction; it commits when the block ends without an error.

        Raises PassingFault and RequestFault for what goes wrong in the database.
        """
        with translated():
            try:
                async with self._pool.acquire() as connection, connection.transaction():
                    with blamed():
                        yield Transaction(cast("asyncpg.Connection", connection), self._programs)
            except asyncpg.ReadOnlySQLTransactionError:
                # The primary has become a standby: find the new one.
                await self._pool.expire_connections()
                raise


class Transaction:
    """The statements of one batch, in the order in which they are to be called."""

    def __init__(self, connection: asyncpg.Connection, programs: dict[str, Program]) -> None:
        self._connection = connection
        self._programs = programs

    async def lock(self, keys: Collection[MemberKey]) -> dict[MemberKey, Member]:
        """Create the members that are new, lock all in key order and return them."""
        columns = _columns(keys, 2)
        await self._connection.execute(statement("create_members"), *columns)
        rows = await self._connection.fetch(statement("lock_members"), *columns)
        return {
            MemberKey(program_id, member_id): Member(
                program_id, member_id, sequence, last_recorded_at, stored_sequence=sequence
            )
            for program_id, member_id, sequence, last_recorded_at in rows
        }

    async def clock_and_programs(
        self, program_ids: Collection[str]
    ) -> tuple[datetime, dict[str, Program]]:
        """Return the database's time after the locks and the programmes that exist.

        One version of each programme serves the whole batch. Raises PassingFault for a document
        that this version of the worker does not know.
        """
        row = await self._connection.fetchrow(statement("clock_and_programs"), list(program_ids))
        assert row is not None, "an aggregate returns one row"
        programs = {}
        for program_id, version in zip(row["program_ids"], row["versions"], strict=True):
            program = self._programs.get(program_id)
            if program is None or program.version != version:
                document = await self._connection.fetchval(
                    statement("read_program"), program_id, version
                )
                try:
                    program = from_document(program_id, version, document)
                except ValueError as error:
                    # A newer version of the worker may know it; nothing may be decided without it.
                    raise PassingFault(error) from error
                self._programs[program_id] = program
            programs[program_id] = program
        return row["now"], programs

    async def known(self, keys: Collection[RequestKey]) -> dict[RequestKey, list[Entry]]:
        """Return all that those of the requests have caused that were carried out before."""
        rows = await self._connection.fetch(statement("read_known"), *_columns(keys, 3))
        known: dict[RequestKey, list[Entry]] = {}
        for row in rows:
            known.setdefault(RequestKey(row[0], row[1], row[2]), []).append(Entry(*row))
        return known

    async def read_wallets(
        self, keys: Collection[WalletKey], members: Mapping[MemberKey, Member]
    ) -> None:
        """Put the wallets that exist into their members, without their lots."""
        rows = await self._connection.fetch(statement("read_wallets"), *_columns(keys, 4))
        for row in rows:
            member = members[MemberKey(row[0], row[1])]
            member.wallets[row[2], row[3]] = _wallet(row)

    async def read_lots(
        self,
        cover: Mapping[WalletKey, int],
        members: Mapping[MemberKey, Member],
        times: Mapping[MemberKey, datetime],
    ) -> None:
        """Put into each wallet its due lots, and the next to be used until `cover` is reached.

        `cover` is in minor units; `times` is each member's time, at which a lot is due or not.
        """
        columns = _columns(cover, 4)
        rows = await self._connection.fetch(
            statement("read_lots"),
            *columns,
            list(cover.values()),
            [times[key.member] for key in cover],
        )
        for row in rows:
            wallet = members[MemberKey(row[0], row[1])].wallets[row[2], row[3]]
            lot = Lot(row[5], row[6], row[7], row[4], stored=row[7])
            wallet.lots.append(lot)

    async def write(self, entries: Collection[Entry], members: Iterable[Member]) -> None:
        """Add to the journal, and store what the members' wallets and lots have become."""
        if not entries:
            return
        await self._connection.execute(
            statement("write_journal"), *_columns(map(_ENTRY_FIELDS, entries), _ENTRY_WIDTH)
        )
        changed = [member for member in members if member.sequence != member.stored_sequence]
        await self._connection.execute(
            statement("write_members"),
            *_columns(
                ((m.program_id, m.member_id, m.sequence, m.last_recorded_at) for m in changed), 4
            ),
        )
        wallets = [
            ((member.program_id, member.member_id, wallet.currency, wallet.category), wallet)
            for member in changed
            for wallet in member.wallets.values()
            if wallet.version != wallet.stored_version
        ]
        await self._connection.execute(
            statement("write_wallets"),
            *_columns(((*key, w.balance, w.deficit, w.total, w.version) for key, w in wallets), 8),
        )
        lots = [
            (*key, lot.expires_at, lot.lot_id, lot.points, lot.remaining, lot.stored is None)
            for key, wallet in wallets
            for lot in wallet.touched.values()
            if lot.remaining != (lot.stored or 0)
        ]
        await self._connection.execute(statement("write_lots"), *_columns(lots, 9))


def _wallet(row: asyncpg.Record) -> Wallet:
    _, _, currency, category, balance, deficit, total, version = row
    return Wallet(currency, category, balance, deficit, total, version, stored_version=version)


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Turn rows into the lists, one a column, that the statements take."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(width)]
