"""Mastercard's Points Activity Service: `points-adjustments`.

The vendor publishes the five mandatory fields, that the answer is the number of points adjusted,
and the form of its errors. It does not publish the values of `adjustmentTypeCode`, the ReasonCodes,
or the name of the reply's field: those come from the programme's `dialects.mastercard`. Where a
ReasonCode is not configured, and for what became a dead letter before any programme was asked, the
worker's own key stands there.

- The account number leads to the member. It is part of nothing but the body and the identifier.
- `pointsToAdjust` is a magnitude; the type code says whether it is a credit or a debit.
- The reply's number is a magnitude too, and always a JSON number: what was really adjusted, which
  a cap may have made less.
- `Recoverable` is true where the same fields, sent again under a new message id, may be taken one
  day: the fault lies in a state and not in the request. `Details` names the field, or is `null` as
  in the vendor's example. Both are our reading.

Bodies come encrypted or plain, see `worker.dialects.jwe`; here they are plain always.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from schemas import dialects, errors, names, text
from schemas.faults import shape
from schemas.identity import ID_BYTES_MAX
from schemas.numbers import Amount, NumberText
from worker.dialects.dialect import (
    Detail,
    Faults,
    Identifier,
    Inbound,
    Refused,
    Undeliverable,
    content_of,
    header,
    invalid,
    program_id_of,
    request_id_of,
)
from worker.dialects.telling import renamed
from worker.domain.outcome import Rejection
from worker.domain.program import MastercardDialect
from worker.identifiers import VALUE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.domain.program import Program

REPLY_KID: Final = "reply-kid"
"""The header that asks for an encrypted reply, and its place in the context."""

NO_KID: Final = "no-reply-kid"
"""In the context in its place: that a reply was asked for under a key that is not known."""

_KID_RULE: Final = "must name a key that is known here"
UNKNOWN_KID: Final = Rejection(
    errors.INVALID_PAYLOAD,
    f"header {REPLY_KID} {_KID_RULE}.",
    [{"field": f"header {REPLY_KID}", "rule": _KID_RULE, "got": "something else"}],
)
"""What such a message is refused for."""

ACCOUNT: Final = "bankAccountNumber"
"""The field that names the member, and the name by which its value is looked up."""

_POINTS: Final = "pointsToAdjust"
_TYPE: Final = "adjustmentTypeCode"
_REASON: Final = "adjustmentReason"
_OPERATOR: Final = "adjustedBy"
_TYPE_BYTES_MAX: Final = 64
_REASON_BYTES_MAX: Final = 255
_FIELDS: Final = (ACCOUNT, _POINTS, _TYPE, _REASON, _OPERATOR)

# What the rules blame by the names of the canonical request.
_VENDORS_NAMES: Final = {"points": _POINTS, "reason": _REASON, "adjusted_by": _OPERATOR}

_SOURCE: Final = "rewards-points-api"
_NO_DETAILS: Final = "null"
_RECOVERABLE: Final = frozenset(
    {
        errors.PROGRAM_INACTIVE,
        errors.MEMBER_NOT_FOUND,
        errors.NOT_ENROLLED,
        errors.MEMBER_INACTIVE,
        errors.LIMIT_EXCEEDED,
        errors.INSUFFICIENT_POINTS,
    }
)


class Mastercard:
    """The dialect `mastercard.points_adjustment`."""

    name: Final = dialects.MASTERCARD

    def read(
        self, document: object, headers: Mapping[str, object], message_id: str | None
    ) -> Inbound:
        """Read whose account it is. Raises Undeliverable, with every fault of the body."""
        context = context_of(headers)
        program_id = program_id_of(headers)
        request_id = request_id_of(message_id)
        if type(document) is not dict:
            raise Undeliverable(
                errors.INVALID_PAYLOAD, f"the body must be a JSON object; it is {shape(document)}"
            )
        faults, _, _ = _read(document)
        for detail in faults.details:
            if detail["field"] == ACCOUNT:
                is_missing = _is_missing(document.get(ACCOUNT))
                key = errors.MISSING_MEMBER_ID if is_missing else errors.INVALID_PAYLOAD
                raise Undeliverable(key, f"{ACCOUNT} {detail['rule']}", faults.listed())
        return Inbound(
            program_id=program_id,
            request_id=request_id,
            member_id=None,
            identifier=Identifier(ACCOUNT, document[ACCOUNT]),
            document=document,
            content=content_of(self.name, document, amounts=(_POINTS,), left_out=(ACCOUNT,)),
            context=context,
        )

    def translate(self, inbound: Inbound, program: Program | None) -> dict[str, Any]:
        """Return an ADJUST, its sign by the type code. Raises Refused.

        The type code stands in the metadata, so that subscribers see it too.
        """
        body = inbound.document
        faults, points, code = _read(body)
        direction = program.mastercard.adjustment_types.get(code or "") if program else None
        if program is not None and code is not None and direction is None:
            faults.add(_TYPE, "must be one that the programme knows", code)
        faults.refuse()
        if program is None:
            raise Refused(
                Rejection(errors.UNKNOWN_PROGRAM, f"There is no programme {inbound.program_id}.")
            )
        assert points is not None, "it is required"
        if points.digits == 0:
            raise Refused(Rejection(errors.ZERO_POINTS, f"{_POINTS} must not be zero."))
        if direction == "debit":
            points = points._replace(digits=-points.digits)
        return {
            "operation": names.ADJUST,
            "points": str(points),
            "reason": body[_REASON],
            "adjusted_by": body[_OPERATOR],
            "metadata": {_TYPE: code},
        }

    def reply(
        self,
        outcome: Mapping[str, Any],
        context: Mapping[str, str],
        program: Program | None,
    ) -> dict[str, Any]:
        """Return the number of points adjusted, or the errors.

        Where the answer was to be for a key that is not known, that alone is told, whatever the
        outcome: it may be that of an earlier message.
        """
        settings = program.mastercard if program else MastercardDialect()
        error = asdict(UNKNOWN_KID) if NO_KID in context else outcome["error"]
        if error is None:
            return {settings.response_field: _number(outcome["points"])}
        error = renamed(error, _VENDORS_NAMES)
        reason_code = settings.reason_codes.get(error["key"], error["key"])
        return _errors(error["key"], reason_code, error["message"], error["details"])

    def error(
        self,
        key: str,
        message: str,
        context: Mapping[str, str],  # noqa: ARG002
        details: Sequence[Detail] = (),
    ) -> dict[str, Any]:
        """Return the errors of a message that became a dead letter."""
        return _errors(key, key, f"{message}.", details)


def context_of(headers: Mapping[str, object]) -> dict[str, str]:
    """Return what the headers say of the reply. Raises Undeliverable."""
    kid = header(headers, REPLY_KID)
    if kid is None:
        return {}
    if not text.is_text(kid, 1, ID_BYTES_MAX):
        raise invalid(f"header {REPLY_KID}", text.text_rule(1, ID_BYTES_MAX), kid)
    return {REPLY_KID: kid}


def _read(body: Mapping[str, Any]) -> tuple[Faults, Amount | None, str | None]:
    """Find everything that is wrong with a body; return it with the magnitude and the type code."""
    faults = Faults()
    given = {name: None if _is_missing(body.get(name)) else body[name] for name in _FIELDS}
    for name, value in given.items():
        if value is None:
            faults.add(name, "is required")
    faults.text(ACCOUNT, given[ACCOUNT], 1, VALUE_BYTES_MAX)
    points = faults.magnitude(_POINTS, given[_POINTS])
    code = faults.text(_TYPE, given[_TYPE], 1, _TYPE_BYTES_MAX)
    faults.text(_REASON, given[_REASON], 1, _REASON_BYTES_MAX)
    faults.text(_OPERATOR, given[_OPERATOR], 1, ID_BYTES_MAX)
    faults.unknown(body, _FIELDS)
    return faults, points, code


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _number(points: str) -> int | NumberText:
    """Return the magnitude of an outcome's points as a JSON number, to the last digit."""
    magnitude = points.removeprefix("-")
    if "." in magnitude:
        magnitude = magnitude.rstrip("0").rstrip(".")
    return NumberText(magnitude) if "." in magnitude else int(magnitude)


def _errors(key: str, reason_code: str, message: str, details: Sequence[Detail]) -> dict[str, Any]:
    """Return the vendor's errors, one for each fault of an invalid body."""
    faults = [(detail["field"], f"{detail['field']} {detail['rule']}.") for detail in details]
    told = faults or [(_NO_DETAILS, message)]
    return {
        "Errors": {
            "Error": [
                {
                    "Source": _SOURCE,
                    "ReasonCode": reason_code,
                    "Description": description,
                    "Recoverable": "true" if key in _RECOVERABLE else "false",
                    "Details": field,
                }
                for field, description in told
            ]
        }
    }
