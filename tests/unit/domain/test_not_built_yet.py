"""What the contract knows and this version does not do is refused by name, never ignored."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from schemas.names import Operation
from tests.unit.domain.desk import Desk

OTHER_OPERATIONS: dict[str, dict[str, Any]] = {
    "SET_BALANCE": {"points": 5},
    "REVERSE": {"reverses": "r0"},
    "HOLD": {"points": 5},
    "CAPTURE": {"hold": "r0"},
    "RELEASE": {"hold": "r0"},
    "CONVERT": {"category": "PROMISED"},
    "EXPIRE": {},
}
FIELDS: dict[str, dict[str, Any]] = {
    "award_id": {"award_id": "38768508"},
    "award_type": {"award_id": "38768508", "award_type": "bill_regular"},
    "promotion_id": {"promotion_id": "79555"},
    "promotion_identifier": {"promotion_identifier": "b86ca53f"},
    "expected_version": {"expected_version": 0},
    "ordinal": {"ordinal": 1},
    "ordinal_stream": {"ordinal": 1, "ordinal_stream": "till"},
    "bypass_caps": {"bypass_caps": True},
    "dry_run": {"dry_run": True},
}


def test_every_operation_but_adjust_is_among_those_refused() -> None:
    assert {"ADJUST", *OTHER_OPERATIONS} == set(get_args(Operation))


@pytest.mark.parametrize("operation", OTHER_OPERATIONS)
def test_an_operation_that_is_not_built_yet_is_refused_by_name(operation: str) -> None:
    desk = Desk()
    desk.adjust(100)
    (outcome,) = desk.outcomes(operation=operation, **OTHER_OPERATIONS[operation])
    assert outcome.rejection is not None
    assert outcome.rejection.key == "invalid_payload"
    assert [fault["field"] for fault in outcome.rejection.details] == ["operation"]
    assert operation in outcome.rejection.message
    assert (outcome.operation, outcome.sequence) == (operation, 2)
    assert (desk.wallet.balance, desk.wallet.version) == (100, 1)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("points", [5, -5])
def test_a_field_that_is_not_built_yet_is_refused_by_name(field: str, points: int) -> None:
    desk = Desk()
    desk.adjust(100)
    (outcome,) = desk.outcomes(points, **FIELDS[field])
    assert outcome.rejection is not None
    assert outcome.rejection.key == "invalid_payload"
    assert [fault["field"] for fault in outcome.rejection.details] == list(FIELDS[field])
    assert next(iter(FIELDS[field])) in outcome.rejection.message
    assert (desk.wallet.balance, desk.wallet.version) == (100, 1)


def test_all_that_is_not_built_yet_is_told_at_once() -> None:
    (outcome,) = Desk().outcomes(5, operation="HOLD", ordinal=3, dry_run=True, promotion_id="79555")
    assert outcome.rejection is not None
    faults = outcome.rejection.details
    assert [fault["field"] for fault in faults] == [
        "operation",
        "promotion_id",
        "ordinal",
        "dry_run",
    ]
    assert all(fault.keys() == {"field", "rule", "got"} for fault in faults)


@pytest.mark.parametrize(
    "fields",
    [
        {"bypass_caps": False},
        {"dry_run": False},
        {"ordinal": None},
        {"award_id": None},
        {"operation": "ADJUST"},
    ],
)
def test_a_field_that_says_what_is_the_default_asks_for_nothing(fields: dict[str, Any]) -> None:
    assert Desk().adjust(5, **fields).status == "APPLIED"


@pytest.mark.parametrize(
    "fields",
    [
        {"reason": "Goodwill"},
        {"reason_code": "GOODWILL"},
        {"comment": "as agreed"},
        {"adjusted_by": "operator-7"},
        {"source": "INSTORE"},
        {"source_id": "T-1"},
        {"operation_type": "AUTOMATIC"},
        {"metadata": {"till": 4}},
        {"occurred_at": "2026-01-01T00:00:00Z"},
    ],
)
def test_what_is_only_carried_through_is_not_refused(fields: dict[str, Any]) -> None:
    outcome = Desk().adjust(5, **fields)
    assert outcome.status == "APPLIED"
    (name,) = fields
    assert getattr(outcome.request, name) is not None
