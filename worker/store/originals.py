"""Reads what requests may name: their members' open holds, and earlier requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import names
from worker.domain.member import REVERSIBLE, EndedHold, Hold, Original
from worker.store.entry import changes_of_lots, read_outcome
from worker.store.keys import MemberKey
from worker.store.statements import columns, statement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import asyncpg

    from worker.domain.member import Member
    from worker.domain.wallet import LotChange
    from worker.store.keys import RequestKey
    from worker.store.writing import Stored


async def read(
    connection: asyncpg.Connection,
    keys: Collection[MemberKey],
    named: Collection[RequestKey],
    members: Mapping[MemberKey, Member],
    stored: Mapping[MemberKey, Stored],
) -> None:
    """Put into members all their open holds, and what else `named` are: theirs, and no others'."""
    for row in await connection.fetch(statement("whole_holds"), *columns(keys, 2)):
        key, hold = MemberKey(row[0], row[1]), Hold(*row[2:])
        members[key].holds[hold.hold_id] = hold
    # An open hold says all of itself.
    ids = [name for name in named if name.request_id not in members[name.member].holds]
    if ids:
        rows = await connection.fetch(statement("whole_originals"), *columns(ids, 3))
        _place_originals(rows, members)
    for key in keys:
        member = members[key]
        stored[key].holds = frozenset(member.holds)
        stored[key].reversed = {name: one.reversed for name, one in member.originals.items()}


def _place_originals(rows: Collection[asyncpg.Record], members: Mapping[MemberKey, Member]) -> None:
    """Put changes that may be reversed, and holds that have ended, into their members."""
    beside: dict[tuple[str, str, str], list[LotChange]] = {}
    for row in rows:
        if not row["is_own"]:
            beside[row["program_id"], row["member_id"], row["request_id"]] = changes_of_lots(
                row["lots"], read_outcome(row["outcome"])
            )
    for row in rows:
        key = MemberKey(row["program_id"], row["member_id"])
        if not row["is_own"]:
            continue
        member, request_id = members[key], row["request_id"]
        document = read_outcome(row["outcome"])
        operation = document["operation"]
        if operation == names.HOLD and request_id not in member.holds:
            member.ended_holds[request_id] = EndedHold(row["currency"], row["category"])
        if operation not in REVERSIBLE:
            continue
        member.originals[request_id] = Original(
            request_id,
            operation,
            row["currency"],
            row["category"],
            row["points"],
            changes_of_lots(row["lots"], document),
            beside.get((*key, request_id), []) if operation == names.CONVERT else [],
            row["reversed"],
        )
