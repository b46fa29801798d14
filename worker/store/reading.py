"""What a batch reads under its members' locks, put into the members that it reads it for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.domain.member import Arrival, OperatorDay, Stream, Waiting
from worker.domain.wallet import UNLABELLED, Day, Label, Lot, Wallet
from worker.store.early import Early, EarlyRow, EndedEarly, Released
from worker.store.entry import Entry
from worker.store.keys import MemberKey, OperatorKey, RequestKey, WalletKey
from worker.store.statements import columns, statement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import date

    import asyncpg

    from worker.domain.member import Member
    from worker.store.early import ArrivalOf
    from worker.store.writing import Stored


def place_wallets(rows: Iterable[asyncpg.Record], members: Mapping[MemberKey, Member]) -> None:
    """Put wallets, as `read_wallets.sql` gives them, into their members, without their lots."""
    for program_id, member_id, currency, category, balance, deficit, total, version, held in rows:
        members[MemberKey(program_id, member_id)].wallets[currency, category] = Wallet(
            currency,
            category,
            balance,
            deficit,
            total,
            version,
            stored_version=version,
            held=held,
        )


def place_lots(rows: Iterable[asyncpg.Record], members: Mapping[MemberKey, Member]) -> None:
    """Put lots, as `read_lots.sql` gives them in the order of use, into their wallets."""
    for row in rows:
        program_id, member_id, currency, category, expires_at, lot_id, points, remaining = row[:8]
        wallet = members[MemberKey(program_id, member_id)].wallets[currency, category]
        lot = Lot(lot_id, points, remaining, expires_at, stored=remaining)
        if row[8:] != UNLABELLED:
            lot.label = Label(*row[8:])
        wallet.lots.append(lot)


async def early(
    connection: asyncpg.Connection,
    members: Mapping[MemberKey, Member],
    requests: Collection[RequestKey],
    named: Collection[tuple[MemberKey, str]],
    ending: Collection[MemberKey],
    stored: Mapping[MemberKey, Stored],
) -> Early:
    """Read what waits, without its content, and its streams; and what has ended of `requests`."""
    streams = {(*key, stream): None for key, stream in named if key in members}
    counting = {key: None for key, _ in named if key in members}
    counting.update({key: None for key in ending if key in members})
    repeats = [key for key in requests if key.member in members and key.member not in counting]
    places = (*columns(counting, 2), *columns(repeats, 3))
    for row in await connection.fetch(statement("read_waiting"), *places):
        key, (request_id, stream, ordinal, fingerprint, deadline) = MemberKey(*row[:2]), row[2:]
        arrival = Arrival(request_id, None, fingerprint, ordinal=(stream, ordinal))
        members[key].waiting[request_id] = Waiting(arrival, stream, ordinal, deadline)
        streams[*key, stream] = None
    for key, member in members.items():
        member.knows_waiting = key in counting
    for row in await connection.fetch(statement("read_streams"), *columns(streams, 3)):
        key = MemberKey(row[0], row[1])
        stream = Stream(row[2], row[3], [(first, last) for first, last in row[4]])
        members[key].streams[stream.name] = stream
    for key, member in members.items():
        stored[key].streams = {
            stream.name: (stream.next, list(stream.used)) for stream in member.streams.values()
        }
    wanted = columns([key for key in requests if key.member in members], 3)
    found = Early()
    for row in await connection.fetch(statement("read_ended"), *wanted):
        request_id, fingerprint, *entry_columns = row
        own = Entry(*entry_columns)
        request = RequestKey(own.program_id, own.member_id, request_id)
        found.ended[request] = EndedEarly(fingerprint, own)
    for row in await connection.fetch(statement("read_released"), *wanted):
        cause = RequestKey(row[0], row[1], row[2])
        found.released.setdefault(cause, []).append(Released(*row[3:]))
    return found


async def turns(
    connection: asyncpg.Connection,
    keys: Collection[RequestKey],
    members: Mapping[MemberKey, Member],
    arrival_of: ArrivalOf,
) -> None:
    """Read the content of waiting requests."""
    for row in await connection.fetch(statement("read_turns"), *columns(keys, 3)):
        early_row = EarlyRow(RequestKey(row[0], row[1], row[2]), *row[3:])
        waiting = members[early_row.key.member].waiting[early_row.key.request_id]
        waiting.arrival = arrival_of(early_row)


async def known_elsewhere(connection: asyncpg.Connection, members: Collection[Member]) -> None:
    """Set `is_known_elsewhere` of members."""
    wanted = columns(((member.program_id, member.member_id) for member in members), 2)
    rows = await connection.fetch(statement("read_known_elsewhere"), *wanted)
    known = {(row[0], row[1]) for row in rows}
    for member in members:
        member.is_known_elsewhere = (member.program_id, member.member_id) in known


async def days(
    connection: asyncpg.Connection,
    since: Mapping[WalletKey, date],
    members: Mapping[MemberKey, Member],
) -> None:
    """Put into wallets what they earned and spent on each day from `since` on."""
    rows = await connection.fetch(statement("read_days"), *columns(since, 4), list(since.values()))
    for program_id, member_id, currency, category, day, earned, spent in rows:
        wallet = members[MemberKey(program_id, member_id)].wallet(currency, category)
        wallet.days[day] = Day(earned, spent)


async def operators(
    connection: asyncpg.Connection, keys: Collection[OperatorKey]
) -> dict[OperatorKey, OperatorDay]:
    """Create the operators' days that are new, lock all in key order and return them."""
    wanted = columns(keys, 4)
    await connection.execute(statement("create_operators"), *wanted)
    rows = await connection.fetch(statement("lock_operators"), *wanted)
    return {OperatorKey(*row[:4]): OperatorDay(row[4]) for row in rows}
