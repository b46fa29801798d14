"""Turns what a wallet holds at the start into the requests that make it so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from schemas.faults import shape
from schemas.names import ADJUST
from schemas.numbers import parse

OPENING_COLUMNS: Final = frozenset(
    {
        "request_id", "program_id", "member_id", "balance", "total", "currency", "category",
        "expiration_type", "expiration_date", "reason", "reason_code", "comment", "adjusted_by",
        "source", "source_id", "occurred_at", "metadata",
    }
)  # fmt: skip
_REASON: Final = "Opening balance"
_OF_CREDITS: Final = ("expiration_type", "expiration_date")


class NoOpening(Exception):
    """A row that is no opening: the field, the rule that it breaks, the shape of what came."""

    def __init__(self, field: str, rule: str, got: str) -> None:
        super().__init__(f"{field} {rule}")
        self.field = field
        self.rule = rule
        self.got = got


def opening(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a credit of all that was ever earned, and a debit of what of it is gone.

    So balance and lifetime total come out right. Without a total, the balance is all that was
    earned. The wallet must be a fresh one (`expected_version`): a file that was corrected, and so
    has other ids, is not added to the first. The debit is only for where the credit was carried
    out: a wallet in use may well have the version that it expects. Raises NoOpening.
    """
    balance = _amount(fields.get("balance"), "balance")
    total = max(balance, Decimal(0))
    if "total" in fields:
        total = _amount(fields["total"], "total")
    if total < 0 or total < balance:
        raise NoOpening("total", "must not be negative, nor less than the balance", "less")
    request_id = fields["request_id"]
    if not isinstance(request_id, str):
        raise NoOpening("request_id", "must be a string", shape(request_id))
    common = {name: v for name, v in fields.items() if name not in {"balance", "total"}}
    if not {"reason", "reason_code"} & common.keys():
        common["reason"] = _REASON
    common |= {"operation": ADJUST, "bypass_caps": True}
    requests = []
    if total:
        credit = {"request_id": f"{request_id}-credit", "points": f"{total:f}"}
        requests.append(common | credit | {"expected_version": 0})
    if total > balance:
        debit: dict[str, Any] = {
            "request_id": f"{request_id}-debit",
            "points": f"{balance - total:f}",
        }
        if balance < 0:
            debit["allow_negative"] = True
        plain = {name: v for name, v in common.items() if name not in _OF_CREDITS}
        requests.append(plain | debit | {"expected_version": len(requests)})
    return requests


def _amount(value: object, field: str) -> Decimal:
    if value is None:
        raise NoOpening(field, "is required", "nothing")
    try:
        return Decimal(str(parse(value)))
    except ValueError as error:
        raise NoOpening(field, str(error), shape(value)) from None
