"""Caps: how much a wallet may earn and spend in a period, and hold at any one time.

(White Label Loyalty.) What a credit has beyond an earn or balance cap is forfeited: "900 earned in
period, cap 1,000, award 200: only 100 awarded". Several caps hold side by side. Debits count
against spend caps; one that a person made passes all the same, an automatic one is refused. What
bypasses the caps is neither cut off nor counted, and only adjustments and captures are counted at
all: expiry, reversals and conversions are not.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from schemas import errors, names
from worker.domain import limits
from worker.domain.money import to_text
from worker.domain.outcome import Rejection
from worker.domain.wallet import Day

if TYPE_CHECKING:
    from worker.domain.case import Case
    from worker.domain.program import Cap
    from worker.domain.wallet import Wallet

BALANCE_CAP: Final = "balance_cap"
"""The warning of an outcome that the balance cap has cut."""

_COUNTED: Final = (names.ADJUST, names.SET_BALANCE, names.CAPTURE)


def grant(case: Case, points: int) -> tuple[int, list[str]]:
    """Return what the caps leave of a credit, and the name of each cap that cuts it."""
    currency, wallet = case.currency, case.wallet
    if case.request.bypass_caps or not (currency.earn_caps or currency.balance_cap is not None):
        return points, []
    today = case.today
    rooms = [
        (f"earn_{_name(cap)}", cap.points - earned(wallet, cap, today))
        for cap in currency.earn_caps
    ]
    if currency.balance_cap is not None:
        rooms.append((BALANCE_CAP, currency.balance_cap - wallet.balance))
    cutting = [(name, max(room, 0)) for name, room in rooms if room < points]
    return min([points, *(room for _, room in cutting)]), [name for name, _ in cutting]


def overspent(case: Case, points: int) -> Rejection | None:
    """Refuse an automatic debit of so many points that a spend cap has no room for.

    One that a person made is refused only where the sum of its day could not be written down.
    """
    request = case.request
    if request.bypass_caps or not case.currency.counts_days:
        return None
    if rejection := limits.day_sum(case.wallet.days.get(case.today, Day()).spent + points):
        return rejection
    if request.operation_type == names.MANUAL:
        return None
    for cap in case.currency.spend_caps:
        left = cap.points - spent(case.wallet, cap, case.today)
        if points > left:
            decimals = case.currency.decimals
            return Rejection(
                errors.LIMIT_EXCEEDED,
                f"{to_text(points, decimals)} to deduct, {to_text(max(left, 0), decimals)} left of"
                f" the programme's spend_{_name(cap)} of {to_text(cap.points, decimals)}.",
            )
    return None


def count(case: Case) -> None:
    """Count what the case's outcome did to its wallet as earned or spent today."""
    if not case.currency.counts_days:
        return
    points, request = case.outcome.points, case.request
    if not points or request.bypass_caps or request.operation not in _COUNTED:
        return
    day = case.wallet.days.setdefault(case.today, Day())
    if points > 0:
        day.earned += points
    else:
        day.spent -= points
    case.wallet.touched_days.add(case.today)


def earned(wallet: Wallet, cap: Cap, today: date) -> int:
    """Return what a wallet has earned in the cap's period up to today."""
    first = first_day(cap, today)
    return sum(sums.earned for day, sums in wallet.days.items() if first <= day <= today)


def spent(wallet: Wallet, cap: Cap, today: date) -> int:
    """Return what a wallet has spent in the cap's period up to today."""
    first = first_day(cap, today)
    return sum(sums.spent for day, sums in wallet.days.items() if first <= day <= today)


def first_day(cap: Cap, today: date) -> date:
    """Return the first day of the period that a cap looks at today."""
    match cap.per:
        case "day":
            return today
        case "week":
            return _days_before(today, today.weekday())
        case "month":
            return today.replace(day=1)
        case "quarter":
            return date(today.year, (today.month - 1) // 3 * 3 + 1, 1)
        case "year":
            return date(today.year, 1, 1)
        case None:
            return _days_before(today, cap.rolling_days - 1)


def _days_before(day: date, days: int) -> date:
    return date.fromordinal(max(day.toordinal() - days, 1))


def _name(cap: Cap) -> str:
    return f"cap_{cap.per}" if cap.per else f"cap_{cap.rolling_days}_days"
