"""Ordinals: the publishers' own counter per member and stream, and requests that came early.

A request whose number is next is decided at once; one that is early waits for its predecessors,
up to a time; a number that was used up is taken by nobody else. Numbers are used up by rejections
as well, so that a faulty request never holds up those after it. A stream has room for so many
numbers beyond gaps; one for which there is none is not used up.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from schemas import errors
from worker.domain.member import Stream, Waiting
from worker.domain.outcome import Rejection

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from worker.domain.member import Arrival, Member

Turn = Literal["next", "early", "used"]


@dataclass(frozen=True, slots=True)
class Parking:
    """How long an early request waits for its predecessors, and how many of a member may.

    No more stretches of numbers that were used up early are remembered of a stream either.
    """

    wait_seconds: float = 3600
    per_member_max: int = 1000


def turn_of(member: Member, ordinal: tuple[str, int]) -> Turn:
    """Return whether a number is next in its stream, early, or used up.

    One that another request waits under is used as well.
    """
    name, number = ordinal
    stream = member.streams.get(name)
    first = stream.next if stream else 1
    if number == first:
        return "next"
    if number < first or (stream and _is_used(stream, number)):
        return "used"
    if any(one.stream == name and one.ordinal == number for one in member.waiting.values()):
        return "used"
    return "early"


def refusal(turn: Turn) -> Rejection | None:
    """Refuse a number that is used, and one that is early where nothing can wait for its turn."""
    if turn == "next":
        return None
    if turn == "used":
        return Rejection(
            errors.ORDINAL_USED, "Another request has used up this ordinal of the stream."
        )
    return Rejection(errors.ORDINAL_GAP, "Requests with lower ordinals of the stream are missing.")


def out_of_time(waiting: Waiting) -> Rejection:
    """Return why a request that has waited too long is refused."""
    return Rejection(
        errors.ORDINAL_GAP,
        f"Requests with lower ordinals than {waiting.ordinal} did not come in time.",
    )


def park(member: Member, arrival: Arrival, now: datetime, parking: Parking) -> Waiting | None:
    """Let an early request wait; None where too many wait already, or its stream has no room."""
    assert arrival.ordinal is not None, "only a request with a number can be early"
    if len(member.waiting) >= parking.per_member_max:
        return None
    if not has_room(member, arrival.ordinal, parking):
        return None
    name, number = arrival.ordinal
    deadline = now + timedelta(seconds=parking.wait_seconds)
    member.stream(name)
    waiting = Waiting(arrival, name, number, deadline)
    member.waiting[arrival.request_id] = waiting
    member.falls_due(deadline)
    return waiting


def has_room(member: Member, ordinal: tuple[str, int], parking: Parking) -> bool:
    """Tell whether an early number could be remembered as used up.

    One beside others that are needs no room. Whatever waits has its room already, for the time
    when it has waited too long.
    """
    name, number = ordinal
    stream = member.streams.get(name)
    used = stream.used if stream else []
    if any(first - 1 <= number <= last + 1 for first, last in used):
        return True
    waiting = sum(one.stream == name for one in member.waiting.values())
    return len(used) + waiting < parking.per_member_max


def use_up(member: Member, ordinal: tuple[str, int]) -> None:
    """Use up a number that is next or early; the next one is the first that nobody has used."""
    name, number = ordinal
    stream = member.stream(name)
    if number == stream.next:
        stream.next += 1
        while stream.used and stream.used[0][0] == stream.next:
            stream.next = stream.used.pop(0)[1] + 1
        return
    insort(stream.used, (number, number))
    at = stream.used.index((number, number))
    if at + 1 < len(stream.used) and stream.used[at + 1][0] == number + 1:
        stream.used[at] = (number, stream.used.pop(at + 1)[1])
    if at and stream.used[at - 1][1] == number - 1:
        stream.used[at - 1] = (stream.used[at - 1][0], stream.used.pop(at)[1])


def released(member: Member, name: str) -> Iterator[Waiting]:
    """Take out, one after the other, what waited and is next now.

    Whoever iterates uses up the number of each before asking for the next one.
    """
    stream = member.streams.get(name)
    if stream is None or not member.waiting:
        return
    by_number = {one.ordinal: one for one in member.waiting.values() if one.stream == name}
    while (waiting := by_number.get(stream.next)) is not None:
        # An `EXPIRE` that was released may have refused it meanwhile: then its number is used.
        del member.waiting[waiting.arrival.request_id]
        yield waiting


def may_be_released(member: Member, name: str, numbers: Collection[int]) -> list[Waiting]:
    """Return, in order, what waits in a stream and may have its turn once these numbers came."""
    stream = member.streams.get(name) or Stream(name)
    by_number = {one.ordinal: one for one in member.waiting.values() if one.stream == name}
    used = dict(stream.used)
    found, number = [], stream.next
    while number in used or number in numbers or number in by_number:
        if number in by_number:
            found.append(by_number[number])
        number = used.get(number, number) + 1
    return found


def _is_used(stream: Stream, number: int) -> bool:
    return any(first <= number <= last for first, last in stream.used)
