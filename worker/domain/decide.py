"""`decide`: what comes of one request.

The order of the checks is the contract's (§5). Whatever is due in the request's wallet happens
first, as outcomes of their own that the request caused. An operation has a module of its own and
one line in `decide`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import errors, names
from worker.domain import adjust, checks, money
from worker.domain.outcome import Outcome, Rejection

if TYPE_CHECKING:
    from datetime import datetime

    from worker.domain.program import Currency, Program
    from worker.domain.request import Request
    from worker.domain.wallet import Member, Wallet


def decide(
    program: Program | None, member: Member, request_id: str, request: Request, now: datetime
) -> list[Outcome]:
    """Carry a request out on the member's state, and return its outcomes in their order.

    The last outcome is the request's own; those before it fell due with it. `now` is not before
    the member's last time. Never raises for a business fact.
    """
    rejection = (
        checks.support(request)
        or checks.expiration(program, request, now)
        or _zero_points(request)
        or checks.programme(member.program_id, program)
    )
    if rejection or program is None:
        return [reject(member, request_id, request, rejection, now)]
    currency = program.currency(request.currency)
    if currency is None:
        rejection = Rejection(
            errors.UNKNOWN_CURRENCY,
            f"Programme {member.program_id} has no currency {request.currency}.",
        )
        return [reject(member, request_id, request, rejection, now)]
    assert request.points is not None, "the schema requires points for ADJUST"
    if rejection := checks.decimals(request.points, currency):
        return [reject(member, request_id, request, rejection, now)]
    points = money.to_minor_units(*request.points, currency.decimals)
    assert points is not None, "the decimals were checked"

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
    if rejection := adjust.adjust(program, currency, wallet, request, points, outcome):
        outcome = reject(member, request_id, request, rejection, now)
    else:
        _count(member, now)
    outcome.show_wallet(wallet, currency)
    return [*outcomes, outcome]


def reject(
    member: Member,
    request_id: str,
    request: Request | None,
    rejection: Rejection | None,
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
    """Return the answer to a request whose id another content has used up; it is not stored."""
    return Outcome(
        request_id=request_id,
        operation=request.operation if request else None,
        status=names.REJECTED,
        event_type=None,
        sequence=member.sequence,
        recorded_at=now,
        request=request,
        rejection=Rejection(
            errors.REQUEST_ID_CONFLICT,
            "This request id was used before with other content; a corrected request needs a new"
            " id.",
        ),
    )


def _zero_points(request: Request) -> Rejection | None:
    if request.points is not None and request.points[0] == 0:
        return Rejection(errors.ZERO_POINTS, "points must not be zero.")
    return None


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
