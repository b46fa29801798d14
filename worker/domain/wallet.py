"""A wallet and its lots: how points come in, go out, come back and fall due.

A wallet is (programme, member, currency, category). Its balance is what its open lots hold less
its deficit. Points leave the lot that expires soonest first (Voucherify: "removal consumes the
points that expire the soonest"), never-expiring lots last, the oldest first among equals. A
credit pays off a deficit before it makes a lot. A hold sets aside an amount, not lots.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

NEVER: Final = datetime.max.replace(tzinfo=UTC)
"""What orders a never-expiring lot behind all others; it is never shown."""


class Label(NamedTuple):
    """What a lot was awarded for: an award of a type, a promotion, both or neither."""

    award_id: str | None = None
    award_type: str | None = None
    promotion_id: str | None = None


UNLABELLED: Final = Label()


@dataclass(slots=True)
class Lot:
    """What is left of one credit. `lot_id` is the member's sequence number of that credit.

    `points` is what it held at its fullest: for a lot that was used up and forgotten, and then
    got points back, that is what came back. `stored` is what the books held when the lot was
    read, None for a lot made or brought back since.
    """

    lot_id: int
    points: int
    remaining: int
    expires_at: datetime | None
    stored: int | None = None
    label: Label = UNLABELLED

    def mirrored(self) -> Lot:
        """Return a lot like this one, whose changes do not reach this one."""
        return Lot(
            self.lot_id, self.points, self.remaining, self.expires_at, self.stored, self.label
        )

    def order(self) -> tuple[datetime, int]:
        """Return the key of the order in which lots are used."""
        return (self.expires_at or NEVER, self.lot_id)


class LotChange(NamedTuple):
    """How many points one change put into a lot (positive) or took from it (negative)."""

    lot_id: int
    points: int
    expires_at: datetime | None
    label: Label = UNLABELLED


@dataclass(slots=True)
class Day:
    """What a wallet earned and spent on one day of the programme's zone, as caps count it."""

    earned: int = 0
    spent: int = 0


@dataclass(slots=True)
class Wallet:
    """A wallet while a batch works on it, all amounts in minor units.

    `lots` are in the order of use. They may be the first few of many: whoever reads a wallet
    must read all lots that are due and as many more as its debits may consume. `touched` are the
    lots that changed, `stored_version` what the books held when the wallet was read. `days` are
    what caps have to know, `touched_days` those that changed.
    """

    currency: str
    category: str
    balance: int = 0
    deficit: int = 0
    total: int = 0
    version: int = 0
    stored_version: int = 0
    held: int = 0
    lots: list[Lot] = field(default_factory=list)
    touched: dict[int, Lot] = field(default_factory=dict)
    days: dict[date, Day] = field(default_factory=dict)
    touched_days: set[date] = field(default_factory=set)

    @property
    def available(self) -> int:
        """The most that a debit may take; negative where held points have expired."""
        return self.balance - self.held

    def mirrored(self) -> Wallet:
        """Return a wallet like this one, whose changes do not reach this one."""
        lots = [lot.mirrored() for lot in self.lots]
        known = {lot.lot_id: lot for lot in lots}
        return replace(
            self,
            lots=lots,
            touched={
                lot_id: known[lot_id] if lot_id in known else lot.mirrored()
                for lot_id, lot in self.touched.items()
            },
            days={day: replace(sums) for day, sums in self.days.items()},
            touched_days=set(self.touched_days),
        )

    def open_points(self, aimed_at: Callable[[Lot], bool]) -> int:
        """Return what the lots hold that a debit is aimed at."""
        return sum(lot.remaining for lot in self.lots if aimed_at(lot))

    def credit(
        self,
        points: int,
        lot_id: int,
        expires_at: datetime | None,
        label: Label = UNLABELLED,
    ) -> list[LotChange]:
        """Put points in: the deficit first, what is left as a new lot; the lifetime total grows."""
        self.total += points
        return self.put_in(points, lot_id, expires_at, label)

    def put_in(
        self,
        points: int,
        lot_id: int,
        expires_at: datetime | None,
        label: Label = UNLABELLED,
    ) -> list[LotChange]:
        """Put points in as `credit` does, but without counting them as earned."""
        self.balance += points
        self.version += 1
        paid = min(self.deficit, points)
        self.deficit -= paid
        left = points - paid
        if not left:
            return []
        lot = Lot(lot_id, left, left, expires_at, label=label)
        insort(self.lots, lot, key=Lot.order)
        self.touched[lot_id] = lot
        return [LotChange(lot_id, left, expires_at, label)]

    def debit(self, points: int, aimed_at: Callable[[Lot], bool] | None = None) -> list[LotChange]:
        """Take points out of the lots in their order; what they do not hold becomes a deficit.

        `aimed_at` leaves all other lots alone. Whether a deficit is allowed is the caller's
        question, asked before.
        """
        lots = self.lots if aimed_at is None else [lot for lot in self.lots if aimed_at(lot)]
        return self.take_from(lots, points)

    def own_first(self, made: Iterable[LotChange]) -> Iterator[Lot]:
        """Yield the lots in the order of use, but before all others those that a credit made."""
        own = sorted(at for change in made if (at := self._place(change)) is not None)
        yield from (self.lots[at] for at in own)
        yield from (lot for at, lot in enumerate(self.lots) if at not in own)

    def take_from(self, lots: Iterable[Lot], points: int) -> list[LotChange]:
        """Take points out of these lots of the wallet, in their order; the rest is a deficit."""
        self.balance -= points
        self.version += 1
        changes, left = self._consume(lots, points)
        self.deficit += left
        return changes

    def restore(
        self,
        parts: Iterable[LotChange],
        owed: int,
        lot_id: int,
        expires_at: datetime | None,
    ) -> list[LotChange]:
        """Put back what a debit took, without counting it as earned.

        `parts` are what it took out of which lots: they go back into these very lots. `owed` is
        what it had left as a deficit: it pays off the deficit of today, and what is not needed
        for that becomes the lot `lot_id`, to expire at `expires_at`. A deficit that is left after
        that takes from the restored lots what it would have taken, had they been there. Returns
        what is in the lots now that was not before, in the order of use.
        """
        parts = list(parts)
        self.balance += owed + sum(part.points for part in parts)
        self.version += 1
        paid = min(self.deficit, owed)
        self.deficit -= paid
        if owed > paid:
            parts.append(LotChange(lot_id, owed - paid, expires_at))
        gained = self._refill(parts)
        taken, self.deficit = self._consume(self.lots, self.deficit)
        for change in taken:
            gained[change.lot_id] += change.points
        lots = sorted((self.touched[lot_id] for lot_id in gained), key=Lot.order)
        return [
            LotChange(lot.lot_id, gained[lot.lot_id], lot.expires_at, lot.label)
            for lot in lots
            if gained[lot.lot_id]
        ]

    def _refill(self, parts: Iterable[LotChange]) -> dict[int, int]:
        """Put parts into the lots they name, making those that are gone; return the sums."""
        gained: dict[int, int] = {}
        for part in parts:
            at = self._place(part)
            lot = self.touched.get(part.lot_id) if at is None else self.lots[at]
            if lot is None:
                lot = Lot(part.lot_id, 0, 0, part.expires_at, None, part.label)
            if at is None:
                insort(self.lots, lot, key=Lot.order)
            lot.remaining += part.points
            lot.points = max(lot.points, lot.remaining)
            self.touched[lot.lot_id] = lot
            gained[lot.lot_id] = gained.get(lot.lot_id, 0) + part.points
        return gained

    def _place(self, change: LotChange) -> int | None:
        """Return where the open lot stands that a change was made to; None if it is used up."""
        order = (change.expires_at or NEVER, change.lot_id)
        at = bisect_left(self.lots, order, key=Lot.order)
        return at if at < len(self.lots) and self.lots[at].order() == order else None

    def _consume(self, lots: Iterable[Lot], points: int) -> tuple[list[LotChange], int]:
        """Take points out of these lots, in their order; return what was taken and what lacks."""
        changes: list[LotChange] = []
        used_up = 0
        for lot in lots:
            if not points:
                break
            taken = min(lot.remaining, points)
            if not taken:
                continue
            points -= taken
            lot.remaining -= taken
            used_up += not lot.remaining
            self.touched[lot.lot_id] = lot
            changes.append(LotChange(lot.lot_id, -taken, lot.expires_at, lot.label))
        if used_up:
            self._forget(changes, used_up)
        return changes, points

    def _forget(self, changes: Iterable[LotChange], used_up: int) -> None:
        """Take lots that are used up out of the list, so many of those that were changed.

        Nearly always these are the first, and perhaps one that a credit had made: to look for more
        takes a walk over all.
        """
        first = next((at for at, lot in enumerate(self.lots) if lot.remaining), len(self.lots))
        del self.lots[:first]
        if used_up == first + 1:
            places = (at for change in changes if (at := self._place(change)) is not None)
            del self.lots[next(at for at in places if not self.lots[at].remaining)]
        elif used_up > first:
            self.lots = [lot for lot in self.lots if lot.remaining]

    def expire_due(self, now: datetime) -> list[LotChange]:
        """Take out every lot that cannot be used any more at `now`."""
        changes = []
        for lot in self.lots:
            if lot.expires_at is None or lot.expires_at > now:
                break
            changes.append(LotChange(lot.lot_id, -lot.remaining, lot.expires_at, lot.label))
            self.balance -= lot.remaining
            lot.remaining = 0
            self.touched[lot.lot_id] = lot
        if changes:
            del self.lots[: len(changes)]
            self.version += 1
        return changes
