"""White Label Loyalty: an event of a member, which the programme's reactors turn into points.

The body is the event, `{"eventType": "MANUAL_ADJUSTMENT", "payload": {"points": 20}}`. Each reactor
of the programme for that type multiplies its property of the payload by its multiplier; all of
them apply at once, as one adjustment by their sum, exactly. Intrinsic types are the vendor's own
and cannot be reported. A `comment` in the payload becomes that of the adjustment; its reason code
is that of the first reactor which has one.

An event has no way around caps: at the vendor only its console has "Bypass caps", here only the
canonical request.

The vendor answers with the reported event. What else the reply holds is the worker's own, since the
vendor shows no form of it: `{"eventType", "payload", "pointsAdjusted", "forfeited", "balance",
"lifetime", "warnings"}`, points as texts. The event stands in the outcome's metadata, so that
subscribers see it too, and is bounded as that is. What was refused is answered by
`{"eventType", "error": {"code", "key", "message", "details"}}`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from schemas import dialects, errors, names, text
from schemas.fields import METADATA, METADATA_BYTES_MAX
from schemas.numbers import WHOLE_DIGITS_MAX, Amount, parse
from schemas.reading import DEPTH_MAX, depth
from worker.dialects.dialect import (
    Detail,
    Faults,
    Inbound,
    Refused,
    content_of,
    member_id_of,
    object_of,
    program_id_of,
    request_id_of,
)
from worker.dialects.telling import letter_error, rejection_error
from worker.domain.document import INTRINSIC_EVENT_TYPES
from worker.domain.money import to_text
from worker.domain.outcome import Rejection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.domain.program import Program, Reactor

_EVENT_TYPE: Final = "eventType"
_PAYLOAD: Final = "payload"
_COMMENT: Final = "comment"

_EVENT_TYPE_BYTES_MAX: Final = 128
_COMMENT_BYTES_MAX: Final = 2000
# The lane reads it two levels down, as the metadata of a request.
_PAYLOAD_DEPTH_MAX: Final = DEPTH_MAX - 2
_PAYLOAD_RULE: Final = (
    f"must be an object, of at most {METADATA_BYTES_MAX} bytes as compact JSON together with its"
    f" eventType and {_PAYLOAD_DEPTH_MAX} levels, its strings without control characters"
)


class WhiteLabelLoyalty:
    """The dialect `wll.event`."""

    name: Final = dialects.WLL

    def read(
        self, document: object, headers: Mapping[str, object], message_id: str | None
    ) -> Inbound:
        """Read whose event it is. Raises Undeliverable."""
        event_type = document.get(_EVENT_TYPE) if type(document) is dict else None
        context = {}
        if text.is_text(event_type, 1, _EVENT_TYPE_BYTES_MAX):
            context[_EVENT_TYPE] = event_type
        return Inbound(
            program_id=program_id_of(headers),
            request_id=request_id_of(message_id),
            member_id=member_id_of(headers),
            identifier=None,
            document=document,
            content=content_of(self.name, document),
            context=context,
        )

    def translate(self, inbound: Inbound, program: Program | None) -> dict[str, Any]:
        """Return an ADJUST by what the programme's reactors make of the event. Raises Refused."""
        body = object_of(inbound.document)
        faults = Faults()
        faults.unknown(body, {_EVENT_TYPE, _PAYLOAD})
        event_type = _event_type(body, faults)
        payload = _payload(body, faults)
        comment = faults.text(
            f"{_PAYLOAD}.{_COMMENT}", payload.get(_COMMENT), 0, _COMMENT_BYTES_MAX
        )
        faults.refuse()
        if program is None:
            raise Refused(
                Rejection(errors.UNKNOWN_PROGRAM, f"There is no programme {inbound.program_id}.")
            )
        reactors = [item for item in program.reactors if item.event_type == event_type]
        if not reactors:
            faults.add(
                _EVENT_TYPE, "must be one that a reactor of the programme waits for", event_type
            )
            faults.refuse()
        fields = {
            "operation": names.ADJUST,
            "points": _points(reactors, payload, faults),
            "metadata": {_EVENT_TYPE: event_type, _PAYLOAD: payload},
        }
        reason_codes = [item.reason_code for item in reactors if item.reason_code is not None]
        if reason_codes:
            fields["reason_code"] = reason_codes[0]
        return fields if comment is None else fields | {_COMMENT: comment}

    def reply(
        self,
        outcome: Mapping[str, Any],
        context: Mapping[str, str],
        program: Program | None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return the event and what it changed, or the error.

        The payload is null where it was erased with the member.
        """
        event_type = context.get(_EVENT_TYPE)
        if outcome["error"] is not None:
            return {_EVENT_TYPE: event_type, "error": rejection_error(outcome["error"])}
        return {
            _EVENT_TYPE: event_type,
            _PAYLOAD: (outcome["metadata"] or {}).get(_PAYLOAD),
            "pointsAdjusted": outcome["points"],
            "forfeited": outcome["forfeited"],
            "balance": outcome["balance"],
            "lifetime": outcome["total"],
            "warnings": list(outcome["warnings"]),
        }

    def error(
        self,
        key: str,
        message: str,
        context: Mapping[str, str],
        details: Sequence[Detail] = (),
    ) -> dict[str, Any]:
        """Return the error of an event that became a dead letter."""
        return {
            _EVENT_TYPE: context.get(_EVENT_TYPE),
            "error": letter_error(key, message, details),
        }


def _event_type(body: Mapping[str, Any], faults: Faults) -> str | None:
    if body.get(_EVENT_TYPE) is None:
        faults.add(_EVENT_TYPE, "is required")
    event_type = faults.text(_EVENT_TYPE, body.get(_EVENT_TYPE), 1, _EVENT_TYPE_BYTES_MAX)
    if event_type in INTRINSIC_EVENT_TYPES:
        faults.add(
            _EVENT_TYPE, "must not be an intrinsic type: those cannot be reported", event_type
        )
    return event_type


def _payload(body: Mapping[str, Any], faults: Faults) -> dict[str, Any]:
    payload = body.get(_PAYLOAD)
    if payload is None:
        faults.add(_PAYLOAD, "is required")
        return {}
    try:
        METADATA.read({_EVENT_TYPE: body.get(_EVENT_TYPE), _PAYLOAD: payload})
    except ValueError:
        is_sound = False
    else:
        is_sound = type(payload) is dict and depth(payload) <= _PAYLOAD_DEPTH_MAX
    if not is_sound:
        faults.add(_PAYLOAD, _PAYLOAD_RULE, payload)
    return payload if type(payload) is dict else {}


def _points(reactors: Sequence[Reactor], payload: Mapping[str, Any], faults: Faults) -> str:
    """Return the sum of what the reactors make of the payload, as an amount of the contract."""
    total = Fraction()
    for name in dict.fromkeys(reactor.property for reactor in reactors):
        field = f"{_PAYLOAD}.{name}"
        if payload.get(name) is None:
            faults.add(field, "is required: a reactor of the programme multiplies it")
        amount = faults.amount(field, payload.get(name))
        if amount is not None:
            multipliers = (Fraction(item.multiplier) for item in reactors if item.property == name)
            total += _fraction(amount) * sum(multipliers)
    faults.refuse()
    minor_units = total * 10**names.DECIMALS_MAX
    if minor_units.denominator != 1:
        raise Refused(
            Rejection(
                errors.DECIMAL_PLACES_EXCEEDED,
                f"The reactors make more than {names.DECIMALS_MAX} decimals of the event.",
            )
        )
    if abs(total) >= 10**WHOLE_DIGITS_MAX:
        raise Refused(
            Rejection(
                errors.LIMIT_EXCEEDED,
                f"The reactors make more than {WHOLE_DIGITS_MAX} digits of the event.",
            )
        )
    return str(parse(to_text(minor_units.numerator, names.DECIMALS_MAX)))


def _fraction(amount: Amount) -> Fraction:
    return Fraction(amount.digits, 10**amount.scale)
