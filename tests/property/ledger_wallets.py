"""The model's wallets: lists of tokens, one for each minor unit of points."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

Place = tuple[str, str]
"""Currency and category."""


class Token(NamedTuple):
    """One minor unit of points."""

    expires_at: datetime
    lot: int
    award: str | None = None
    award_type: str | None = None
    promotion: str | None = None


@dataclass
class Purse:
    """A wallet: the tokens in it, how many it owes, and how many are set aside."""

    tokens: list[Token] = field(default_factory=list)
    owed: int = 0
    held: int = 0
    total: int = 0
    version: int = 0
    earned: Counter[date] = field(default_factory=Counter)
    spent: Counter[date] = field(default_factory=Counter)

    @property
    def balance(self) -> int:
        """What is in it less what it owes."""
        return len(self.tokens) - self.owed

    @property
    def available(self) -> int:
        """What of it nobody has set aside."""
        return self.balance - self.held

    def take(
        self, points: int, wanted: Callable[[Token], bool] = lambda _: True
    ) -> list[Token | None]:
        """Take so many out, one by one, those that are wanted first; None for each one owed."""
        taken: list[Token | None] = []
        for _ in range(points):
            token = min(self.tokens, key=lambda one: (not wanted(one), one[:2]), default=None)
            if token is None:
                self.owed += 1
            else:
                self.tokens.remove(token)
            taken.append(token)
        return taken

    def put(self, points: int, token: Token) -> list[Token | None]:
        """Put so many in, one by one; None for each that pays what is owed."""
        given: list[Token | None] = []
        for _ in range(points):
            if self.owed:
                self.owed -= 1
                given.append(None)
            else:
                self.tokens.append(token)
                given.append(token)
        return given


@dataclass
class Change:
    """What can be undone: what moved, in order, and for a conversion what it made of it."""

    place: Place
    operation: str
    is_credit: bool
    moved: list[Token | None]
    points: int
    made: list[Token | None] = field(default_factory=list)


@dataclass
class Held:
    """Points set aside."""

    place: Place
    points: int
    lapses_at: datetime
