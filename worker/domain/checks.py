"""What can be wrong with a request before its wallet is looked at."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Final

from schemas import errors, names
from worker.domain import expiry
from worker.domain.outcome import Rejection

if TYPE_CHECKING:
    from datetime import datetime

    from worker.domain.member import Arrival, EndedHold, Hold, Member, Original
    from worker.domain.program import Permission, Program, ReasonCode
    from worker.domain.request import Request

MEMBER_ERASED: Final = Rejection(errors.MEMBER_INACTIVE, "The member is erased.")
_MEMBER_BLOCKED: Final = Rejection(errors.MEMBER_INACTIVE, "The member is blocked.")

_UNLISTED: Final = Rejection(
    errors.NOT_PERMITTED, "The programme does not list the publisher of this request."
)
_NAMELESS: Final = Rejection(
    errors.NOT_PERMITTED,
    "The message names no publisher: set the AMQP property user_id to the name it logs in with.",
)

_PERMISSIONS: Final[dict[str, Permission]] = {
    names.ADJUST: "adjust",
    names.SET_BALANCE: "set_balance",
    names.REVERSE: "reverse",
    names.HOLD: "hold",
    names.CAPTURE: "hold",
    names.RELEASE: "hold",
    names.CONVERT: "convert",
}
_AIMED: Final = ("award_id", "award_type", "promotion_id", "promotion_identifier")


def before_wallet(
    program: Program | None, member: Member, arrival: Arrival, now: datetime
) -> Rejection | None:
    """Return the first fault of a request, in the order of `schemas.errors`; None for no fault.

    Ordinals, and all that depends on what the wallet holds, are looked at afterwards.
    """
    if rejection := payload(program, arrival):
        return rejection
    request = arrival.request
    assert request is not None, "what could not be read was refused"
    earlier = named(member, request)
    code = earlier.currency if earlier else request.currency
    rejection = (
        (_other_wallet(request, earlier) if earlier else None)
        or (_expiration(program, request, now) if request.expiration_date else None)
        or _zero_points(request)
        or _programme(member.program_id, program, request)
    )
    if rejection or program is None:
        return rejection
    # Nearly every request is checked against a programme with few rules: the others cost nothing.
    return (
        (_permission(program, arrival, request) if program.publishers else None)
        or (_enrolment(member, request) if program.enrolment_required else None)
        or (_activity(member, request) if member.status != "active" else None)
        or _currency(program, request, code)
        or (_required_reason(request) if program.reason_required else None)
        or (_reason_code_given(program, member, request) if program.reason_codes else None)
        or (_source(program, request) if program.sources else None)
    )


def payload(program: Program | None, arrival: Arrival) -> Rejection | None:
    """Refuse what is wrong with a request by itself, whatever the books hold."""
    if arrival.refusal is not None:
        return arrival.refusal
    request = arrival.request
    assert request is not None, "a request is there, or a refusal"
    if request.operation not in (names.ADJUST, names.SET_BALANCE):
        for field in _AIMED:
            if getattr(request, field) is not None:
                return _payload(field, "goes with ADJUST and SET_BALANCE only")
    if program and request.reason and len(request.reason) > program.reason_max_length:
        return _payload("reason", f"must be at most {program.reason_max_length} characters long")
    return None


def named(member: Member, request: Request) -> Original | Hold | EndedHold | None:
    """Return what a `REVERSE` undoes or a `CAPTURE` or `RELEASE` ends: its wallet is theirs.

    A hold that has ended already still tells of which wallet it was.
    """
    if request.reverses is not None:
        return member.originals.get(request.reverses)
    if request.hold is None:
        return None
    return member.holds.get(request.hold) or member.ended_holds.get(request.hold)


def reason_sign(program: Program, request: Request, points: int) -> Rejection | None:
    """Refuse a reason code that is not for credits (positive points), or not for debits."""
    reason = _reason_code(program, request.reason_code)
    if reason is None or reason.sign is None or not points:
        return None
    if (points > 0) == (reason.sign == "credit"):
        return None
    return Rejection(
        errors.INVALID_REASON_CODE, f"Reason code {reason.code} is for {reason.sign}s only."
    )


def _other_wallet(request: Request, earlier: Original | Hold | EndedHold) -> Rejection | None:
    """Refuse a wallet that is named and is not that of what a request undoes or ends."""
    given = request.model_fields_set
    for field, known in (("currency", earlier.currency), ("category", earlier.category)):
        if field in given and getattr(request, field) not in (None, known):
            return _payload(field, "must be that of the request which it refers to, or left out")
    return None


def _expiration(program: Program | None, request: Request, now: datetime) -> Rejection | None:
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


def _zero_points(request: Request) -> Rejection | None:
    """Refuse to adjust by nothing (Capillary 8888)."""
    if request.operation == names.ADJUST and request.points is not None and request.points[0] == 0:
        return Rejection(errors.ZERO_POINTS, "points must not be zero.")
    return None


def _programme(program_id: str, program: Program | None, request: Request) -> Rejection | None:
    """Refuse a programme that does not exist or is not active; yet what is due falls due."""
    if program is None:
        return Rejection(errors.UNKNOWN_PROGRAM, f"There is no programme {program_id}.")
    if not program.is_active and request.operation != names.EXPIRE:
        return Rejection(errors.PROGRAM_INACTIVE, f"Programme {program_id} is not active.")
    return None


def _permission(program: Program, arrival: Arrival, request: Request) -> Rejection | None:
    """Refuse what the publisher may not ask for, where the programme lists its publishers.

    Whoever is listed may ask for what is due.
    """
    if arrival.is_trusted:
        return None
    for publisher in program.publishers:
        if publisher.user_id == arrival.publisher:
            break
    else:
        return _UNLISTED if arrival.publisher else _NAMELESS
    if request.operation == names.EXPIRE:
        return None
    needed = [_PERMISSIONS[request.operation]]
    needed += ["bypass_caps"] if request.bypass_caps else []
    needed += ["allow_negative"] if request.allow_negative else []
    for permission in needed:
        if permission not in publisher.may:
            return Rejection(
                errors.NOT_PERMITTED, f"The publisher of this request has no right to {permission}."
            )
    return None


def _enrolment(member: Member, request: Request) -> Rejection | None:
    """Refuse a member who is not enrolled where that is required (Capillary 8015, 1218)."""
    if member.is_enrolled or request.operation == names.EXPIRE:
        return None
    if member.is_known_elsewhere:
        return Rejection(errors.NOT_ENROLLED, "The member is not enrolled in this programme.")
    return Rejection(errors.MEMBER_NOT_FOUND, "There is no such member.")


def _activity(member: Member, request: Request) -> Rejection | None:
    """Refuse to change what a blocked or erased member has; yet what is due falls due."""
    if request.operation == names.EXPIRE:
        return None
    return MEMBER_ERASED if member.status == "erased" else _MEMBER_BLOCKED


def _currency(program: Program, request: Request, code: str | None) -> Rejection | None:
    """Refuse a currency that the programme does not have, and more decimals than it has.

    Nothing is ever rounded.
    """
    known = program.currency(code)
    if known is None:
        return Rejection(
            errors.UNKNOWN_CURRENCY, f"Programme {program.program_id} has no currency {code}."
        )
    if request.points is None or request.points[1] <= known.decimals:
        return None
    given = f"{request.points[1]} decimal{'s' if request.points[1] > 1 else ''}"
    return Rejection(
        errors.DECIMAL_PLACES_EXCEEDED,
        f"points has {given}; currency {known.code} has at most {known.decimals}.",
    )


def _required_reason(request: Request) -> Rejection | None:
    """Refuse a request without any reason."""
    if request.reason or request.reason_code or request.operation == names.EXPIRE:
        return None
    return Rejection(errors.REASON_REQUIRED, "The programme requires a reason or reason_code.")


def _reason_code_given(program: Program, member: Member, request: Request) -> Rejection | None:
    """Refuse a reason code that is not in the catalogue, or is one for the other direction.

    Which way a `SET_BALANCE` goes is seen only with its wallet.
    """
    if request.reason_code is None or request.operation == names.EXPIRE:
        return None
    if _reason_code(program, request.reason_code) is None:
        return Rejection(
            errors.INVALID_REASON_CODE,
            f'Programme {program.program_id} has no reason code "{request.reason_code}".',
        )
    return reason_sign(program, request, _direction(member, request))


def _direction(member: Member, request: Request) -> int:
    """Return more than zero for a credit, less for a debit, zero for neither or not known."""
    match request.operation:
        case names.ADJUST:
            return request.points[0] if request.points else 0
        case names.CAPTURE:
            return -1
        case names.REVERSE:
            original = member.originals.get(request.reverses or "")
            return -original.points if original else 0
    return 0


def _reason_code(program: Program, code: str | None) -> ReasonCode | None:
    for reason in program.reason_codes:
        if reason.code == code:
            return reason
    return None


def _source(program: Program, request: Request) -> Rejection | None:
    """Refuse a source that is not one of the programme's (Capillary 8003)."""
    if request.source is None or request.source in program.sources:
        return None
    return Rejection(
        errors.INVALID_SOURCE, f'Programme {program.program_id} has no source "{request.source}".'
    )


def _payload(field: str, rule: str) -> Rejection:
    return Rejection(
        errors.INVALID_PAYLOAD,
        f"{field} {rule}.",
        [{"field": field, "rule": rule, "got": "a value"}],
    )


def _expiration_date(rule: str) -> Rejection:
    return Rejection(
        errors.INVALID_EXPIRATION_DATE,
        f"expiration_date {rule}.",
        [{"field": "expiration_date", "rule": rule, "got": "a date"}],
    )
