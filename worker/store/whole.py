"""Reads members whole: what any operation but a plain adjustment may need of them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from schemas import names
from worker.domain.member import Hold, Original
from worker.domain.wallet import Label, LotChange
from worker.store.keys import MemberKey
from worker.store.reading import place_lots, place_wallets
from worker.store.statements import columns, statement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import asyncpg

    from worker.domain.member import Member
    from worker.store.writing import Stored

_REVERSIBLE: Final = {names.ADJUST, names.SET_BALANCE, names.CAPTURE, names.CONVERT}


async def read(
    connection: asyncpg.Connection,
    keys: Collection[MemberKey],
    named: Mapping[MemberKey, Collection[str]],
    members: Mapping[MemberKey, Member],
    stored: Mapping[MemberKey, Stored],
) -> None:
    """Put into members all their wallets, lots, holds and awards, and what `named` names."""
    wanted = columns(keys, 2)
    place_wallets(await connection.fetch(statement("whole_wallets"), *wanted), members)
    place_lots(await connection.fetch(statement("whole_lots"), *wanted), members)
    for row in await connection.fetch(statement("whole_holds"), *wanted):
        key, hold = MemberKey(row[0], row[1]), Hold(*row[2:])
        members[key].holds[hold.hold_id] = hold
        stored[key].holds.add(hold.hold_id)
    for program_id, member_id, award_id, award_type in await connection.fetch(
        statement("whole_awards"), *wanted
    ):
        key = MemberKey(program_id, member_id)
        members[key].awards[award_id] = stored[key].awards[award_id] = award_type
    ids = [(*key, request_id) for key in keys for request_id in named.get(key, ())]
    if ids:
        rows = await connection.fetch(statement("whole_originals"), *columns(ids, 3))
        _place_originals(rows, members, stored)
    for key in keys:
        members[key].is_whole = True


def _place_originals(
    rows: Collection[asyncpg.Record],
    members: Mapping[MemberKey, Member],
    stored: Mapping[MemberKey, Stored],
) -> None:
    """Put changes that may be reversed, and holds that have ended, into their members."""
    beside: dict[tuple[str, str, str], list[LotChange]] = {}
    for row in rows:
        if not row["is_own"]:
            beside[row["program_id"], row["member_id"], row["request_id"]] = _lots(row)
    for row in rows:
        key = MemberKey(row["program_id"], row["member_id"])
        if not row["is_own"]:
            continue
        member, request_id = members[key], row["request_id"]
        operation = _read(row["outcome"])["operation"]
        if operation == names.HOLD and request_id not in member.holds:
            member.ended_holds.add(request_id)
        if operation not in _REVERSIBLE:
            continue
        member.originals[request_id] = Original(
            request_id,
            operation,
            row["currency"],
            row["category"],
            row["points"],
            _lots(row),
            beside.get((*key, request_id), []) if operation == names.CONVERT else [],
            row["reversed"],
        )
        stored[key].reversed[request_id] = row["reversed"]


def _lots(row: asyncpg.Record) -> list[LotChange]:
    """Return all changes of lots: as listed beside the outcome, else as the outcome has them."""
    if row["lots"] is not None:
        return [
            LotChange(lot_id, points, _moment(expires_at), Label(*label))
            for lot_id, points, expires_at, *label in row["lots"]
        ]
    return [
        LotChange(
            int(lot["lot_id"]),
            # An amount is written with all decimals of its currency.
            int(lot["points"].replace(".", "")),
            _moment(lot["expires_at"]),
            Label(award_id=lot.get("award_id"), promotion_id=lot.get("promotion_id")),
        )
        for lot in _read(row["outcome"])["lots"]
    ]


def _read(outcome: bytes) -> dict[str, Any]:
    # All that is wanted here is text; numbers occur in metadata, where they may be of any size.
    document: dict[str, Any] = json.loads(outcome, parse_int=str, parse_float=str)
    return document


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
