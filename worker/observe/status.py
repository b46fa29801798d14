"""What is wrong at the moment, for /livez and /readyz."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from worker.masking import mask

if TYPE_CHECKING:
    from collections.abc import Callable

Condition = Literal["starting", "postgres", "rabbitmq", "publish", "door", "draining"]


class Fault(NamedTuple):
    """Why the worker is not ready: since `since_seconds` ago, and in words for people."""

    condition: Condition
    reason: str
    since_seconds: float


class Status:
    """The conditions under which the worker is not ready, and when its event loop last turned.

    A worker begins with the condition "starting". Several holders may report one condition (each
    lane has its own publisher): it lasts until every one of them has cleared its own. Not for use
    from other threads than the event loop's. `clock` gives monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._faults: dict[tuple[Condition, str], tuple[str, float]] = {}
        self._turned_at = clock()
        self.set_fault("starting", "not connected yet")

    def set_fault(self, condition: Condition, reason: str, *, holder: str = "") -> None:
        """Say that something is wrong, or that its reason is another one now."""
        _, since = self._faults.get((condition, holder), ("", self._clock()))
        self._faults[condition, holder] = (mask(reason), since)

    def clear(self, condition: Condition, *, holder: str = "") -> None:
        """Say that it is well again for this holder; nothing happens where nothing was wrong."""
        self._faults.pop((condition, holder), None)

    def faults(self) -> list[Fault]:
        """List what is wrong, the oldest first."""
        now = self._clock()
        return [
            Fault(condition, f"{holder}: {reason}" if holder else reason, now - since)
            for (condition, holder), (reason, since) in self._faults.items()
        ]

    def turn(self) -> None:
        """Note that the event loop has come round."""
        self._turned_at = self._clock()

    def turn_age_seconds(self) -> float:
        """Tell how long ago the event loop last came round."""
        return self._clock() - self._turned_at
