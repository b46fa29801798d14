"""Ordinals: requests are decided by their numbers, whatever the order in which they come."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.domain.desk import NOW, Desk, programme
from tests.unit.domain.streams import REFUSAL, stream, told
from worker.domain.member import Stream
from worker.domain.ordinals import Parking


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
