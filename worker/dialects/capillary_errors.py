"""Capillary's errors: its codes and its own words for what the worker rejects.

The codes are those of the vendor's page on deducting points by `userId`; `400 Input is invalid`
is told by a newer one for a promotion id that is too long. What has no code there is answered by
the worker's own code and message, one error for each fault, in the same envelope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from schemas import errors
from schemas.numbers import parse
from worker.dialects.telling import renamed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.dialects.dialect import Detail
    from worker.domain.program import Program

AMOUNT: Final = "amount"
"""In the context: the amount as it was sent."""

CURRENCY: Final = "currency"
"""In the context: the name of the alternate currency."""

# What the rules blame by the names of the canonical request.
_SENT_NAMES: Final = {"reason": "reasonOfReturn"}

_INPUT_IS_INVALID: Final = "Input is invalid"

_CODES: Final[dict[str, tuple[int, str]]] = {
    errors.ZERO_POINTS: (8888, "Points to be adjusted cannot be zero"),
    errors.UNKNOWN_PROGRAM: (
        1218,
        "Customer not enrolled in loyalty program : customer not found for programId {program}",
    ),
    errors.NOT_ENROLLED: (
        1218,
        "Customer not enrolled in loyalty program : customer not found for programId {program}",
    ),
    errors.PROGRAM_REQUIRED: (8887, "Provide Program Id with Promotion Identifier"),
    errors.MEMBER_NOT_FOUND: (8015, "Customer not found for the given identifiers"),
    errors.INVALID_IDENTIFIER_TYPE: (8013, "Lookup,Invalid identifier passed"),
    errors.UNKNOWN_CURRENCY: (
        8911,
        "No alternate currency with name {currency} found for programId in org",
    ),
    errors.DECIMAL_PLACES_EXCEEDED: (
        8906,
        (
            "decimal places passed: {passed} is greater than the configured round decimals:"
            " {configured} for programId: {program}"
        ),
    ),
    errors.REASON_REQUIRED: (8882, "Reason for adjustment cannot be null"),
    errors.INVALID_SOURCE: (8003, "Invalid source"),
    errors.INVALID_AWARD_TYPE: (9975, "Points awarded ref type is invalid"),
    errors.INVALID_AWARD: (8877, "points awarded Id passed is invalid"),
    errors.INVALID_PROMOTION: (8874, "promotion id passed is invalid"),
    errors.INSUFFICIENT_POINTS: (
        8907,
        (
            "points to be deducted {amount} is greater than available points for program and"
            " NegativeBalanceOnReturn config is disabled for org."
        ),
    ),
}
"""The vendor's code and message for the worker's keys, figures to be filled in."""


def of_outcome(
    outcome: Mapping[str, Any], context: Mapping[str, str], program: Program | None
) -> dict[str, Any]:
    """Return the errors that tell a rejected outcome."""
    error = renamed(outcome["error"], _SENT_NAMES)
    figures = _figures(outcome, context, program)
    return envelope(error["key"], error["message"], error["details"], figures)


def envelope(
    key: str, message: str, details: Sequence[Detail], figures: Mapping[str, object]
) -> dict[str, Any]:
    """Return the vendor's envelope with its error for a key of the worker's, or the worker's own.

    Without all figures that its message tells, the worker's message stands beside the vendor's
    code.
    """
    vendors = _CODES.get(key)
    if vendors is not None:
        code, template = vendors
        try:
            return {"errors": [_error(code, template.format_map(figures))]}
        except KeyError:
            return {"errors": [_error(code, message)]}
    code = errors.ERRORS[key]
    if key != errors.INVALID_PAYLOAD or not details:
        return {"errors": [_error(code, message)]}
    return {"errors": [_error(code, _fault(detail)) for detail in details]}


def _fault(detail: Detail) -> str:
    if detail["field"] == "promotionId":
        return _INPUT_IS_INVALID
    return f"{detail['field']} {detail['rule']}."


def _error(code: int, message: str) -> dict[str, Any]:
    return {"status": False, "code": code, "message": message}


def _figures(
    outcome: Mapping[str, Any], context: Mapping[str, str], program: Program | None
) -> dict[str, object]:
    """Return what the vendor's messages tell. Some may be unknown: then they are not there.

    The decimals passed are counted as the worker counts them, without trailing zeros.
    """
    figures: dict[str, object] = {"program": outcome["program_id"], **context}
    if AMOUNT in context:
        figures["passed"] = parse(context[AMOUNT]).scale
    currency = program.currency(context.get(CURRENCY)) if program else None
    if currency is not None:
        figures["configured"] = currency.decimals
    return figures
