"""Consumes the door's queue: what can be read goes on to its lane, the rest becomes dead letters.

The door decides nothing. What it can read goes on in the order in which it came, confirmed, and is
then acknowledged; what it cannot read becomes a dead letter, beside which its refusal goes on where
the headers tell whose request it is. The lanes find it again if it comes twice.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NoReturn

import structlog

from schemas import errors, names
from schemas.topology import dead
from worker.backoff import delays
from worker.caution import Verdict
from worker.dialects import DIALECTS
from worker.door.forwarding import forward
from worker.door.translating import Foreign
from worker.envelope import writing
from worker.envelope.replies import error_reply
from worker.store.faults import PassingFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    from worker.broker import Delivery, Intake, Publication, Publisher
    from worker.caution import Caution
    from worker.door.bindings import Bindings
    from worker.door.translating import Translator
    from worker.envelope.reading import Reader, Reading
    from worker.observe.metrics import Metrics
    from worker.observe.status import Status
    from worker.store.directory import KeyFault

    Message: TypeAlias = Reading | Foreign

_log = structlog.get_logger("worker.door")

_HOLD_PAUSE_SECONDS: Final = 1.0
_KEY_FAULTS: Final[dict[KeyFault, str]] = {
    "missing": "not set, as it was when identifiers were stored",
    "other": "another than when identifiers were stored",
}
# A vendor's type, too, may be what was misspelt.
_TYPES_RULE: Final = f"type must be one of {', '.join((names.REQUEST_TYPE, *DIALECTS))}"


class Door:
    """Consumes the door's queue until it is told to stop or the session is lost.

    `pause` waits so many seconds, and raises where the session ends or the worker stops meanwhile.
    `user` is the worker's own user at the broker.
    """

    def __init__(
        self,
        intake: Intake,
        publisher: Publisher,
        reader: Reader,
        translator: Translator,
        bindings: Bindings,
        caution: Caution,
        pause: Callable[[float], Awaitable[None]],
        status: Status,
        metrics: Metrics,
        *,
        prefix: str,
        user: str,
        batch_max: int,
        delay_seconds_min: float,
        delay_seconds_max: float,
    ) -> None:
        self._intake = intake
        self._publisher = publisher
        self._reader = reader
        self._translator = translator
        self._bindings = bindings
        self._caution = caution
        self._pause = pause
        self._status = status
        self._metrics = metrics
        self._prefix = prefix
        self._user = user
        self._batch_max = batch_max
        self._delay_seconds_min = delay_seconds_min
        self._delay_seconds_max = delay_seconds_max
        self._publishing_seconds = 0.0

    async def run(self) -> None:
        """Work until the intake is stopped. Raises SessionLost when the session ends before."""
        while deliveries := await self._intake.take(self._batch_max):
            self._publishing_seconds = 0.0
            if self._caution.needed:
                for delivery in deliveries:
                    await self._try_alone(delivery)
            else:
                await self._work_together(deliveries)
            _log.info(
                "door_batch",
                requests=len(deliveries),
                publish_ms=round(self._publishing_seconds * 1000, 1),
            )

    async def _work_together(self, deliveries: Sequence[Delivery]) -> None:
        """Send a batch on. Only reading it can kill: nobody has to wait for anything else."""
        await self._caution.join()
        try:
            messages = await self._read(deliveries)
        finally:
            await self._caution.leave()
        if stuck := await self._look_up(messages):
            foreign, fault = stuck
            if before := deliveries[: deliveries.index(foreign.delivery)]:
                await self._work_together(before)
            await self._hold_for_the_key(fault)
        await self._caution.join()
        try:
            self._translate(messages)
        finally:
            await self._caution.leave()
        publications: list[Publication] = []
        for message in messages:
            if self._was_turned_away(message):
                await self._publish(publications)
                publications = []
                await self._send_when_bound(message)
            else:
                publications += self._onward(message)
        await self._publish(publications)
        self._intake.ack_through(deliveries[-1].tag)

    async def _try_alone(self, delivery: Delivery) -> None:
        """Send one message on with nothing else in hand; one that is condemned is not read."""
        async with self._caution.alone(delivery) as verdict:
            if verdict is Verdict.TRIED:
                messages = await self._read([delivery])
            else:
                messages = [self._condemned(delivery, verdict)]
            stuck = await self._look_up(messages)
            if not stuck:
                self._translate(messages)
                if not self._was_turned_away(messages[0]):
                    await self._publish(self._onward(messages[0]))
                    self._intake.ack_through(delivery.tag)
                    return
        # Nobody else has to wait where this one must.
        if stuck:
            await self._hold_for_the_key(stuck[1])
        await self._send_when_bound(messages[0])
        self._intake.ack_through(delivery.tag)

    async def _read(self, deliveries: Sequence[Delivery]) -> list[Message]:
        """Read a batch, each message by the contract or by its dialect."""
        foreign = [delivery for delivery in deliveries if delivery.type in DIALECTS]
        translated = iter(await self._translator.read(foreign) if foreign else ())
        return [
            next(translated) if delivery.type in DIALECTS else self._identified(delivery)
            for delivery in deliveries
        ]

    def _identified(self, delivery: Delivery) -> Reading:
        """Read a message by the contract, as far as the ids."""
        reading, _ = self._reader.identify(delivery)
        if reading.letter is not None and reading.letter.key == errors.UNKNOWN_TYPE:
            reading.letter.message = _TYPES_RULE
        return reading

    def _condemned(self, delivery: Delivery, verdict: Verdict) -> Message:
        """Return a message over which workers have died; its body is not looked at."""
        if delivery.type in DIALECTS:
            return self._translator.condemned(delivery, are_ids_read=verdict is not Verdict.UNREAD)
        return self._reader.unread(delivery)

    async def _look_up(self, messages: Sequence[Message]) -> tuple[Foreign, KeyFault] | None:
        """Look up what the dialects need, however long Postgres is away.

        Returns the first message that has to wait for a key, and why.
        """
        foreign = [message for message in messages if isinstance(message, Foreign)]
        if not foreign:
            return None
        waits = delays(self._delay_seconds_min, self._delay_seconds_max)
        try:
            while True:
                try:
                    return await self._translator.look_up(foreign)
                except PassingFault as fault:
                    self._metrics.retries.labels(type(fault.__cause__).__name__).inc()
                    self._status.set_fault("postgres", str(fault), holder="door")
                    _log.warning("door_waits", server="postgres", reason=str(fault))
                    await self._pause(next(waits))
        finally:
            self._status.clear("postgres", holder="door")

    def _translate(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if isinstance(message, Foreign):
                self._translator.translate(message)

    async def _hold_for_the_key(self, fault: KeyFault) -> NoReturn:
        """Wait, and say so, until this worker stops: with its settings it cannot go on."""
        reason = (
            "a request names its member by an identifier, and POINTS_IDENTIFIER_KEY is"
            f" {_KEY_FAULTS[fault]}: set it as it was then, and start the worker again"
        )
        _log.error(f"identifier_key_{fault}", reason=reason)
        self._status.set_fault("door", reason)
        try:
            while True:
                await self._pause(_HOLD_PAUSE_SECONDS)
        finally:
            self._status.clear("door")

    async def _publish(self, publications: Sequence[Publication]) -> None:
        started = time.perf_counter()
        report = await self._publisher.publish(publications)
        self._publishing_seconds += time.perf_counter() - started
        self._metrics.count_published(
            writing.kinds(publications), report.replies_given_up, report.refusals
        )
        for item in publications:
            if item.exchange == dead(self._prefix):
                self._metrics.dead_letters.labels(item.routing_key).inc()

    def _was_turned_away(self, message: Message) -> bool:
        """Tell of a canonical request whether it came with its bucket key, and may come back."""
        key = None if isinstance(message, Foreign) else message.key
        return key is not None and self._bindings.turned_away(message.delivery, key.member_id)

    async def _send_when_bound(self, message: Message) -> None:
        (forwarded,) = self._onward(message)
        await self._bindings.send_when_bound(forwarded, self._publish)

    def _onward(self, message: Message) -> list[Publication]:
        """Return what is to be published for a message: it goes on, or it is set aside."""
        if isinstance(message, Foreign):
            return self._translator.onward(message)
        delivery = message.delivery
        if message.key is not None:
            headers = writing.passed_on_headers(delivery, self._user)
            member_id = message.key.member_id
            return [forward(delivery, member_id, headers, prefix=self._prefix, user=self._user)]
        assert message.letter is not None, "a message without ids has a letter"
        letter = writing.dead_letter(delivery, message.letter, self._prefix, self._user)
        if not delivery.reply_to:
            return [letter]
        return [error_reply(message.address, message.letter), letter]
