"""What a batch writes: the journal, and what its members have become.

Every statement takes all that there is to write of its kind, and is left out where there is none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from worker.store.entry import Entry
from worker.store.keys import MemberKey
from worker.store.statements import columns, statement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    import asyncpg

    from worker.domain.member import Member, OperatorDay
    from worker.store.early import EarlyEnd, EarlyRow
    from worker.store.keys import OperatorKey, RequestKey

    Rows = Iterable[tuple[Any, ...]]

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(slots=True)
class Stored:
    """What the books held of a member when it was read.

    What only few members have is one empty collection for all the others.
    """

    sequence: int
    last_recorded_at: datetime | None
    due_at: datetime | None
    has_streams: bool
    holds: AbstractSet[str] = frozenset()
    awards: AbstractSet[str] = frozenset()
    reversed: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    streams: Mapping[str, tuple[int, list[tuple[int, int]]]] = field(
        default_factory=lambda: _NOTHING
    )

    def differs(self, member: Member) -> bool:
        """Whether the member's own row has to be written."""
        return (
            member.sequence != self.sequence
            or member.last_recorded_at != self.last_recorded_at
            or member.due_at != self.due_at
            or member.has_streams != self.has_streams
        )


async def books(
    connection: asyncpg.Connection,
    entries: Collection[Entry],
    members: Iterable[Member],
    stored: Mapping[MemberKey, Stored],
) -> None:
    """Write the journal, and all that is the members' own but for requests that wait."""
    with_keys = [(MemberKey(member.program_id, member.member_id), member) for member in members]
    wallets = [
        ((*key, wallet.currency, wallet.category), wallet)
        for key, member in with_keys
        for wallet in member.wallets.values()
        if wallet.version != wallet.stored_version
    ]
    if entries:
        # Nothing else has so many values to send, and COPY takes each of them at half the cost.
        await connection.copy_records_to_table(
            "journal",
            schema_name="points",
            columns=Entry._fields,
            records=entries,
        )
    await _write(
        connection,
        "write_members",
        (
            (*key, m.sequence, m.last_recorded_at, m.due_at, m.has_streams)
            for key, m in with_keys
            if stored[key].differs(m)
        ),
    )
    await _write(
        connection,
        "write_wallets",
        ((*key, w.balance, w.deficit, w.total, w.version, w.held) for key, w in wallets),
    )
    await _write(
        connection,
        "write_lots",
        (
            (*key, t.expires_at, t.lot_id, t.points, t.remaining, t.stored is None, *t.label)
            for key, wallet in wallets
            for t in wallet.touched.values()
            if t.remaining != (t.stored or 0)
        ),
    )
    await _write(
        connection,
        "write_days",
        (
            (*key, day, wallet.days[day].earned, wallet.days[day].spent)
            for key, wallet in wallets
            for day in wallet.touched_days
        ),
    )
    for name, rows_of in _BESIDE_WALLETS.items():
        await _write(
            connection, name, (row for key, m in with_keys for row in rows_of(key, m, stored[key]))
        )


async def early(
    connection: asyncpg.Connection,
    parked: Collection[EarlyRow],
    ended: Collection[EarlyEnd],
    readdressed: Mapping[RequestKey, dict[str, Any] | None],
) -> None:
    """Write the requests that wait now, have new addresses, or wait no longer.

    What has ended makes room for its ordinal first. A request that was parked and decided by the
    same batch is stored as ended.
    """
    ends = {end.key: end for end in ended}
    new = {row.key for row in parked}
    await _write(
        connection,
        "readdress_early",
        ((*key, _json(address)) for key, address in readdressed.items() if key not in new),
    )
    await _write(
        connection,
        "end_early",
        ((*end.key, end.ended_by, end.ended_step) for end in ends.values() if end.key not in new),
    )
    await _write(
        connection,
        "write_early",
        (
            (
                *row.key,
                row.stream,
                row.ordinal,
                row.body if row.key not in ends else None,
                row.fingerprint,
                row.publisher,
                row.is_trusted,
                _json(readdressed.get(row.key, row.address)),
                row.deadline,
                *(ends[row.key][1:] if row.key in ends else (None, None)),
            )
            for row in parked
        ),
    )


async def operators(
    connection: asyncpg.Connection, days: Mapping[OperatorKey, OperatorDay]
) -> None:
    """Write what operators' days, which are locked, have become."""
    await _write(connection, "write_operators", ((*key, day.points) for key, day in days.items()))


def _holds(key: MemberKey, member: Member, stored: Stored) -> Rows:
    """Rows for holds that are new, and for those that have ended: then without a time."""
    for hold in member.holds.values():
        if hold.hold_id not in stored.holds:
            yield (*key, hold.hold_id, hold.currency, hold.category, hold.points, hold.lapses_at)
    for hold_id in stored.holds - member.holds.keys():
        yield (*key, hold_id, None, None, None, None)


def _awards(key: MemberKey, member: Member, stored: Stored) -> Rows:
    for award_id, award_type in member.awards.items():
        if award_id not in stored.awards:
            yield (*key, award_id, award_type)


def _reversals(key: MemberKey, member: Member, stored: Stored) -> Rows:
    for original in member.originals.values():
        if original.reversed != stored.reversed.get(original.request_id, 0):
            yield (*key, original.request_id, original.reversed)


def _streams(key: MemberKey, member: Member, stored: Stored) -> Rows:
    for stream in member.streams.values():
        if stored.streams.get(stream.name) != (stream.next, stream.used):
            yield (*key, stream.name, stream.next, _json(stream.used))


_BESIDE_WALLETS = {
    "write_holds": _holds,
    "write_awards": _awards,
    "write_reversals": _reversals,
    "write_streams": _streams,
}


async def _write(connection: asyncpg.Connection, name: str, rows: Rows) -> None:
    lists = columns(rows, 0)
    if lists:
        await connection.execute(statement(name), *lists)


def _json(value: object) -> str | None:
    """Return JSON as text: in lists of values, a list would be taken for a dimension."""
    return None if value is None else json.dumps(value)
