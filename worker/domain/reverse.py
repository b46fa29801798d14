"""`REVERSE`: undo an applied change, all that is left of it or a part.

The books come to stand as if the change had been smaller by so much. Undone points of a debit
return to the very lots they came from, with their expiry (Shopify: a reverted debit "restores the
credit's remaining amount"): the last ones that it took come back first. What has expired
meanwhile does not come back. Undone points of a credit are taken from its own lot first. Lifetime
totals stay as they are, and caps take no notice.

The case's wallet is that of the original where there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from schemas import errors, names
from worker.domain import adjust, convert, limits, money
from worker.domain.outcome import Rejection
from worker.domain.wallet import LotChange

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.domain.case import Case
    from worker.domain.member import Original
    from worker.domain.wallet import Wallet

EXPIRED_MEANWHILE = "expired_meanwhile"
"""The warning, followed by how many points: so many of those undone had expired."""


def reverse(case: Case) -> Rejection | None:
    """Undo the request named by `reverses`; what a `CONVERT` earned stands in `case.beside`."""
    original = case.member.originals.get(case.request.reverses or "")
    if original is None:
        return Rejection(
            errors.UNKNOWN_REQUEST,
            "This member has no applied ADJUST, SET_BALANCE, CAPTURE or CONVERT of this id.",
        )
    left = abs(original.points) - original.reversed
    points = left if case.asked is None else case.asked
    if points > left or not left:
        return Rejection(errors.ALREADY_REVERSED, _too_much(case, original, points, left))
    if original.operation == names.CONVERT:
        rejection = _undo_conversion(case, original, points)
    elif original.points > 0:
        rejection = _undo_credit(case, original, points)
    else:
        rejection = _undo_debit(case, original, points)
    if rejection is None:
        original.reversed += points
    return rejection


def _too_much(case: Case, original: Original, points: int, left: int) -> str:
    """Say why so many points of a change cannot be undone."""
    if left:
        return f"Only {_text(case, left)} of it are left to undo; {_text(case, points)} asked."
    return "It is undone already." if original.reversed else "It moved nothing to undo."


def _undo_credit(case: Case, original: Original, points: int) -> Rejection | None:
    rejection = limits.exceeded(case, points) or _check_taking(
        case, case.wallet, original, original.lots, points
    )
    if rejection:
        return rejection
    case.outcome.lots = _take(case.wallet, original.lots, points)
    case.outcome.points = -points
    case.outcome.event_type = names.POINTS_ADJUSTED
    return None


def _undo_debit(case: Case, original: Original, points: int) -> Rejection | None:
    back = _coming_back(case, original, points)
    if isinstance(back, Rejection):
        return back
    _give_back(case, back)
    case.outcome.event_type = names.POINTS_ADJUSTED
    return None


def _undo_conversion(case: Case, original: Original, points: int) -> Rejection | None:
    """Take the points out of the `REGULAR` wallet again, then put them back."""
    regular = case.member.wallet(original.currency, names.REGULAR)
    back = _coming_back(case, original, points)
    if isinstance(back, Rejection):
        return back
    if rejection := _check_taking(case, regular, original, original.converted_lots, points):
        return rejection
    lots = _take(regular, original.converted_lots, points)
    convert.note_regular_side(case, regular, -points, lots)
    _give_back(case, back)
    case.outcome.event_type = names.POINTS_CONVERTED
    return None


def _check_taking(
    case: Case, wallet: Wallet, original: Original, made: Sequence[LotChange], points: int
) -> Rejection | None:
    """Refuse to take more of a credit than is available, unless the request may owe.

    What the credit had paid off a deficit with may be owed again by anybody. That part is undone
    last: had the credit been smaller, it would have made a smaller lot first.
    """
    if rejection := limits.books(wallet.available - points):
        return rejection
    in_lots = sum(change.points for change in made)
    start, end = original.reversed, original.reversed + points
    from_lots = _overlap(start, end, 0, in_lots)
    if from_lots > max(wallet.available, 0) and not case.may_owe:
        return limits.insufficient(case, points, points - from_lots + wallet.available)
    return None


def _take(wallet: Wallet, made: Sequence[LotChange], points: int) -> list[LotChange]:
    """Take points out of what a credit made first, then as any debit does."""
    return wallet.take_from(wallet.own_first(made), points)


class _Back(NamedTuple):
    """What comes back with some of a debit's points, and what of them has expired."""

    parts: list[LotChange]
    owed: int
    owed_expires_at: datetime | None
    expired: int


def _coming_back(case: Case, original: Original, points: int) -> _Back | Rejection:
    """Return what so many points of a debit were, the last ones of those not undone yet."""
    start, end = original.reversed, original.reversed + points
    place = -original.points + sum(change.points for change in original.lots)
    owed = _overlap(start, end, 0, place)
    parts = []
    expired = 0
    for change in reversed(original.lots):
        part = _overlap(start, end, place, place - change.points)
        place -= change.points
        if change.expires_at is not None and change.expires_at <= case.now:
            expired += part
        elif part:
            parts.append(LotChange(change.lot_id, part, change.expires_at, change.label))
    # The points were counted as earned before: the lifetime total stays.
    rejection = limits.books(case.wallet.balance + points - expired) or limits.exceeded(
        case, points, points - expired
    )
    if rejection:
        return rejection
    expires_at = None
    if owed > case.wallet.deficit:
        try:
            expires_at = adjust.credit_expiry(case.program, case.currency, case.request, case.now)
        except OverflowError:
            return Rejection(errors.LIMIT_EXCEEDED, "The points would expire after the year 9999.")
    return _Back(parts, owed, expires_at, expired)


def _give_back(case: Case, back: _Back) -> None:
    outcome = case.outcome
    outcome.lots = case.wallet.restore(
        back.parts, back.owed, case.next_sequence, back.owed_expires_at
    )
    outcome.points = back.owed + sum(part.points for part in back.parts)
    outcome.expires_at = back.owed_expires_at
    if back.expired:
        outcome.warnings.append(f"{EXPIRED_MEANWHILE}:{_text(case, back.expired)}")
    for change in outcome.lots:
        case.member.falls_due(change.expires_at)


def _overlap(start: int, end: int, other_start: int, other_end: int) -> int:
    """Return how much two ranges have in common."""
    return max(0, min(end, other_end) - max(start, other_start))


def _text(case: Case, points: int) -> str:
    return money.to_text(points, case.currency.decimals)
