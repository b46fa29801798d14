"""A wallet and its lots: how points come in, go out and fall due.

A wallet is (programme, member, currency, category). Its balance is what its open lots hold less
its deficit. Points leave the lot that expires soonest first (Voucherify: "removal consumes the
points that expire the soonest"), never-expiring lots last, the oldest first among equals. A
credit pays off a deficit before it makes a lot.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

NEVER: Final = datetime.max.replace(tzinfo=UTC)
"""What orders a never-expiring lot behind all others; it is never shown."""


@dataclass(slots=True)
class Lot:
    """What is left of one credit. `lot_id` is the member's sequence number of that credit.

    `stored` is what the books held when the lot was read, None for a lot made since.
    """

    lot_id: int
    points: int
    remaining: int
    expires_at: datetime | None
    stored: int | None = None

    def order(self) -> tuple[datetime, int]:
        """Return the key of the order in which lots are used."""
        return (self.expires_at or NEVER, self.lot_id)


@dataclass(frozen=True, slots=True)
class LotChange:
    """How many points one change put into a lot (positive) or took from it (negative)."""

    lot_id: int
    points: int
    expires_at: datetime | None


@dataclass(slots=True)
class Wallet:
    """A wallet while a batch works on it, all amounts in minor units.

    `lots` are in the order of use. They may be the first few of many: whoever reads a wallet
    must read all lots that are due and as many more as its debits may consume. `touched` are the
    lots that changed, `stored_version` what the books held when the wallet was read.
    """

    currency: str
    category: str
    balance: int = 0
    deficit: int = 0
    total: int = 0
    version: int = 0
    stored_version: int = 0
    lots: list[Lot] = field(default_factory=list)
    touched: dict[int, Lot] = field(default_factory=dict)

    @property
    def available(self) -> int:
        """The most that a debit may take."""
        return self.balance

    def credit(self, points: int, lot_id: int, expires_at: datetime | None) -> list[LotChange]:
        """Put points in: the deficit first, what is left as a new lot; the lifetime total grows."""
        self.balance += points
        self.total += points
        self.version += 1
        paid = min(self.deficit, points)
        self.deficit -= paid
        left = points - paid
        if not left:
            return []
        lot = Lot(lot_id, left, left, expires_at)
        insort(self.lots, lot, key=Lot.order)
        self.touched[lot_id] = lot
        return [LotChange(lot_id, left, expires_at)]

    def debit(self, points: int) -> list[LotChange]:
        """Take points out of the lots in their order; what they do not hold becomes a deficit.

        Whether a deficit is allowed is the caller's question, asked before.
        """
        self.balance -= points
        self.version += 1
        changes = []
        used_up = 0
        for lot in self.lots:
            if not points:
                break
            taken = min(lot.remaining, points)
            points -= taken
            lot.remaining -= taken
            used_up += lot.remaining == 0
            self.touched[lot.lot_id] = lot
            changes.append(LotChange(lot.lot_id, -taken, lot.expires_at))
        del self.lots[:used_up]
        self.deficit += points
        return changes

    def expire_due(self, now: datetime) -> list[LotChange]:
        """Take out every lot that cannot be used any more at `now`."""
        changes = []
        for lot in self.lots:
            if lot.expires_at is None or lot.expires_at > now:
                break
            changes.append(LotChange(lot.lot_id, -lot.remaining, lot.expires_at))
            self.balance -= lot.remaining
            lot.remaining = 0
            self.touched[lot.lot_id] = lot
        if changes:
            del self.lots[: len(changes)]
            self.version += 1
        return changes


@dataclass(slots=True)
class Member:
    """A member of a programme while a batch works on it.

    `sequence` counts the stored outcomes, `last_recorded_at` is the latest of their times, and
    `stored_sequence` is what the books held when the member was read.
    """

    program_id: str
    member_id: str
    sequence: int = 0
    last_recorded_at: datetime | None = None
    stored_sequence: int = 0
    wallets: dict[tuple[str, str], Wallet] = field(default_factory=dict)

    def wallet(self, currency: str, category: str) -> Wallet:
        """Return the wallet, an empty one where the member has none yet."""
        key = (currency, category)
        wallet = self.wallets.get(key)
        if wallet is None:
            wallet = self.wallets[key] = Wallet(currency, category)
        return wallet
