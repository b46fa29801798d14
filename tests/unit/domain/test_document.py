"""A programme's document is kept to the letter, or refused by the name of what is wrong with it."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.document import BadDocument, from_document
from worker.domain.program import (
    Cap,
    Currency,
    ExpiryRule,
    MastercardDialect,
    Program,
    Promotion,
    Publisher,
    Reactor,
    ReasonCode,
)

EXAMPLE = Path(__file__).parents[3] / "schemas" / "examples" / "program.toml"
POINTS = {"code": "points"}


def with_expiry(**expiry: Any) -> dict[str, Any]:
    return {"currencies": [{"code": "points", "expiry": expiry}]}


def with_cap(**cap: Any) -> dict[str, Any]:
    return {"currencies": [{"code": "points", "earn_caps": [cap]}]}


def with_reactor(**changed: Any) -> dict[str, Any]:
    reactor = {"event_type": "MANUAL", "property": "points", "multiplier": "1"}
    return {"currencies": [POINTS], "reactors": [reactor | changed]}


def with_publisher(**changed: Any) -> dict[str, Any]:
    return {"currencies": [POINTS], "publishers": [{"user_id": "till"} | changed]}


def with_mastercard(**changed: Any) -> dict[str, Any]:
    return {"currencies": [POINTS], "dialects": {"mastercard": changed}}


def test_the_default_programme_of_the_first_version_is_still_read() -> None:
    program = from_document(
        "default",
        1,
        {
            "program_id": "default",
            "name": "Default programme",
            "status": "active",
            "time_zone": "UTC",
            "allow_negative": False,
            "currencies": [{"code": "points", "decimals": 0, "expiry": {"rule": "never"}}],
        },
    )
    assert program == Program(
        program_id="default",
        version=1,
        name="Default programme",
        is_active=True,
        time_zone=ZoneInfo("UTC"),
        allow_negative=False,
        currencies=(Currency("points", 0, ExpiryRule()),),
    )


def test_every_key_of_a_document_is_read_as_it_stands() -> None:
    program = from_document("acme", 7, tomllib.loads(EXAMPLE.read_text()))
    points, coins = program.currencies
    assert points == Currency(
        "points",
        0,
        ExpiryRule("after", months=12),
        balance_cap=5000,
        earn_caps=(Cap(1000, per="month"), Cap(400, rolling_days=7)),
    )
    assert points.counts_days
    assert coins == Currency("coins", 3, ExpiryRule(), spend_caps=(Cap(12_500, per="day"),))
    assert program == Program(
        program_id="acme",
        version=7,
        name="Acme Rewards",
        is_active=True,
        time_zone=ZoneInfo("Europe/Berlin"),
        allow_negative=False,
        currencies=(points, coins),
        enrolment_required=False,
        reason_required=False,
        reason_max_length=255,
        reason_codes=(
            ReasonCode("GOODWILL", "credit", Decimal(500)),
            ReasonCode("CORRECTION"),
        ),
        sources=("till", "call-centre"),
        points_per_request=Decimal(100_000),
        points_per_operator_per_day=Decimal(250_000),
        promotions=(Promotion("79555", "b86ca53f-4c5e-46d3-8d33-b61c4f49392c"),),
        reactors=(Reactor("MANUAL_ADJUSTMENT", "points", Decimal(1), "CORRECTION"),),
        publishers=(
            Publisher(
                "till-service", frozenset({"adjust", "set_balance", "reverse", "hold", "convert"})
            ),
            Publisher("back-office", frozenset({"adjust", "bypass_caps", "allow_negative"})),
        ),
        mastercard=MastercardDialect(
            {"CR": "credit", "DR": "debit"},
            "pointsAdjusted",
            {"insufficient_points": "INSUFFICIENT_POINTS"},
        ),
    )


def test_every_fault_is_told_at_once_with_its_place_its_rule_and_what_came() -> None:
    document = {
        "currencies": [
            {"code": "points", "decimals": 7},
            {"code": "points", "earn_caps": [{"per": "fortnight", "points": 4.5}]},
            {"expiry": {"rule": "soon", "months": 12}, "decimals": "2"},
        ],
        "publishers": [{"user_id": "till", "may": ["everything"]}],
        "dialects": {"mastercard": {"adjustment_types": {"C R": "plus"}}},
        "sauces": ["x"] * 3,
    }
    with pytest.raises(BadDocument) as caught:
        from_document("acme", 1, document)
    assert [str(fault) for fault in caught.value.faults] == [
        'currencies[1].code must be given once; got "points"',
        "currencies[0].decimals must be 0 to 6; got 7",
        (
            "currencies[1].earn_caps[0].points must be a decimal in quotes,"
            ' as "400" or "12.50"; got 4.5'
        ),
        (
            "currencies[1].earn_caps[0].per must be one of day, week, month, quarter, year;"
            ' got "fortnight"'
        ),
        'currencies[2].decimals must be 0 to 6, a number without quotes; got "2"',
        "currencies[2].code is required; got nothing",
        'currencies[2].expiry.rule must be one of never, after, end_of; got "soon"',
        (
            "publishers[0].may[0] must be one of adjust, set_balance, reverse, hold, convert,"
            ' bypass_caps, allow_negative; got "everything"'
        ),
        'dialects.mastercard.adjustment_types."C R" must be one of credit, debit; got "plus"',
        "sauces is not known to this version (did you mean sources?); got a list of 3",
    ]
    assert str(caught.value).endswith('got "points" (and 9 more faults)')


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (
            {"currencies": [POINTS | {"decimal": 2}]},
            "currencies[0].decimal is not known to this version (did you mean decimals?); got 2",
        ),
        (
            with_expiry(rule="after", months=1, moths=12),
            (
                "currencies[0].expiry.moths is not known to this version (did you mean months?);"
                " got 12"
            ),
        ),
        (
            with_expiry(months=12),
            'currencies[0].expiry.months goes with rule = "after" only; got 12',
        ),
        (
            with_expiry(rule="after", days=1, period="month"),
            'currencies[0].expiry.period goes with rule = "end_of" only; got "month"',
        ),
        (
            {"currencies": POINTS},
            "currencies must be a list of tables, each under [[currencies]]; got a table of 1",
        ),
        (
            {"currencies": [POINTS | {"earn_caps": {"per": "day"}}]},
            "currencies[0].earn_caps must be a list of tables; got a table of 1",
        ),
        (
            with_expiry(rule="after", days=2**64),
            "currencies[0].expiry.days must be 0 to 2147483647; got 18446744073709551616",
        ),
    ],
)
def test_a_fault_says_what_may_have_been_meant(document: dict[str, Any], told: str) -> None:
    with pytest.raises(BadDocument) as caught:
        from_document("acme", 1, document)
    assert [str(fault) for fault in caught.value.faults] == [told]


KEYS = st.sampled_from(
    ["program_id", "name", "status", "time_zone", "enrolment", "currencies", "code", "decimals",
     "expiry", "rule", "months", "earn_caps", "per", "points", "limits", "points_per_request",
     "promotions", "id", "reactors", "multiplier", "dialects", "mastercard", "adjustment_types",
     "publishers", "user_id", "may", "sources", "reason_codes", "x"]
)  # fmt: skip
ANYTHING = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.dates(),
        st.sampled_from(["active", "required", "after", "end_of", "5", "-1", "month", "adjust"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(KEYS, ANYTHING))
def test_whatever_a_document_holds_it_is_read_or_refused_with_its_faults(
    document: dict[str, Any],
) -> None:
    faults: list[str] = []
    program = None
    try:
        program = from_document("acme", 1, document)
    except BadDocument as error:
        faults += map(str, error.faults)
    assert bool(faults) is (program is None)
    assert program is None or program.currencies


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
        ({"currencies": [{**POINTS, "balance_cap": 5000}]}, "balance_cap"),
        ({"currencies": [{**POINTS, "balance_cap": "0.5"}]}, "balance_cap"),
        ({"currencies": [{**POINTS, "balance_cap": "-5"}]}, "balance_cap"),
        ({"currencies": [{**POINTS, "earn_cap": []}]}, "earn_cap"),
        (with_cap(), "earn_caps"),
        (with_cap(points="5"), "per"),
        (with_cap(points="5", per="month", rolling_days=7), "rolling_days"),
        (with_cap(points="5", per="decade"), "per"),
        (with_cap(points="5", rolling_days=0), "rolling_days"),
        (with_cap(points="5", rolling_days=367), "rolling_days"),
        (with_cap(points="0.1", rolling_days=7), "points"),
        (with_cap(rolling_days=7), "points"),
        (with_cap(points="5", per="day", period="day"), "period"),
        ({"currencies": [{**POINTS, "expiry": "never"}]}, "expiry"),
        ({"currencies": [POINTS], "program_id": "other"}, "program_id"),
        ({"currencies": [POINTS], "status": "Active"}, "status"),
        ({"currencies": [POINTS], "time_zone": "Mars/Olympus"}, "time_zone"),
        ({"currencies": [POINTS], "time_zone": "Europe"}, "time_zone"),
        ({"currencies": [POINTS], "time_zone": "../UTC"}, "time_zone"),
        ({"currencies": [POINTS], "time_zone": ""}, "time_zone"),
        ({"currencies": [POINTS], "allow_negative": "no"}, "allow_negative"),
        ({"currencies": [POINTS], "allow_negative": 1}, "allow_negative"),
        ({"currencies": [POINTS], "reason": True}, "reason"),
        ({"currencies": [POINTS], "reason_max_length": 0}, "reason_max_length"),
        ({"currencies": [POINTS], "reason_max_length": 256}, "reason_max_length"),
        ({"currencies": [POINTS], "reason_codes": ["GOODWILL"]}, "reason_codes"),
        ({"currencies": [POINTS], "reason_codes": [{}]}, "code"),
        ({"currencies": [POINTS], "reason_codes": [{"code": "A", "sign": "up"}]}, "sign"),
        ({"currencies": [POINTS], "reason_codes": [{"code": "A", "max": 5}]}, "max"),
        ({"currencies": [POINTS], "reason_codes": [{"code": "A"}] * 2}, "code"),
        ({"currencies": [POINTS], "sources": "till"}, "sources"),
        ({"currencies": [POINTS], "sources": [7]}, "sources"),
        ({"currencies": [POINTS], "sources": ["till", "till"]}, "sources"),
        ({"currencies": [POINTS], "enrolment": "manual"}, "enrolment"),
        ({"currencies": [POINTS], "limits": []}, "limits"),
        ({"currencies": [POINTS], "limits": {"points_per_day": "5"}}, "points_per_day"),
        ({"currencies": [POINTS], "limits": {"points_per_request": "1e3"}}, "points_per_request"),
        ({"currencies": [POINTS], "promotions": [{"identifier": "x"}]}, "id"),
        ({"currencies": [POINTS], "promotions": [{"id": "1"}, {"id": "1"}]}, "id"),
        (
            {"currencies": [POINTS], "promotions": [{"id": i, "identifier": "x"} for i in "12"]},
            "identifier",
        ),
        (with_reactor(event_type="POINTS_ADJUSTED"), "event_type"),
        (with_reactor(multiplier="0.00"), "multiplier"),
        (with_reactor(multiplier=1), "multiplier"),
        (with_reactor(property=""), "property"),
        (with_reactor(reason_code=""), "reason_code"),
        (
            {"currencies": [POINTS], "reactors": [{"event_type": "A", "property": "b"}]},
            "multiplier",
        ),
        (with_publisher(may=["adjust", "everything"]), "may"),
        (with_publisher(may=["adjust", "adjust"]), "may"),
        (with_publisher(may="adjust"), "may"),
        (with_publisher(user_id=""), "user_id"),
        (with_mastercard(adjustment_types={"CR": "Credit"}), "CR"),
        (with_mastercard(adjustment_types={"\0": "credit"}), "code"),
        (with_mastercard(adjustment_types={"": "credit"}), "code"),
        (with_mastercard(adjustment_types={" ": "credit"}), "code"),
        (with_mastercard(response_field=""), "response_field"),
        (with_mastercard(response_field="  "), "response_field"),
        (with_mastercard(response_field="Errors"), "response_field"),
        (with_mastercard(response_field="encryptedData"), "response_field"),
        (with_mastercard(reason_codes={"no_such_key": "X"}), "no_such_key"),
        (with_mastercard(reason_codes={"zero_points": 7}), "zero_points"),
        ({"currencies": [POINTS], "dialects": {"beans": {}}}, "beans"),
        (with_expiry(rule="soon"), "rule"),
        (with_expiry(months=12), "months"),
        (with_expiry(rule="never", months=12), "months"),
        (with_expiry(rule="after"), "after"),
        (with_expiry(rule="after", month=12), "months"),
        (with_expiry(rule="after", days=30, month=12), "month"),
        (with_expiry(rule="after", days=30, period="month"), "period"),
        (with_expiry(rule="after", months=-1), "months"),
        (with_expiry(rule="after", months=2**31), "months"),
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
