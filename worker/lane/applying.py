"""Applies a batch of requests to the books, and says what is to be published for it.

One transaction: lock the members in key order, read what the requests may touch, decide each in
order, write it all. The order is not a matter of taste: idempotency, sequence and clock live under
the member's lock, and what depends on a lock is read by a later statement than the one that waited
for it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from schemas import names
from worker.domain import decide as rules
from worker.domain.money import to_minor_units
from worker.envelope import writing
from worker.store.transaction import MemberKey, RequestKey, WalletKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from worker.broker import Publication
    from worker.domain.member import Member
    from worker.domain.outcome import Outcome
    from worker.domain.program import Program
    from worker.envelope.reading import Reading
    from worker.store.entry import Entry
    from worker.store.transaction import Books, Transaction


@dataclass(slots=True)
class Applied:
    """What came of a batch: what to publish, in order, and counts for the log.

    `outcomes` counts the requests decided now by (status, operation, error key), `letters` by key.
    `answers` are the messages' own outcomes, in order, for the log.
    """

    publications: list[Publication] = field(default_factory=list)
    answers: list[Entry] = field(default_factory=list)
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0

    def __iadd__(self, other: Applied) -> Self:
        self.publications += other.publications
        self.answers += other.answers
        self.outcomes += other.outcomes
        self.letters += other.letters
        self.duplicates += other.duplicates
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
    ) -> None:
        self._books = books
        self._prefix = prefix
        self._user = user
        self._clock = clock

    async def apply(self, readings: Sequence[Reading]) -> Applied:
        """Apply one batch in one transaction.

        Raises PassingFault or RequestFault; then nothing was done.
        """
        applied = Applied()
        keys = {reading.key: None for reading in readings if reading.key is not None}
        known: dict[RequestKey, list[Entry]] = {}
        if not keys:
            for reading in readings:
                self._answer(reading, [], applied)
            return applied
        async with self._books.transaction() as transaction:
            members = await transaction.lock({key.member: None for key in keys})
            now, programs = await transaction.clock_and_programs(
                {key.program_id: None for key in keys}
            )
            now = self._clock(now)
            times = {key: max(now, m.last_recorded_at or now) for key, m in members.items()}
            known = await transaction.known(keys)
            await _read_wallets(transaction, readings, known, programs, members, times)
            fresh: list[Entry] = []
            for reading in readings:
                entries = self._settle(reading, known, members, programs, times, applied, fresh)
                self._answer(reading, entries, applied)
            await transaction.write(fresh, members.values())
        return applied

    def _settle(
        self,
        reading: Reading,
        known: dict[RequestKey, list[Entry]],
        members: Mapping[MemberKey, Member],
        programs: Mapping[str, Program],
        times: Mapping[MemberKey, datetime],
        applied: Applied,
        fresh: list[Entry],
    ) -> list[Entry]:
        """Return the journal's entries for a request: those it has, or those it makes now."""
        key = reading.key
        if key is None:
            return []
        member, now = members[key.member], times[key.member]
        request, refusal, request_id = reading.request, reading.refusal, key.request_id
        if entries := known.get(key):
            fingerprint = entries[-1].fingerprint
            assert fingerprint is not None, "a request's own outcome is the last that it caused"
            if reading.has_fingerprint(fingerprint):
                applied.duplicates += 1
                return entries
            outcomes, is_stored = [rules.conflict(member, request_id, request, now)], False
        elif refusal is not None:
            outcomes, is_stored = [rules.reject(member, request_id, request, refusal, now)], True
        else:
            assert request is not None, "what is neither refused nor valid has no key"
            if request.dry_run:
                outcomes, is_stored = [rules.dry_run(member, request_id, request, now)], False
            else:
                program = programs.get(key.program_id)
                outcomes = rules.decide(program, member, request_id, request, now)
                is_stored = True
        last = len(outcomes) - 1
        entries = [
            writing.entry_of(outcome, key, step, reading.fingerprint if step == last else None)
            for step, outcome in enumerate(outcomes)
        ]
        applied.outcomes[_label(outcomes[-1])] += 1
        if is_stored:
            known[key] = entries
            fresh += entries
        return entries

    def _answer(self, reading: Reading, entries: Sequence[Entry], applied: Applied) -> None:
        """Add what is to be published for a message: events, reply, dead letter, in this order.

        For a request that was carried out before this is everything again: the worker that did
        it may have died before it could publish.
        """
        delivery, letter = reading.delivery, reading.letter
        publications = applied.publications
        applied.answers += entries[-1:]
        for entry in entries:
            if entry.event_type is not None:
                traceparent = delivery.headers.get(names.TRACEPARENT_HEADER)
                publications.append(writing.event(entry, self._prefix, traceparent))
        if delivery.reply_to:
            if entries:
                publications.append(writing.reply(entries[-1].outcome, delivery))
            elif letter is not None:
                publications.append(writing.error_reply(delivery, letter))
        if letter is not None:
            publications.append(writing.dead_letter(delivery, letter, self._prefix, self._user))
            applied.letters[letter.key] += 1


def _label(outcome: Outcome) -> tuple[str, str, str]:
    key = outcome.rejection.key if outcome.rejection else ""
    return outcome.status, outcome.operation or "", key


async def _read_wallets(
    transaction: Transaction,
    readings: Sequence[Reading],
    known: Mapping[RequestKey, list[Entry]],
    programs: Mapping[str, Program],
    members: Mapping[MemberKey, Member],
    times: Mapping[MemberKey, datetime],
) -> None:
    """Read the wallets of the new requests, and as many of their lots as they may need.

    A debit needs lots for what it takes. One beyond all that the wallet has and will get in this
    batch needs none, since it will be refused, unless it may leave a deficit.
    """
    debits: dict[WalletKey, list[int]] = {}
    credited: Counter[WalletKey] = Counter()
    unlimited: set[WalletKey] = set()
    for reading in readings:
        request = reading.request
        if reading.key is None or request is None or reading.refusal or reading.key in known:
            continue
        program = programs.get(reading.key.program_id)
        currency = program.currency(request.currency) if program else None
        if program is None or currency is None or request.points is None:
            continue
        points = to_minor_units(*request.points, currency.decimals) or 0
        wallet = WalletKey(*reading.key.member, currency.code, request.category)
        taken = debits.setdefault(wallet, [])
        if points >= 0:
            credited[wallet] += points
            continue
        taken.append(-points)
        if request.allow_negative or program.allow_negative:
            unlimited.add(wallet)
    await transaction.read_wallets(debits, members)
    cover = {}
    for key, taken in debits.items():
        wallet_now = members[key.member].wallets.get((key.currency, key.category))
        if wallet_now is not None:
            most = wallet_now.balance + wallet_now.deficit + credited[key]
            cover[key] = sum(
                min(points, most) for points in taken if points <= most or key in unlimited
            )
    await transaction.read_lots(cover, members, times)
