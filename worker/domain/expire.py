"""`EXPIRE`, and what falls due with any other request: points, holds, requests out of time.

Whatever happens here was due anyway; a request only gives the occasion, and each outcome says
which one did (`caused_by`). Other requests carry out what is due in the wallets they work on;
`EXPIRE` carries out all that is due for the member, whoever may not adjust anything any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import names
from worker.domain import checks, hold, ordinals
from worker.domain.outcome import Outcome, Step

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.domain.case import Case
    from worker.domain.member import Member, Waiting
    from worker.domain.outcome import Rejection
    from worker.domain.program import Program
    from worker.domain.wallet import Wallet


def expire(case: Case) -> Rejection | None:
    """Tell whether anything was due: all of that has happened before."""
    case.outcome.event_type = names.POINTS_EXPIRED
    if not case.has_fallen_due:
        case.outcome.status = names.NO_CHANGE
    return None


def due(
    program: Program, member: Member, wallets: Sequence[Wallet], caused_by: str, now: datetime
) -> list[Step]:
    """Carry out what is due in these wallets: their points first, then their holds."""
    steps = []
    for wallet in wallets:
        outcome = _points_due(program, member, wallet, caused_by, now)
        if outcome is not None:
            steps.append(Step(outcome))
    if member.holds:
        for wallet in wallets:
            for held, outcome in hold.lapse_due(program, member, wallet, caused_by, now):
                steps.append(Step(outcome, subject=held.hold_id))
    return steps


def wallets_of(program: Program, member: Member) -> list[Wallet]:
    """Return all wallets of a member in one order, whatever the order they were read in."""
    return [
        member.wallets[place]
        for place in sorted(member.wallets)
        if program.currency(place[0]) is not None
    ]


def out_of_time(member: Member, now: datetime) -> list[tuple[Waiting, Rejection]]:
    """Take out the early requests that have waited too long, and say why each is refused.

    Their numbers are used up by it, and no others. Of a member that is erased, none waits longer.
    """
    ended = ending(member, now)
    for waiting in ended:
        assert waiting.is_read, "what is not read is not ended"
        del member.waiting[waiting.arrival.request_id]
        ordinals.use_up(member, (waiting.stream, waiting.ordinal))
    if member.status == "erased":
        return [(waiting, checks.MEMBER_ERASED) for waiting in ended]
    return [(waiting, ordinals.out_of_time(waiting)) for waiting in ended]


def ending(member: Member, now: datetime) -> list[Waiting]:
    """Return the early requests that the next `EXPIRE` ends, in that order."""
    is_erased = member.status == "erased"
    ended = [one for one in member.waiting.values() if is_erased or one.deadline <= now]
    return sorted(ended, key=lambda one: (one.deadline, one.stream, one.ordinal))


def _points_due(
    program: Program, member: Member, wallet: Wallet, caused_by: str, now: datetime
) -> Outcome | None:
    changes = wallet.expire_due(now)
    if not changes:
        return None
    currency = program.currency(wallet.currency)
    assert currency is not None, "a currency with points cannot be removed"
    outcome = Outcome(
        request_id=None,
        operation=names.EXPIRE,
        status=names.APPLIED,
        event_type=names.POINTS_EXPIRED,
        sequence=member.next_number(now),
        recorded_at=now,
        caused_by=caused_by,
        points=sum(change.points for change in changes),
        lots=changes,
    )
    outcome.show_wallet(wallet, currency)
    return outcome
