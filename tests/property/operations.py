"""Random programmes with rules of every kind, and random histories of all operations on a member.

All comes from seeded generators: that mixes better, many times faster, than drawing each field.
What fails shrinks to the shortest history that begins alike.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.property.histories import DAY, STARTS, ZONES
from tests.property.ledger_model import Ask, Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tests.property.ledger_wallets import Change, Held

CODES = ("points", "coins")
CATEGORIES: tuple[str, ...] = ("REGULAR",) * 14 + ("PROMISED",) * 5 + ("EXTERNAL_TRIGGER_BASED",)
OPERATIONS: tuple[str, ...] = (
    ("ADJUST",) * 49
    + ("SET_BALANCE",) * 6
    + ("HOLD",) * 11
    + ("CAPTURE",) * 10
    + ("RELEASE",) * 3
    + ("REVERSE",) * 14
    + ("CONVERT",) * 5
    + ("EXPIRE",) * 3
)
# Histories that are about one thing, in one or two wallets.
THEMES: tuple[tuple[str, ...], ...] = (
    ("ADJUST",) * 15 + ("SET_BALANCE",) * 2 + ("REVERSE",) * 9,
    ("ADJUST",) * 10 + ("HOLD",) * 6 + ("CAPTURE",) * 6 + ("RELEASE",) * 2 + ("REVERSE",) * 3,
    ("ADJUST",) * 12 + ("CONVERT",) * 6 + ("REVERSE",) * 8 + ("HOLD",) * 3,
)
GAPS = (
    timedelta(0),
    timedelta(microseconds=1),
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(hours=6),
    DAY,
    2 * DAY,
    5 * DAY,
    90 * DAY,
)
OPENING = 2
AWARD_TYPES = ("bill_regular", "line_item_promotions")
PERMISSIONS = ("adjust", "set_balance", "reverse", "hold", "convert", "bypass_caps")


@dataclass
class Past:
    """A programme, and the requests of one member, each with the time at which it is decided."""

    document: dict[str, Any]
    asked: list[tuple[Ask, datetime]]
    is_enrolled: bool
    status: Any

    def is_dry(self, request_id: str) -> bool:
        """Whether a request is a dry run, of which nothing is stored."""
        return any(
            ask.document.get("dry_run", False)
            for ask, _ in self.asked
            if ask.request_id == request_id
        )


def pasts(length: int = 60, *, is_open: bool = False) -> st.SearchStrategy[Past]:
    """Histories of up to so many requests.

    An open programme refuses nothing by its policies; half of the others are open, too.
    """
    return st.builds(
        past_of,
        programme=st.integers(0, 2**32),
        start=st.sampled_from(STARTS),
        length=st.integers(1, length),
        seed=st.integers(0, 2**32),
        is_open=st.sampled_from([True] if is_open else [True, False]),
    )


def past_of(programme: int, start: datetime, length: int, seed: int, *, is_open: bool) -> Past:
    """The history that belongs to the seeds; a longer one begins with all shorter ones."""
    chance = random.Random(programme)
    document = program_of(chance, is_open=is_open)
    is_enrolled, status = chance.random() < 0.7, "active"
    if chance.random() < 0.02 and not is_open:
        status = chance.choice(("blocked", "erased"))
    teller = _Teller(random.Random(seed), document, start, Ledger(document, status, is_enrolled))
    return Past(
        document, [teller.ask(number) for number in range(1, length + 1)], is_enrolled, status
    )


def program_of(chance: random.Random, *, is_open: bool) -> dict[str, Any]:
    """A programme document."""
    document: dict[str, Any] = {
        "time_zone": chance.choice(ZONES),
        "allow_negative": chance.random() < 0.15,
        "currencies": [_currency(chance, code) for code in CODES],
    }
    if chance.random() < 0.4:
        document["promotions"] = [{"id": "p1", "identifier": "i1"}, {"id": "p2"}]
    if is_open:
        return document
    scale = min(one["decimals"] for one in document["currencies"])
    sometimes: list[tuple[float, str, Any]] = [
        (0.02, "status", "inactive"),
        (0.06, "enrolment", "required"),
        (0.05, "reason", "required"),
        (0.1, "reason_max_length", 6),
        (0.1, "sources", ["INSTORE", "WEB"]),
        (0.2, "reason_codes", _catalogue(scale)),
        (0.06, "publishers", _publishers(chance)),
        (0.7, "limits", _limits(chance, scale)),
    ]
    return document | {name: value for odds, name, value in sometimes if chance.random() < odds}


def _currency(chance: random.Random, code: str) -> dict[str, Any]:
    rules: tuple[dict[str, Any], ...] = (
        {"rule": "never"},
        {"rule": "after", "days": chance.randint(0, 20)},
        {"rule": "after", "months": chance.randint(0, 14)},
        {
            "rule": "end_of",
            "period": chance.choice(("month", "quarter", "year")),
            "after_months": chance.randint(0, 3),
        },
    )
    scale = chance.randint(0, 3)
    currency: dict[str, Any] = {"code": code, "decimals": scale, "expiry": chance.choice(rules)}
    if chance.random() < 0.3:
        currency["balance_cap"] = _amount(chance.randint(40, 150), scale)
    if chance.random() < 0.4:
        currency["earn_caps"] = [_cap(chance, scale) for _ in range(chance.randint(1, 2))]
    if chance.random() < 0.4:
        currency["spend_caps"] = [_cap(chance, scale) for _ in range(chance.randint(1, 2))]
    return currency


def _cap(chance: random.Random, scale: int) -> dict[str, Any]:
    points = {"points": _amount(chance.randint(10, chance.choice((30, 200))), scale)}
    period = chance.choice(("day", "week", "month", "quarter", "year", 1, 3, 7, 30))
    return points | ({"per": period} if isinstance(period, str) else {"rolling_days": period})


def _catalogue(scale: int) -> list[dict[str, Any]]:
    return [
        {"code": "ANY"},
        {"code": "GIFT", "sign": "credit", "max": _amount(60, scale)},
        {"code": "FEE", "sign": "debit"},
    ]


def _publishers(chance: random.Random) -> list[dict[str, Any]]:
    most = [*PERMISSIONS, "allow_negative"]
    return [{"user_id": "till", "may": chance.sample(most, chance.randint(3, 7))}]


def _limits(chance: random.Random, scale: int) -> dict[str, str]:
    return {
        "points_per_request": _amount(chance.randint(20, 80), scale),
        "points_per_operator_per_day": _amount(chance.randint(20, chance.choice((40, 150))), scale),
    }


def _amount(minor_units: int, scale: int) -> str:
    return f"{Decimal(minor_units).scaleb(-scale):f}"


@dataclass
class _Teller:
    """Asks one thing after the other; the model tells it what there may be to undo and to end."""

    chance: random.Random
    program: dict[str, Any]
    now: datetime
    ledger: Ledger
    counted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.scales = {one["code"]: one["decimals"] for one in self.program["currencies"]}
        self.has_theme = self.odds(0.6)
        self.operations = self.chance.choice((THEMES[0], *THEMES)) if self.has_theme else OPERATIONS
        self.categories = CATEGORIES
        if self.has_theme:
            self.categories = (
                ("REGULAR", "PROMISED") if "CONVERT" in self.operations else ("REGULAR",)
            )
        self.may_owe = 0.5 if self.has_theme and self.odds(0.7) else 0.08
        self.has_ordinals = not self.has_theme and self.odds(0.6)

    def odds(self, chances: float) -> bool:
        return self.chance.random() < chances

    def ask(self, number: int) -> tuple[Ask, datetime]:
        """The next request, and when it is decided."""
        if self.odds(0.1 if self.has_theme else 0.2):
            self.now += self.chance.choice(GAPS)
        request_id = f"r{number}"
        operation = self.chance.choice(self.operations) if number > OPENING else "ADJUST"
        if operation in {"CAPTURE", "RELEASE"} and not self.ledger.holds and self.odds(0.8):
            operation = "HOLD"
        code = "coins" if not self.has_theme and self.odds(0.2) else "points"
        document: dict[str, Any] = {"member_id": "m"}
        if operation != "ADJUST":
            document["operation"] = operation
        if operation in {"ADJUST", "SET_BALANCE", "HOLD"}:
            document |= self.of_amount(operation, code)
        elif operation == "CONVERT":
            document |= {"category": "PROMISED"} | self.wallet(code) | self.expiration()
        elif operation != "EXPIRE":
            code = self.of_earlier(operation, document)
        if operation in {"CAPTURE", "REVERSE", "CONVERT"} and self.odds(0.4):
            document["points"] = _amount(self.chance.randint(1, 40), self.scales[code])
        document |= self.circumstances()
        publisher = self.chance.choice(("till", "till", "till", None))
        asked = Ask(request_id, document, publisher)
        self.ledger.tell(asked, self.now)
        return asked, self.now

    def of_amount(self, operation: str, code: str) -> dict[str, Any]:
        """An amount of a currency."""
        minor_units = self.chance.randint(1, self.chance.choice((5, 50, 90)))
        if operation == "HOLD" or self.operations is THEMES[0]:
            minor_units = minor_units // self.chance.choice((1, 4, 4)) + 1
        scale = self.scales[code] + self.odds(0.02)
        if operation == "SET_BALANCE" and self.odds(0.3):
            minor_units = self.chance.choice((-5, 0, 0))
        if operation == "ADJUST":
            minor_units *= self.sign() * (not self.odds(0.02))
        document = self.wallet(code) | {"points": _amount(minor_units, scale)}
        if operation == "HOLD" and self.odds(0.4):
            document["ttl_seconds"] = self.chance.choice((1, 3600, 10**6))
        if operation == "SET_BALANCE" or (operation == "ADJUST" and minor_units > 0):
            document |= self.expiration()
        if operation != "HOLD" and (minor_units > 0 or not self.has_theme):
            document |= self.label(is_debit=minor_units < 0)
        return document

    def sign(self) -> int:
        """A credit, twice as large to begin with, or a debit.

        Of what is often undone, small credits and larger debits: lots are used up, and owed for.
        """
        if not self.ledger.changes:
            return 2
        if self.operations is THEMES[0]:
            return self.chance.choice((1, 1, 1, -1, -2))
        return self.chance.choice((2, 1, 1, -1, -1))

    def wallet(self, code: str) -> dict[str, Any]:
        """A wallet, named where it is not the default one, and sometimes also then."""
        document: dict[str, Any] = {}
        if code != "points" or self.odds(0.1):
            document["currency"] = "pearls" if self.odds(0.02) else code
        category = self.chance.choice(self.categories)
        return document | ({"category": category} if category != "REGULAR" else {})

    def of_earlier(self, operation: str, document: dict[str, Any]) -> str:
        """Name an earlier request, a late one more often; return its currency."""
        name = "reverses" if operation == "REVERSE" else "hold"
        earlier: Mapping[str, Change | Held] = (
            self.ledger.changes if operation == "REVERSE" else self.ledger.holds
        )
        if name == "hold" and self.odds(0.15):
            earlier = self.ledger.ended
        places = {request_id: one.place for request_id, one in earlier.items()}
        known = list(places)
        if not known or self.odds(0.1):
            document[name] = f"r{self.chance.randint(1, 60)}"
            return "points"
        reach = self.chance.choice((1, 1, 2, 3, 6, 60))
        document[name] = self.chance.choice(known[-reach:])
        code, _ = places[document[name]]
        if self.odds(0.05):
            document["currency"] = self.chance.choice(CODES)
        return code

    def expiration(self) -> dict[str, Any]:
        """When a credit expires: often by the programme's rule."""
        days = self.chance.choice((None, None, "never", -1, *range(6), 0, 1, 1, 2, 2, 40))
        if days is None or self.odds(0.3):
            return {}
        if isinstance(days, str):
            return {"expiration_type": "NON_EXPIRING"}
        moment = self.now + days * DAY
        texts = (moment.date().isoformat(), moment.isoformat())
        return {"expiration_type": "CUSTOM_DATE", "expiration_date": self.chance.choice(texts)}

    def label(self, *, is_debit: bool) -> dict[str, Any]:
        """What a credit is awarded for, and what a debit is aimed at."""
        document: dict[str, Any] = {}
        if self.odds(0.15 if is_debit else 0.3):
            document["award_id"] = self.chance.choice(("a1", "a2"))
            if self.odds(0.4):
                document["award_type"] = self.chance.choice(AWARD_TYPES)
        if self.odds(0.1):
            document["promotion_id"] = self.chance.choice(("p1", "p1", "p1", "p2", "p3"))
        elif self.odds(0.05):
            document["promotion_identifier"] = self.chance.choice(("i1", "i1", "i2"))
        return document

    def circumstances(self) -> dict[str, Any]:
        """What any request may say beside what it is about."""
        rarely = 0.02 if self.has_theme else 0.1
        sometimes: list[tuple[float, str, Any]] = [
            (0.4, "operation_type", "AUTOMATIC"),
            (0.4, "adjusted_by", self.chance.choice(("op1", "op1", "op2"))),
            (0.3, "reason", self.chance.choice(("", "Gift", "Goodwill"))),
            (0.2, "reason_code", self.chance.choice(("ANY", "ANY", "GIFT", "FEE", "ODD"))),
            (0.2, "source", self.chance.choice(("INSTORE", "WEB", "FAX"))),
            (rarely, "bypass_caps", True),
            (self.may_owe, "allow_negative", True),
            (rarely / 2, "expected_version", self.chance.randint(0, 4)),
            (rarely, "dry_run", True),
        ]
        document = {name: value for odds, name, value in sometimes if self.odds(odds)}
        if self.has_ordinals and self.odds(0.6):
            document |= self.ordinal(counts="dry_run" not in document)
        return document

    def ordinal(self, *, counts: bool) -> dict[str, Any]:
        """The next number of a stream, or one that is early or was used."""
        stream = self.chance.choice(("", "", "till"))
        number = self.counted[stream] + 1
        if self.odds(0.25):
            number = max(1, number + self.chance.choice((-1, 1, 2, 3)))
        elif counts:
            self.counted[stream] += 1
        return {"ordinal": number} | ({"ordinal_stream": stream} if stream else {})
