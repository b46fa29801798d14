"""What came of a request: its outcome, and why it was rejected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from worker.domain.program import Currency
    from worker.domain.request import Request
    from worker.domain.wallet import LotChange, Wallet


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a request was refused: a key of `schemas.errors`, a sentence, and every single fault."""

    key: str
    message: str
    details: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """One change of a member's books, or one refusal to make it. Amounts are minor units.

    `request_id` is the request's own id, None for points that fell due; `caused_by` is the id of
    the request with which the outcome came where that is another. `event_type` is None for an
    outcome that makes no event. `wallet` facts are None where no wallet was reached.
    """

    request_id: str | None
    operation: str | None
    status: str
    event_type: str | None
    sequence: int
    recorded_at: datetime
    request: Request | None = None
    rejection: Rejection | None = None
    caused_by: str | None = None
    currency: Currency | None = None
    category: str | None = None
    points: int = 0
    balance: int | None = None
    available: int | None = None
    total: int | None = None
    version: int | None = None
    lots: list[LotChange] = field(default_factory=list)
    expires_at: datetime | None = None

    def show_wallet(self, wallet: Wallet, currency: Currency) -> None:
        """Take down what the wallet holds now."""
        self.currency = currency
        self.category = wallet.category
        self.balance = wallet.balance
        self.available = wallet.available
        self.total = wallet.total
        self.version = wallet.version
