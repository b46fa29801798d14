"""`decide`: what comes of one request.

The faults are looked for in the order of `schemas.errors`. Whatever is due in the request's
wallet happens first, as outcomes of their own that the request caused. An operation has a module
of its own and one line in `_OPERATIONS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas import errors, names
from worker.domain import adjust, checks
from worker.domain.outcome import Outcome, Rejection

if TYPE_CHECKING:
    from datetime import datetime

    from worker.domain.member import Member
    from worker.domain.program import Currency, Program
    from worker.domain.request import Request
    from worker.domain.wallet import Wallet

_OPERATIONS: Final = {names.ADJUST: adjust.adjust}


def decide(
    program: Program | None, member: Member, request_id: str, request: Request, now: datetime
) -> list[Outcome]:
    """Carry a request out on the member's state, and return its outcomes in their order.

    The last outcome is the request's own; those before it fell due with it. `now` is not before
    the member's last time. Never raises for a business fact.
    """
    rejection = (
        checks.support(request, _OPERATIONS)
        or checks.expiration(program, request, now)
        or checks.zero_points(request)
        or checks.programme(member.program_id, program)
        or checks.currency(program, request)
        or checks.decimals(program, request)
    )
    if rejection:
        return [reject(member, request_id, request, rejection, now)]
    assert program is not None, "an unknown programme was refused"
    currency = program.currency(request.currency)
    assert currency is not None, "an unknown currency was refused"

    wallet = member.wallet(currency.code, request.category)
    outcomes = _expire_due(member, wallet, currency, request_id, now)
    outcome = Outcome(
        request_id=request_id,
        operation=request.operation,
        status=names.APPLIED,
        event_type=names.POINTS_ADJUSTED,
        sequence=member.sequence + 1,
        recorded_at=now,
        request=request,
    )
    if rejection := _OPERATIONS[request.operation](program, currency, wallet, request, outcome):
        outcome = reject(member, request_id, request, rejection, now)
    else:
        _count(member, now)
    outcome.show_wallet(wallet, currency)
    return [*outcomes, outcome]


def reject(
    member: Member,
    request_id: str,
    request: Request | None,
    rejection: Rejection,
    now: datetime,
) -> Outcome:
    """Return the stored rejection of a request; `request` is None where it could not be read."""
    _count(member, now)
    return Outcome(
        request_id=request_id,
        operation=request.operation if request else None,
        status=names.REJECTED,
        event_type=names.ADJUSTMENT_REJECTED,
        sequence=member.sequence,
        recorded_at=now,
        request=request,
        rejection=rejection,
    )


def conflict(member: Member, request_id: str, request: Request | None, now: datetime) -> Outcome:
    """Return the answer to a request whose id another content has used up."""
    rejection = Rejection(
        errors.REQUEST_ID_CONFLICT,
        "This request id was used before with other content; a corrected request needs a new id.",
    )
    return _unstored(member, request_id, request, rejection, now)


def dry_run(member: Member, request_id: str, request: Request, now: datetime) -> Outcome:
    """Return the answer to a dry run: not supported yet, and so neither carried out nor stored."""
    rejection = checks.support(request, _OPERATIONS)
    assert rejection is not None, "dry_run is not supported"
    return _unstored(member, request_id, request, rejection, now)


def _unstored(
    member: Member,
    request_id: str,
    request: Request | None,
    rejection: Rejection,
    now: datetime,
) -> Outcome:
    """Return a refusal that uses up nothing: it repeats the member's sequence, makes no event."""
    return Outcome(
        request_id=request_id,
        operation=request.operation if request else None,
        status=names.REJECTED,
        event_type=None,
        sequence=member.sequence,
        recorded_at=now,
        request=request,
        rejection=rejection,
    )


def _expire_due(
    member: Member, wallet: Wallet, currency: Currency, caused_by: str, now: datetime
) -> list[Outcome]:
    changes = wallet.expire_due(now)
    if not changes:
        return []
    _count(member, now)
    outcome = Outcome(
        request_id=None,
        operation=names.EXPIRE,
        status=names.APPLIED,
        event_type=names.POINTS_EXPIRED,
        sequence=member.sequence,
        recorded_at=now,
        caused_by=caused_by,
        points=sum(change.points for change in changes),
        lots=changes,
    )
    outcome.show_wallet(wallet, currency)
    return [outcome]


def _count(member: Member, now: datetime) -> None:
    member.sequence += 1
    member.last_recorded_at = now
