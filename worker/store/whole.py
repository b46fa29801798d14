"""Reads members whole: for what may touch any of their wallets and lots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.store.keys import MemberKey
from worker.store.reading import place_lots, place_wallets
from worker.store.statements import columns, statement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import asyncpg

    from worker.domain.member import Member
    from worker.store.writing import Stored


async def read(
    connection: asyncpg.Connection,
    keys: Collection[MemberKey],
    awards: Collection[tuple[MemberKey, str]],
    members: Mapping[MemberKey, Member],
    stored: Mapping[MemberKey, Stored],
) -> None:
    """Put into members all their wallets and lots, and those of `awards` that they have got."""
    wanted = columns(keys, 2)
    place_wallets(await connection.fetch(statement("whole_wallets"), *wanted), members)
    place_lots(await connection.fetch(statement("whole_lots"), *wanted), members)
    if awards:
        labels = columns([(*key, award_id) for key, award_id in awards], 3)
        rows = await connection.fetch(statement("whole_awards"), *labels)
        for program_id, member_id, award_id, award_type in rows:
            members[MemberKey(program_id, member_id)].awards[award_id] = award_type
    for key in keys:
        member = members[key]
        member.is_whole = True
        stored[key].awards = frozenset(member.awards)
