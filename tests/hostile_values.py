"""What hostile messages are made of: values, names, headers, ways, and programmes to hit."""

from __future__ import annotations

from typing import Any, Final

SECRET: Final = "n0t-f0r-any-l0g"
"""Stands in payloads and headers; the worker must never write it down anywhere but in the books."""


def _nested(depth: int) -> Any:
    value: Any = 1
    for number in range(depth):
        value = [value] if number % 2 else {"d": value}
    return value


PROGRAMMES: Final = ("default",) * 6 + ("rich",) * 6 + ("guarded", "ended", "unknown")
RICH: Final[dict[str, Any]] = {
    "program_id": "rich",
    "time_zone": "Australia/Lord_Howe",
    "sources": ["till"],
    "reason_codes": [{"code": "GOODWILL", "sign": "credit", "max": "500"}],
    "currencies": [
        {
            "code": "points",
            "decimals": 2,
            "expiry": {"rule": "end_of", "period": "quarter", "after_months": 1},
            "balance_cap": "5000",
            "earn_caps": [
                {"per": "month", "points": "4000"},
                {"rolling_days": 7, "points": "3000"},
            ],
            "spend_caps": [{"per": "day", "points": "50"}],
        },
        {"code": "coins", "decimals": 3, "expiry": {"rule": "after", "days": 1}},
    ],
    "limits": {"points_per_request": "100000", "points_per_operator_per_day": "250000"},
    "promotions": [{"id": "79555", "identifier": "spring"}],
    "reactors": [{"event_type": "BOUGHT", "property": "points", "multiplier": "1.5"}],
    "dialects": {"mastercard": {"adjustment_types": {"CR": "credit", "DR": "debit"}}},
}
GUARDED: Final[dict[str, Any]] = {
    "program_id": "guarded",
    "enrolment": "required",
    "reason": "required",
    "currencies": [{"code": "points"}],
    "publishers": [{"user_id": "till-service", "may": ["adjust"]}],
}
ENDED: Final[dict[str, Any]] = {
    "program_id": "ended",
    "status": "inactive",
    "currencies": [{"code": "points"}],
}

MEMBERS: Final = (
    *(f"member-{number:03d}" for number in range(40)),
    "Zoë-🙂-Ωmega",
    "x" * 128,
    "ü" * 64,
    "\u202emember\u202c",
    "e\u0301\u0301\u0301",
    "a\u2028b",
    " ",
    "0",
    "null",
    "'; DROP TABLE points.members; --",
    "../../etc/passwd",
    "%s%n{}{0}$1",
    "\U0010ffff",
    "\ufeffbom",
    "http://example.org/?a=b&c=d#e",
)

VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**15, 10**18, 10**400),
    *(1.5, 1e308, 5e-324, float("nan"), float("inf"), -0.0),
    *("@@1E400@@", "@@-0@@", "@@1.50@@", "@@1e2@@", "@@1.0000001@@", f"@@{'9' * 5_000}@@"),
    *("@@01@@", "@@.5@@", "@@5.@@", "@@0x10@@", "@@--1@@", "@@1 2@@", "@@tru@@", "@@@@"),
    *("", " ", "\0", "\n", "\x7f", "\x85", "\u2028", "\ud800", "\udfff\ud800", "\ufffe"),
    *("x" * 65, "x" * 129, "x" * 256, "é" * 65, "🙂" * 600, "x" * 2_001, "\u0301" * 50),
    *("1e5", "NaN", "-Infinity", "0x10", "١٢", "１２", "1_000", " 1", "1 ", "+1", "-0", "00"),  # noqa: RUF001
    *(".5", "5.", "-", "1.0000001", "999999999999999.999999", "-999999999999999", "1" * 5_000),
    *("2026-02-30", "9999-12-31", "0001-01-01", "2026-13-01", "2090-1-1", "infinity", "today"),
    *("2090-06-01T25:00:00", "2090-06-01T12:00:00+99:00", "2090-06-01 12:00", "2090-W01-1"),
    *("2090-06-01T12:00:00.123456789Z", "-2090-06-01", "20900601", "1767225600", "2090-06-01T"),
    *("' OR 1=1 --", "{{7*7}}", "${jndi:ldap://x}", "<script>", "%00", "\\u0000", SECRET),
    *({}, [], [None], {"": ""}, {"a": {"b": SECRET}}, [[[]]], {"k" * 300: 1}, ["x"] * 500),
    *(_nested(5), _nested(29), _nested(31), _nested(33), _nested(300)),
    *({"x": "y" * 4_096}, {"n": "@@1e999@@"}, {"\ud800": 1}, {"z": "\0"}, {"s": "\ud800"}),
    *("ADJUST", "GIVE", "adjust", "REGULAR", "CUSTOM_DATE", "bill_regular", "default", "a b"),
)

KEYS: Final = (
    *("request_id", "program_id", "member_id", "operation", "points", "currency", "category"),
    *("expiration_type", "expiration_date", "award_id", "award_type", "promotion_id"),
    *("promotion_identifier", "reason", "reason_code", "comment", "adjusted_by", "source"),
    *("source_id", "operation_type", "reverses", "hold", "ttl_seconds", "expected_version"),
    *("ordinal", "ordinal_stream", "bypass_caps", "allow_negative", "dry_run", "occurred_at"),
    "metadata",
)
UNKNOWN_FIELDS: Final = ("pionts", "", "__proto__", "request_id ", "x" * 500, "\ud800", "\0", "ü")

CONTENT_TYPES: Final = (
    b"",
    b"text/plain",
    b"APPLICATION/JSON",
    b"application/json; charset=latin-1",
    b"application/cloudevents+json",
)
MESSAGE_TYPES: Final = (
    b"",
    b"adjustment.request.v2",
    b"adjustment.result.v1",
    b"ADJUSTMENT.REQUEST.V1",
    b"voucherify.balance.v2",
)
ROUTING_KEYS: Final = (
    b"",
    b"anything",
    b"bucket.256",
    b"bucket.1",
    b"bucket.-01",
    b"#",
    b"*.*",
    b"x" * 255,
    b"\xff\xfe",
    "🙂".encode(),
)
# The broker itself refuses a NaN.
HEADER_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, 0, -(2**63), 2**63 - 1, 1.5, "", " ", "x" * 200, "🙂" * 40),
    *(b"\xff\xfe", b"\0", b"x" * 30_000, [], {}, [1, [2, [3]]], {"a": {"b": [b"\xff"]}}),
    *("member-001", "default", "points", SECRET, "00-4bf92f3577b34da6a3ce929d0e0e4736-00-01"),
)
# The worker's own user is believed, so what it says is odd at most.
FIRST_USERS: Final[tuple[Any, ...]] = ("till-service", "", "x" * 200, "🙂", 1, None, True, [])
# What only the worker may say: from anybody else it must not be believed.
WORKERS_WORDS: Final[dict[str, Any]] = {
    "x-dialect": '{"name": "beans.balance"}',
    "x-content-digest": "0" * 64,
    "x-refusal": '{"key": "zero_points", "message": "No.", "details": null}',
    "x-refused-property": "expiration",
    "x-original-user-id": "till-service",
    "x-door-trial": "anything",
    "x-error-key": "too_large",
}

DIALECT_BODIES: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "voucherify.balance": (
        {"points": 100},
        {"points": -5, "reason": "a correction"},
        {"points": 7, "expiration_type": "CUSTOM_DATE", "expiration_date": "2090-05-30"},
        {"points": 7, "expiration_type": "NON_EXPIRING"},
    ),
    "capillary.negative_points_adjustment": (
        {"pointsToBeAdjusted": 1, "reasonOfReturn": "one of many"},
        {"pointCategoryTypes": "REGULAR", "pointsToBeAdjusted": "100.00", "reasonOfReturn": "x"},
        {"pointsToBeAdjusted": 3, "programId": 973},
    ),
    "mastercard.points_adjustment": (
        {
            "bankAccountNumber": SECRET,
            "pointsToAdjust": 5,
            "adjustmentTypeCode": "CR",
            "adjustmentReason": "courtesy",
            "adjustedBy": "agent-7",
        },
        {"encryptedData": "a.b.c.d.e"},
        {"encryptedData": "eyJhbGciOiJSU0EtT0FFUC0yNTYiLCJlbmMiOiJBMjU2R0NNIn0." + "A" * 400},
    ),
    "wll.event": (
        {"eventType": "BOUGHT", "payload": {"points": 3}},
        {"eventType": "POINTS_ADJUSTED", "payload": {}},
        {"eventType": "LOOKED", "payload": {"points": 3}},
    ),
    "beans.balance": (
        {"type": "credit", "points": 5},
        {"type": "debit", "points": 2, "description": "an order", "pending": True},
        {"type": "commit", "debit": "h-000001"},
        {"type": "cancel", "debit": "h-000002"},
    ),
}
BY_IDENTIFIER: Final = ("capillary.negative_points_adjustment", "mastercard.points_adjustment")
DIALECT_HEADERS: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "voucherify.balance": ({}, {"campaign-id": "rich"}),
    "capillary.negative_points_adjustment": (
        {},
        {"user-id": "member-001"},
        {"identifier-name": "email", "identifier-value": f"{SECRET}@example.org"},
        {"identifier-name": "shoe-size", "identifier-value": SECRET, "source": "till"},
    ),
    "mastercard.points_adjustment": ({}, {"reply-kid": "unknown"}),
    "wll.event": ({},),
    "beans.balance": ({},),
}
