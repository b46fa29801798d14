"""`ADJUST`: change a wallet by a signed amount.

A positive change counts as earned: balance and lifetime total grow. A negative one counts as
spent: the total is never reduced (White Label Loyalty, "Considerations"). A debit beyond what is
available is refused whole, unless programme or request allow a negative balance (Capillary,
`ALLOW_NEGATIVE_BALANCE_ON_RETURN`). A debit may be aimed at the lots of one award or promotion
(Capillary, `pointsAwardedId`, `promotionId`); then it never takes more than they hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import errors, names
from worker.domain import caps, expiry, limits
from worker.domain.outcome import Rejection
from worker.domain.wallet import UNLABELLED, Label

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from worker.domain.case import Case
    from worker.domain.program import Currency, Program
    from worker.domain.request import Request
    from worker.domain.wallet import Lot


def adjust(case: Case) -> Rejection | None:
    """Change the wallet by the request's points."""
    points = case.asked
    assert points is not None, "the schema requires points for ADJUST"
    return change(case, points)


def change(case: Case, points: int) -> Rejection | None:
    """Change the wallet by so many points, which are not zero, by all rules for adjustments."""
    label = label_of(case, points)
    if isinstance(label, Rejection):
        return label
    wallet = case.wallet
    if rejection := limits.books(points, wallet.balance + points, wallet.total + points):
        return rejection
    case.outcome.event_type = names.POINTS_ADJUSTED
    return _debit(case, -points, label) if points < 0 else _credit(case, points, label)


def label_of(case: Case, points: int) -> Label | Rejection:
    """Return the award and promotion that the request names, or why they cannot be.

    An award has one type for good, and a promotion must be one of the programme's, if it lists
    any. A debit, where `points` are negative, can take only from an award that there is.
    """
    request, program = case.request, case.program
    award_id, award_type, promotion_id = request.award_id, request.award_type, request.promotion_id
    if award_id is None and promotion_id is None and request.promotion_identifier is None:
        return UNLABELLED
    awards = case.member.awards
    if award_id in awards:
        if award_type is not None and award_type != awards[award_id]:
            return Rejection(errors.INVALID_AWARD_TYPE, "The award is of another type.")
        award_type = awards[award_id]
    if request.promotion_identifier is not None:
        promotion_id = _identified(program, request.promotion_identifier)
        is_known = promotion_id is not None
    else:
        listed = {promotion.promotion_id for promotion in program.promotions}
        is_known = promotion_id is None or not listed or promotion_id in listed
    if points < 0 and award_id is not None and award_id not in awards:
        return Rejection(errors.INVALID_AWARD, "This member has no such award.")
    if not is_known:
        return Rejection(errors.INVALID_PROMOTION, "The programme has no such promotion.")
    return Label(award_id, award_type, promotion_id)


def credit_expiry(
    program: Program, currency: Currency, request: Request, now: datetime
) -> datetime | None:
    """Return when a credit expires by its expiration type (Voucherify); None for never."""
    if request.expiration_type == names.NON_EXPIRING:
        return None
    if request.expiration_date is not None:
        return expiry.custom(request.expiration_date, program.time_zone)
    return expiry.by_rule(currency.expiry, now, program.time_zone)


def _credit(case: Case, asked: int, label: Label) -> Rejection | None:
    points, cutting = caps.grant(case, asked)
    if rejection := limits.exceeded(case, asked, points):
        return rejection
    outcome, member = case.outcome, case.member
    try:
        expires_at = credit_expiry(case.program, case.currency, case.request, case.now)
    except OverflowError:
        return Rejection(errors.LIMIT_EXCEEDED, "The credit would expire after the year 9999.")
    outcome.lots = case.wallet.credit(points, case.next_sequence, expires_at, label)
    outcome.points, outcome.forfeited = points, asked - points
    outcome.expires_at = expires_at
    outcome.warnings += cutting
    if outcome.lots:
        member.falls_due(expires_at)
    if label.award_id is not None:
        member.awards[label.award_id] = label.award_type
    return None


def _debit(case: Case, points: int, label: Label) -> Rejection | None:
    wallet = case.wallet
    rejection = (
        (limits.books(wallet.available - points) if wallet.held else None)
        or limits.exceeded(case, points)
        or caps.overspent(case, points)
    )
    if rejection:
        return rejection
    aimed_at = _aim(label)
    most = wallet.available
    if aimed_at is not None:
        most = min(wallet.open_points(aimed_at), most)
    if points > most and (aimed_at is not None or not case.may_owe):
        return limits.insufficient(case, points, most)
    case.outcome.lots = wallet.debit(points, aimed_at)
    case.outcome.points = -points
    return None


def _aim(label: Label) -> Callable[[Lot], bool] | None:
    """Return which lots a debit may take, None for all."""
    award_id, promotion_id = label.award_id, label.promotion_id
    if award_id is None and promotion_id is None:
        return None

    def aimed_at(lot: Lot) -> bool:
        return (award_id is None or lot.label.award_id == award_id) and (
            promotion_id is None or lot.label.promotion_id == promotion_id
        )

    return aimed_at


def _identified(program: Program, identifier: str) -> str | None:
    for promotion in program.promotions:
        if promotion.identifier == identifier:
            return promotion.promotion_id
    return None
