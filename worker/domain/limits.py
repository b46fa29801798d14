"""Limits: how much one request, one reason and one operator may move, and what the books hold."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from schemas import errors, names
from worker.domain import money
from worker.domain.member import OperatorDay
from worker.domain.outcome import Rejection

if TYPE_CHECKING:
    from datetime import date

    from worker.domain.case import Case

_LIMITED: Final = (names.ADJUST, names.SET_BALANCE, names.HOLD, names.CONVERT)
"""The operations that `points_per_request` is about."""


def books(*figures: int) -> Rejection | None:
    """Refuse a change of which one of these figures would come that the books cannot hold."""
    most = money.MINOR_UNITS_MAX
    for figure in figures:
        if not -most <= figure <= most:
            return _limit(f"points, balance and total may reach {most} minor units at most.")
    return None


def day_sum(points: int) -> Rejection | None:
    """Refuse a sum of a day beyond what the books can hold, however much a document allows."""
    most = money.MINOR_UNITS_MAX
    if points <= most:
        return None
    return _limit(f"The sum of a day may reach {most} minor units at most.")


def exceeded(case: Case, points: int, moved: int | None = None) -> Rejection | None:
    """Refuse to move more points than request, reason or operator may.

    `points` is what is asked for, `moved` what would really move where that is less. The sign
    does not matter.
    """
    program, request = case.program, case.request
    most = program.points_per_request
    if most is not None and request.operation in _LIMITED and _amount(case, points) > most:
        return _limit(f"One request may move {most} points at most.")
    if request.reason_code is not None:
        for reason in program.reason_codes:
            most = reason.points_max
            is_meant = reason.code == request.reason_code
            if is_meant and most is not None and _amount(case, points) > most:
                return _limit(f"With reason code {reason.code} {most} points may move at most.")
    most = program.points_per_operator_per_day
    if most is None or not request.adjusted_by or request.operation == names.HOLD:
        return None
    moving = abs(points if moved is None else moved)
    if not moving:
        return None
    so_far = case.member.operators.get(_operator(case), OperatorDay()).points
    if _amount(case, so_far + moving) > most:
        return _limit(f"An operator may move {most} points a day at most.")
    return day_sum(so_far + moving)


def count(case: Case) -> None:
    """Count what the case's outcome has moved for its operator, where the programme limits that."""
    if case.program.points_per_operator_per_day is None or not case.request.adjusted_by:
        return
    if case.outcome.points:
        day = case.member.operators.setdefault(_operator(case), OperatorDay())
        day.points += abs(case.outcome.points)


def insufficient(case: Case, points: int, available: int) -> Rejection:
    """Return the refusal of a debit of more points than there are for it."""
    decimals = case.currency.decimals
    return Rejection(
        errors.INSUFFICIENT_POINTS,
        f"{money.to_text(points, decimals)} to deduct, "
        f"{money.to_text(available, decimals)} available.",
    )


def _operator(case: Case) -> tuple[str, str, date]:
    return (case.request.adjusted_by or "", case.currency.code, case.today)


def _amount(case: Case, minor_units: int) -> Decimal:
    return Decimal(abs(minor_units)).scaleb(-case.currency.decimals)


def _limit(message: str) -> Rejection:
    return Rejection(errors.LIMIT_EXCEEDED, message)
