"""What was turned away: requests with their member's own bucket key, which reached no lane.

Sent on while the bucket is still bound to none, such a request would come back to the end of the
door's queue, behind later messages of its member, and go round for ever. Whether the binding is
back cannot be asked for over AMQP, and the time of the last declaration does not tell either, since
nobody knows when a message was turned away. So the door tries: it sends a copy on and watches its
own exchange. If the copy does not come there, it has reached the lane, in its order, and everything
behind it follows. If it does, the message is held, and everything behind it, until the topology is
declared anew, and then tried again; the copies at the end of the queue are repeats by then, and
harmless. Binding the bucket here would hide that somebody unbound it, and keep the order no better:
whoever binds it, what is published from then on overtakes what is still in the door.

A queue of a lane must have no length limit, neither by its arguments nor by a policy, as the
contract says: where room came back in the midst of a batch, its end would get in before its middle.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from schemas.names import DOOR_TRIAL_HEADER
from schemas.topology import adjustments_exchange, bucket_key, door
from worker.broker import Publication, SessionLost
from worker.store.faults import PassingFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from worker.broker import Delivery, Intake, Publisher
    from worker.observe.status import Status

_log = structlog.get_logger("worker.door")

_HOLD_PAUSE_SECONDS = 1.0
_WATCHED_MAX = 100


class Bindings:
    """Sends on what was turned away as soon as its bucket is bound to a lane again.

    `intake` and `publisher` are the door's. `watch` gives the name of a queue, and an intake of it,
    to which everything comes that comes to an exchange meanwhile. `declared_at` tells when the
    topology was last declared.
    """

    def __init__(
        self,
        intake: Intake,
        publisher: Publisher,
        pause: Callable[[float], Awaitable[None]],
        watch: Callable[[str], AbstractAsyncContextManager[tuple[str, Intake]]],
        declared_at: Callable[[], Awaitable[datetime | None]],
        status: Status,
        *,
        prefix: str,
    ) -> None:
        self._intake = intake
        self._publisher = publisher
        self._pause = pause
        self._watch = watch
        self._declared_at = declared_at
        self._status = status
        self._prefix = prefix
        # Up to which tag what was turned away was so before the binding was back: by bucket key,
        # and for all buckets.
        self._bound_through: dict[str, int] = {}
        self._mended_through = 0

    def turned_away(self, delivery: Delivery, member_id: str) -> bool:
        """Tell whether it came with its member's own bucket key, and may come back if sent on."""
        return (
            delivery.exchange == adjustments_exchange(self._prefix)
            and delivery.routing_key == bucket_key(member_id)
            and delivery.tag
            > max(self._mended_through, self._bound_through.get(delivery.routing_key, 0))
        )

    async def send_when_bound(
        self, forward: Publication, publish: Callable[[Sequence[Publication]], Awaitable[object]]
    ) -> None:
        """Send on what was turned away, and hold it as long as it would come back."""
        key = forward.routing_key
        while True:
            declared_at = await self._declaration()
            comes_back = await self._comes_back(forward, publish)
            if comes_back is False:
                _log.warning("binding_was_missing", routing_key=key)
                # What stands behind it for the same bucket came before the binding was back.
                self._bound_through[key] = await self._intake.last_tag()
                return
            await self._hold(key, declared_at)
            if comes_back is None:
                # Nothing but the declaration tells that the bindings are back, then all of them.
                await publish([forward])
                self._mended_through = await self._intake.last_tag()
                return

    async def _comes_back(
        self, forward: Publication, publish: Callable[[Sequence[Publication]], Awaitable[object]]
    ) -> bool | None:
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
            headers = {**(forward.headers or {}), DOOR_TRIAL_HEADER: queue}
            await publish([replace(forward, headers=headers)])
            # Whatever comes to the door's exchange because of it stands before this by now.
            await self._publisher.publish([Publication("", queue, b"", must_be_taken=True)])
            while deliveries := await seen.take(_WATCHED_MAX):
                for delivery in deliveries:
                    if delivery.headers.get(DOOR_TRIAL_HEADER) == queue:
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
        """Return when the topology was last declared, however long Postgres is away."""
        try:
            while True:
                try:
                    return await self._declared_at()
                except PassingFault as fault:
                    self._status.set_fault("postgres", str(fault), holder="door")
                    _log.warning("door_waits", server="postgres", reason=str(fault))
                    await self._pause(_HOLD_PAUSE_SECONDS)
        finally:
            self._status.clear("postgres", holder="door")
