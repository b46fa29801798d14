"""The life of a batch: take, read, apply, publish, acknowledge.

While one batch is being published the next may be in its transaction; nothing else overlaps.
Acknowledgement comes last, so whatever happens in between happens again, is recognised, and is
published again: the queue and the journal together are the outbox.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from worker.caution import Verdict
from worker.envelope import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.broker import Delivery, Intake, Publisher
    from worker.caution import Caution
    from worker.envelope.reading import Reader, Reading
    from worker.lane.applying import Applied
    from worker.lane.holding import Holder
    from worker.observe.metrics import Metrics

_log = structlog.get_logger("worker.lane")


class Lane:
    """Consumes one partition's queue until it is told to stop or the session is lost."""

    def __init__(
        self,
        name: str,
        intake: Intake,
        publisher: Publisher,
        reader: Reader,
        holder: Holder,
        caution: Caution,
        metrics: Metrics,
        *,
        owns_bucket: Callable[[int], bool],
        batch_max: int,
    ) -> None:
        self._name = name
        self._intake = intake
        self._publisher = publisher
        self._reader = reader
        self._holder = holder
        self._caution = caution
        self._metrics = metrics
        self._owns_bucket = owns_bucket
        self._batch_max = batch_max
        self._publishing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Work until the intake is stopped; what was taken by then is finished.

        Raises SessionLost when the session ends before.
        """
        try:
            while deliveries := await self._intake.take(self._batch_max):
                if self._caution.needed:
                    await self._published()
                    for delivery in deliveries:
                        await self._try_alone(delivery)
                else:
                    await self._work_together(deliveries)
        finally:
            # Whatever happened here, what is being published is seen to its end.
            if self._publishing is not None:
                await asyncio.wait({self._publishing})
                self._publishing.exception()
        await self._published()

    async def _work_together(self, deliveries: Sequence[Delivery]) -> None:
        """Apply a batch beside other lanes, while this lane's last one may be being published."""
        readings = [self._reader.read(item, self._owns_bucket) for item in deliveries]
        await self._caution.join()
        started = time.perf_counter()
        try:
            applied = await self._holder.apply(readings)
            seconds = time.perf_counter() - started
            await self._published()
        except BaseException:
            await self._caution.leave()
            raise
        self._publishing = asyncio.create_task(self._finish_together(readings, applied, seconds))

    async def _published(self) -> None:
        """Wait until the batch before has been published and acknowledged."""
        if self._publishing is not None:
            await self._publishing
            self._publishing = None

    async def _finish_together(
        self, readings: Sequence[Reading], applied: Applied, seconds: float
    ) -> None:
        try:
            await self._finish(readings, applied, seconds)
        finally:
            await self._caution.leave()

    async def _try_alone(self, delivery: Delivery) -> None:
        async with self._caution.alone(delivery) as verdict:
            if verdict is Verdict.UNREAD:
                reading = self._reader.unread(delivery)
            else:
                is_condemned = verdict is Verdict.CONDEMNED
                reading = self._reader.read(delivery, self._owns_bucket, is_condemned=is_condemned)
            started = time.perf_counter()
            applied = await self._holder.apply([reading])
            await self._finish([reading], applied, time.perf_counter() - started)

    async def _finish(
        self, readings: Sequence[Reading], applied: Applied, transaction_seconds: float
    ) -> None:
        """Publish all that a committed batch caused, and then acknowledge it."""
        started = time.perf_counter()
        report = await self._publisher.publish(applied.publications)
        self._intake.ack_through(readings[-1].delivery.tag)
        publish_seconds = time.perf_counter() - started
        self._metrics.count_published(
            writing.kinds(applied.publications), report.replies_given_up, report.refusals
        )
        self._count(readings, applied, transaction_seconds, publish_seconds)
        _log.info(
            "batch",
            lane=self._name,
            requests=len(readings),
            applied=sum(n for (status, *_), n in applied.outcomes.items() if status == "APPLIED"),
            rejected=sum(n for (status, *_), n in applied.outcomes.items() if status == "REJECTED"),
            duplicates=applied.duplicates,
            parked=applied.parked,
            dead_letters=applied.letters.total(),
            published=report.confirmed,
            replies_given_up=report.replies_given_up + applied.replies_given_up,
            transaction_ms=round(transaction_seconds * 1000, 1),
            publish_ms=round(publish_seconds * 1000, 1),
        )
        for entry in applied.answers:
            _log.debug(
                "request",
                lane=self._name,
                program_id=entry.program_id,
                member_id=entry.member_id,
                request_id=entry.subject or entry.request_id,
                sequence=entry.sequence,
                status=entry.status,
                error=entry.error_key,
            )

    def _count(
        self,
        readings: Sequence[Reading],
        applied: Applied,
        transaction_seconds: float,
        publish_seconds: float,
    ) -> None:
        metrics = self._metrics
        metrics.lane_batches.labels(self._name).inc()
        metrics.batch_size.observe(len(readings))
        metrics.batch_seconds.labels("transaction").observe(transaction_seconds)
        metrics.batch_seconds.labels("publish").observe(publish_seconds)
        metrics.duplicates.inc(applied.duplicates)
        metrics.replies_given_up.inc(applied.replies_given_up)
        metrics.parked.inc(applied.parked)
        for label, count in applied.outcomes.items():
            metrics.requests.labels(*label).inc(count)
        for key, count in applied.letters.items():
            metrics.dead_letters.labels(key).inc(count)
