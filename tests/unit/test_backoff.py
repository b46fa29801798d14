"""Waits between attempts grow, and not for ever."""

from __future__ import annotations

from itertools import islice

from worker.backoff import delays


def test_each_wait_is_twice_the_last_up_to_the_longest() -> None:
    assert list(islice(delays(0.1, 0.5), 5)) == [0.1, 0.2, 0.4, 0.5, 0.5]
