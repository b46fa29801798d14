"""What the rules decide: outcomes, and why a request was refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from worker.domain.member import Arrival, Waiting
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

    `request_id` is the request's own id, a hold's for its lapse, None for points that fell due;
    `caused_by` is the id of the request with which the outcome came where that is another.
    `event_type` is None for an outcome that makes no event. `currency` and the wallet facts are
    None where no wallet was reached.
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
    forfeited: int = 0
    balance: int | None = None
    available: int | None = None
    total: int | None = None
    version: int | None = None
    lots: list[LotChange] = field(default_factory=list)
    expires_at: datetime | None = None
    warnings: list[str] = field(default_factory=list)

    def show_wallet(self, wallet: Wallet, currency: Currency) -> None:
        """Take down what the wallet holds now."""
        self.currency = currency
        self.category = wallet.category
        self.balance = wallet.balance
        self.available = wallet.available
        self.total = wallet.total
        self.version = wallet.version


@dataclass(slots=True)
class Step:
    """One outcome of a decision, in the order in which it is journalled.

    `arrival` is set where the outcome is a request's own, the decided one's or a released one's.
    `subject` is the released request or lapsed hold that the outcome belongs to; None for what
    the decided request itself did. It tells events of the same kind and wallet apart.
    """

    outcome: Outcome
    arrival: Arrival | None = None
    subject: str | None = None


@dataclass(slots=True)
class Decision:
    """What came of one request: its steps in order, or that it waits for its predecessors.

    `is_stored` is False for conflicts and dry runs, which have one step and change nothing.
    `parked` is set where the request was early: then there are no steps yet. `ended` are the
    waiting requests that were released or ran out of time with it.
    """

    steps: list[Step] = field(default_factory=list)
    is_stored: bool = True
    parked: Waiting | None = None
    ended: list[Waiting] = field(default_factory=list)

    @property
    def own(self) -> Outcome:
        """The outcome of the decided request itself; it has none while it waits."""
        for step in self.steps:
            if step.arrival is not None and step.subject is None:
                return step.outcome
        raise AssertionError("a request that waits has no outcome yet")
