"""What a batch has to read before its requests can be decided, and no more.

Nearly all requests are plain: unaimed adjustments of members of whom nothing is due and nothing
waits. They need their wallets, and of the lots as many as their debits may take. Whatever else is
asked needs its member whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from schemas import names
from worker.domain.caps import first_day
from worker.domain.money import to_minor_units
from worker.store.keys import OperatorKey, WalletKey

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date, datetime

    from worker.domain.member import Arrival, Member
    from worker.domain.program import Currency, Program
    from worker.domain.request import Request
    from worker.store.keys import MemberKey
    from worker.store.transaction import Transaction

_IN_ANOTHERS_WALLET: Final = (names.REVERSE, names.CAPTURE)
"""The operations that take their wallet from an earlier request."""

_FREE_OF_OPERATORS: Final = (names.HOLD, names.RELEASE, names.EXPIRE)
"""The operations that move no points for an operator."""

Asked = tuple["MemberKey", "Arrival"]


@dataclass(slots=True)
class _Debits:
    """What the plain requests of a batch may take from a wallet, and put into it; minor units."""

    taken: list[int] = field(default_factory=list)
    credited: int = 0
    is_unlimited: bool = False

    def cover(self, held: int) -> int:
        """Return how much the lots must hold that are read, where all of them hold `held`.

        A debit beyond all that the wallet has and will get in this batch needs none, since it
        will be refused, unless it may leave a deficit.
        """
        most = held + self.credited
        return min(held, sum([n for n in self.taken if n <= most or self.is_unlimited]))


async def read(
    transaction: Transaction,
    asked: Collection[Asked],
    programs: Mapping[str, Program],
    members: Mapping[MemberKey, Member],
    times: Mapping[MemberKey, datetime],
) -> None:
    """Read into the members all that these requests of theirs, not decided yet, may touch.

    Members with requests that wait must have them by now.
    """
    # One that waits is released by one that counts in the same stream, if at all.
    streams = {(key, arrival.ordinal[0]) for key, arrival in asked if arrival.ordinal is not None}
    waiting = [
        (key, one.arrival)
        for key in {key for key, _ in streams}
        for one in members[key].waiting.values()
        if (key, one.stream) in streams
    ]
    asked = [*asked, *waiting]
    whole = {
        key: set[str]()
        for key, arrival in asked
        if _is_special(arrival.request) or _is_due(members[key], times[key])
    }
    for key, arrival in asked:
        if key in whole and arrival.request is not None:
            whole[key] |= _named(arrival.request)
    if closed := {key for key, program in programs.items() if program.enrolment_required}:
        strangers = {
            key: members[key]
            for key, _ in asked
            if key.program_id in closed and not members[key].is_enrolled
        }
        await transaction.known_elsewhere(list(strangers.values()))
    awards = {
        (key, arrival.request.award_id)
        for key, arrival in asked
        if key in whole and arrival.request is not None and arrival.request.award_id is not None
    }
    await transaction.read_whole(list(whole), whole, awards, members)
    known = [
        (key, arrival.request, program)
        for key, arrival in asked
        if arrival.request is not None and (program := programs.get(key.program_id)) is not None
    ]
    await _read_plain(transaction, [one for one in known if one[0] not in whole], members, times)
    capped = {key for key, program in programs.items() if _has_caps(program)}
    with_caps = [one for one in known if one[0].program_id in capped]
    await _read_days(transaction, with_caps, members, times)
    limited = [one for one in known if one[2].points_per_operator_per_day is not None]
    await _lock_operators(transaction, limited, members, times)


def _is_special(request: Request | None) -> bool:
    """Tell whether a request needs more than a wallet and its next lots."""
    if request is None:
        return False
    if request.operation != names.ADJUST or request.award_id is not None:
        return True
    is_aimed = request.promotion_id is not None or request.promotion_identifier is not None
    return is_aimed and request.points is not None and request.points[0] < 0


def _has_caps(program: Program) -> bool:
    return any(currency.counts_days for currency in program.currencies)


def _is_due(member: Member, now: datetime) -> bool:
    return member.due_at is not None and member.due_at <= now


def _named(request: Request) -> set[str]:
    """Return the earlier requests that a request names."""
    return {name for name in (request.reverses, request.hold) if name is not None}


_Known = tuple["MemberKey", "Request", "Program"]


async def _read_plain(
    transaction: Transaction,
    known: Collection[_Known],
    members: Mapping[MemberKey, Member],
    times: Mapping[MemberKey, datetime],
) -> None:
    """Read the wallets of plain requests, and as many of their lots as their debits may need."""
    debits: dict[WalletKey, _Debits] = {}
    for key, request, program in known:
        currency = program.currency(request.currency)
        if currency is None or request.points is None:
            continue
        place = WalletKey(*key, currency.code, request.category)
        wallet = debits.get(place)
        if wallet is None:
            wallet = debits[place] = _Debits()
        points = to_minor_units(*request.points, currency.decimals) or 0
        if points >= 0:
            wallet.credited += points
        else:
            wallet.taken.append(-points)
            wallet.is_unlimited |= request.allow_negative or program.allow_negative
    if not debits:
        return
    await transaction.read_wallets(debits, members)
    cover = {}
    for place, debit in debits.items():
        found = members[place.member].wallets.get((place.currency, place.category))
        if found is not None:
            cover[place] = debit.cover(found.balance + found.deficit)
    await transaction.read_lots(cover, members, times)


async def _read_days(
    transaction: Transaction,
    known: Collection[_Known],
    members: Mapping[MemberKey, Member],
    times: Mapping[MemberKey, datetime],
) -> None:
    """Read what was earned and spent in the wallets whose currencies have caps.

    All programmes of `known` have such currencies.
    """
    since: dict[WalletKey, date] = {}
    for key, request, program in known:
        code, category = request.currency, request.category
        hold = members[key].holds.get(request.hold or "")
        if hold is not None:
            code, category = hold.currency, hold.category
        currency = program.currency(code)
        if currency is None or not currency.counts_days:
            continue
        today = times[key].astimezone(program.time_zone).date()
        caps = (*currency.earn_caps, *currency.spend_caps)
        first = min(first_day(cap, today) for cap in caps)
        since[WalletKey(*key, currency.code, category)] = first
    await transaction.read_days(since, members)


async def _lock_operators(
    transaction: Transaction,
    known: Collection[_Known],
    members: Mapping[MemberKey, Member],
    times: Mapping[MemberKey, datetime],
) -> None:
    """Lock what operators have moved today, and share it between the members.

    All programmes of `known` limit that.
    """
    wanted: dict[OperatorKey, set[MemberKey]] = {}
    for key, request, program in known:
        operator = request.adjusted_by
        if not operator or request.operation in _FREE_OF_OPERATORS:
            continue
        today = times[key].astimezone(program.time_zone).date()
        for currency in _currencies(program, request):
            operator_key = OperatorKey(program.program_id, operator, currency.code, today)
            wanted.setdefault(operator_key, set()).add(key)
    days = await transaction.operators(wanted)
    for operator_key, day in days.items():
        for key in wanted[operator_key]:
            members[key].operators[operator_key[1:]] = day


def _currencies(program: Program, request: Request) -> Collection[Currency]:
    """Return the currencies that a request may be about; more than one where another tells."""
    if request.operation in _IN_ANOTHERS_WALLET:
        return program.currencies
    currency = program.currency(request.currency)
    return () if currency is None else (currency,)
