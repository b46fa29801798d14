"""The door: takes what came without its bucket's key, and sends it on to the member's bucket.

It decides nothing. What it can read goes on in the order in which it came, confirmed, and is then
acknowledged; what it cannot read becomes a dead letter. The lanes find it again if it comes twice.

A message that came with its member's own bucket key was turned away: its bucket was bound to no
lane. Sent on while it still is not, it would come back to the end of the door's queue, behind later
messages of its member, and go round for ever. Whether the binding is back cannot be asked for over
AMQP, and the time of the last declaration does not tell either, since nobody knows when a message
was turned away. So the door tries: it sends a copy on and watches its own exchange. If the copy
does not come there, it has reached the lane, in its order, and everything behind it follows. If it
does, the message is held, and everything behind it, until the topology is declared anew, and then
tried again; the copies at the end of the queue are repeats by then, and harmless. Binding the
bucket here would hide that somebody unbound it, and keep the order no better: whoever binds it,
what is published from then on overtakes what is still in the door.

A queue of a lane must have no length limit, neither by its arguments nor by a policy, as the
contract says: where room came back in the midst of a batch, its end would get in before its middle.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from schemas import names
from schemas.topology import adjustments_exchange, bucket_key, dead, door
from worker.broker import Publication, SessionLost, passed_on
from worker.envelope import writing
from worker.envelope.reading import KILLER, PRIORITY_MAX, Reading
from worker.store.faults import PassingFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from worker.broker import Delivery, Intake, Publisher
    from worker.caution import Caution
    from worker.envelope.reading import Reader
    from worker.observe.metrics import Metrics
    from worker.observe.status import Status

_log = structlog.get_logger("worker.door")

_HOLD_PAUSE_SECONDS = 1.0
_TRIAL_HEADER = "x-door-trial"
_WATCHED_MAX = 100


class Door:
    """Consumes the door's queue until it is told to stop or the session is lost.

    `declared_at` tells when the topology was last declared. `watch` gives the name of a queue, and
    an intake of it, to which everything comes that comes to an exchange meanwhile. `user` is the
    worker's own user at the broker.
    """

    def __init__(
        self,
        intake: Intake,
        publisher: Publisher,
        reader: Reader,
        caution: Caution,
        pause: Callable[[float], Awaitable[None]],
        watch: Callable[[str], AbstractAsyncContextManager[tuple[str, Intake]]],
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
        self._caution = caution
        self._pause = pause
        self._watch = watch
        self._declared_at = declared_at
        self._status = status
        self._metrics = metrics
        self._prefix = prefix
        self._user = user
        self._batch_max = batch_max
        # Up to which tag what was turned away was so before the binding was back: by bucket key,
        # and for all buckets.
        self._bound_through: dict[str, int] = {}
        self._mended_through = 0

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

    @property
    def _exchange(self) -> str:
        return adjustments_exchange(self._prefix)

    def _was_turned_away(self, reading: Reading) -> bool:
        """Tell whether it came with its member's own bucket key, and may come back if sent on."""
        delivery = reading.delivery
        return (
            reading.key is not None
            and delivery.exchange == self._exchange
            and delivery.routing_key == bucket_key(reading.key.member_id)
            and delivery.tag
            > max(self._mended_through, self._bound_through.get(delivery.routing_key, 0))
        )

    async def _send_when_bound(self, reading: Reading) -> None:
        """Send on what was turned away, and hold it as long as it would come back."""
        (forward,) = self._onward(reading)
        key = forward.routing_key
        while True:
            declared_at = await self._declaration()
            comes_back = await self._comes_back(forward)
            if comes_back is False:
                _log.warning("binding_was_missing", routing_key=key)
                # What stands behind it for the same bucket came before the binding was back.
                self._bound_through[key] = await self._intake.last_tag()
                return
            await self._hold(key, declared_at)
            if comes_back is None:
                # Nothing but the declaration tells that the bindings are back, then all of them.
                await self._publish([forward])
                self._mended_through = await self._intake.last_tag()
                return

    async def _comes_back(self, forward: Publication) -> bool | None:
        """Send it on, and tell whether it comes to the door's exchange, for want of a binding.

        None where nothing was sent, because the broker lets this user make no queue.
        """
        async with AsyncExitStack() as stack:
            try:
                watching = self._watch(door(self._prefix))
                queue, seen = await stack.enter_async_context(watching)
            except SessionLost as error:
                _log.warning("binding_not_tried", reason=str(error))
                return None
            headers = {**(forward.headers or {}), _TRIAL_HEADER: queue}
            await self._publish([replace(forward, headers=headers)])
            # Whatever comes to the door's exchange because of it stands before this by now.
            await self._publisher.publish([Publication("", queue, b"", must_be_taken=True)])
            while deliveries := await seen.take(_WATCHED_MAX):
                for delivery in deliveries:
                    if delivery.headers.get(_TRIAL_HEADER) == queue:
                        return True
                    if not delivery.exchange:
                        return False
                seen.ack_through(deliveries[-1].tag)
            raise AssertionError("nobody stops what is watched")

    async def _hold(self, key: str, declared_at: datetime | None) -> None:
        """Wait until the topology is declared anew, and say so."""
        reason = f"{key} is bound to no lane: run `points-worker topology declare`"
        self._status.set_fault("door", reason)
        _log.error("binding_missing", routing_key=key, reason=reason)
        try:
            while await self._declaration() == declared_at:
                await self._pause(_HOLD_PAUSE_SECONDS)
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
        forward = passed_on(
            delivery, self._exchange, bucket_key(member_id), user=self._user, headers=headers
        )
        if delivery.expiration is not None:
            headers[names.REFUSED_PROPERTY_HEADER] = "expiration"
        elif (delivery.priority or 0) > PRIORITY_MAX:
            headers[names.REFUSED_PROPERTY_HEADER] = "priority"
            forward.priority = PRIORITY_MAX
        return forward
