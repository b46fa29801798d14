"""Settles the requests of one batch, each in its turn: found done, found waiting, or decided now.

What a request caused is a story: its journal entries in order, its own outcome among them, and
the early requests that it released, each with whoever waits for its answer. A story that was
written before is told again word for word.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.domain import decide as rules
from worker.envelope import writing
from worker.envelope.reading import KILLER
from worker.envelope.replies import Address
from worker.store.early import EarlyEnd, EarlyRow
from worker.store.members import blanked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from worker.domain.member import Arrival, Member, Waiting
    from worker.domain.ordinals import Parking
    from worker.domain.outcome import Decision, Outcome, Rejection
    from worker.domain.program import Program
    from worker.envelope.reading import Reading
    from worker.store.early import Early
    from worker.store.entry import Entry
    from worker.store.keys import MemberKey, RequestKey


@dataclass(slots=True)
class Told:
    """An early request that came to its end in a story: at which step, and who is answered."""

    step: int
    address: Address


@dataclass(slots=True)
class Story:
    """All that one request caused, in order. `released` are by their request ids.

    The story of a request that had waited has nothing to tell but its own answer. Its events are
    part of the story of the one that released it, and are owed with that one: when both come
    again, the one that waited comes first, and would tell of its change before earlier ones.
    """

    fingerprint: bytes
    own: Entry
    entries: Sequence[Entry] = ()
    released: dict[str, Told] = field(default_factory=dict)


class Batch:
    """The requests of one transaction, and what has become of them so far.

    `fresh` are the new entries of the journal; `parked`, `ended` and `readdressed` what changed
    about early requests, as `Transaction.write` takes it. `outcomes` counts the requests decided
    by (status, operation, error key).
    """

    def __init__(
        self,
        members: Mapping[MemberKey, Member],
        programs: Mapping[str, Program],
        times: Mapping[MemberKey, datetime],
        parking: Parking,
    ) -> None:
        self.fresh: list[Entry] = []
        self.parked: dict[RequestKey, EarlyRow] = {}
        self.ended: list[EarlyEnd] = []
        self.readdressed: dict[RequestKey, dict[str, Any] | None] = {}
        self.outcomes: Counter[tuple[str, str, str]] = Counter()
        self.duplicates = 0
        self._members = members
        self._programs = programs
        self._times = times
        self._parking = parking
        self._stories: dict[RequestKey, Story] = {}

    def remember(self, known: Mapping[RequestKey, Sequence[Entry]], early: Early) -> None:
        """Take in what the books know of the batch's requests."""
        for key, entries in known.items():
            own = next((entry for entry in entries if entry.fingerprint is not None), None)
            assert own is not None, "each request has an outcome of its own"
            assert own.fingerprint is not None, "it is found by its fingerprint"
            released = {
                item.request_id: Told(item.step, Address.from_json(item.address))
                for item in early.released.get(key, ())
            }
            self._stories[key] = Story(own.fingerprint, own, entries, released)
        for key, end in early.ended.items():
            self._stories[key] = Story(end.fingerprint, end.own)

    def refuse(self, refused: Mapping[RequestKey, Rejection]) -> None:
        """Let requests that wait be refused when their turn comes, whatever they ask for."""
        for key, rejection in refused.items():
            waiting = self._members[key.member].waiting.get(key.request_id)
            if waiting is not None:
                waiting.arrival = waiting.arrival._replace(request=None, refusal=rejection)

    def is_new(self, member_key: MemberKey, arrival: Arrival) -> bool:
        """Tell whether a request has neither been decided nor waits to be."""
        if arrival.request_id in self._members[member_key].waiting:
            return False
        return (*member_key, arrival.request_id) not in self._stories

    def settle(self, reading: Reading, member_key: MemberKey, arrival: Arrival) -> Story | None:
        """Return what a request has caused, now or before; None where it waits for its turn."""
        key = reading.key
        assert key is not None, "a message without ids is no request"
        member, now = self._members[member_key], self._times[member_key]
        if story := self._stories.get(key):
            if reading.has_fingerprint(story.fingerprint):
                self.duplicates += 1
                return story
        elif waiting := member.waiting.get(key.request_id):
            if reading.has_fingerprint(waiting.arrival.fingerprint):
                self._readdress(key, waiting, reading.address)
                return None
        else:
            return self._write_down(key, reading, self._decide(member, reading, arrival, now))
        return self._write_down(key, reading, rules.conflict(member, arrival, now))

    def _decide(
        self, member: Member, reading: Reading, arrival: Arrival, now: datetime
    ) -> Decision:
        if reading.letter is KILLER:
            return rules.refuse(member, arrival, now)
        program = self._programs.get(member.program_id)
        return rules.decide(program, member, arrival, now, self._parking)

    def _readdress(self, key: RequestKey, waiting: Waiting, address: Address) -> None:
        """Answer a request that waits to where it came from last."""
        self.duplicates += 1
        waiting.arrival = waiting.arrival._replace(reply=address)
        if (row := self.parked.get(key)) is not None:
            row.address = address.to_json()
        else:
            self.readdressed[key] = address.to_json()

    def _write_down(self, key: RequestKey, reading: Reading, decision: Decision) -> Story | None:
        """Turn a decision into entries of the journal, and remember them if they are stored.

        Of a member who is erased nothing personal is kept, or told.
        """
        is_erased = self._members[key.member].status == "erased"
        if decision.parked is not None:
            body = None if is_erased else reading.delivery.body
            self.parked[key] = _early_row(key, decision.parked, body)
            return None
        entries, own, released = [], None, []
        for number, step in enumerate(decision.steps):
            arrival = step.arrival
            is_own = arrival is not None and step.subject is None
            fingerprint = reading.fingerprint if is_own else None
            entry = writing.entry_of(step.outcome, key, number, fingerprint, step.subject)
            if is_erased:
                entry = entry._replace(outcome=blanked(entry.outcome))
            entries.append(entry)
            if arrival is None:
                continue
            self.outcomes[_label(step.outcome)] += 1
            if is_own:
                own = entry
            else:
                released.append((arrival, entry))
        assert own is not None, "a request that was decided has an outcome"
        story = Story(reading.fingerprint, own, entries)
        if decision.is_stored:
            self._stories[key] = story
            self.fresh += entries
        for arrival, entry in released:
            self._end(key, arrival, entry, story)
        return story

    def _end(self, key: RequestKey, arrival: Arrival, own: Entry, story: Story) -> None:
        """Note that an early request came to its end within another one's story."""
        early_key = key._replace(request_id=arrival.request_id)
        story.released[arrival.request_id] = Told(own.step, arrival.reply)
        self.ended.append(EarlyEnd(early_key, key.request_id, own.step))
        self._stories[early_key] = Story(arrival.fingerprint, own)


def _early_row(key: RequestKey, waiting: Waiting, body: bytes | None) -> EarlyRow:
    arrival = waiting.arrival
    return EarlyRow(
        key=key,
        stream=waiting.stream,
        ordinal=waiting.ordinal,
        body=body,
        fingerprint=arrival.fingerprint,
        publisher=arrival.publisher,
        is_trusted=arrival.is_trusted,
        address=arrival.reply.to_json(),
        deadline=waiting.deadline,
    )


def _label(outcome: Outcome) -> tuple[str, str, str]:
    key = outcome.rejection.key if outcome.rejection else ""
    return outcome.status, outcome.operation or "", key
