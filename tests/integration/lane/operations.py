"""What tests of operations ask for, in the default programme or one with caps and limits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

ACME = {
    "program_id": "acme",
    "status": "active",
    "time_zone": "Europe/Berlin",
    "currencies": [
        {
            "code": "points",
            "decimals": 0,
            "expiry": {"rule": "after", "days": 30},
            "earn_caps": [{"per": "day", "points": "1000"}, {"rolling_days": 3, "points": "1500"}],
            "spend_caps": [{"per": "day", "points": "600"}],
        },
        {"code": "coins", "decimals": 2, "expiry": {"rule": "never"}},
    ],
    "limits": {"points_per_operator_per_day": "700"},
    "promotions": [{"id": "79555", "identifier": "b86c"}],
}


def acme(request_id: str, points: object = None, **more: Any) -> dict[str, Any]:
    """Return a request in the programme with caps and limits."""
    given = {} if points is None else {"points": points}
    return {
        "request_id": request_id,
        "program_id": "acme",
        "member_id": "m",
        "reason": "x",
        **given,
        **more,
    }


def asked(request_id: str, operation: str, points: object = None, **more: Any) -> dict[str, Any]:
    """Return a request of another operation than ADJUST in the default programme."""
    given = {} if points is None else {"points": points}
    return {
        "request_id": request_id,
        "member_id": "m",
        "operation": operation,
        **given,
        **more,
    }


def shape(outcome: dict[str, Any]) -> tuple[Any, ...]:
    """Return what matters of an outcome: status or error, points, balance and available."""
    key = outcome["error"]["key"] if outcome["error"] else outcome["status"]
    return key, outcome["points"], outcome["balance"], outcome["available"]
