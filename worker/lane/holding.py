"""Holds a batch until it is applied: waits out what passes, singles out what is at fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from schemas import errors
from worker.backoff import delays
from worker.domain.outcome import Rejection
from worker.envelope.reading import Letter
from worker.store.faults import PassingFault, RequestFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from worker.envelope.reading import Reading
    from worker.lane.applying import Applied, Applier
    from worker.observe.metrics import Metrics
    from worker.observe.status import Status

_log = structlog.get_logger("worker.lane")


class Holder:
    """Applies batches however long it takes.

    `pause` waits so many seconds and raises where the session ends meanwhile: the batch is then
    forgotten, and redelivery brings it back. `name` says which lane it is, in log and status.
    """

    def __init__(
        self,
        applier: Applier,
        pause: Callable[[float], Awaitable[None]],
        status: Status,
        metrics: Metrics,
        *,
        name: str,
        delay_seconds_min: float,
        delay_seconds_max: float,
    ) -> None:
        self._applier = applier
        self._pause = pause
        self._status = status
        self._metrics = metrics
        self._name = name
        self._delay_seconds_min = delay_seconds_min
        self._delay_seconds_max = delay_seconds_max

    async def apply(self, readings: Sequence[Reading]) -> Applied:
        """Apply a batch, in one transaction where that can be done and in order in any case."""
        waits = delays(self._delay_seconds_min, self._delay_seconds_max)
        try:
            while True:
                try:
                    return await self._applier.apply(readings)
                except RequestFault as fault:
                    if len(readings) > 1:
                        return await self._halves(readings)
                    self._refuse(readings[0], fault)
                except PassingFault as fault:
                    self._tell(fault, len(readings))
                    await self._pause(next(waits))
                    if fault.timed_out and len(readings) > 1:
                        return await self._halves(readings)
        finally:
            self._status.clear("postgres", holder=self._name)

    async def _halves(self, readings: Sequence[Reading]) -> Applied:
        middle = len(readings) // 2
        applied = await self.apply(readings[:middle])
        applied += await self.apply(readings[middle:])
        return applied

    def _refuse(self, reading: Reading, fault: RequestFault) -> None:
        """Turn the one request that the books cannot hold into a stored rejection.

        If they cannot hold even that, only a dead letter is left.
        """
        _log.warning("request_refused_by_the_books", lane=self._name, rule=fault.rule)
        message = f"the books cannot hold what the request brings ({fault.rule})"
        if reading.refusal is None:
            reading.refusal = Rejection(errors.INVALID_PAYLOAD, f"{message}.")
        elif reading.key is not None:
            reading.key = None
            reading.letter = Letter(errors.INVALID_PAYLOAD, message)
        else:
            raise fault

    def _tell(self, fault: PassingFault, size: int) -> None:
        cause = type(fault.__cause__).__name__
        self._metrics.retries.labels(cause).inc()
        self._status.set_fault("postgres", str(fault), holder=self._name)
        _log.warning(
            "batch_held",
            server="postgres",
            lane=self._name,
            requests=size,
            cause=cause,
            reason=str(fault),
        )
