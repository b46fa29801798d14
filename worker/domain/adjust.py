"""`ADJUST`: change a wallet by a signed amount.

A positive change counts as earned: balance and lifetime total grow. A negative one counts as
spent: the total is never reduced (White Label Loyalty, "Considerations"). A debit beyond what is
available is refused whole, unless programme or request allow a negative balance (Capillary,
`ALLOW_NEGATIVE_BALANCE_ON_RETURN`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import errors, names
from worker.domain import checks, expiry, money
from worker.domain.outcome import Rejection

if TYPE_CHECKING:
    from datetime import datetime

    from worker.domain.outcome import Outcome
    from worker.domain.program import Currency, Program
    from worker.domain.request import Request
    from worker.domain.wallet import Wallet


def adjust(
    program: Program,
    currency: Currency,
    wallet: Wallet,
    request: Request,
    outcome: Outcome,
) -> Rejection | None:
    """Change the wallet by the request's points and write down in `outcome` how.

    Returns the rejection, and leaves wallet and outcome as they were, where it cannot be done.
    """
    assert request.points is not None, "the schema requires points for ADJUST"
    points = money.to_minor_units(*request.points, currency.decimals)
    assert points is not None, "too many decimals were refused"
    if rejection := checks.limits(points, wallet.balance, wallet.total):
        return rejection
    if points < 0:
        allow_negative = program.allow_negative or request.allow_negative
        if -points > wallet.available and not allow_negative:
            return Rejection(
                errors.INSUFFICIENT_POINTS,
                f"{money.to_text(-points, currency.decimals)} to deduct, "
                f"{money.to_text(wallet.available, currency.decimals)} available.",
            )
        outcome.lots = wallet.debit(-points)
    else:
        try:
            outcome.expires_at = credit_expiry(program, currency, request, outcome.recorded_at)
        except OverflowError:
            return Rejection(errors.LIMIT_EXCEEDED, "The credit would expire after the year 9999.")
        outcome.lots = wallet.credit(points, outcome.sequence, outcome.expires_at)
    outcome.points = points
    return None


def credit_expiry(
    program: Program, currency: Currency, request: Request, now: datetime
) -> datetime | None:
    """Return when a credit expires by its expiration type (Voucherify); None for never."""
    if request.expiration_type == names.NON_EXPIRING:
        return None
    if request.expiration_date is not None:
        return expiry.custom(request.expiration_date, program.time_zone)
    return expiry.by_rule(currency.expiry, now, program.time_zone)
