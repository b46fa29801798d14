"""The rules written down a second time, so plainly that they are slow: every point is a token.

It reads the documents that the worker reads, shares no code with it, and knows any programme and
any clock. A wallet is a list of tokens, each with the instant from which it cannot be used and the
sequence of the credit that made it; a debit takes the first of the sorted list, one by one. It is
told of valid payloads only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)

Token = tuple[datetime, int]
"""When it expires, and the lot that it belongs to."""


class Told(NamedTuple):
    """What there is to say about one outcome; `lots` are (lot id, points, expires_at)."""

    status: str
    error: str | None
    caused_by: str | None
    sequence: int
    points: int = 0
    balance: int | None = None
    total: int | None = None
    version: int | None = None
    lots: tuple[tuple[int, int, datetime | None], ...] = ()


@dataclass
class Purse:
    """A wallet: the tokens in it, and how many it owes."""

    tokens: list[Token] = field(default_factory=list)
    owed: int = 0
    total: int = 0
    version: int = 0

    @property
    def balance(self) -> int:
        """What is in it less what it owes."""
        return len(self.tokens) - self.owed

    def lots(self) -> list[tuple[int, int, datetime | None]]:
        """The tokens by the lots that they belong to, in the order in which they would go."""
        return _by_lot(self.tokens)


@dataclass
class Tokens:
    """One member of the programme of a document."""

    program: dict[str, Any]
    purses: dict[tuple[str, str], Purse] = field(default_factory=dict)
    sequence: int = 0

    def tell(self, request_id: str, document: dict[str, Any], now: datetime) -> list[Told]:
        """Carry out a request and tell all that came of it, its own outcome last."""
        error = next(self._faults(document, now), None)
        currency = self._currency(document)
        if error or currency is None:
            self.sequence += 1
            return [Told("REJECTED", error, None, self.sequence)]
        place = (currency["code"], document.get("category", "REGULAR"))
        purse = self.purses.setdefault(place, Purse())
        told = []
        if due := [token for token in purse.tokens if token[0] <= now]:
            purse.tokens = [token for token in purse.tokens if token[0] > now]
            purse.version += 1
            told.append(self._told(purse, "APPLIED", -len(due), due, request_id))
        if document.get("expected_version", purse.version) != purse.version:
            told.append(self._told(purse, "REJECTED", 0, [], None, "version_mismatch"))
            return told
        points = int(Decimal(str(document["points"])).scaleb(currency.get("decimals", 0)))
        may_owe = document.get("allow_negative") or self.program.get("allow_negative")
        if points + purse.balance < 0 and points < 0 and not may_owe:
            told.append(self._told(purse, "REJECTED", 0, [], None, "insufficient_points"))
            return told
        purse.version += 1
        moved = []
        if points > 0:
            purse.total += points
            expires_at = self._expiry_of_credit(document, currency, now)
            for _ in range(points):
                if purse.owed:
                    purse.owed -= 1
                else:
                    moved.append((expires_at, self.sequence + 1))
            purse.tokens += moved
        for _ in range(-points):
            if purse.tokens:
                token = min(purse.tokens)
                purse.tokens.remove(token)
                moved.append(token)
            else:
                purse.owed += 1
        told.append(self._told(purse, "APPLIED", points, moved, None))
        return told

    def _told(
        self,
        purse: Purse,
        status: str,
        points: int,
        moved: list[Token],
        caused_by: str | None,
        error: str | None = None,
    ) -> Told:
        self.sequence += 1
        sign = 1 if points > 0 else -1
        return Told(
            status,
            error,
            caused_by,
            self.sequence,
            points,
            purse.balance,
            purse.total,
            purse.version,
            tuple((lot, sign * count, expires_at) for lot, count, expires_at in _by_lot(moved)),
        )

    def _faults(self, document: dict[str, Any], now: datetime) -> Iterator[str]:
        """The faults, in the contract's order, that need no wallet to be seen."""
        if "expiration_date" in document and self._custom(document) <= now:
            yield "invalid_expiration_date"
        points = Decimal(str(document["points"]))
        if points == 0:
            yield "zero_points"
        if self.program.get("status") == "inactive":
            yield "program_inactive"
        currency = self._currency(document)
        if currency is None:
            yield "unknown_currency"
        elif points.scaleb(currency.get("decimals", 0)) % 1:
            yield "decimal_places_exceeded"

    def _currency(self, document: dict[str, Any]) -> dict[str, Any] | None:
        currencies: list[dict[str, Any]] = self.program["currencies"]
        code = document.get("currency", currencies[0]["code"])
        return next((currency for currency in currencies if currency["code"] == code), None)

    def _custom(self, document: dict[str, Any]) -> datetime:
        text = document["expiration_date"]
        zone = self.program.get("time_zone", "UTC")
        if len(text) == len("2030-12-31"):
            return first_instant_after(date.fromisoformat(text), zone)
        instant = datetime.fromisoformat(text)
        return instant if instant.tzinfo else instant.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)

    def _expiry_of_credit(
        self, document: dict[str, Any], currency: dict[str, Any], now: datetime
    ) -> datetime:
        kind = document.get("expiration_type", "PROGRAM_RULES")
        if kind == "CUSTOM_DATE":
            return self._custom(document)
        rule = currency.get("expiry", {})
        if kind == "NON_EXPIRING" or rule.get("rule", "never") == "never":
            return FOREVER
        zone = self.program.get("time_zone", "UTC")
        return first_instant_after(
            last_usable_day(rule, now.astimezone(ZoneInfo(zone)).date()), zone
        )


def last_usable_day(rule: dict[str, Any], today: date) -> date:
    """The day a rule leads to, walked to month by month and day by day."""
    months = rule.get("months", 0) + 12 * rule.get("years", 0) + rule.get("after_months", 0)
    year, month = today.year, today.month
    for _ in range(months):
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    number = today.day
    while not _exists(year, month, number):
        number -= 1
    day = date(year, month, number)
    for _ in range(rule.get("days", 0)):
        day += timedelta(days=1)
    if rule["rule"] == "end_of":
        while _period(day + timedelta(days=1), rule) == _period(day, rule):
            day += timedelta(days=1)
    return day


@cache
def first_instant_after(day: date, zone: str) -> datetime:
    """The first quarter of an hour that is no longer the day anywhere on the zone's clocks."""
    instant = datetime.combine(day, time(), UTC) - timedelta(hours=15)
    while instant.astimezone(ZoneInfo(zone)).date() <= day:
        instant += timedelta(minutes=15)
    return instant


def _exists(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _period(day: date, rule: dict[str, Any]) -> tuple[int, int]:
    periods = {"month": day.month, "quarter": (day.month + 2) // 3, "year": 0}
    return day.year, periods[rule["period"]]


def _by_lot(tokens: list[Token]) -> list[tuple[int, int, datetime | None]]:
    return [
        (lot, count, None if expires_at == FOREVER else expires_at)
        for (expires_at, lot), count in sorted(Counter(tokens).items())
    ]
