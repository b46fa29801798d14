"""Early requests whose turn has come, or that have waited too long."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.domain.desk import NOW, Desk, custom, in_currency, moment
from tests.unit.domain.streams import stream, told
from worker.domain.member import Stream
from worker.domain.ordinals import Parking
from worker.domain.outcome import Rejection


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
