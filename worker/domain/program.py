"""A loyalty programme as the rules see it: its currencies, time zone and switches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

DECIMALS_MAX = 6


@dataclass(frozen=True, slots=True)
class ExpiryRule:
    """When a credit under `PROGRAM_RULES` expires.

    `never`; `after` so many days and months; or at the `end_of` the month, quarter or year that
    the day `months` later lies in.
    """

    kind: Literal["never", "after", "end_of"] = "never"
    days: int = 0
    months: int = 0
    period: Literal["month", "quarter", "year"] = "month"


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency of a programme; an amount of it has at most `decimals` decimals (0 to 6)."""

    code: str
    decimals: int
    expiry: ExpiryRule


@dataclass(frozen=True, slots=True)
class Program:
    """One version of a programme document. The first currency is the default."""

    program_id: str
    version: int
    is_active: bool
    time_zone: ZoneInfo
    allow_negative: bool
    currencies: tuple[Currency, ...]

    def currency(self, code: str | None) -> Currency | None:
        """Return the currency of that code, the default one for None, None where there is none."""
        if code is None:
            return self.currencies[0]
        for currency in self.currencies:
            if currency.code == code:
                return currency
        return None


def from_document(program_id: str, version: int, document: Mapping[str, Any]) -> Program:
    """Read a stored programme document.

    Raises ValueError, naming the key, where the document is not one that this version knows: a
    rule that would silently not be kept is refused.
    """
    known = {"program_id", "name", "status", "time_zone", "allow_negative", "currencies"}
    if unknown := sorted(set(document) - known):
        raise ValueError(f"programme {program_id}: {unknown[0]} is not known to this version")
    return Program(
        program_id=program_id,
        version=version,
        is_active=document.get("status", "active") == "active",
        time_zone=ZoneInfo(document.get("time_zone", "UTC")),
        allow_negative=bool(document.get("allow_negative", False)),
        currencies=tuple(_currency(program_id, item) for item in document["currencies"]),
    )


def _currency(program_id: str, document: Mapping[str, Any]) -> Currency:
    if unknown := sorted(set(document) - {"code", "decimals", "expiry"}):
        raise ValueError(f"programme {program_id}: currencies.{unknown[0]} is not known")
    decimals = document.get("decimals", 0)
    if not 0 <= decimals <= DECIMALS_MAX:
        raise ValueError(f"programme {program_id}: decimals must be 0 to {DECIMALS_MAX}")
    return Currency(document["code"], decimals, _expiry_rule(document.get("expiry", {})))


def _expiry_rule(document: Mapping[str, Any]) -> ExpiryRule:
    kind = document.get("rule", "never")
    if kind == "after":
        months = document.get("months", 0) + 12 * document.get("years", 0)
        return ExpiryRule("after", days=document.get("days", 0), months=months)
    if kind == "end_of":
        months = document.get("after_months", 0)
        return ExpiryRule("end_of", months=months, period=document["period"])
    if kind == "never":
        return ExpiryRule()
    raise ValueError(f"expiry rule {kind} is not one of never, after, end_of")
