"""Ordinals: requests are decided by their numbers, whatever the order in which they come."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.domain.desk import NOW, Desk, custom, in_currency, moment, programme
from worker.domain.member import Stream
from worker.domain.ordinals import Parking
from worker.domain.outcome import Rejection

REFUSAL = Rejection("invalid_payload", "points is required.")


def stream(desk: Desk, name: str = "") -> Stream:
    return desk.member.streams[name]


def told(desk: Desk, *points: object, **fields: Any) -> list[tuple[str | None, str | None]]:
    """Hand in a request; return (request id, error) of each step that came of it."""
    return [
        (outcome.request_id, outcome.rejection.key if outcome.rejection else None)
        for outcome in desk.outcomes(*points, **fields)
    ]


class TestTurns:
    def test_requests_in_their_turn_are_decided_at_once(self) -> None:
        desk = Desk()
        for number in (1, 2, 3):
            assert told(desk, 1, ordinal=number) == [(f"r{number}", None)]
        assert stream(desk) == Stream("", next=4)
        assert desk.member.has_streams

    def test_requests_without_a_number_pass_all_those_that_wait(self) -> None:
        desk = Desk()
        desk.decide(1, ordinal=2)
        assert told(desk, 1) == [("r2", None)]
        assert len(desk.member.waiting) == 1

    def test_a_number_that_was_used_is_refused_and_uses_up_nothing(self) -> None:
        desk = Desk()
        desk.decide(1, ordinal=1)
        assert told(desk, 1, ordinal=1) == [("r2", "ordinal_used")]
        assert stream(desk) == Stream("", next=2)
        assert desk.wallet.balance == 1

    def test_a_number_that_another_request_waits_under_is_used(self) -> None:
        desk = Desk()
        desk.decide(5, ordinal=2)
        assert told(desk, 7, ordinal=2) == [("r2", "ordinal_used")]
        assert desk.member.waiting.keys() == {"r1"}
        assert told(desk, 1, ordinal=1) == [("r3", None), ("r1", None)]

    def test_a_refused_request_never_uses_the_number_of_one_that_waits(self) -> None:
        desk = Desk()
        desk.decide(5, ordinal=2)
        assert told(desk, refusal=REFUSAL, ordinal=2) == [("r2", "invalid_payload")]
        assert told(desk, 1, ordinal=1) == [("r3", None), ("r1", None)]

    @pytest.mark.parametrize(
        ("fields", "key"),
        [
            ({"points": -5}, "insufficient_points"),
            ({"points": 0}, "zero_points"),
            ({"points": 1, "currency": "pearls"}, "unknown_currency"),
            ({"refusal": REFUSAL}, "invalid_payload"),
        ],
    )
    def test_a_rejection_uses_up_its_number(self, fields: dict[str, Any], key: str) -> None:
        desk = Desk()
        assert told(desk, **fields, ordinal=1) == [("r1", key)]
        assert told(desk, 1, ordinal=2) == [("r2", None)]

    def test_a_target_that_changes_nothing_uses_up_its_number(self) -> None:
        desk = Desk()
        assert desk.ask(0, operation="SET_BALANCE", ordinal=1).status == "NO_CHANGE"
        assert stream(desk).next == 2

    def test_every_stream_counts_by_itself(self) -> None:
        desk = Desk()
        assert told(desk, 1, ordinal=1, ordinal_stream="till") == [("r1", None)]
        assert told(desk, 1, ordinal=1, ordinal_stream="web") == [("r2", None)]
        assert told(desk, 1, ordinal=1) == [("r3", None)]
        assert told(desk, 1, ordinal=3, ordinal_stream="till") == []
        assert told(desk, 1, ordinal=2, ordinal_stream="web") == [("r5", None)]
        assert told(desk, 1, ordinal=2, ordinal_stream="till") == [("r6", None), ("r4", None)]


class TestParking:
    def test_an_early_request_waits_with_its_deadline_and_changes_nothing_yet(self) -> None:
        desk = Desk()
        desk.parking = Parking(wait_seconds=90)
        decision = desk.decide(5, ordinal=3, ordinal_stream="till")
        assert (decision.steps, decision.ended, decision.is_stored) == ([], [], True)
        waiting = decision.parked
        assert waiting is not None
        assert (waiting.stream, waiting.ordinal) == ("till", 3)
        assert waiting.deadline == NOW + timedelta(seconds=90)
        assert desk.member.waiting == {"r1": waiting}
        assert desk.member.due_at == waiting.deadline
        assert (desk.member.sequence, desk.member.last_recorded_at) == (0, None)
        assert desk.member.wallets == {}

    def test_all_but_its_payload_is_looked_at_when_it_is_released(self) -> None:
        desk = Desk()
        assert told(desk, 5, ordinal=2, currency="pearls") == []
        assert told(desk, -5, ordinal=3) == []
        desk.member.status = "blocked"
        assert told(desk, 0, ordinal=4) == []
        desk.member.status = "active"
        assert told(desk, 9, ordinal=1) == [
            ("r4", None),
            ("r1", "unknown_currency"),
            ("r2", None),
            ("r3", "zero_points"),
        ]
        assert stream(desk) == Stream("", next=5)

    def test_an_early_request_that_could_not_be_read_is_refused_and_its_number_used(self) -> None:
        desk = Desk()
        assert told(desk, refusal=REFUSAL, ordinal=3) == [("r1", "invalid_payload")]
        assert stream(desk) == Stream("", next=1, used=[(3, 3)])
        assert told(desk, 1, ordinal=3) == [("r2", "ordinal_used")]
        assert told(desk, 1, ordinal=4) == []
        assert told(desk, 1, ordinal=2) == []
        assert told(desk, 1, ordinal=1) == [("r5", None), ("r4", None), ("r3", None)]
        assert stream(desk) == Stream("", next=5)

    def test_an_early_reason_that_is_too_long_is_refused_and_its_number_used(self) -> None:
        desk = Desk(programme(reason_max_length=3))
        assert told(desk, 1, reason="abcd", ordinal=2) == [("r1", "invalid_payload")]
        assert stream(desk).used == [(2, 2)]

    def test_where_too_many_wait_one_more_is_refused_and_may_come_again(self) -> None:
        desk = Desk()
        desk.parking = Parking(per_member_max=2)
        desk.decide(1, ordinal=3)
        desk.decide(1, ordinal=2, ordinal_stream="till")
        assert told(desk, 1, ordinal=2) == [("r3", "ordinal_gap")]
        assert told(desk, 1, ordinal=1) == [("r4", None)]
        assert told(desk, 1, ordinal=2) == [("r5", None), ("r1", None)]

    def test_where_too_many_wait_a_faulty_request_is_told_its_fault_and_uses_its_number(
        self,
    ) -> None:
        desk = Desk()
        desk.parking = Parking(per_member_max=1)
        desk.decide(1, ordinal=2, ordinal_stream="till")
        assert told(desk, 0, ordinal=2) == [("r2", "zero_points")]
        assert told(desk, 1, ordinal=1) == [("r3", None)]
        assert stream(desk).next == 3


class TestUsedNumbers:
    def test_numbers_used_ahead_are_kept_as_ranges_in_order(self) -> None:
        desk = Desk()
        for number, used in (
            (9, [(9, 9)]),
            (5, [(5, 5), (9, 9)]),
            (7, [(5, 5), (7, 7), (9, 9)]),
            (8, [(5, 5), (7, 9)]),
            (6, [(5, 9)]),
            (10, [(5, 10)]),
            (3, [(3, 3), (5, 10)]),
        ):
            desk.decide(refusal=REFUSAL, ordinal=number)
            assert stream(desk).used == used
        for number in (1, 2):
            desk.decide(1, ordinal=number)
        assert stream(desk) == Stream("", next=4, used=[(5, 10)])
        desk.decide(1, ordinal=4)
        assert stream(desk) == Stream("", next=11)

    @pytest.mark.parametrize("number", [5, 7, 10])
    def test_a_number_inside_a_range_is_used(self, number: int) -> None:
        desk = Desk()
        desk.member.streams[""] = Stream("", next=3, used=[(5, 10)])
        assert told(desk, 1, ordinal=number) == [("r1", "ordinal_used")]
        assert told(desk, 1, ordinal=11) == []


class TestBounds:
    """What is remembered of a stream has a bound, whatever its publishers count (I6)."""

    def test_no_more_gaps_are_remembered_than_requests_may_wait(self) -> None:
        desk = Desk()
        desk.parking = Parking(per_member_max=3)
        for number in range(3, 40, 2):
            desk.decide(refusal=REFUSAL, ordinal=number)
        assert stream(desk) == Stream("", next=1, used=[(3, 3), (5, 5), (7, 7)])

    def test_a_number_beyond_so_many_gaps_is_refused_at_once_and_not_used(self) -> None:
        desk = Desk()
        desk.parking = Parking(per_member_max=3)
        for number in (3, 5, 7):
            desk.decide(refusal=REFUSAL, ordinal=number)
        assert told(desk, 1, ordinal=9) == [("r4", "ordinal_gap")]
        assert told(desk, refusal=REFUSAL, ordinal=9) == [("r5", "invalid_payload")]
        desk.decide(1, ordinal=1)
        desk.decide(1, ordinal=2)
        assert stream(desk) == Stream("", next=4, used=[(5, 5), (7, 7)])
        assert told(desk, 1, ordinal=9) == []

    def test_what_waits_may_run_out_of_time_within_the_bound(self) -> None:
        desk = Desk()
        desk.parking = Parking(per_member_max=3)
        for number in range(3, 40, 2):
            desk.decide(1, ordinal=number)
            desk.now += timedelta(days=1)
            desk.decide(operation="EXPIRE")
        assert stream(desk) == Stream("", next=1, used=[(3, 3), (5, 5), (7, 7)])

    def test_a_stream_without_its_first_number_may_go_on_for_ever(self) -> None:
        desk = Desk()
        desk.parking = Parking(per_member_max=1)
        for number in range(2, 40):
            assert told(desk, 1, ordinal=number) == []
            desk.now += timedelta(days=1)
            desk.decide(operation="EXPIRE")
        assert stream(desk) == Stream("", next=1, used=[(2, 39)])
        assert told(desk, refusal=REFUSAL, ordinal=40)[0][1] == "invalid_payload"
        assert stream(desk) == Stream("", next=1, used=[(2, 40)])


class TestReleases:
    def test_those_that_waited_follow_in_the_order_of_their_numbers(self) -> None:
        desk = Desk()
        desk.decide(4, ordinal=4)
        desk.decide(2, ordinal=2)
        desk.decide(3, ordinal=3)
        decision = desk.decide(1, ordinal=1)
        assert [step.outcome.points for step in decision.steps] == [1, 2, 3, 4]
        assert [step.outcome.sequence for step in decision.steps] == [1, 2, 3, 4]
        assert [step.subject for step in decision.steps] == [None, "r2", "r3", "r1"]
        assert [step.outcome.caused_by for step in decision.steps] == [None, "r4", "r4", "r4"]
        assert [waiting.arrival.request_id for waiting in decision.ended] == ["r2", "r3", "r1"]
        assert decision.steps[1].arrival == decision.ended[0].arrival
        assert decision.own.request_id == "r4"
        assert desk.member.waiting == {}

    def test_a_gap_ends_the_releases(self) -> None:
        desk = Desk()
        desk.decide(1, ordinal=2)
        desk.decide(1, ordinal=4)
        assert told(desk, 1, ordinal=1) == [("r3", None), ("r1", None)]
        assert told(desk, 1, ordinal=3) == [("r4", None), ("r2", None)]

    def test_a_refused_predecessor_releases_them_as_well(self) -> None:
        desk = Desk()
        desk.decide(1, ordinal=2)
        assert told(desk, -5, ordinal=1) == [("r2", "insufficient_points"), ("r1", None)]

    def test_what_is_due_in_its_wallet_comes_before_each_of_them(self) -> None:
        desk = Desk(in_currency(rule="never"))
        desk.adjust(10, category="PROMISED", **custom("2026-01-20"))
        desk.adjust(7, **custom("2026-01-20"))
        desk.ask(2, operation="HOLD", category="PROMISED", ttl_seconds=60)
        desk.decide(5, ordinal=2, category="PROMISED")
        desk.now = moment("2026-01-21T00:00:00Z")
        steps = desk.decide(1, ordinal=1).steps
        assert [
            (step.outcome.operation, step.outcome.category, step.outcome.caused_by, step.subject)
            for step in steps
        ] == [
            ("EXPIRE", "REGULAR", "r5", None),
            ("ADJUST", "REGULAR", None, None),
            ("EXPIRE", "PROMISED", "r4", "r4"),
            ("RELEASE", "PROMISED", "r4", "r3"),
            ("ADJUST", "PROMISED", "r5", "r4"),
        ]
        assert [step.outcome.sequence for step in steps] == [4, 5, 6, 7, 8]
        assert [step.arrival and step.arrival.request_id for step in steps] == [
            None,
            "r5",
            None,
            None,
            "r4",
        ]

    def test_both_sides_of_a_released_conversion_belong_to_it(self) -> None:
        desk = Desk()
        desk.adjust(10, category="PROMISED")
        desk.decide(operation="CONVERT", category="PROMISED", ordinal=2)
        steps = desk.decide(1, ordinal=1).steps
        assert [
            (step.outcome.category, step.outcome.caused_by, step.subject) for step in steps
        ] == [("REGULAR", None, None), ("REGULAR", "r2", "r2"), ("PROMISED", "r3", "r2")]

    def test_one_that_waits_past_its_deadline_is_released_until_it_was_refused(self) -> None:
        desk = Desk()
        desk.decide(1, ordinal=2)
        desk.now += timedelta(days=1)
        assert told(desk, 1, ordinal=1) == [("r2", None), ("r1", None)]


class TestTimeOuts:
    def test_what_has_waited_too_long_is_refused_and_uses_up_its_own_number_only(self) -> None:
        desk = Desk()
        desk.decide(1, ordinal=5)
        desk.now += timedelta(minutes=30)
        desk.decide(1, ordinal=3)
        desk.now += timedelta(minutes=30)
        decision = desk.decide(operation="EXPIRE")
        (late, own) = decision.steps
        assert late.outcome.rejection == Rejection(
            "ordinal_gap", "Requests with lower ordinals than 5 did not come in time."
        )
        assert (late.outcome.status, late.outcome.event_type) == ("REJECTED", "ADJUSTMENT_REJECTED")
        assert (late.outcome.request_id, late.outcome.caused_by, late.subject) == ("r1", "r3", "r1")
        assert (late.outcome.sequence, own.outcome.sequence) == (1, 2)
        assert late.arrival == decision.ended[0].arrival
        assert decision.own is own.outcome
        assert stream(desk) == Stream("", next=1, used=[(5, 5)])
        assert desk.member.waiting.keys() == {"r2"}
        assert desk.member.due_at == NOW + timedelta(minutes=90)
        for number in (1, 2):
            desk.decide(1, ordinal=number)
        assert told(desk, 1, ordinal=4) == [("r6", None)]
        assert stream(desk) == Stream("", next=6)

    def test_they_are_refused_in_the_order_of_their_deadlines_and_numbers(self) -> None:
        desk = Desk()
        desk.decide(1, ordinal=3, ordinal_stream="b")
        desk.decide(1, ordinal=9, ordinal_stream="a")
        desk.decide(1, ordinal=2, ordinal_stream="a")
        desk.parking = Parking(wait_seconds=60)
        desk.decide(1, ordinal=7, ordinal_stream="a")
        desk.now += timedelta(hours=1)
        assert [one for one, _ in told(desk, operation="EXPIRE")] == ["r4", "r3", "r2", "r1", "r5"]

    def test_a_member_who_was_erased_is_told_so_and_nothing_of_hers_waits_any_longer(self) -> None:
        desk = Desk()
        desk.decide(1, ordinal=2)
        desk.member.status = "erased"
        assert told(desk, operation="EXPIRE") == [("r1", "member_inactive"), ("r2", None)]
        assert desk.member.waiting == {}

    def test_what_came_early_after_its_member_was_erased_is_refused_as_what_it_is(self) -> None:
        desk = Desk()
        desk.member.status = "erased"
        assert told(desk, 1, operation="HOLD", ordinal=2) == []
        own, late = desk.outcomes(1, ordinal=1)
        assert [one.rejection and one.rejection.key for one in (own, late)] == [
            "member_inactive",
            "member_inactive",
        ]
        assert late.operation == "HOLD"

    def test_an_expire_that_waited_itself_refuses_those_behind_it(self) -> None:
        desk = Desk()
        desk.decide(operation="EXPIRE", ordinal=2)
        desk.decide(1, ordinal=3)
        desk.decide(1, ordinal=2, ordinal_stream="till")
        desk.parking = Parking(wait_seconds=86_400)
        desk.decide(1, ordinal=4)
        desk.now += timedelta(hours=2)
        steps = desk.decide(1, ordinal=1).steps
        assert [
            (step.outcome.request_id, step.outcome.status, step.outcome.caused_by, step.subject)
            for step in steps
        ] == [
            ("r5", "APPLIED", None, None),
            ("r2", "REJECTED", "r1", "r2"),
            ("r3", "REJECTED", "r1", "r3"),
            ("r1", "APPLIED", "r5", "r1"),
            ("r4", "APPLIED", "r5", "r4"),
        ]
        assert stream(desk) == Stream("", next=5)
        assert stream(desk, "till") == Stream("till", next=1, used=[(2, 2)])
        assert desk.member.waiting == {}
