"""Which waiting requests a batch has to read: those that it may decide, and no more.

So much may wait of a member that reading it with every batch would hold up all that does not wait.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from schemas import names
from worker.domain import expire, ordinals
from worker.store.keys import RequestKey

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from worker.domain.member import Arrival, Member
    from worker.store.early import ArrivalOf
    from worker.store.keys import MemberKey
    from worker.store.transaction import Transaction

    Asked = tuple[MemberKey, Arrival]


def ending(
    arrived: Iterable[Asked | None],
    members: Mapping[MemberKey, Member],
    times: Mapping[MemberKey, datetime],
) -> set[MemberKey]:
    """Return of whom all deadlines matter: those may pass now, or tell what is due next."""
    due = {key for key, member in members.items() if member.has_due(times[key])}
    return due | _expiring(one for one in arrived if one is not None)


async def read(
    transaction: Transaction,
    asked: Collection[Asked],
    members: Mapping[MemberKey, Member],
    times: Mapping[MemberKey, datetime],
    arrival_of: ArrivalOf,
) -> None:
    """Read the content of what waits and may be decided with these requests, not decided yet."""
    numbers: defaultdict[tuple[MemberKey, str], set[int]] = defaultdict(set)
    for key, arrival in asked:
        if arrival.ordinal is not None:
            numbers[key, arrival.ordinal[0]].add(arrival.ordinal[1])
    released = {
        RequestKey(*key, one.arrival.request_id): one
        for (key, stream), coming in numbers.items()
        for one in ordinals.may_be_released(members[key], stream, coming)
    }
    await transaction.read_turns(released, members, arrival_of)
    # An `EXPIRE` may have waited itself.
    expiring = _expiring([*asked, *((key.member, one.arrival) for key, one in released.items())])
    ended = {
        RequestKey(*key, one.arrival.request_id): None
        for key in expiring
        for one in expire.ending(members[key], times[key])
    }
    left = [key for key in ended if key not in released]
    await transaction.read_turns(left, members, arrival_of)


def _expiring(asked: Iterable[Asked]) -> set[MemberKey]:
    """Return who is asked to `EXPIRE` what is due."""
    return {
        key
        for key, arrival in asked
        if arrival.request is not None and arrival.request.operation == names.EXPIRE
    }
