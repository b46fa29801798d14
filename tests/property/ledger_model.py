"""All rules written down a second time, so plainly that they are slow: every point is a token.

The model reads the documents that the worker reads and shares no code with it. A wallet is a list
of tokens, each with the instant from which it cannot be used, the lot that it belongs to and what
that was awarded for. A debit takes the first of the sorted list, one by one, and what it took is
remembered as a list, so that undoing it is to take from that list's end. It is told of valid
payloads only.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.property import ledger_faults
from tests.property.ledger_limits import Refused
from tests.property.ledger_operations import Work
from tests.property.ledger_wallets import Change, Held, Place, Purse
from tests.property.tokens import FOREVER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.property.ledger_wallets import Token

Tokens = dict["Place", "Counter[Token]"]


class Ask(NamedTuple):
    """One request as it reaches its member."""

    request_id: str
    document: dict[str, Any]
    publisher: str | None = None

    @property
    def operation(self) -> str:
        """What is asked for."""
        return str(self.document.get("operation", "ADJUST"))


class Told(NamedTuple):
    """What there is to say about one outcome; `lots` are (lot id, points, expires_at), sorted."""

    request_id: str | None
    operation: str
    status: str
    event: str | None
    error: str | None
    caused_by: str | None
    subject: str | None
    sequence: int
    place: Place | None = None
    points: int = 0
    forfeited: int = 0
    balance: int | None = None
    available: int | None = None
    total: int | None = None
    version: int | None = None
    lots: tuple[tuple[int, int, datetime], ...] = ()
    expires_at: datetime | None = None
    warnings: tuple[str, ...] = ()


class Late(NamedTuple):
    """A request that waits for its predecessors."""

    ask: Ask
    stream: str
    number: int
    deadline: datetime


@dataclass
class Ledger:
    """One member of the programme of a document."""

    program: dict[str, Any]
    status: str = "active"
    is_enrolled: bool = True
    wait: timedelta = timedelta(hours=1)
    waiting_max: int = 1000
    purses: dict[Place, Purse] = field(default_factory=dict)
    holds: dict[str, Held] = field(default_factory=dict)
    ended: dict[str, Held] = field(default_factory=dict)
    awards: dict[str, str | None] = field(default_factory=dict)
    changes: dict[str, Change] = field(default_factory=dict)
    used: dict[str, set[int]] = field(default_factory=dict)
    late: dict[str, Late] = field(default_factory=dict)
    operators: Counter[tuple[str, str, date]] = field(default_factory=Counter)
    sequence: int = 0

    def tell(self, ask: Ask, now: datetime) -> list[Told]:
        """Carry out a request and tell all that came of it, in order; nothing if it waits."""
        turn = self._turn(ask)
        if ask.document.get("dry_run"):
            own = copy.deepcopy(self)._settle(ask, now, turn)[-1]
            status = "SIMULATED" if own.status == "APPLIED" else own.status
            return [own._replace(status=status, event=None)]
        if turn is None:
            return self._settle(ask, now, turn)
        number, stream = ask.document["ordinal"], ask.document.get("ordinal_stream", "")
        is_sound = not list(ledger_faults.of_payload(self.program, ask))
        is_kept = turn != "early" or self._has_room(stream, number)
        if turn == "early" and is_sound and is_kept and len(self.late) < self.waiting_max:
            self.late[ask.request_id] = Late(ask, stream, number, now + self.wait)
            return []
        told = self._settle(ask, now, turn)
        if turn != "used" and is_kept and told[-1].error != "ordinal_gap":
            self.used.setdefault(stream, set()).add(number)
        while late := self._late(stream, self._next(stream)):
            del self.late[late.ask.request_id]
            self.used[stream].add(late.number)
            *before, own = self._settle(late.ask, now, "next")
            told += [
                one._replace(subject=one.subject or late.ask.request_id)
                for one in (*before, own._replace(caused_by=ask.request_id))
            ]
        return told

    def _next(self, stream: str) -> int:
        number = 1
        while number in self.used.get(stream, ()):
            number += 1
        return number

    def _has_room(self, stream: str, number: int) -> bool:
        """Tell whether a number beyond a gap will be remembered: so many stretches are."""
        beyond = {one for one in self.used.get(stream, ()) if one > self._next(stream)}
        if beyond & {number - 1, number + 1}:
            return True
        stretches = sum(one - 1 not in beyond for one in beyond)
        waiting = sum(one.stream == stream for one in self.late.values())
        return stretches + waiting < self.waiting_max

    def _late(self, stream: str, number: int) -> Late | None:
        waiting = self.late.values()
        return next((one for one in waiting if one[1:3] == (stream, number)), None)

    def _turn(self, ask: Ask) -> str | None:
        number, stream = ask.document.get("ordinal"), ask.document.get("ordinal_stream", "")
        if number is None:
            return None
        if number in self.used.get(stream, ()) or self._late(stream, number):
            return "used"
        return "next" if number == self._next(stream) else "early"

    def _settle(self, ask: Ask, now: datetime, turn: str | None) -> list[Told]:
        """Let happen what is due, then the request; tell of its own outcome last."""
        fault = next(ledger_faults.before_wallet(self, ask, now), None)
        if fault is None and turn in {"used", "early"}:
            fault = "ordinal_used" if turn == "used" else "ordinal_gap"
        if fault is not None:
            return [self._rejected(ask, fault)]
        place = self._place(ask)
        told = self._due(self._places(ask, place), ask.request_id, now)
        if ask.operation == "EXPIRE":
            told += self._out_of_time(ask.request_id, now)
        before = self._tokens()
        try:
            work = Work(self, ask, place, now)
            done = work.done(something_was_due=bool(told))
        except Refused as refused:
            own = self._rejected(ask, str(refused))
            return [*told, own._replace(**self._figures(place))]
        if work.side:
            told.append(
                self._moved(
                    self._told(
                        ask.request_id, ask.operation, "APPLIED", done.event, ask.request_id
                    )._replace(points=work.side.points, expires_at=work.side.expires_at),
                    work.side.place,
                    before,
                )
            )
        own = self._told(ask.request_id, ask.operation, done.status, done.event)
        if ask.operation == "EXPIRE":
            return [*told, own]
        own = own._replace(**{name: getattr(done, name) for name in _SAME_IN_BOTH})
        return [*told, self._moved(own, place, before)]

    def purse(self, place: Place) -> Purse:
        """The wallet of a place, an empty one at first."""
        return self.purses.setdefault(place, Purse())

    def named_place(self, ask: Ask) -> Place | None:
        """The wallet of what a request undoes or ends, if there is that."""
        named: Change | Held | None = self.changes.get(ask.document.get("reverses", ""))
        hold = ask.document.get("hold", "")
        named = named or self.holds.get(hold) or self.ended.get(hold)
        return named.place if named else None

    def end_hold(self, hold: str) -> None:
        """Let go of what a hold has set aside."""
        held = self.holds.pop(hold)
        self.purse(held.place).held -= held.points
        self.ended[hold] = held

    def _place(self, ask: Ask) -> Place:
        first = self.program["currencies"][0]["code"]
        document = ask.document
        place = document.get("currency", first), document.get("category", "REGULAR")
        return self.named_place(ask) or place

    def _places(self, ask: Ask, place: Place) -> list[Place]:
        """The wallets in which all that is due happens before the request."""
        if ask.operation == "EXPIRE":
            return sorted(self.purses)
        original = self.changes.get(ask.document.get("reverses", ""))
        is_conversion = ask.operation == "CONVERT" or (original and original.operation == "CONVERT")
        return [place, (place[0], "REGULAR")] if is_conversion else [place]

    def _due(self, places: Iterable[Place], caused_by: str, now: datetime) -> list[Told]:
        told = []
        for place in places:
            before, purse = self._tokens(), self.purse(place)
            due = [token for token in purse.tokens if token.expires_at <= now]
            purse.tokens = [token for token in purse.tokens if token.expires_at > now]
            if due:
                one = self._told(None, "EXPIRE", "APPLIED", "POINTS_EXPIRED", caused_by)
                told.append(self._moved(one._replace(points=-len(due)), place, before))
        for place in places:
            holds = sorted(
                (held.lapses_at, hold) for hold, held in self.holds.items() if held.place == place
            )
            for hold in [hold for lapses_at, hold in holds if lapses_at <= now]:
                self.end_hold(hold)
                one = self._told(hold, "RELEASE", "APPLIED", "POINTS_RELEASED", caused_by, hold)
                told.append(self._moved(one, place, self._tokens()))
        return told

    def _out_of_time(self, caused_by: str, now: datetime) -> list[Told]:
        is_erased = self.status == "erased"
        late = [one for one in self.late.values() if is_erased or one.deadline <= now]
        told = []
        for one in sorted(late, key=lambda one: (one.deadline, one.stream, one.number)):
            del self.late[one.ask.request_id]
            self.used.setdefault(one.stream, set()).add(one.number)
            own = self._rejected(one.ask, "member_inactive" if is_erased else "ordinal_gap")
            told.append(own._replace(caused_by=caused_by, subject=one.ask.request_id))
        return told

    def _rejected(self, ask: Ask, error: str) -> Told:
        told = self._told(ask.request_id, ask.operation, "REJECTED", "ADJUSTMENT_REJECTED")
        return told._replace(error=error)

    def _told(
        self,
        request_id: str | None,
        operation: str,
        status: str,
        event: str | None,
        caused_by: str | None = None,
        subject: str | None = None,
    ) -> Told:
        if status != "NO_CHANGE":
            self.sequence += 1
        return Told(request_id, operation, status, event, None, caused_by, subject, self.sequence)

    def _tokens(self) -> Tokens:
        return {place: Counter(purse.tokens) for place, purse in self.purses.items()}

    def _moved(self, told: Told, place: Place, before: Tokens) -> Told:
        """Add what the change did to its wallet."""
        purse = self.purse(place)
        if told.status != "NO_CHANGE":
            purse.version += 1
        then, now = before.get(place, Counter()), Counter(purse.tokens)
        lots = sorted((*token[:2], now[token] - then[token]) for token in {**then, **now})
        return told._replace(
            **self._figures(place),
            expires_at=None if told.expires_at == FOREVER else told.expires_at,
            lots=tuple((lot, points, moment) for moment, lot, points in lots if points),
        )

    def _figures(self, place: Place) -> dict[str, Any]:
        purse = self.purse(place)
        return {
            "place": place,
            "balance": purse.balance,
            "available": purse.available,
            "total": purse.total,
            "version": purse.version,
        }


_SAME_IN_BOTH = ("points", "forfeited", "expires_at", "warnings")
