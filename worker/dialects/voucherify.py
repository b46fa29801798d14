"""Voucherify v1: points are added to or removed from the balance of a loyalty card.

The body is that of `POST /v1/loyalties/members/{memberId}/balance`. The path is headers:
`member-id`, and `campaign-id` of the older form, which stands for `program-id` where that is
absent. What the vendor leaves open is settled so:

- `expiration_date` needs `expiration_type` `CUSTOM_DATE` with a credit, and is refused with any
  other. Both are about added points by the vendor's own words, so with a removal they are read
  and have no effect.
- `2023-05-30` is the last usable day, and so is `2023-05-30T00:00:00`, as which the vendor's Python
  client sends it. Any other date-time is the instant at which the points expire.
- Zero points are `zero_points`; only v2 has words for them, of another shape.
- The reply's figures are integers, rounded down, and a negative balance is shown as 0: the vendor's
  clients refuse anything else. What was really done stands in the event.

Errors are the vendor's error object. Its published keys are `invalid_payload`,
`invalid_expiration_date`, `not_found`, `loyalty_card_points_exceeded` (of which it does not say
that a removal meets it), and of v2 `non_active_program` and `non_active_member`. All other keys are
the worker's own.
"""

from __future__ import annotations

from datetime import datetime, time
from decimal import ROUND_FLOOR, Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, get_args

from schemas import dialects, errors, names
from schemas.identity import ID_BYTES_MAX
from schemas.numbers import WHOLE_DIGITS_MAX, NumberText, parse
from schemas.times import parse_date
from worker.dialects.dialect import (
    PROGRAM_ID_HEADER,
    Detail,
    Faults,
    Inbound,
    content_of,
    header,
    member_id_of,
    object_of,
    program_id_of,
    request_id_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.domain.program import Program

_CAMPAIGN_ID: Final = "campaign-id"

_FIELDS: Final = frozenset({"points", "expiration_type", "expiration_date", "reason", "source_id"})
_EXPIRATION_TYPES: Final = get_args(names.ExpirationType)
_REASON_BYTES_MAX: Final = 255

_REQUIRED: Final = "is required"
_POINTS_RULE: Final = f"must be an integer of at most {WHOLE_DIGITS_MAX} digits"
_DATE_RULE: Final = "cannot be recognized as a ISO-8601 compliant date"

# The vendor's code, key and message, and what stands in its details before the rule or id.
_INVALID_PAYLOAD: Final = (400, "invalid_payload", "Invalid payload")
_INVALID_DATE: Final = (400, "invalid_expiration_date", "Invalid Expiration Date")
_NOT_FOUND: Final = (404, "not_found", "Resource not found")
_STATES: Final = {
    errors.PROGRAM_INACTIVE: (423, "non_active_program"),
    errors.MEMBER_INACTIVE: (423, "non_active_member"),
    errors.INSUFFICIENT_POINTS: (400, "loyalty_card_points_exceeded"),
}
_CARD: Final = ("voucher", "member_id")
_RESOURCES: Final = {
    errors.MEMBER_NOT_FOUND: _CARD,
    errors.NOT_ENROLLED: _CARD,
    errors.UNKNOWN_PROGRAM: ("campaign", "program_id"),
}

_REQUEST_ID_DIGITS: Final = 18


class Voucherify:
    """The dialect `voucherify.balance`."""

    name: Final = dialects.VOUCHERIFY

    def read(
        self, document: object, headers: Mapping[str, object], message_id: str | None
    ) -> Inbound:
        """Read whose request it is. Raises Undeliverable."""
        has_program = header(headers, PROGRAM_ID_HEADER) is not None
        return Inbound(
            program_id=program_id_of(headers, PROGRAM_ID_HEADER if has_program else _CAMPAIGN_ID),
            request_id=request_id_of(message_id),
            member_id=member_id_of(headers),
            identifier=None,
            document=document,
            content=content_of(self.name, document, amounts=("points",)),
        )

    def translate(self, inbound: Inbound, program: Program | None) -> dict[str, Any]:  # noqa: ARG002
        """Return an ADJUST by the signed points. Raises Refused."""
        body = object_of(inbound.document)
        faults = Faults()
        faults.unknown(body, _FIELDS)
        points = _points(body.get("points"), faults)
        fields: dict[str, Any] = {"operation": names.ADJUST, "points": points}
        kind, day = _expiration(body, faults, is_removal=points < 0)
        if points >= 0:
            fields |= {"expiration_type": kind, "expiration_date": day}
        fields["reason"] = faults.text("reason", body.get("reason"), 0, _REASON_BYTES_MAX)
        fields["source_id"] = faults.text("source_id", body.get("source_id"), 0, ID_BYTES_MAX)
        faults.refuse()
        return {name: value for name, value in fields.items() if value is not None}

    def reply(
        self,
        outcome: Mapping[str, Any],
        context: Mapping[str, str],  # noqa: ARG002
        program: Program | None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return the balance object, or the error object."""
        if outcome["error"] is not None:
            return _error_of_outcome(outcome)
        return {
            "points": _whole(outcome["points"]),
            "total": _whole(outcome["total"]),
            "balance": max(0, _whole(outcome["balance"])),
            "type": "loyalty_card",
            "object": "balance",
            "related_object": {"type": "voucher", "id": outcome["member_id"]},
            "operation_type": outcome["operation_type"],
        }

    def error(
        self,
        key: str,
        message: str,
        context: Mapping[str, str],  # noqa: ARG002
        details: Sequence[Detail] = (),
    ) -> dict[str, Any]:
        """Return the error object of a message that became a dead letter: it has no request id."""
        return _error(key, f"{message}.", details)


def _points(value: object, faults: Faults) -> int:
    """Return the points, 0 for what are none: an integer, also as JSON's 100.0, but no string."""
    if value is None:
        faults.add("points", _REQUIRED)
        return 0
    if type(value) in {int, NumberText}:
        try:
            amount = parse(value)
        except ValueError:
            pass
        else:
            if amount.scale == 0:
                return amount.digits
    faults.add("points", _POINTS_RULE, value)
    return 0


def _expiration(
    body: Mapping[str, Any], faults: Faults, *, is_removal: bool
) -> tuple[str | None, str | None]:
    """Return the expiration type and date of added points, as the canonical request has them."""
    kind, sent = body.get("expiration_type"), body.get("expiration_date")
    if kind is not None and kind not in _EXPIRATION_TYPES:
        faults.add("expiration_type", f"must be one of {', '.join(_EXPIRATION_TYPES)}", kind)
    day = None
    if sent is not None:
        try:
            day = _day(sent)
        except ValueError:
            faults.add("expiration_date", _DATE_RULE, sent)
    if not is_removal and kind == names.CUSTOM_DATE and sent is None:
        faults.add("expiration_date", _REQUIRED)
    if not is_removal and kind != names.CUSTOM_DATE and sent is not None:
        faults.add("expiration_date", f"goes with expiration_type {names.CUSTOM_DATE} only", sent)
    return kind, day


def _day(sent: object) -> str:
    """Return the canonical form of a date: a local midnight is that day. Raises ValueError."""
    moment = parse_date(sent)
    if isinstance(moment, datetime) and moment.tzinfo is None and moment.time() == time.min:
        return moment.date().isoformat()
    return str(sent)


def _whole(amount: str) -> int:
    return int(Decimal(amount).to_integral_value(ROUND_FLOOR))


def _error_of_outcome(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Return the error object of a rejection, and the resource that was not found."""
    error = outcome["error"]
    key = error["key"]
    request_id = _request_id(outcome)
    if key not in _RESOURCES:
        return _error(key, error["message"], error["details"]) | {"request_id": request_id}
    kind, field = _RESOURCES[key]
    return _error_object(*_NOT_FOUND, f"Cannot find {kind} with id {outcome[field]}") | {
        "request_id": request_id,
        "resource_id": outcome[field],
        "resource_type": kind,
    }


def _error(key: str, message: str, details: Sequence[Detail]) -> dict[str, Any]:
    """Return the error object for a key of the worker's and its message."""
    if key == errors.INVALID_PAYLOAD:
        return _error_object(*_INVALID_PAYLOAD, "; ".join(map(_fault, details)) or message)
    if key == errors.INVALID_EXPIRATION_DATE and details:
        return _error_object(*_INVALID_DATE, f"Expiration date {details[0]['rule']}")
    code, vendors_key = _STATES.get(key, (errors.ERRORS[key], key))
    return _error_object(code, vendors_key, message)


def _error_object(code: int, key: str, message: str, details: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"code": code, "key": key, "message": message}
    return found if details is None else found | {"details": details}


def _fault(detail: Detail) -> str:
    """Tell a fault in the vendor's manner; its clients show `details` to people."""
    field, rule = detail["field"], detail["rule"]
    if rule == _REQUIRED:
        return f"Payload must have required property '{field}'"
    if field == "body":
        return f"Payload {rule}"
    # What is no name of a field has blanks: how long it is, or what is in it.
    return f"Payload has {field}, which {rule}" if " " in field else f"Property .{field} {rule}"


def _request_id(outcome: Mapping[str, Any]) -> str:
    """Return an id in the vendor's form, always the same for the same request of a member."""
    name = "\x1f".join(outcome[field] for field in ("program_id", "member_id", "request_id"))
    return f"v-{sha256(name.encode()).hexdigest()[:_REQUEST_ID_DIGITS]}"
