"""What a batch has to read before its requests can be decided, and no more.

Nearly all requests are bounded: they need their wallets, and of the lots as many as they may take,
however many there are. Those about holds need these, too. Where something is due, all wallets and
holds are needed, what is due of the lots, and the next one, which says when something is due again.
Whatever else is asked needs its member whole.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from schemas import names
from worker.domain.caps import first_day
from worker.domain.member import Hold
from worker.domain.money import MINOR_UNITS_MAX, to_minor_units
from worker.store.keys import OperatorKey, RequestKey, WalletKey

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date, datetime

    from worker.domain.member import Arrival, Member
    from worker.domain.program import Currency, Program
    from worker.domain.request import Request
    from worker.store.keys import MemberKey
    from worker.store.transaction import Transaction

_ABOUT_HOLDS: Final = (names.HOLD, names.CAPTURE, names.RELEASE)

_BOUNDED: Final = (names.ADJUST, names.SET_BALANCE, names.CONVERT, names.EXPIRE, *_ABOUT_HOLDS)
"""The operations that take no lots but the next of a wallet, where they are not aimed at others."""

_IN_ANOTHERS_WALLET: Final = (names.REVERSE, names.CAPTURE)
"""The operations that take their wallet from an earlier request."""

_FREE_OF_OPERATORS: Final = (names.HOLD, names.RELEASE, names.EXPIRE)
"""The operations that move no points for an operator."""

Asked = tuple["MemberKey", "Arrival"]


@dataclass(slots=True)
class _Claims:
    """What the bounded requests of a batch may do to a wallet; minor units.

    `taken` are debits, `credited` is the sum of the credits; `targets` are the balances that are
    to be set.
    """

    taken: list[int] = field(default_factory=list)
    credited: int = 0
    targets: list[int] = field(default_factory=list)
    is_unlimited: bool = False

    def note(self, request: Request, currency: Currency, *, may_owe: bool) -> None:
        """Take note of what a request may do to its own wallet."""
        points = _asked(request, currency) or 0
        self.is_unlimited |= may_owe
        if request.operation == names.CONVERT and points:
            self.taken.append(points)
        elif request.operation in (names.SET_BALANCE, names.CONVERT):
            # To convert all that there is leaves nothing.
            self.targets.append(points)
        elif request.operation != names.ADJUST:
            return
        elif points >= 0:
            self.credited += points
        else:
            self.taken.append(-points)

    def cover(self, held: int) -> int:
        """Return how much the lots must hold that are read, where all of them hold `held`.

        A debit beyond all that the wallet has and will get in this batch needs none, since it
        will be refused, unless it may leave a deficit. Setting a balance takes at most what is
        beyond it of all that.
        """
        most = max([held, *self.targets]) + self.credited
        taken = [*self.taken, *(most - target for target in self.targets)]
        return min(held, sum([n for n in taken if n <= most or self.is_unlimited]))


async def read(
    transaction: Transaction,
    asked: Collection[Asked],
    programs: Mapping[str, Program],
    members: Mapping[MemberKey, Member],
    times: Mapping[MemberKey, datetime],
) -> None:
    """Read into the members all that these requests of theirs, not decided yet, may touch.

    Members with requests that wait must have them by now, and the content of what may be decided.
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
    special = [
        (key, arrival.request)
        for key, arrival in asked
        if arrival.request is not None and _is_special(arrival.request)
    ]
    whole = {key for key, request in special if not _is_bounded(request)}
    due = {key for key, _ in asked if members[key].has_due(times[key])}
    due.update(key for key, request in special if request.operation == names.EXPIRE)
    due -= whole
    if closed := {key for key, program in programs.items() if program.enrolment_required}:
        strangers = {
            key: members[key]
            for key, _ in asked
            if key.program_id in closed and not members[key].is_enrolled
        }
        await transaction.known_elsewhere(list(strangers.values()))
    if special or due:
        await _read_special(transaction, special, whole, due, members)
    known = [
        (key, arrival.request, program)
        for key, arrival in asked
        if arrival.request is not None and (program := programs.get(key.program_id)) is not None
    ]
    bounded = [one for one in known if one[0] not in whole]
    await _read_bounded(transaction, bounded, due, members, times)
    capped = {key for key, program in programs.items() if _has_caps(program)}
    with_caps = [one for one in known if one[0].program_id in capped]
    await _read_days(transaction, with_caps, members, times)
    limited = [one for one in known if one[2].points_per_operator_per_day is not None]
    await _lock_operators(transaction, limited, members, times)


def _is_special(request: Request) -> bool:
    """Tell whether a request is anything but a change by some of the next points."""
    return request.operation != names.ADJUST or not _is_bounded(request)


def _is_bounded(request: Request) -> bool:
    """Tell whether wallets and holds, and as many lots as are taken, are all that is needed."""
    if request.operation not in _BOUNDED or request.award_id is not None:
        return False
    if request.promotion_id is None and request.promotion_identifier is None:
        return True
    is_credit = request.points is not None and request.points[0] >= 0
    return request.operation == names.ADJUST and is_credit


def _has_caps(program: Program) -> bool:
    return any(currency.counts_days for currency in program.currencies)


_Known = tuple["MemberKey", "Request", "Program"]


async def _read_special(
    transaction: Transaction,
    special: Collection[tuple[MemberKey, Request]],
    whole: Collection[MemberKey],
    due: Collection[MemberKey],
    members: Mapping[MemberKey, Member],
) -> None:
    """Read the holds of all whom they are needed of, what is named, some wallets, some whole."""
    with_holds = {key for key, request in special if request.operation in _ABOUT_HOLDS}
    ids = {
        RequestKey(*key, name)
        for key, request in special
        for name in (request.reverses, request.hold)
        if name is not None
    }
    await transaction.read_named(with_holds.union(whole, due), ids, members)
    awards = {(key, request.award_id) for key, request in special if request.award_id is not None}
    await transaction.read_whole(whole, awards, members)
    await transaction.read_all_wallets(due, members)


async def _read_bounded(
    transaction: Transaction,
    known: Collection[_Known],
    due: Collection[MemberKey],
    members: Mapping[MemberKey, Member],
    times: Mapping[MemberKey, datetime],
) -> None:
    """Read the wallets of bounded requests, and as many of their lots as these may take.

    Of all wallets of members of whom something is due, which must be there: one point more, so
    that what stays behind is told by the first lot that is not used up.
    """
    claims = _claims(known, members)
    for key in due:
        for currency, category in members[key].wallets:
            claims.setdefault(WalletKey(*key, currency, category), _Claims())
    if not claims:
        return
    if unread := [place for place in claims if place.member not in due] if due else claims:
        await transaction.read_wallets(unread, members)
    cover = {}
    for place, claim in claims.items():
        key = place.member
        found = members[key].wallets.get((place.currency, place.category))
        if found is not None:
            cover[place] = claim.cover(found.balance + found.deficit) + (key in due)
    await transaction.read_lots(cover, members, times)


def _claims(
    known: Collection[_Known], members: Mapping[MemberKey, Member]
) -> dict[WalletKey, _Claims]:
    """Return what bounded requests may do to which wallets; the open holds must be there."""
    claims: defaultdict[WalletKey, _Claims] = defaultdict(_Claims)
    # A hold that is not there may be made by this batch.
    capturing = {
        key
        for key, request, _ in known
        if request.operation == names.CAPTURE and request.hold not in members[key].holds
    }
    for key, request, program in known:
        may_owe = program.allow_negative or request.allow_negative
        currency = program.currency(request.currency)
        if currency is not None:
            claim = claims[WalletKey(*key, currency.code, request.category)]
            claim.note(request, currency, may_owe=may_owe)
            if request.operation == names.CONVERT:
                regular = claims[WalletKey(*key, currency.code, names.REGULAR)]
                regular.credited += _asked(request, currency) or MINOR_UNITS_MAX
            if key in capturing and request.operation == names.HOLD:
                claim.taken.append(_asked(request, currency) or 0)
        if request.hold is None:
            continue
        held = members[key].holds.get(request.hold) or members[key].ended_holds.get(request.hold)
        if held is not None and (currency := program.currency(held.currency)) is not None:
            claim = claims[WalletKey(*key, held.currency, held.category)]
            if request.operation == names.CAPTURE and isinstance(held, Hold):
                asked = _asked(request, currency)
                claim.taken.append(held.points if asked is None else min(asked, held.points))
                claim.is_unlimited |= may_owe
    return claims


def _asked(request: Request, currency: Currency) -> int | None:
    """Return a request's points in minor units; None for none, or too many decimals."""
    return None if request.points is None else to_minor_units(*request.points, currency.decimals)


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
