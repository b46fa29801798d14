"""A member of a programme while a batch works on it, and what else stands under its lock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from schemas import names
from worker.domain.wallet import Wallet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    from worker.domain.outcome import Rejection
    from worker.domain.request import Request
    from worker.domain.wallet import LotChange

MemberStatus = Literal["active", "blocked", "erased"]

REVERSIBLE: Final = (names.ADJUST, names.SET_BALANCE, names.CAPTURE, names.CONVERT)
"""The operations that a `REVERSE` may undo."""


class Arrival(NamedTuple):
    """One request as it reached its member.

    Exactly one of `request` and `refusal` is set; a refusal is what was found wrong before the
    rules were asked. `ordinal` is (stream, number), also of a refused request where they could be
    read. `publisher` is the user whom the broker checked, None for nobody; `is_trusted` is set
    for the worker's own requests, which may do anything. `reply` is whoever waits for the answer:
    the rules carry it and never look at it. `is_dry_run` is set for a refused one that only asks
    what would be; a request says so itself.
    """

    request_id: str
    request: Request | None
    fingerprint: bytes
    refusal: Rejection | None = None
    ordinal: tuple[str, int] | None = None
    publisher: str | None = None
    is_trusted: bool = False
    reply: Any = None
    is_dry_run: bool = False


@dataclass(slots=True)
class Hold:
    """Points set aside under the request id of their HOLD, until they lapse. Minor units."""

    hold_id: str
    currency: str
    category: str
    points: int
    lapses_at: datetime


class EndedHold(NamedTuple):
    """A hold that was captured or released, or has lapsed: only its wallet matters any more."""

    currency: str
    category: str


@dataclass(slots=True)
class Waiting:
    """An early request, kept until its predecessors have come or its deadline has passed.

    While its content is not read, `arrival` has neither a request nor a refusal: nobody may decide
    it then.
    """

    arrival: Arrival
    stream: str
    ordinal: int
    deadline: datetime

    @property
    def is_read(self) -> bool:
        """Whether all is here that is needed to decide it."""
        return self.arrival.request is not None or self.arrival.refusal is not None


@dataclass(slots=True)
class Stream:
    """The ordinals of one stream: `next` is due, `used` are (first, last) used up beyond it."""

    name: str
    next: int = 1
    used: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Original:
    """An applied change that a REVERSE may undo; `reversed` points of it are undone already.

    `points` is the signed change of its own wallet, `lots` all that it did to that wallet's lots.
    For a CONVERT, `converted_lots` are those it made in the REGULAR wallet.
    """

    request_id: str
    operation: str
    currency: str
    category: str
    points: int
    lots: list[LotChange]
    converted_lots: list[LotChange] = field(default_factory=list)
    reversed: int = 0


@dataclass(slots=True)
class OperatorDay:
    """How many points, in minor units, an operator has moved on one day, over all members."""

    points: int = 0


@dataclass(slots=True)
class Member:
    """A member of a programme while a batch works on it.

    `sequence` counts the stored outcomes, and `last_recorded_at` is the latest of their times.
    `due_at` is a time before which nothing falls due. `is_whole` says that all wallets with all
    lots, all holds, and the awards and originals that the batch names are here; else only what
    the batch's requests may touch. `has_next` says that all wallets are here, each with its due
    lots and the next one, and all holds; `knows_waiting` that all waiting requests are.

    `is_known_elsewhere` says that another programme has enrolled this member. `operators` are the
    days of the batch's operators, by (operator, currency, day); they are shared between members.
    """

    program_id: str
    member_id: str
    sequence: int = 0
    last_recorded_at: datetime | None = None
    status: MemberStatus = "active"
    is_enrolled: bool = False
    is_known_elsewhere: bool = False
    is_whole: bool = False
    has_next: bool = False
    knows_waiting: bool = True
    due_at: datetime | None = None
    has_streams: bool = False
    wallets: dict[tuple[str, str], Wallet] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    awards: dict[str, str | None] = field(default_factory=dict)
    originals: dict[str, Original] = field(default_factory=dict)
    ended_holds: dict[str, EndedHold] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    operators: dict[tuple[str, str, date], OperatorDay] = field(default_factory=dict)

    def wallet(self, currency: str, category: str) -> Wallet:
        """Return the wallet, an empty one where the member has none yet."""
        key = (currency, category)
        wallet = self.wallets.get(key)
        if wallet is None:
            wallet = self.wallets[key] = Wallet(currency, category)
        return wallet

    def stream(self, name: str) -> Stream:
        """Return the stream of ordinals, a fresh one where the member has none of that name."""
        if name not in self.streams:
            self.streams[name] = Stream(name)
            self.has_streams = True
        return self.streams[name]

    def next_number(self, now: datetime) -> int:
        """Count one more stored outcome, at this time, and return its sequence number."""
        self.sequence += 1
        self.last_recorded_at = now
        return self.sequence

    @property
    def knows_next(self) -> bool:
        """Whether all is here that tells when something falls due next."""
        return (self.is_whole or self.has_next) and self.knows_waiting

    def has_due(self, now: datetime) -> bool:
        """Tell whether something may have fallen due by now."""
        return self.due_at is not None and self.due_at <= now

    def falls_due(self, moment: datetime | None) -> None:
        """Take note that something of this member falls due at a moment; None is never."""
        if moment is not None and (self.due_at is None or moment < self.due_at):
            self.due_at = moment

    def mirrored(self) -> Member:
        """Return a member like this one, whose changes do not reach this one.

        Shared is only what the rules never change in place. A deep copy would take as long for a
        few thousand lots as a whole batch may.
        """
        return replace(
            self,
            wallets={place: wallet.mirrored() for place, wallet in self.wallets.items()},
            holds=dict(self.holds),
            awards=dict(self.awards),
            originals={name: replace(one) for name, one in self.originals.items()},
            ended_holds=dict(self.ended_holds),
            streams={
                name: replace(stream, used=list(stream.used))
                for name, stream in self.streams.items()
            },
            waiting=dict(self.waiting),
            operators={name: replace(day) for name, day in self.operators.items()},
        )

    def settle_due_at(self) -> None:
        """Work out when the next thing falls due; possible only where `knows_next`."""
        assert self.knows_next, "what falls due next is not here"
        self.due_at = min(self._due_times(), default=None)

    def _due_times(self) -> Iterator[datetime]:
        for wallet in self.wallets.values():
            if wallet.lots and wallet.lots[0].expires_at is not None:
                yield wallet.lots[0].expires_at
        for hold in self.holds.values():
            yield hold.lapses_at
        for waiting in self.waiting.values():
            yield waiting.deadline
