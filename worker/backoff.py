"""How long to wait before something that failed is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def delays(seconds_min: float, seconds_max: float) -> Iterator[float]:
    """Yield the waits between attempts in seconds, without end: each twice as long, to a bound."""
    seconds = seconds_min
    while True:
        yield seconds
        seconds = min(2 * seconds, seconds_max)
