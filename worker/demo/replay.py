"""The rules once more, as plainly as possible: what every member must have in the end.

It shares no code with the worker and knows just what the demo's requests need, so that an error
of the worker is not repeated here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.demo.burst import Message

_FIELDS = {
    "request_id",
    "member_id",
    "operation",
    "hold",
    "reverses",
    "points",
    "category",
    "expiration_type",
    "expiration_date",
    "reason",
    "comment",
    "adjusted_by",
    "source",
    "source_id",
}


@dataclass(slots=True)
class Account:
    """One member: the request ids in the order of their first publication, and what they made.

    `changes` are the requests that changed the balance, `holds` those that set points aside.
    """

    balance: int = 0
    total: int = 0
    applied: int = 0
    request_ids: dict[str, None] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    holds: dict[str, int] = field(default_factory=dict)


def replay(messages: Iterable[Message]) -> dict[str, Account]:
    """Go through the messages one after the other and return every member's account."""
    accounts: dict[str, Account] = {}
    for message in messages:
        account = accounts.setdefault(message.member_id, Account())
        if message.request_id in account.request_ids:
            continue
        account.request_ids[message.request_id] = None
        request = json.loads(message.body)
        operation = request.get("operation", "ADJUST")
        # Of a reversal or capture the points are those of the request that it names.
        if operation == "REVERSE":
            change = -account.changes.pop(request["reverses"])
        elif operation == "CAPTURE":
            change = -account.holds.pop(request["hold"])
        else:
            change = _change(request)
        available = account.balance - sum(account.holds.values())
        if operation == "HOLD":
            if change > available:
                continue
            account.holds[message.request_id] = change
        elif change == 0 or available + change < 0:
            continue
        else:
            account.changes[message.request_id] = change
            account.balance += change
            account.total += max(change, 0) if operation == "ADJUST" else 0
        account.applied += 1
    return accounts


def _change(request: dict[str, Any]) -> int:
    """Return by how much a request wants to change the balance; zero where it is refused."""
    if request.keys() - _FIELDS:
        return 0
    last_day = request.get("expiration_date")
    if last_day is not None and date.fromisoformat(last_day) < datetime.now(UTC).date():
        return 0
    points = Decimal(str(request["points"]))
    return int(points) if points == points.to_integral_value() else 0
