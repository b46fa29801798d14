"""What an operation works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.domain import money

if TYPE_CHECKING:
    from datetime import date, datetime

    from worker.domain.member import Arrival, Member
    from worker.domain.outcome import Outcome
    from worker.domain.program import Currency, Program
    from worker.domain.request import Request
    from worker.domain.wallet import Wallet


@dataclass(slots=True)
class Case:
    """One request before the books: whose it is, which wallet it is about, and what comes of it.

    An operation changes the member's state and fills in `outcome`, or returns a rejection and
    leaves everything as it was. What happens to another wallet with it stands in `beside`, in
    order and numbered; it comes before the request's own outcome. `has_fallen_due`
    says that points, holds or waiting requests were due before it.
    """

    program: Program
    currency: Currency
    member: Member
    wallet: Wallet
    arrival: Arrival
    request: Request
    now: datetime
    outcome: Outcome
    beside: list[Outcome] = field(default_factory=list)
    has_fallen_due: bool = False

    @property
    def next_sequence(self) -> int:
        """The number that the next outcome will get: a lot bears that of its credit."""
        return self.member.sequence + 1

    @property
    def asked(self) -> int | None:
        """The request's points in minor units of the case's currency; None where it names none."""
        if self.request.points is None:
            return None
        points = money.to_minor_units(*self.request.points, self.currency.decimals)
        assert points is not None, "too many decimals were refused"
        return points

    @property
    def may_owe(self) -> bool:
        """Whether programme or request allow the request to take more than is available."""
        return self.program.allow_negative or self.request.allow_negative

    @property
    def today(self) -> date:
        """The day in the programme's zone, as caps and limits count."""
        return self.now.astimezone(self.program.time_zone).date()
