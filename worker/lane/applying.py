"""Applies a batch of requests to the books, and says what is to be published for it.

One transaction: lock the members in key order, read what the requests may touch, decide each in
order, write it all. The order is not a matter of taste: idempotency, sequence and clock live under
the member's lock, and what depends on a lock is read by a later statement than the one that waited
for it.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import structlog

from worker.dialects.jwe import UnknownKid
from worker.domain.ordinals import Parking
from worker.envelope import replies, writing
from worker.envelope.reading import KILLER, early_arrival
from worker.lane import needs, turns
from worker.lane.settling import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from worker.broker import Publication
    from worker.dialects.jwe import Keyring
    from worker.domain.outcome import Rejection
    from worker.domain.program import Program
    from worker.envelope.reading import Reading
    from worker.envelope.replies import Address
    from worker.lane.settling import Story
    from worker.store.entry import Entry
    from worker.store.keys import RequestKey
    from worker.store.transaction import Books

_log = structlog.get_logger("worker.lane")

_PARKING: Final = Parking()


class _Undone(Exception):
    """A trial has found nothing wrong, and its transaction ends without a trace."""


@dataclass(slots=True)
class Applied:
    """What came of a batch: what to publish, in order, and counts for the log.

    `outcomes` counts the requests decided now by (status, operation, error key), early ones that
    were released among them; `letters` by key. `answers` are the messages' own outcomes, in
    order, for the log. `parked` are the requests that wait for their predecessors from now on;
    `replies_given_up` are replies that could not be encrypted for whoever waits for them.
    """

    publications: list[Publication] = field(default_factory=list)
    answers: list[Entry] = field(default_factory=list)
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    parked: int = 0
    replies_given_up: int = 0

    def __iadd__(self, other: Applied) -> Self:
        self.publications += other.publications
        self.answers += other.answers
        self.outcomes += other.outcomes
        self.letters += other.letters
        self.duplicates += other.duplicates
        self.parked += other.parked
        self.replies_given_up += other.replies_given_up
        return self


class Applier:
    """Applies batches of readings to the books.

    `clock` turns the database's time after the locks into the time of the batch; only tests
    replace it. `user` is the worker's own user at the broker.
    """

    def __init__(
        self,
        books: Books,
        prefix: str,
        user: str,
        clock: Callable[[datetime], datetime] = lambda now: now,
        parking: Parking = _PARKING,
        keyring: Keyring = replies.NO_KEYS,
    ) -> None:
        self._books = books
        self._prefix = prefix
        self._user = user
        self._clock = clock
        self._parking = parking
        self._keyring = keyring

    async def apply(
        self,
        readings: Sequence[Reading],
        refused: Mapping[RequestKey, Rejection] | None = None,
        *,
        is_trial: bool = False,
    ) -> Applied:
        """Apply one batch in one transaction.

        `refused` says why requests that wait are to be refused when their turn comes. A trial
        only finds out whether the books can hold what comes of it all: it is undone.

        Raises PassingFault or RequestFault; then nothing was done.
        """
        applied = Applied()
        keys = {reading.key: None for reading in readings if reading.key is not None}
        if keys:
            with suppress(_Undone):
                await self._carry_out(readings, keys, applied, refused or {}, is_trial=is_trial)
        else:
            for reading in readings:
                self._answer(reading, None, {}, applied)
        return applied

    async def _carry_out(
        self,
        readings: Sequence[Reading],
        keys: Collection[RequestKey],
        applied: Applied,
        refused: Mapping[RequestKey, Rejection],
        *,
        is_trial: bool,
    ) -> None:
        arrived = [
            None if reading.key is None else (reading.key.member, reading.arrival)
            for reading in readings
        ]
        async with self._books.transaction() as transaction:
            members = await transaction.lock({one[0]: None for one in arrived if one is not None})
            now, programs = await transaction.clock_and_programs(
                {key.program_id: None for key in keys}
            )
            now = self._clock(now)
            times = {key: max(now, m.last_recorded_at or now) for key, m in members.items()}
            batch = Batch(members, programs, times, self._parking)
            known = await transaction.known(keys)
            streams = {
                (reading.key.member, reading.ordinal[0])
                for reading in readings
                if reading.key is not None and reading.ordinal is not None
            }
            ending = turns.ending(arrived, members, times)
            batch.remember(known, await transaction.early(members, keys, streams, ending))
            asked = [
                one
                for reading, one in zip(readings, arrived, strict=True)
                if one is not None and reading.letter is not KILLER and batch.is_new(*one)
            ]
            await turns.read(transaction, asked, members, times, early_arrival)
            batch.refuse(refused)
            await needs.read(transaction, asked, programs, members, times)
            for reading, one in zip(readings, arrived, strict=True):
                story = None if one is None else batch.settle(reading, *one)
                self._answer(reading, story, programs, applied)
            await transaction.write(
                batch.fresh,
                members.values(),
                parked=batch.parked.values(),
                ended=batch.ended,
                readdressed=batch.readdressed,
            )
            if is_trial:
                raise _Undone
        applied.outcomes = batch.outcomes
        applied.duplicates = batch.duplicates
        applied.parked = len(batch.parked)

    def _answer(
        self,
        reading: Reading,
        story: Story | None,
        programs: Mapping[str, Program],
        applied: Applied,
    ) -> None:
        """Add what is to be published for a message: events, replies, dead letter, in this order.

        For a request that was carried out before this is everything again, also what belongs to
        the early requests that it released: the worker that did it may have died before it could
        publish.
        """
        delivery, letter = reading.delivery, reading.letter
        publications = applied.publications
        if story is not None:
            applied.answers.append(story.own)
            self._tell(story, reading, programs, applied)
        elif letter is not None and reading.key is None and reading.address.reply_to:
            publications.append(replies.error_reply(reading.address, letter, self._keyring))
        if letter is not None:
            publications.append(writing.dead_letter(delivery, letter, self._prefix, self._user))
            applied.letters[letter.key] += 1

    def _tell(
        self,
        story: Story,
        reading: Reading,
        programs: Mapping[str, Program],
        applied: Applied,
    ) -> None:
        """Add the events of a story in their order, each outcome's reply right behind its event."""
        if not story.entries:
            self._reply(story.own, reading.address, programs, applied)
        for entry in story.entries:
            address, is_answer = reading.address, entry is story.own
            if entry.subject is not None and entry.subject in story.released:
                told = story.released[entry.subject]
                address, is_answer = told.address, entry.step == told.step
            if entry.event_type is not None:
                event = writing.event(entry, self._prefix, address.traceparent)
                applied.publications.append(event)
            if is_answer:
                self._reply(entry, address, programs, applied)

    def _reply(
        self, entry: Entry, address: Address, programs: Mapping[str, Program], applied: Applied
    ) -> None:
        """Add the answer to whoever waits for it, if anybody does."""
        if not address.reply_to:
            return
        program = programs.get(entry.program_id)
        try:
            answer = replies.reply(entry.outcome, address, program, self._keyring)
        except UnknownKid as fault:
            # The key was there when the request came in.
            _log.error("reply_given_up", reason=str(fault))
            applied.replies_given_up += 1
        else:
            applied.publications.append(answer)
