"""A loyalty programme as the rules see it: its currencies, policies, limits and switches.

These are the shapes only; `worker.domain.document` reads them from a programme document.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal
    from zoneinfo import ZoneInfo

Period = Literal["month", "quarter", "year"]
CapPeriod = Literal["day", "week", "month", "quarter", "year"]
Permission = Literal[
    "adjust", "set_balance", "reverse", "hold", "convert", "bypass_caps", "allow_negative"
]


@dataclass(frozen=True, slots=True)
class ExpiryRule:
    """When a credit under `PROGRAM_RULES` expires.

    `never`; `after` so many days and months; or at the `end_of` the month, quarter or year that
    the day `months` later lies in.
    """

    kind: Literal["never", "after", "end_of"] = "never"
    days: int = 0
    months: int = 0
    period: Period = "month"


@dataclass(frozen=True, slots=True)
class Cap:
    """The most points, in minor units, of a calendar period or of so many days up to today.

    Days are those of the programme's zone, weeks begin on Monday (ISO). Exactly one of `per` and
    `rolling_days` is set. Caps hold for each wallet on its own.
    """

    points: int
    per: CapPeriod | None = None
    rolling_days: int = 0


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency of a programme; an amount of it has at most `decimals` decimals (0 to 6)."""

    code: str
    decimals: int
    expiry: ExpiryRule
    balance_cap: int | None = None
    earn_caps: tuple[Cap, ...] = ()
    spend_caps: tuple[Cap, ...] = ()

    @property
    def counts_days(self) -> bool:
        """Whether what a wallet earns and spends each day must be remembered."""
        return bool(self.earn_caps or self.spend_caps)


@dataclass(frozen=True, slots=True)
class ReasonCode:
    """A reason of the catalogue: for credits, debits or both (None), up to `points_max`."""

    code: str
    sign: Literal["credit", "debit"] | None = None
    points_max: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion that awards and deductions may name, by its id or by its other identifier."""

    promotion_id: str
    identifier: str | None = None


@dataclass(frozen=True, slots=True)
class Reactor:
    """Turns events of a type into adjustments: a property of the payload times the multiplier.

    `reason_code` is that of the adjustment: an event cannot name one.
    """

    event_type: str
    property: str
    multiplier: Decimal
    reason_code: str | None = None


@dataclass(frozen=True, slots=True)
class MastercardDialect:
    """What Mastercard does not publish about its points adjustments.

    `adjustment_types` says of each adjustmentTypeCode whether it is a credit or a debit;
    `response_field` is the name of the reply's number; `reason_codes` are the ReasonCodes of the
    worker's error keys, which stand for themselves where none is given.
    """

    adjustment_types: Mapping[str, Literal["credit", "debit"]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    response_field: str = "pointsAdjusted"
    reason_codes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Publisher:
    """What a publisher may do, by the user whom the broker checked."""

    user_id: str
    may: frozenset[Permission]


@dataclass(frozen=True, slots=True)
class Program:
    """One version of a programme document. The first currency is the default.

    Empty `reason_codes`, `sources` and `promotions` allow any; no `publishers` at all allow
    everybody everything.
    """

    program_id: str
    version: int
    is_active: bool
    time_zone: ZoneInfo
    allow_negative: bool
    currencies: tuple[Currency, ...]
    name: str = ""
    enrolment_required: bool = False
    reason_required: bool = False
    reason_max_length: int = 255
    reason_codes: tuple[ReasonCode, ...] = ()
    sources: tuple[str, ...] = ()
    points_per_request: Decimal | None = None
    points_per_operator_per_day: Decimal | None = None
    promotions: tuple[Promotion, ...] = ()
    reactors: tuple[Reactor, ...] = ()
    publishers: tuple[Publisher, ...] = ()
    mastercard: MastercardDialect = field(default_factory=MastercardDialect)

    def currency(self, code: str | None) -> Currency | None:
        """Return the currency of that code, the default one for None, None where there is none."""
        if code is None:
            return self.currencies[0]
        for currency in self.currencies:
            if currency.code == code:
                return currency
        return None
