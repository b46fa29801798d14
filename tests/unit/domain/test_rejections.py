"""Every refusal, in the contract's order: a request with several faults is told the first."""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

import pytest

from schemas.errors import DEAD_LETTER_KEYS, ERRORS
from tests.unit.domain.desk import NOW, Desk, custom, in_currency, moment, programme, request
from worker.domain.decide import refuse
from worker.domain.member import Arrival, EndedHold, Original, Stream
from worker.domain.ordinals import Parking
from worker.domain.outcome import Rejection, Step

REFUSAL = Rejection("invalid_payload", "points is required.", [{"field": "points"}])


class Fault(NamedTuple):
    """What makes a credit of one point be refused."""

    fields: dict[str, Any] = {}  # noqa: RUF012
    document: dict[str, Any] = {}  # noqa: RUF012
    member: dict[str, Any] = {}  # noqa: RUF012
    desk: dict[str, Any] = {}  # noqa: RUF012

    def clashes(self, other: Fault) -> bool:
        return any(mine.keys() & its.keys() for mine, its in zip(self, other, strict=True))

    def __or__(self, other: object) -> Fault:
        assert isinstance(other, Fault)
        return Fault(*(mine | its for mine, its in zip(self, other, strict=True)))


def fault(**fields: Any) -> Fault:
    return Fault(fields)


UNDONE = Original("r0", "ADJUST", "points", "REGULAR", 1, [], reversed=1)
FAULTS: dict[str, Fault] = {
    "invalid_payload": fault(refusal=REFUSAL),
    "invalid_expiration_date": fault(**custom("2025-12-31")),
    "zero_points": fault(points=0),
    "unknown_program": Fault(desk={"program": None}),
    "program_inactive": Fault(document={"status": "inactive"}),
    "not_permitted": Fault(document={"publishers": [{"user_id": "till", "may": []}]}),
    "member_not_found": Fault(document={"enrolment": "required"}),
    "not_enrolled": Fault(document={"enrolment": "required"}, member={"is_known_elsewhere": True}),
    "member_inactive": Fault(member={"status": "blocked"}),
    "unknown_currency": fault(currency="pearls"),
    "decimal_places_exceeded": fault(points="0.5"),
    "reason_required": Fault(document={"reason": "required"}),
    "invalid_reason_code": Fault({"reason_code": "OOPS"}, {"reason_codes": [{"code": "GOODWILL"}]}),
    "invalid_source": Fault({"source": "NOPE"}, {"sources": ["INSTORE"]}),
    "ordinal_used": Fault({"ordinal": 1}, member={"streams": {"": Stream("", next=2)}}),
    "ordinal_gap": Fault({"ordinal": 2}, desk={"parking": Parking(per_member_max=0)}),
    "version_mismatch": fault(expected_version=9),
    "invalid_award_type": Fault(
        {"award_id": "a", "award_type": "bill_promotions"}, member={"awards": {"a": "bill_regular"}}
    ),
    "invalid_award": fault(points=-1, award_id="b"),
    "invalid_promotion": Fault({"promotion_id": "8"}, {"promotions": [{"id": "79555"}]}),
    "unknown_request": fault(operation="REVERSE", reverses="r9"),
    "unknown_hold": fault(operation="CAPTURE", hold="h9"),
    "already_reversed": Fault(
        {"operation": "REVERSE", "reverses": "r0"}, member={"originals": {"r0": UNDONE}}
    ),
    "hold_ended": Fault(
        {"operation": "CAPTURE", "hold": "h0"},
        member={"ended_holds": {"h0": EndedHold("points", "REGULAR")}},
    ),
    "limit_exceeded": Fault(document={"limits": {"points_per_request": "0.1"}}),
    "insufficient_points": fault(points=-5),
}
REFERRING = {"unknown_request", "unknown_hold", "already_reversed", "hold_ended"}
DEBITS = {"invalid_award", "insufficient_points"}
AIMED = {"invalid_award_type", "invalid_award", "invalid_promotion"}
CANNOT_BE: list[tuple[set[str], set[str]]] = [
    # What is no credit says nothing about expiry, and a REVERSE of zero is no valid request.
    ({"invalid_expiration_date", "zero_points"}, REFERRING | DEBITS),
    # Only adjustments name awards and promotions.
    (AIMED, REFERRING),
    # A reason code is a reason.
    ({"reason_required"}, {"invalid_reason_code"}),
    # A wallet other than the original's is a fault of the payload.
    ({"unknown_currency"}, {"already_reversed", "hold_ended"}),
    # A debit of what was never awarded comes before the balance, and no REVERSE is limited so.
    (REFERRING, {"insufficient_points"}),
]
"""Pairs of faults that no request has at once."""


def desk_with(fault: Fault) -> Desk:
    desk = Desk(programme(**fault.document))
    desk.publisher = "till"
    for name, value in fault.member.items():
        setattr(desk.member, name, value)
    for name, value in fault.desk.items():
        setattr(desk, name, value)
    return desk


def ask(fault: Fault) -> str | None:
    return desk_with(fault).refusal(**{"points": 1, **fault.fields})


def test_all_keys_that_the_rules_can_tell_are_here() -> None:
    elsewhere = {"request_id_conflict", "program_required", "invalid_identifier_type"}
    assert FAULTS.keys() == ERRORS.keys() - set(DEAD_LETTER_KEYS) - elsewhere


@pytest.mark.parametrize("key", FAULTS)
def test_every_fault_is_refused_with_its_own_key(key: str) -> None:
    assert ask(FAULTS[key]) == key


def pairs() -> list[tuple[str, str]]:
    """All pairs of faults that one request can have."""
    return [
        (first, second)
        for first, second in combinations(FAULTS, 2)
        if not FAULTS[first].clashes(FAULTS[second])
        and not any(first in some and second in others for some, others in CANNOT_BE)
    ]


@pytest.mark.parametrize(("first", "second"), pairs())
def test_of_two_faults_the_first_of_the_contract_is_told(first: str, second: str) -> None:
    assert list(ERRORS).index(first) < list(ERRORS).index(second)
    assert ask(FAULTS[second] | FAULTS[first]) == first


def test_a_request_with_every_fault_at_once_is_told_them_one_by_one() -> None:
    # A member who is known elsewhere is not unknown, and a reason code is a reason.
    others = REFERRING | DEBITS | {"member_not_found", "reason_required"}
    faults = [key for key in FAULTS if key not in others]
    told: list[str | None] = []
    left = faults.copy()
    while left:
        merged = Fault()
        for key in reversed(left):
            merged |= FAULTS[key]
        told.append(ask(merged))
        left.remove(told[-1] or "")
    assert told == faults


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
    rejection = desk_with(FAULTS[key]).ask(**{"points": 1, **FAULTS[key].fields}).rejection
    assert rejection is not None
    assert rejection.message.endswith(".")
    assert len(rejection.message.split()) > 2


BEFORE_THE_WALLET = list(FAULTS)[: list(FAULTS).index("version_mismatch")]


@pytest.mark.parametrize("key", BEFORE_THE_WALLET)
def test_a_refusal_before_the_wallet_shows_no_wallet_and_lets_nothing_expire(key: str) -> None:
    desk = desk_with(FAULTS[key])
    desk.member.wallet("points", "REGULAR").credit(10, 1, NOW)
    (outcome,) = desk.outcomes(**{"points": 1, **FAULTS[key].fields})
    assert (outcome.status, outcome.event_type) == ("REJECTED", "ADJUSTMENT_REJECTED")
    assert (outcome.balance, outcome.available, outcome.total, outcome.version) == (None,) * 4
    assert (outcome.points, outcome.lots, outcome.expires_at) == (0, [], None)
    assert (outcome.currency, outcome.sequence) == (None, 1)
    assert [wallet.balance for wallet in desk.member.wallets.values()] == [10]


@pytest.mark.parametrize("key", [key for key in FAULTS if key not in BEFORE_THE_WALLET])
def test_a_refusal_by_the_wallet_shows_it_after_what_was_due(key: str) -> None:
    desk = desk_with(FAULTS[key])
    desk.member.wallet("points", "REGULAR").credit(10, 1, NOW)
    expired, outcome = desk.outcomes(**{"points": 1, **FAULTS[key].fields})
    assert (expired.points, expired.sequence, expired.caused_by) == (-10, 1, "r1")
    assert (outcome.status, outcome.event_type) == ("REJECTED", "ADJUSTMENT_REJECTED")
    assert (outcome.balance, outcome.available, outcome.total, outcome.version) == (0, 0, 10, 2)
    assert (outcome.points, outcome.lots, outcome.sequence) == (0, [], 2)


def test_a_request_that_could_not_be_read_is_refused_and_stored_as_well() -> None:
    desk = Desk()
    desk.member.sequence = 4
    why = Rejection("too_large", "the body is too large.")
    decision = desk.decide(refusal=why)
    outcome = decision.own
    assert decision.is_stored
    assert (outcome.request_id, outcome.operation, outcome.request) == ("r1", None, None)
    assert (outcome.sequence, outcome.rejection) == (5, why)
    assert desk.member.last_recorded_at == NOW


def test_a_decimal_is_no_fault_where_it_is_a_zero() -> None:
    assert Desk().adjust("5.000").balance == 5
    assert request(points="5.000").points == (5, 0)


def test_what_killed_workers_is_refused_without_a_look_at_anything_else() -> None:
    desk = Desk()
    desk.adjust(5, **custom("2026-01-20"))
    desk.decide(1, ordinal=2)
    desk.now = moment("2026-01-21T00:00:00Z")
    killed = Rejection("killed_the_worker", "Workers died over it.")
    arrival = Arrival("r9", None, b"", refusal=killed, ordinal=("", 1))
    decision = refuse(desk.member, arrival, desk.now)
    assert decision.is_stored
    assert decision.steps == [Step(decision.own, arrival)]
    assert (decision.own.rejection, decision.own.sequence) == (killed, 2)
    assert (desk.member.sequence, desk.member.last_recorded_at) == (2, desk.now)
    assert (desk.wallet.balance, len(desk.member.waiting)) == (5, 1)
    assert desk.member.streams[""].next == 1
