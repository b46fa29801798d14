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
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from worker.envelope.reading import Reading
    from worker.lane.applying import Applied, Applier
    from worker.observe.metrics import Metrics
    from worker.observe.status import Status
    from worker.store.keys import RequestKey

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
        try:
            if len(readings) == 1:
                return await self._alone(readings[0])
            try:
                return await self._when_possible(readings, {})
            except (RequestFault, PassingFault):
                return await self._halves(readings)
        finally:
            self._status.clear("postgres", holder=self._name)

    async def _when_possible(
        self,
        readings: Sequence[Reading],
        refused: Mapping[RequestKey, Rejection],
        *,
        is_trial: bool = False,
    ) -> Applied:
        """Apply a batch as soon as nothing that passes stands in its way.

        Raises RequestFault, and PassingFault where less than the whole batch might take less than
        too long.
        """
        waits = delays(self._delay_seconds_min, self._delay_seconds_max)
        while True:
            try:
                return await self._applier.apply(readings, refused, is_trial=is_trial)
            except PassingFault as fault:
                self._tell(fault, len(readings))
                await self._pause(next(waits))
                if fault.timed_out and len(readings) > 1:
                    raise

    async def _halves(self, readings: Sequence[Reading]) -> Applied:
        middle = len(readings) // 2
        applied = await self.apply(readings[:middle])
        applied += await self.apply(readings[middle:])
        return applied

    async def _alone(self, reading: Reading) -> Applied:
        """Apply one request; of what comes of it, refuse only what the books cannot hold."""
        refused: dict[RequestKey, Rejection] = {}
        while True:
            try:
                return await self._when_possible([reading], refused)
            except RequestFault as fault:
                _log.warning("request_refused_by_the_books", lane=self._name, rule=fault.rule)
                culprit = await self._culprit(reading, fault, refused)
                if culprit is None:
                    _refuse(reading, fault)
                else:
                    refused[culprit] = _rejection(fault)

    async def _culprit(
        self, reading: Reading, fault: RequestFault, refused: Mapping[RequestKey, Rejection]
    ) -> RequestKey | None:
        """Return which of those that waited the books cannot hold; None for the request itself.

        All goes well where none of them is carried out, or only so many of the first: one more is
        one too many.
        """
        waiting = [key for key in fault.waiting if key not in refused]
        well, wrong = -1, len(waiting)
        while wrong - well > 1:
            first = (well + wrong) // 2
            others = dict.fromkeys(waiting[first:], _rejection(fault))
            try:
                await self._when_possible([reading], {**refused, **others}, is_trial=True)
            except RequestFault:
                wrong = first
            else:
                well = first
        return waiting[wrong - 1] if wrong else None

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


def _refuse(reading: Reading, fault: RequestFault) -> None:
    """Turn the one request that the books cannot hold into a stored rejection.

    If they cannot hold even that, only a dead letter is left.
    """
    rejection = _rejection(fault)
    if reading.refusal is None:
        reading.refusal = rejection
    elif reading.key is not None:
        reading.key = None
        reading.letter = Letter(rejection.key, rejection.message.removesuffix("."))
    else:
        raise fault


def _rejection(fault: RequestFault) -> Rejection:
    return Rejection(
        errors.INVALID_PAYLOAD, f"the books cannot hold what the request brings ({fault.rule})."
    )
