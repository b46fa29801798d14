"""Consumes the door's queue: what can be read goes on to its lane, the rest becomes dead letters.

The door decides nothing. What it can read goes on in the order in which it came, confirmed, and is
then acknowledged; what it cannot read becomes a dead letter. The lanes find it again if it comes
twice.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from schemas import names
from schemas.topology import adjustments_exchange, bucket_key, dead
from worker.broker import Publication, passed_on
from worker.envelope import writing
from worker.envelope.reading import KILLER, PRIORITY_MAX, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.broker import Delivery, Intake, Publisher
    from worker.caution import Caution
    from worker.door.bindings import Bindings
    from worker.envelope.reading import Reader
    from worker.observe.metrics import Metrics

_log = structlog.get_logger("worker.door")


class Door:
    """Consumes the door's queue until it is told to stop or the session is lost.

    `user` is the worker's own user at the broker.
    """

    def __init__(
        self,
        intake: Intake,
        publisher: Publisher,
        reader: Reader,
        bindings: Bindings,
        caution: Caution,
        metrics: Metrics,
        *,
        prefix: str,
        user: str,
        batch_max: int,
    ) -> None:
        self._intake = intake
        self._publisher = publisher
        self._reader = reader
        self._bindings = bindings
        self._caution = caution
        self._metrics = metrics
        self._prefix = prefix
        self._user = user
        self._batch_max = batch_max

    async def run(self) -> None:
        """Work until the intake is stopped. Raises SessionLost when the session ends before."""
        while deliveries := await self._intake.take(self._batch_max):
            started = time.perf_counter()
            if self._caution.needed:
                for delivery in deliveries:
                    await self._try_alone(delivery)
            else:
                await self._work_together(deliveries)
            _log.info(
                "door_batch",
                requests=len(deliveries),
                publish_ms=round((time.perf_counter() - started) * 1000, 1),
            )

    async def _work_together(self, deliveries: Sequence[Delivery]) -> None:
        """Send a batch on. Only reading it can kill: nobody has to wait while it is published."""
        await self._caution.join()
        try:
            readings = [self._reader.identify(delivery)[0] for delivery in deliveries]
        finally:
            await self._caution.leave()
        publications: list[Publication] = []
        for reading in readings:
            if self._was_turned_away(reading):
                await self._publish(publications)
                publications = []
                await self._send_when_bound(reading)
            else:
                publications += self._onward(reading)
        await self._publish(publications)
        self._intake.ack_through(deliveries[-1].tag)

    async def _try_alone(self, delivery: Delivery) -> None:
        """Send one message on with nothing else in hand; one that is condemned is not read."""
        async with self._caution.alone(delivery) as is_condemned:
            if is_condemned:
                reading = Reading(delivery, letter=KILLER)
            else:
                reading, _ = self._reader.identify(delivery)
            if not self._was_turned_away(reading):
                await self._publish(self._onward(reading))
                self._intake.ack_through(delivery.tag)
                return
        # Nobody else has to wait where this one must.
        await self._send_when_bound(reading)
        self._intake.ack_through(delivery.tag)

    async def _publish(self, publications: Sequence[Publication]) -> None:
        report = await self._publisher.publish(publications)
        self._metrics.count_published(
            writing.kinds(publications), report.replies_given_up, report.refusals
        )
        for item in publications:
            if item.exchange == dead(self._prefix):
                self._metrics.dead_letters.labels(item.routing_key).inc()

    def _was_turned_away(self, reading: Reading) -> bool:
        key = reading.key
        return key is not None and self._bindings.turned_away(reading.delivery, key.member_id)

    async def _send_when_bound(self, reading: Reading) -> None:
        (forward,) = self._onward(reading)
        await self._bindings.send_when_bound(forward, self._publish)

    def _onward(self, reading: Reading) -> list[Publication]:
        delivery = reading.delivery
        if reading.key is not None:
            return [self._forward(delivery, reading.key.member_id)]
        assert reading.letter is not None, "a message without ids has a letter"
        letter = writing.dead_letter(delivery, reading.letter, self._prefix, self._user)
        if not delivery.reply_to:
            return [letter]
        return [writing.error_reply(delivery, reading.letter), letter]

    def _forward(self, delivery: Delivery, member_id: str) -> Publication:
        """Return the request as it goes on to its lane.

        It carries the first publisher's checked user in a header, and the name of a property that
        the lane will refuse: the property itself could cost the message on its way.
        """
        headers = writing.passed_on_headers(delivery, self._user)
        headers.pop(names.REFUSED_PROPERTY_HEADER, None)
        forward = passed_on(
            delivery,
            adjustments_exchange(self._prefix),
            bucket_key(member_id),
            user=self._user,
            headers=headers,
        )
        if delivery.expiration is not None:
            headers[names.REFUSED_PROPERTY_HEADER] = "expiration"
        elif (delivery.priority or 0) > PRIORITY_MAX:
            headers[names.REFUSED_PROPERTY_HEADER] = "priority"
            forward.priority = PRIORITY_MAX
        return forward
