"""Beans: credits and debits of a member's balance, debits also as pending ones.

Beans publishes no reference of such a request: what its help pages describe is the vendor's, the
form is the worker's own.

- `{"type": "credit" | "debit", "points": 20, "description": "…"}` changes the balance. `points` is
  a magnitude, an integer or a decimal.
- With `"pending": true` a debit is set aside for its order, so that nobody redeems the same points
  twice. It is cancelled of itself after 48 hours, as at the vendor.
- `{"type": "commit" | "cancel", "debit": "…"}` ends a pending debit, which is named by its
  request id: the order was completed, or was not.

The reply is `{"status", "points", "balance", "pending", "warnings"}`. `status` is `committed`,
`pending` or `cancelled`; `points` is the signed change of the balance, `balance` what it is after
it, `pending` how much of it is set aside by now: decimals as texts. What was refused is answered by
`{"status": "refused", "error": {"code", "key", "message", "details"}}`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from schemas import dialects, errors, names
from schemas.identity import ID_BYTES_MAX
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
from worker.dialects.telling import letter_error, rejection_error, renamed
from worker.domain.outcome import Rejection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.domain.program import Program

_CREDIT: Final = "credit"
_DEBIT: Final = "debit"
_OPERATIONS: Final = {
    _CREDIT: names.ADJUST,
    _DEBIT: names.ADJUST,
    "commit": names.CAPTURE,
    "cancel": names.RELEASE,
}
_CHANGES: Final = (_CREDIT, _DEBIT)

_FIELDS: Final = frozenset({"type", "points", "description", "pending", "debit"})
_SENT_NAMES: Final = {"reason": "description"}
_DESCRIPTION_BYTES_MAX: Final = 255
_PENDING_SECONDS: Final = 48 * 3600

_STATUSES: Final = {names.HOLD: "pending", names.RELEASE: "cancelled"}
_COMMITTED: Final = "committed"
_REFUSED: Final = "refused"


class Beans:
    """The dialect `beans.balance`."""

    name: Final = dialects.BEANS

    def read(
        self, document: object, headers: Mapping[str, object], message_id: str | None
    ) -> Inbound:
        """Read whose request it is. Raises Undeliverable."""
        return Inbound(
            program_id=program_id_of(headers),
            request_id=request_id_of(message_id),
            member_id=member_id_of(headers),
            identifier=None,
            document=document,
            content=content_of(self.name, document, amounts=("points",)),
        )

    def translate(self, inbound: Inbound, program: Program | None) -> dict[str, Any]:  # noqa: ARG002
        """Return an ADJUST, or the HOLD, CAPTURE or RELEASE of a pending debit. Raises Refused."""
        body = object_of(inbound.document)
        faults = Faults()
        faults.unknown(body, _FIELDS)
        kind = body.get("type")
        if type(kind) is not str or kind not in _OPERATIONS:
            faults.add("type", f"must be one of {', '.join(_OPERATIONS)}", kind)
            kind = None
        fields: dict[str, Any] = {}
        description = body.get("description")
        fields["reason"] = faults.text("description", description, 0, _DESCRIPTION_BYTES_MAX)
        if kind in _CHANGES:
            _read_change(body, faults, fields)
        elif kind is not None:
            _read_end(body, faults, fields)
        faults.refuse()
        return {name: value for name, value in fields.items() if value is not None}

    def reply(
        self,
        outcome: Mapping[str, Any],
        context: Mapping[str, str],  # noqa: ARG002
        program: Program | None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return what the balance is now and how much of it is pending, or the error."""
        if outcome["error"] is not None:
            error = renamed(outcome["error"], _SENT_NAMES)
            return {"status": _REFUSED, "error": rejection_error(error)}
        pending = Decimal(outcome["balance"]) - Decimal(outcome["available"])
        return {
            "status": _STATUSES.get(outcome["operation"], _COMMITTED),
            "points": outcome["points"],
            "balance": outcome["balance"],
            "pending": f"{pending:f}",
            "warnings": list(outcome["warnings"]),
        }

    def error(
        self,
        key: str,
        message: str,
        context: Mapping[str, str],  # noqa: ARG002
        details: Sequence[Detail] = (),
    ) -> dict[str, Any]:
        """Return the error of a message that became a dead letter."""
        return {"status": _REFUSED, "error": letter_error(key, message, details)}


def _read_change(body: Mapping[str, Any], faults: Faults, fields: dict[str, Any]) -> None:
    """Read a credit or a debit. Raises Refused."""
    is_credit = body["type"] == _CREDIT
    pending = body.get("pending")
    if pending is not None and type(pending) is not bool:
        faults.add("pending", "must be true or false", pending)
    elif pending and is_credit:
        faults.add("pending", "goes with debits only", pending)
    if body.get("debit") is not None:
        faults.add("debit", "goes with commit and cancel only", body["debit"])
    if body.get("points") is None:
        faults.add("points", "is required")
    points = faults.magnitude("points", body.get("points"))
    faults.refuse()
    assert points is not None, "it is required"
    if points.digits == 0:
        raise Refused(Rejection(errors.ZERO_POINTS, "points must not be zero."))
    if pending:
        fields |= {"operation": names.HOLD, "ttl_seconds": _PENDING_SECONDS}
    else:
        fields["operation"] = names.ADJUST
        if not is_credit:
            points = points._replace(digits=-points.digits)
    fields["points"] = str(points)


def _read_end(body: Mapping[str, Any], faults: Faults, fields: dict[str, Any]) -> None:
    """Read how a pending debit ended."""
    for name in ("points", "pending"):
        if body.get(name) is not None:
            faults.add(name, "goes with credit and debit only", body[name])
    if body.get("debit") is None:
        faults.add("debit", "is required: the request id of the pending debit")
    fields["operation"] = _OPERATIONS[body["type"]]
    fields["hold"] = faults.text("debit", body.get("debit"), 1, ID_BYTES_MAX)
