"""`HOLD`, `CAPTURE` and `RELEASE`: set points aside, then take them or let them go.

A hold sets aside an amount of its wallet, not lots: held points cannot be spent otherwise, but
they still expire. It ends with its first `CAPTURE` or `RELEASE`, a partial capture releasing the
rest, or lapses after its time. (Beans: a pending debit is committed, cancelled, or released by
itself within 48 hours, so that several redemptions at once cannot exceed the balance.)

The case's wallet is that of the hold where there is one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from schemas import errors, names
from worker.domain import caps, limits
from worker.domain.member import EndedHold, Hold
from worker.domain.outcome import Outcome, Rejection

if TYPE_CHECKING:
    from datetime import datetime

    from worker.domain.case import Case
    from worker.domain.member import Member
    from worker.domain.program import Program
    from worker.domain.wallet import Wallet

OPEN_MAX: Final = 1_000
"""The most holds of a member that may be open at once: all of them may lapse with one request."""


def hold(case: Case) -> Rejection | None:
    """Set points aside until a `CAPTURE` or `RELEASE` ends the hold, or its time is over."""
    points, wallet = case.asked, case.wallet
    assert points is not None, "the schema requires points for HOLD"
    if len(case.member.holds) >= OPEN_MAX:
        return Rejection(errors.LIMIT_EXCEEDED, f"A member may have {OPEN_MAX} open holds at most.")
    assert case.request.ttl_seconds is not None, "the schema has a default for it"
    rejection = limits.books(wallet.held + points, wallet.available - points) or limits.exceeded(
        case, points
    )
    if rejection:
        return rejection
    if points > wallet.available and not case.may_owe:
        return limits.insufficient(case, points, wallet.available)
    try:
        lapses_at = case.now + timedelta(seconds=case.request.ttl_seconds)
    except OverflowError:
        return Rejection(errors.LIMIT_EXCEEDED, "The hold would lapse after the year 9999.")
    wallet.held += points
    wallet.version += 1
    hold_id = case.arrival.request_id
    case.member.holds[hold_id] = Hold(hold_id, wallet.currency, wallet.category, points, lapses_at)
    case.member.falls_due(lapses_at)
    case.outcome.event_type = names.POINTS_HELD
    case.outcome.expires_at = lapses_at
    return None


def capture(case: Case) -> Rejection | None:
    """Take held points, all of them or a part, and release the rest.

    Held points may be gone by now, or never have been there: then it takes what there is at most,
    or leaves a deficit where it may owe itself.
    """
    held = _hold_of(case)
    if isinstance(held, Rejection):
        return held
    points = held.points if case.asked is None else case.asked
    if rejection := limits.exceeded(case, points) or caps.overspent(case, points):
        return rejection
    most = held.points if case.may_owe else min(held.points, case.wallet.balance)
    if points > most:
        return limits.insufficient(case, points, most)
    _end(case.member, case.wallet, held)
    case.outcome.lots = case.wallet.debit(points)
    case.outcome.points = -points
    case.outcome.event_type = names.POINTS_ADJUSTED
    return None


def release(case: Case) -> Rejection | None:
    """Let all held points go."""
    held = _hold_of(case)
    if isinstance(held, Rejection):
        return held
    _end(case.member, case.wallet, held)
    case.wallet.version += 1
    case.outcome.event_type = names.POINTS_RELEASED
    return None


def lapse_due(
    program: Program, member: Member, wallet: Wallet, caused_by: str, now: datetime
) -> list[tuple[Hold, Outcome]]:
    """End the wallet's holds whose time is over, in the order in which they lapse.

    Each comes with its outcome, which bears the hold's own request id and takes a sequence.
    """
    due = [
        held
        for held in member.holds.values()
        if held.lapses_at <= now
        and (held.currency, held.category) == (wallet.currency, wallet.category)
    ]
    due.sort(key=lambda held: (held.lapses_at, held.hold_id))
    return [(held, _lapse(program, member, wallet, held, caused_by, now)) for held in due]


def _lapse(
    program: Program, member: Member, wallet: Wallet, held: Hold, caused_by: str, now: datetime
) -> Outcome:
    _end(member, wallet, held)
    wallet.version += 1
    outcome = Outcome(
        request_id=held.hold_id,
        operation=names.RELEASE,
        status=names.APPLIED,
        event_type=names.POINTS_RELEASED,
        sequence=member.next_number(now),
        recorded_at=now,
        caused_by=caused_by,
    )
    currency = program.currency(held.currency)
    assert currency is not None, "a currency with points cannot be removed"
    outcome.show_wallet(wallet, currency)
    return outcome


def _hold_of(case: Case) -> Hold | Rejection:
    hold_id = case.request.hold
    assert hold_id is not None, "the schema requires the hold"
    held = case.member.holds.get(hold_id)
    if held is not None:
        return held
    if hold_id in case.member.ended_holds:
        return Rejection(
            errors.HOLD_ENDED,
            "This hold was captured, in whole or in part, or released, or has lapsed.",
        )
    return Rejection(errors.UNKNOWN_HOLD, "This member has no such hold.")


def _end(member: Member, wallet: Wallet, held: Hold) -> None:
    wallet.held -= held.points
    del member.holds[held.hold_id]
    member.ended_holds[held.hold_id] = EndedHold(held.currency, held.category)
