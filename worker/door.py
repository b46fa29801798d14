"""The door: takes what came without its bucket's key, and sends it on to the member's bucket.

It decides nothing. What it can read goes on in the order in which it came, confirmed, and is then
acknowledged; what it cannot read becomes a dead letter. The lanes find it again if it comes twice.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from schemas import names
from schemas.topology import adjustments_exchange, bucket_key, dead
from worker.broker import Publication
from worker.envelope import writing
from worker.envelope.reading import PRIORITY_MAX
from worker.store.faults import PassingFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from worker.broker import Delivery, Intake, Publisher
    from worker.envelope.reading import Reader, Reading
    from worker.observe.metrics import Metrics
    from worker.observe.status import Status

_log = structlog.get_logger("worker.door")

_HOLD_PAUSE_SECONDS = 1.0


class Door:
    """Consumes the door's queue until it is told to stop or the session is lost.

    `declared_at` tells when the topology was last declared: a message that should never have come
    here is held until it is declared anew. `user` is the worker's own user at the broker.
    """

    def __init__(
        self,
        intake: Intake,
        publisher: Publisher,
        reader: Reader,
        pause: Callable[[float], Awaitable[None]],
        declared_at: Callable[[], Awaitable[datetime | None]],
        status: Status,
        metrics: Metrics,
        *,
        prefix: str,
        user: str,
        batch_max: int,
    ) -> None:
        self._intake = intake
        self._publisher = publisher
        self._reader = reader
        self._pause = pause
        self._declared_at = declared_at
        self._status = status
        self._metrics = metrics
        self._prefix = prefix
        self._user = user
        self._batch_max = batch_max
        # Up to this tag, what was turned away was so before the topology was last declared.
        self._mended_through = 0

    async def run(self) -> None:
        """Work until the intake is stopped. Raises SessionLost when the session ends before."""
        while deliveries := await self._intake.take(self._batch_max):
            started = time.perf_counter()
            publications: list[Publication] = []
            for delivery in deliveries:
                reading, _ = self._reader.identify(delivery)
                if self._was_turned_away(reading):
                    await self._publish(publications)
                    publications = []
                    await self._hold(delivery)
                publications += self._onward(reading)
            await self._publish(publications)
            self._intake.ack_through(deliveries[-1].tag)
            _log.info(
                "door_batch",
                requests=len(deliveries),
                publish_ms=round((time.perf_counter() - started) * 1000, 1),
            )

    async def _publish(self, publications: Sequence[Publication]) -> None:
        report = await self._publisher.publish(publications)
        self._metrics.count_published(
            writing.kinds(publications), report.replies_given_up, report.refusals
        )
        for item in publications:
            if item.exchange == dead(self._prefix):
                self._metrics.dead_letters.labels(item.routing_key).inc()

    @property
    def _exchange(self) -> str:
        return adjustments_exchange(self._prefix)

    def _was_turned_away(self, reading: Reading) -> bool:
        """Tell whether the message came with its member's own bucket key: a binding is missing."""
        return (
            reading.key is not None
            and reading.delivery.tag > self._mended_through
            and reading.delivery.exchange == self._exchange
            and reading.delivery.routing_key == bucket_key(reading.key.member_id)
        )

    async def _hold(self, delivery: Delivery) -> None:
        """Wait until the topology is declared anew: sent on now, the message would come back."""
        reason = f"{delivery.routing_key} is bound to no lane: run `points-worker topology declare`"
        self._status.set_fault("door", reason)
        _log.error("binding_missing", routing_key=delivery.routing_key, reason=reason)
        try:
            held_since = await self._declaration()
            while await self._declaration() == held_since:
                await self._pause(_HOLD_PAUSE_SECONDS)
            # What stands behind it came back for the same reason, and one declaration mends all.
            self._mended_through = await self._intake.last_tag()
        finally:
            self._status.clear("door")

    async def _declaration(self) -> datetime | None:
        while True:
            try:
                return await self._declared_at()
            except PassingFault:
                await self._pause(_HOLD_PAUSE_SECONDS)

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
        priority = delivery.priority
        if delivery.expiration is not None:
            headers[names.REFUSED_PROPERTY_HEADER] = "expiration"
        elif (priority or 0) > PRIORITY_MAX:
            headers[names.REFUSED_PROPERTY_HEADER] = "priority"
            priority = PRIORITY_MAX
        return Publication(
            exchange=self._exchange,
            routing_key=bucket_key(member_id),
            body=delivery.body,
            must_be_taken=True,
            mandatory=True,
            content_type=delivery.content_type,
            type=delivery.type,
            message_id=delivery.message_id,
            correlation_id=delivery.correlation_id,
            reply_to=delivery.reply_to,
            user_id=self._user,
            priority=priority,
            headers=headers,
        )
