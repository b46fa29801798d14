"""What is read of what waits is what has its turn: nothing that is decided, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.domain.desk import Desk
from tests.unit.domain.streams import REFUSAL
from worker.domain.ordinals import may_be_released

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn


@st.composite
def batches(draw: DrawFn) -> list[list[tuple[int, bool]]]:
    """Numbers with gaps and repeats in any order, cut into batches; some requests are faulty."""
    numbers = draw(st.permutations(range(1, draw(st.integers(1, 14)))))
    numbers += draw(st.lists(st.integers(1, 18), max_size=6))
    faulty = [draw(st.sampled_from((False, False, True))) for _ in numbers]
    at = sorted(draw(st.sets(st.integers(0, len(numbers)), max_size=5)))
    asked = list(zip(numbers, faulty, strict=True))
    return [asked[start:end] for start, end in zip([0, *at], [*at, len(asked)], strict=True)]


@given(batches())
def test_of_what_waits_a_batch_decides_just_what_may_be_released(
    asked: Sequence[Sequence[tuple[int, bool]]],
) -> None:
    desk = Desk()
    for batch in asked:
        before = set(desk.member.waiting)
        turns = may_be_released(desk.member, "", {number for number, _ in batch})
        ended: list[str] = []
        for number, is_faulty in batch:
            decision = desk.decide(1, refusal=REFUSAL if is_faulty else None, ordinal=number)
            ended += [one.arrival.request_id for one in decision.ended]
        had_waited = [name for name in ended if name in before]
        assert [one.arrival.request_id for one in turns] == had_waited
