"""Every refusal, in the contract's order: a request with several faults is told the first."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest

from schemas.errors import ERRORS
from tests.unit.domain.desk import Desk, custom, in_currency, moment, programme, request
from worker.domain.decide import reject
from worker.domain.member import Member
from worker.domain.outcome import Rejection

FAULTS: dict[str, dict[str, Any]] = {
    "invalid_payload": {"ordinal": 1},
    "invalid_expiration_date": custom("2025-12-31"),
    "zero_points": {"points": 0},
    "unknown_program": {"program": None},
    "program_inactive": {"program": programme(status="inactive")},
    "unknown_currency": {"currency": "pearls"},
    "decimal_places_exceeded": {"points": "0.5"},
    "limit_exceeded": {"program": in_currency(rule="after", years=8000)},
    "insufficient_points": {"points": -5},
}
"""What makes a credit of one point be refused with each key."""


def ask(fault: dict[str, Any]) -> str | None:
    fields = {"points": 1, **fault}
    desk = Desk()
    desk.program = fields.pop("program", desk.program)
    return desk.refusal(**fields)


@pytest.mark.parametrize("key", FAULTS)
def test_every_fault_is_refused_with_its_own_key(key: str) -> None:
    assert ask(FAULTS[key]) == key


def pairs() -> list[tuple[str, str]]:
    """All pairs of faults that one request can have."""
    return [
        (first, second)
        for first, second in combinations(FAULTS, 2)
        if not FAULTS[first].keys() & FAULTS[second].keys()
        # A debit says nothing about expiry: that would be a fault of the payload.
        and (first, second) != ("invalid_expiration_date", "insufficient_points")
        # Only a credit can expire beyond the calendar.
        and (first, second) != ("limit_exceeded", "insufficient_points")
    ]


@pytest.mark.parametrize(("first", "second"), pairs())
def test_of_two_faults_the_first_of_the_contract_is_told(first: str, second: str) -> None:
    assert list(ERRORS).index(first) < list(ERRORS).index(second)
    assert ask({**FAULTS[second], **FAULTS[first]}) == first


def test_a_request_with_every_fault_at_once_is_told_them_one_by_one() -> None:
    faults: dict[str, Any] = {
        "ordinal": 1,
        "points": 0,
        "currency": "pearls",
        **custom("2025-12-31"),
        "program": None,
    }
    told = []
    for field, mended in (
        ("ordinal", None),
        ("expiration_date", "2026-12-31"),
        ("points", "0.5"),
        ("program", programme(status="inactive")),
        ("program", programme()),
        ("currency", "points"),
        ("points", 1),
    ):
        told.append(ask(faults))
        faults[field] = mended
    assert told == [
        "invalid_payload",
        "invalid_expiration_date",
        "zero_points",
        "unknown_program",
        "program_inactive",
        "unknown_currency",
        "decimal_places_exceeded",
    ]
    assert ask(faults) is None


def test_an_overdraft_beyond_the_books_is_told_of_the_limit() -> None:
    desk = Desk(in_currency(decimals=6))
    assert desk.refusal("-9000000000000.000001") == "limit_exceeded"
    assert desk.refusal("-9000000000000") == "insufficient_points"


@pytest.mark.parametrize(
    ("zone", "today", "yesterday"),
    [
        ("UTC", "2026-01-15", "2026-01-14"),
        ("Pacific/Kiritimati", "2026-01-16", "2026-01-15"),
        ("America/Los_Angeles", "2026-01-15", "2026-01-14"),
        ("Pacific/Pago_Pago", "2026-01-14", "2026-01-13"),
    ],
)
def test_a_custom_day_may_be_today_in_the_programmes_zone_and_not_before(
    zone: str, today: str, yesterday: str
) -> None:
    desk = Desk(programme(time_zone=zone), now=moment("2026-01-15T10:30:00Z"))
    assert desk.refusal(1, **custom(today)) is None
    assert desk.refusal(1, **custom(yesterday)) == "invalid_expiration_date"


def test_where_there_is_no_programme_the_days_are_those_of_utc() -> None:
    desk = Desk()
    desk.program = None
    assert desk.refusal(1, **custom("2026-01-14")) == "invalid_expiration_date"
    assert desk.refusal(1, **custom("2026-01-15")) == "unknown_program"


def test_a_custom_instant_must_be_after_now() -> None:
    desk = Desk()
    assert desk.refusal(1, **custom("2026-01-15T12:00:00Z")) == "invalid_expiration_date"
    assert desk.refusal(1, **custom("2026-01-15T12:00:00")) == "invalid_expiration_date"
    assert desk.refusal(1, **custom("2026-01-15T12:00:00.000001Z")) is None
    assert desk.refusal(1, **custom("2026-01-15T13:00:01+01:00")) is None


def test_a_past_expiration_date_is_told_by_field_and_rule() -> None:
    rejection = Desk().adjust(1, **custom("2025-12-31")).rejection
    assert rejection == Rejection(
        "invalid_expiration_date",
        "expiration_date cannot be set in the past.",
        [
            {
                "field": "expiration_date",
                "rule": "cannot be set in the past",
                "got": "a date",
            }
        ],
    )


@pytest.mark.parametrize("key", FAULTS)
def test_every_refusal_says_why_in_a_sentence(key: str) -> None:
    desk = Desk()
    fields = {"points": 1, **FAULTS[key]}
    desk.program = fields.pop("program", desk.program)
    rejection = desk.adjust(**fields).rejection
    assert rejection is not None
    assert rejection.message.endswith(".")
    assert len(rejection.message.split()) > 3


@pytest.mark.parametrize(
    "key",
    [
        "invalid_payload",
        "invalid_expiration_date",
        "zero_points",
        "unknown_program",
        "program_inactive",
        "unknown_currency",
        "decimal_places_exceeded",
    ],
)
def test_a_refusal_before_the_wallet_shows_no_wallet_and_lets_nothing_expire(key: str) -> None:
    desk = Desk()
    desk.adjust(10, **custom("2026-01-20"))
    desk.now += timedelta(days=30)
    fields = {"points": 1, **FAULTS[key]}
    desk.program = fields.pop("program", desk.program)
    (outcome,) = desk.outcomes(**fields)
    assert (outcome.status, outcome.event_type) == ("REJECTED", "ADJUSTMENT_REJECTED")
    assert (outcome.balance, outcome.available, outcome.total, outcome.version) == (None,) * 4
    assert (outcome.points, outcome.lots, outcome.expires_at) == (0, [], None)
    assert (outcome.currency, outcome.sequence) == (None, 2)
    assert [wallet.balance for wallet in desk.member.wallets.values()] == [10]


def test_a_request_that_could_not_be_read_is_refused_and_stored_as_well() -> None:
    member = Member("acme", "m", sequence=4)
    why = Rejection("too_large", "the body is too large.")
    outcome = reject(member, "r5", None, why, moment("2026-01-15T12:00:00Z"))
    assert (outcome.request_id, outcome.operation, outcome.request) == ("r5", None, None)
    assert (outcome.sequence, outcome.rejection) == (5, why)
    assert member.last_recorded_at == moment("2026-01-15T12:00:00Z")


def test_a_decimal_is_no_fault_where_it_is_a_zero() -> None:
    assert Desk().adjust("5.000").balance == 5
    assert request(points="5.000").points == (5, 0)
