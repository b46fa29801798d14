"""A dry run tells the outcome that would be stored, to the last figure, and changes nothing."""

from __future__ import annotations

import copy
from dataclasses import fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.domain.desk import Desk, custom, programme
from worker.domain.ordinals import Parking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.domain.member import Member, Stream
    from worker.domain.wallet import Wallet


def full_desk() -> Desk:
    """A member with something of everything, much of it due."""
    desk = Desk(
        programme(
            currencies=[
                {
                    "code": "points",
                    "earn_caps": [{"per": "week", "points": "150"}],
                    "spend_caps": [{"per": "week", "points": "40"}],
                }
            ],
            limits={"points_per_operator_per_day": "1000"},
        )
    )
    desk.adjust(30, **custom("2026-01-15"))
    desk.adjust(60, award_id="a")
    desk.adjust(-10)
    desk.adjust(20, category="PROMISED")
    desk.ask(10, operation="HOLD", ttl_seconds=86_400 * 9)
    desk.ask(10, operation="HOLD", ttl_seconds=60)
    desk.decide(1, ordinal=2)
    desk.decide(1, ordinal=4)
    desk.now += timedelta(days=1)
    return desk


REQUESTS: list[dict[str, Any]] = [
    {"points": 5},
    {"points": 500, "adjusted_by": "kim", "award_id": "b"},
    {"points": -5, "award_id": "a"},
    {"points": -500},
    {"points": -41, "operation_type": "AUTOMATIC"},
    {"points": 5, "currency": "pearls"},
    {"points": 5, "expected_version": 5},
    {"points": 10, "operation": "SET_BALANCE"},
    {"points": 60, "operation": "SET_BALANCE"},
    {"operation": "REVERSE", "reverses": "r3"},
    {"points": 5, "operation": "HOLD"},
    {"operation": "CAPTURE", "hold": "r5", "points": 4},
    {"operation": "CAPTURE", "hold": "r6"},
    {"operation": "RELEASE", "hold": "r5"},
    {"operation": "CONVERT", "category": "PROMISED"},
    {"operation": "EXPIRE"},
    {"points": 5, "ordinal": 1},
]


@pytest.mark.parametrize("fields", REQUESTS)
def test_it_tells_what_then_happens_and_changes_nothing(fields: dict[str, Any]) -> None:
    desk = full_desk()
    before = copy.deepcopy(desk.member)
    told = desk.decide(**fields, dry_run=True)
    assert desk.member == before
    assert (told.is_stored, told.parked, told.ended) == (False, None, [])
    (step,) = told.steps
    assert step.outcome.event_type is None
    assert step.arrival is not None
    assert step.subject is None
    desk.asked -= 1
    happened = desk.decide(**fields).own
    expected = "SIMULATED" if happened.status == "APPLIED" else happened.status
    assert step.outcome.status == expected
    assert step.outcome == replace(
        happened, status=expected, event_type=None, request=step.outcome.request
    )


def test_nothing_that_can_change_is_shared_with_the_member_that_is_rehearsed_on() -> None:
    desk = full_desk()
    desk.decide(1, ordinal=3)
    desk.decide(5, adjusted_by="kim")
    mirrored = desk.member.mirrored()
    assert mirrored == desk.member
    shared = {id(one) for one in changeable(desk.member)} & {
        id(one) for one in changeable(mirrored)
    }
    assert shared == set()
    for wallet in mirrored.wallets.values():
        for lot in wallet.lots:
            assert wallet.touched.get(lot.lot_id, lot) is lot


def changeable(member: Member) -> Iterator[object]:
    """All in a member that the rules change in place."""
    parts: list[Member | Stream | Wallet] = [member]
    parts += [*member.wallets.values(), *member.streams.values()]
    for one in parts:
        yield one
        for field in fields(one):
            value = getattr(one, field.name)
            if isinstance(value, dict | list | set):
                yield value
    for wallet in member.wallets.values():
        yield from (*wallet.lots, *wallet.touched.values(), *wallet.days.values())
    yield from (*member.originals.values(), *member.operators.values())


def test_the_requests_come_to_something_of_everything() -> None:
    outcomes = [full_desk().ask(**fields) for fields in REQUESTS]
    assert {outcome.status for outcome in outcomes} == {"APPLIED", "REJECTED", "NO_CHANGE"}
    assert any(outcome.forfeited for outcome in outcomes)


def test_an_early_dry_run_does_not_wait() -> None:
    desk = Desk()
    decision = desk.decide(1, ordinal=2, dry_run=True)
    assert decision.parked is None
    assert decision.own.rejection is not None
    assert decision.own.rejection.key == "ordinal_gap"
    assert (desk.member.waiting, desk.member.streams) == ({}, {})


def test_an_early_dry_run_is_told_an_earlier_fault_first() -> None:
    desk = Desk()
    desk.parking = Parking()
    assert desk.refusal(1, ordinal=2, currency="pearls", dry_run=True) == "unknown_currency"


def test_it_uses_up_no_number_and_releases_nobody() -> None:
    desk = Desk()
    desk.decide(1, ordinal=2)
    assert desk.ask(1, ordinal=1, dry_run=True).status == "SIMULATED"
    assert len(desk.member.waiting) == 1
    assert len(desk.outcomes(1, ordinal=1)) == 2


def test_it_needs_the_permission_of_what_it_rehearses() -> None:
    desk = Desk(programme(publishers=[{"user_id": "till", "may": ["hold"]}]))
    desk.publisher = "till"
    assert desk.refusal(1, dry_run=True) == "not_permitted"


def test_what_an_operator_has_moved_for_other_members_is_not_changed() -> None:
    desk = Desk(programme(limits={"points_per_operator_per_day": "5"}))
    desk.adjust(2, adjusted_by="kim")
    ((_, day),) = desk.member.operators.items()
    assert desk.adjust(3, adjusted_by="kim", dry_run=True).status == "SIMULATED"
    assert day.points == 2
