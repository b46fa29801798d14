"""`SET_BALANCE`: bring a wallet's balance to a target, by a change under the rules for adjustments.

The target is compared with the balance after all that is due has happened. A target below zero is
one that the wallet may owe: it needs the permission for negative balances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import names
from worker.domain import adjust, checks, limits
from worker.domain.outcome import Rejection

if TYPE_CHECKING:
    from worker.domain.case import Case


def wrong_way(case: Case) -> Rejection | None:
    """Refuse a `SET_BALANCE` whose reason code is not for its direction.

    That is seen only with the wallet, yet it is a fault of the request that comes before those of
    the wallet's version and its points.
    """
    if case.request.operation != names.SET_BALANCE or case.asked is None:
        return None
    return checks.reason_sign(case.program, case.request, case.asked - case.wallet.balance)


def set_balance(case: Case) -> Rejection | None:
    """Change the wallet by what its balance lacks of the request's points, if it lacks any."""
    target = case.asked
    assert target is not None, "the schema requires points for SET_BALANCE"
    points = target - case.wallet.balance
    if not points:
        label = adjust.label_of(case, points)
        if isinstance(label, Rejection):
            return label
        case.outcome.status = names.NO_CHANGE
        return None
    if target < 0 < points and not case.may_owe:
        return limits.insufficient(case, -target, 0)
    return adjust.change(case, points)
