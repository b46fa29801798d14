"""`CONVERT`: move points of another category into the `REGULAR` wallet of the same currency.

(Capillary: promised points become regular ones.) The category's wallet is debited as by any debit,
the soonest-expiring lots first; the `REGULAR` one is credited, and its lifetime total grows. Caps
neither count nor clamp it. Points that are not there are never converted, whoever may owe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import errors, names
from worker.domain import adjust, limits
from worker.domain.outcome import Outcome, Rejection
from worker.domain.wallet import UNLABELLED

if TYPE_CHECKING:
    from worker.domain.case import Case
    from worker.domain.wallet import Label, LotChange, Wallet


def convert(case: Case) -> Rejection | None:
    """Convert points of the case's wallet, all that are available or so many.

    What happens to the `REGULAR` wallet stands in `case.beside`.
    """
    regular = case.member.wallet(case.wallet.currency, names.REGULAR)
    points = case.wallet.available if case.asked is None else case.asked
    if points > 0:
        rejection = limits.books(
            points, regular.balance + points, regular.total + points
        ) or limits.exceeded(case, points)
        if rejection:
            return rejection
    if points <= 0:
        return Rejection(errors.INSUFFICIENT_POINTS, "There is nothing to convert.")
    if points > case.wallet.available:
        return limits.insufficient(case, points, case.wallet.available)
    try:
        expires_at = adjust.credit_expiry(case.program, case.currency, case.request, case.now)
    except OverflowError:
        return Rejection(errors.LIMIT_EXCEEDED, "The credit would expire after the year 9999.")
    case.outcome.lots = case.wallet.debit(points)
    case.outcome.points = -points
    case.outcome.event_type = names.POINTS_CONVERTED
    lots = regular.credit(points, case.next_sequence, expires_at, _label(case.outcome.lots))
    if lots:
        case.member.falls_due(expires_at)
    note_regular_side(case, regular, points, lots).expires_at = expires_at
    return None


def note_regular_side(case: Case, regular: Wallet, points: int, lots: list[LotChange]) -> Outcome:
    """Write down beside the case what it did to the `REGULAR` wallet, and return that.

    It is numbered, and comes before the request's own outcome.
    """
    request_id = case.arrival.request_id
    side = Outcome(
        request_id=request_id,
        operation=case.request.operation,
        status=names.APPLIED,
        event_type=names.POINTS_CONVERTED,
        sequence=case.member.next_number(case.now),
        recorded_at=case.now,
        request=case.request,
        caused_by=request_id,
        points=points,
        lots=lots,
    )
    side.show_wallet(regular, case.currency)
    case.beside.append(side)
    return side


def _label(consumed: list[LotChange]) -> Label:
    """Return the label that all consumed lots have; none where they differ."""
    labels = {change.label for change in consumed}
    return labels.pop() if len(labels) == 1 else UNLABELLED
