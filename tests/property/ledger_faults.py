"""The faults that the model sees without a wallet, in the contract's order."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tests.property.tokens import first_instant_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.property.ledger_model import Ask, Ledger
    from tests.property.ledger_wallets import Place

PERMISSION = {
    "ADJUST": "adjust",
    "SET_BALANCE": "set_balance",
    "REVERSE": "reverse",
    "HOLD": "hold",
    "CAPTURE": "hold",
    "RELEASE": "hold",
    "CONVERT": "convert",
}
AIMED = ("award_id", "award_type", "promotion_id", "promotion_identifier")


def of_payload(program: dict[str, Any], ask: Ask) -> Iterator[str]:
    """What is wrong with a request by itself."""
    if ask.operation not in {"ADJUST", "SET_BALANCE"} and any(one in ask.document for one in AIMED):
        yield "invalid_payload"
    if len(ask.document.get("reason", "")) > program.get("reason_max_length", 255):
        yield "invalid_payload"


def before_wallet(ledger: Ledger, ask: Ask, now: datetime) -> Iterator[str]:
    """All that is wrong with a request whatever its wallet holds."""
    program, document = ledger.program, ask.document
    yield from of_payload(program, ask)
    place = ledger.named_place(ask)
    for field, known in zip(("currency", "category"), place or (), strict=bool(place)):
        if document.get(field, known) != known:
            yield "invalid_payload"
    if "expiration_date" in document and custom(program, document["expiration_date"]) <= now:
        yield "invalid_expiration_date"
    points = Decimal(str(document.get("points", 1)))
    if ask.operation == "ADJUST" and points == 0:
        yield "zero_points"
    yield from _of_rights(ledger, ask)
    yield from _of_amount(program, ask, place)
    if ask.operation != "EXPIRE":
        yield from _of_reason(ledger, ask)
    if document.get("source") not in [None, *program.get("sources", ())] and program.get("sources"):
        yield "invalid_source"


def catalogue_faults(program: dict[str, Any], code: str | None, direction: str | None) -> bool:
    """Whether a reason code is not in the catalogue, or not for credits or debits."""
    catalogue = {one["code"]: one for one in program.get("reason_codes", ())}
    if code is None or not catalogue:
        return False
    if code not in catalogue:
        return True
    return direction is not None and catalogue[code].get("sign", direction) != direction


def custom(program: dict[str, Any], text: str) -> datetime:
    """The instant from which points with this expiration date cannot be used."""
    zone = program.get("time_zone", "UTC")
    if len(text) == len("2030-12-31"):
        return first_instant_after(date.fromisoformat(text), zone)
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _of_rights(ledger: Ledger, ask: Ask) -> Iterator[str]:
    program, is_due_anyway = ledger.program, ask.operation == "EXPIRE"
    if program.get("status") == "inactive" and not is_due_anyway:
        yield "program_inactive"
    if not _may(program, ask):
        yield "not_permitted"
    if program.get("enrolment") == "required" and not ledger.is_enrolled and not is_due_anyway:
        yield "member_not_found"
    if ledger.status != "active" and not is_due_anyway:
        yield "member_inactive"


def _of_amount(program: dict[str, Any], ask: Ask, place: Place | None) -> Iterator[str]:
    code = place[0] if place else ask.document.get("currency", program["currencies"][0]["code"])
    decimals = {one["code"]: one.get("decimals", 0) for one in program["currencies"]}
    if code not in decimals:
        yield "unknown_currency"
    elif Decimal(str(ask.document.get("points", 0))).scaleb(decimals[code]) % 1:
        yield "decimal_places_exceeded"


def _of_reason(ledger: Ledger, ask: Ask) -> Iterator[str]:
    program, document = ledger.program, ask.document
    code = document.get("reason_code") or None
    if program.get("reason") == "required" and not document.get("reason") and code is None:
        yield "reason_required"
    direction = None
    if ask.operation == "ADJUST":
        direction = "debit" if str(document["points"]).startswith("-") else "credit"
    elif ask.operation == "CAPTURE":
        direction = "debit"
    elif ask.operation == "REVERSE" and document["reverses"] in ledger.changes:
        original = ledger.changes[document["reverses"]]
        # Of a credit that a cap has cut to nothing there is nothing to undo either way.
        if original.points:
            direction = "debit" if original.is_credit else "credit"
    if catalogue_faults(program, code, direction):
        yield "invalid_reason_code"


def _may(program: dict[str, Any], ask: Ask) -> bool:
    publishers = {one["user_id"]: set(one["may"]) for one in program.get("publishers", ())}
    if not publishers:
        return True
    if ask.publisher not in publishers:
        return False
    if ask.operation == "EXPIRE":
        return True
    needed = {PERMISSION[ask.operation]}
    needed |= {one for one in ("bypass_caps", "allow_negative") if ask.document.get(one)}
    return needed <= publishers[ask.publisher]
