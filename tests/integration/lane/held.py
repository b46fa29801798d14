"""A lane's holder on the real books, whose pauses take no time and are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.lane.holding import Holder
from worker.observe.metrics import Metrics
from worker.observe.status import Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.inside import Desk
    from worker.envelope.reading import Reading
    from worker.lane.applying import Applied, Applier


class Held:
    """A holder whose pauses take no time, and what it did meanwhile."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.status = Status()
        self.status.clear("starting")
        self.metrics = Metrics("test")
        self.pauses: list[float] = []
        self.told: list[str] = []
        self.sizes: list[int] = []
        self.when_paused: Callable[[], Awaitable[object]] | None = None
        applier = desk.applier
        self._apply = applier.apply
        applier.apply = self._noted  # type: ignore[method-assign]
        self.holder = self._holder(applier)

    def _holder(self, applier: Applier) -> Holder:
        return Holder(
            applier,
            self._pause,
            self.status,
            self.metrics,
            name="1.000",
            delay_seconds_min=0.5,
            delay_seconds_max=3,
        )

    async def apply(self, *messages: Any) -> Applied:
        return await self.holder.apply(self.desk.read(*messages))

    async def _noted(self, readings: Sequence[Reading], *more: Any, **options: Any) -> Applied:
        self.sizes.append(len(readings))
        return await self._apply(readings, *more, **options)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        assert len(self.pauses) < 20, f"no end in sight: {self.retries()}"
        self.told += [fault.condition for fault in self.status.faults()]
        if self.when_paused is not None:
            await self.when_paused()

    def retries(self) -> dict[str, float]:
        """How often a batch was tried again, by cause."""
        (family,) = (
            family for family in self.metrics.registry.collect() if family.name == "points_retries"
        )
        return {
            sample.labels["cause"]: sample.value
            for sample in family.samples
            if sample.name.endswith("_total")
        }
