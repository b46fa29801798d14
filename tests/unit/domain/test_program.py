"""A programme's document is kept to the letter, or refused by the name of what is wrong with it."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from worker.domain.document import from_document
from worker.domain.program import ExpiryRule

POINTS = {"code": "points"}


def with_expiry(**expiry: Any) -> dict[str, Any]:
    return {"currencies": [{"code": "points", "expiry": expiry}]}


def test_a_document_is_read_as_it_stands() -> None:
    program = from_document(
        "acme",
        3,
        {
            "program_id": "acme",
            "name": "Acme Rewards",
            "status": "active",
            "time_zone": "Europe/Berlin",
            "allow_negative": True,
            "currencies": [
                {"code": "points", "decimals": 0, "expiry": {"rule": "after", "months": 12}},
                {"code": "coins", "decimals": 3, "expiry": {"rule": "never"}},
            ],
        },
    )
    assert (program.program_id, program.version) == ("acme", 3)
    assert (program.is_active, program.allow_negative) == (True, True)
    assert program.time_zone == ZoneInfo("Europe/Berlin")
    points, coins = program.currencies
    assert (points.code, points.decimals, points.expiry) == (
        "points",
        0,
        ExpiryRule("after", months=12),
    )
    assert (coins.code, coins.decimals, coins.expiry) == ("coins", 3, ExpiryRule("never"))


def test_what_a_document_leaves_out_is_active_utc_without_decimals_and_never_expiring() -> None:
    program = from_document("acme", 1, {"currencies": [POINTS]})
    assert (program.is_active, program.allow_negative) == (True, False)
    assert program.time_zone == ZoneInfo("UTC")
    assert (program.currencies[0].decimals, program.currencies[0].expiry) == (0, ExpiryRule())


def test_a_programme_may_be_inactive() -> None:
    program = from_document("acme", 1, {"status": "inactive", "currencies": [POINTS]})
    assert not program.is_active


@pytest.mark.parametrize(
    ("expiry", "rule"),
    [
        ({"rule": "never"}, ExpiryRule()),
        ({"rule": "after", "days": 30}, ExpiryRule("after", days=30)),
        ({"rule": "after", "days": 0}, ExpiryRule("after")),
        ({"rule": "after", "months": 3}, ExpiryRule("after", months=3)),
        ({"rule": "after", "years": 2}, ExpiryRule("after", months=24)),
        ({"rule": "end_of", "period": "month"}, ExpiryRule("end_of", period="month")),
        (
            {"rule": "end_of", "period": "quarter", "after_months": 3},
            ExpiryRule("end_of", months=3, period="quarter"),
        ),
        ({"rule": "end_of", "period": "year"}, ExpiryRule("end_of", period="year")),
    ],
)
def test_each_expiry_rule_is_read_as_it_stands(expiry: dict[str, Any], rule: ExpiryRule) -> None:
    assert from_document("acme", 1, with_expiry(**expiry)).currencies[0].expiry == rule


def test_a_currency_is_found_by_its_code_and_the_first_where_none_is_named() -> None:
    program = from_document("acme", 1, {"currencies": [POINTS, {"code": "coins"}]})
    assert program.currency(None) is program.currencies[0]
    assert program.currency("coins") is program.currencies[1]
    assert program.currency("Coins") is None


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({}, "currencies"),
        ({"currencies": []}, "currencies"),
        ({"currencies": POINTS}, "currencies"),
        ({"currencies": ["points"]}, "currencies"),
        ({"currencies": [{}]}, "code"),
        ({"currencies": [{"code": ""}]}, "code"),
        ({"currencies": [{"code": 7}]}, "code"),
        ({"currencies": [POINTS, POINTS]}, "points"),
        ({"currencies": [{**POINTS, "decimals": 7}]}, "decimals"),
        ({"currencies": [{**POINTS, "decimals": -1}]}, "decimals"),
        ({"currencies": [{**POINTS, "decimals": "2"}]}, "decimals"),
        ({"currencies": [{**POINTS, "decimals": 2.0}]}, "decimals"),
        ({"currencies": [{**POINTS, "decimals": True}]}, "decimals"),
        ({"currencies": [{**POINTS, "balance_cap": "5000"}]}, "balance_cap"),
        ({"currencies": [{**POINTS, "earn_caps": []}]}, "earn_caps"),
        ({"currencies": [{**POINTS, "expiry": "never"}]}, "expiry"),
        ({"currencies": [POINTS], "program_id": "other"}, "program_id"),
        ({"currencies": [POINTS], "status": "Active"}, "status"),
        ({"currencies": [POINTS], "time_zone": "Mars/Olympus"}, "time_zone"),
        ({"currencies": [POINTS], "time_zone": "Europe"}, "time_zone"),
        ({"currencies": [POINTS], "time_zone": "../UTC"}, "time_zone"),
        ({"currencies": [POINTS], "time_zone": ""}, "time_zone"),
        ({"currencies": [POINTS], "allow_negative": "no"}, "allow_negative"),
        ({"currencies": [POINTS], "allow_negative": 1}, "allow_negative"),
        ({"currencies": [POINTS], "reason": "required"}, "reason"),
        ({"currencies": [POINTS], "enrolment": "required"}, "enrolment"),
        ({"currencies": [POINTS], "limits": {}}, "limits"),
        (with_expiry(rule="soon"), "rule"),
        (with_expiry(months=12), "months"),
        (with_expiry(rule="never", months=12), "months"),
        (with_expiry(rule="after"), "after"),
        (with_expiry(rule="after", month=12), "months"),
        (with_expiry(rule="after", days=30, month=12), "month"),
        (with_expiry(rule="after", days=30, period="month"), "period"),
        (with_expiry(rule="after", months=-1), "months"),
        (with_expiry(rule="after", months=1.5), "months"),
        (with_expiry(rule="after", days=True), "days"),
        (with_expiry(rule="end_of"), "period"),
        (with_expiry(rule="end_of", period="week"), "period"),
        (with_expiry(rule="end_of", period="year", months=1), "months"),
        (with_expiry(rule="end_of", period="year", after_months=-1), "after_months"),
    ],
)
def test_a_document_that_would_not_be_kept_is_refused_by_the_name_of_its_key(
    document: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=rf"^programme acme: .*\b{named}\b"):
        from_document("acme", 1, document)
