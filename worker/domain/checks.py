"""What can be wrong with a request before its wallet is looked at."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from schemas import errors, names
from worker.domain import expiry, money
from worker.domain.outcome import Rejection

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from worker.domain.program import Program
    from worker.domain.request import Request

_UNSUPPORTED_FIELDS = (
    "award_id",
    "award_type",
    "promotion_id",
    "promotion_identifier",
    "expected_version",
    "ordinal",
    "ordinal_stream",
    "bypass_caps",
    "dry_run",
)
"""Fields of the contract that this version cannot honour; one that is set is refused."""


def support(request: Request, operations: Collection[str]) -> Rejection | None:
    """Refuse what this version does not do yet: it must never be ignored."""
    details = []
    if request.operation not in operations:
        details.append(_unsupported("operation", f"{request.operation} is not supported yet"))
    details += [
        _unsupported(name, "is not supported yet: leave it out")
        for name in _UNSUPPORTED_FIELDS
        if getattr(request, name) is not None and getattr(request, name) is not False
    ]
    if not details:
        return None
    first = details[0]
    return Rejection(errors.INVALID_PAYLOAD, f"{first['field']} {first['rule']}.", details)


def expiration(program: Program | None, request: Request, now: datetime) -> Rejection | None:
    """Refuse a custom expiry that has passed, or that no calendar holds.

    Where there is no programme, and so no zone of its own, the days are those of UTC.
    """
    if request.expiration_date is None:
        return None
    zone = program.time_zone if program else UTC
    try:
        expires_at = expiry.custom(request.expiration_date, zone)
    except OverflowError:
        return _expiration_date("must be before the year 9999")
    if expires_at <= now:
        return _expiration_date("cannot be set in the past")
    return None


def zero_points(request: Request) -> Rejection | None:
    """Refuse to adjust by nothing (Capillary 8888)."""
    if request.operation == names.ADJUST and request.points is not None and request.points[0] == 0:
        return Rejection(errors.ZERO_POINTS, "points must not be zero.")
    return None


def programme(program_id: str, program: Program | None) -> Rejection | None:
    """Refuse a programme that does not exist or is not active."""
    if program is None:
        return Rejection(errors.UNKNOWN_PROGRAM, f"There is no programme {program_id}.")
    if not program.is_active:
        return Rejection(errors.PROGRAM_INACTIVE, f"Programme {program_id} is not active.")
    return None


def currency(program: Program | None, request: Request) -> Rejection | None:
    """Refuse a currency that the programme does not have."""
    if program is None or program.currency(request.currency) is not None:
        return None
    return Rejection(
        errors.UNKNOWN_CURRENCY,
        f"Programme {program.program_id} has no currency {request.currency}.",
    )


def decimals(program: Program | None, request: Request) -> Rejection | None:
    """Refuse more decimals than the currency has; nothing is ever rounded."""
    known = program.currency(request.currency) if program else None
    if known is None or request.points is None or request.points[1] <= known.decimals:
        return None
    given = f"{request.points[1]} decimal{'s' if request.points[1] > 1 else ''}"
    return Rejection(
        errors.DECIMAL_PLACES_EXCEEDED,
        f"points has {given}; currency {known.code} has at most {known.decimals}.",
    )


def limits(points: int, balance: int, total: int) -> Rejection | None:
    """Refuse a change that would take a figure beyond what the books can hold."""
    figures = (abs(points), abs(balance + points), total + max(points, 0))
    if max(figures) > money.MINOR_UNITS_MAX:
        return Rejection(
            errors.LIMIT_EXCEEDED,
            f"points, balance and total may reach {money.MINOR_UNITS_MAX} minor units at most.",
        )
    return None


def _unsupported(field: str, rule: str) -> dict[str, str]:
    return {"field": field, "rule": rule, "got": "a value"}


def _expiration_date(rule: str) -> Rejection:
    return Rejection(
        errors.INVALID_EXPIRATION_DATE,
        f"expiration_date {rule}.",
        [{"field": "expiration_date", "rule": rule, "got": "a date"}],
    )
