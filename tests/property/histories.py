"""Random programmes, and random histories of what is asked of one member."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

from worker.domain.document import from_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.domain.program import Program

ZONES = (
    "UTC",
    "Europe/Berlin",
    "Pacific/Kiritimati",
    "America/Los_Angeles",
    "Australia/Lord_Howe",
    "America/Havana",
)
# Shortly before the clocks of some zone change, and at the ends of months and years.
STARTS = (
    datetime(2026, 3, 28, 22, 59, 59, tzinfo=UTC),
    datetime(2026, 10, 31, 12, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 30, tzinfo=UTC),
    datetime(2028, 1, 31, 9, 0, 0, 250_000, tzinfo=UTC),
)
DAY = timedelta(days=1)
NEXT_GROUP = 0.25
FAULTY = 0.08
NEVER_REACHED = 10**9


class Ask(NamedTuple):
    """One request of a history, before it is spelt out for a programme."""

    minor_units: int
    currency: str | None
    category: str
    expiry: int | str | None
    """Days from now to a custom day, or `never`, or by the programme's rule."""
    spelling: int
    allow_negative: bool
    fault: str | None


class Request(NamedTuple):
    """One request as it is published: its id, its document, and when it is decided."""

    request_id: str
    document: dict[str, Any]
    now: datetime


@dataclass(frozen=True)
class History:
    """A programme, and the requests of one member in groups that are decided at the same time."""

    document: dict[str, Any]
    groups: list[list[Request]]

    @property
    def program(self) -> Program:
        """The programme as the rules see it."""
        return from_document("acme", 1, self.document)

    @property
    def requests(self) -> Iterator[Request]:
        """All requests in their order."""
        return (request for group in self.groups for request in group)


RULES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({"rule": "never"}),
    st.builds(lambda n: {"rule": "after", "days": n}, st.integers(0, 20)),
    st.builds(lambda n: {"rule": "after", "months": n}, st.integers(0, 14)),
    st.just({"rule": "after", "years": 1}),
    st.builds(
        lambda period, n: {"rule": "end_of", "period": period, "after_months": n},
        st.sampled_from(["month", "quarter", "year"]),
        st.integers(0, 3),
    ),
)
PROGRAMS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "time_zone": st.sampled_from(ZONES),
        "allow_negative": st.sampled_from([False] * 5 + [True]),
        "status": st.sampled_from(["active"] * 19 + ["inactive"]),
        "currencies": st.tuples(RULES, st.integers(0, 2), RULES, st.integers(0, 2)).map(
            lambda drawn: [
                {"code": "points", "expiry": drawn[0], "decimals": drawn[1]},
                {"code": "coins", "expiry": drawn[2], "decimals": drawn[3]},
            ]
        ),
    }
)
GAPS = (
    timedelta(0),
    timedelta(microseconds=1),
    timedelta(hours=1),
    DAY,
    2 * DAY,
    5 * DAY,
    5 * DAY,
    90 * DAY,
)


def histories(length: int = 60) -> st.SearchStrategy[History]:
    """Histories of up to so many requests.

    The requests come from a seeded generator: that gives a better mixture, many times faster, than
    drawing each field. What fails shrinks to the shortest history that begins alike.
    """
    return st.builds(
        history,
        document=PROGRAMS,
        start=st.sampled_from(STARTS),
        length=st.integers(1, length),
        seed=st.integers(0, 2**32),
    )


def history(document: dict[str, Any], start: datetime, length: int, seed: int) -> History:
    """The history that belongs to a seed; a longer one begins with all shorter ones."""
    chance = random.Random(seed)
    now = start
    groups: list[list[Request]] = [[]]
    for number in range(1, length + 1):
        if chance.random() < NEXT_GROUP and groups[-1]:
            now += chance.choice(GAPS)
            groups.append([])
        asked = _spelt(_ask(chance), document, now)
        groups[-1].append(Request(f"r{number}", asked, now))
    return History(document, groups)


def _ask(chance: random.Random) -> Ask:
    signs = (1, 1, 1, -1, -1)
    faults = ("version", "decimals", "zero")
    minor_units = chance.choice(signs) * chance.randint(1, chance.choice((5, 50, 90)))
    fault = chance.choice(faults) if chance.random() < FAULTY else None
    return Ask(
        minor_units=0 if fault == "zero" else minor_units,
        currency=chance.choice([None] * 16 + ["points", "coins", "coins", "pearls"]),
        category="PROMISED" if chance.random() < FAULTY else "REGULAR",
        expiry=chance.choice([None, None, "never", -1, *range(12), 40]),
        spelling=chance.randrange(4),
        allow_negative=chance.random() < FAULTY,
        fault=fault,
    )


def _spelt(ask: Ask, program: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The document of a valid request."""
    decimals = {item["code"]: item["decimals"] for item in program["currencies"]}
    code = ask.currency or program["currencies"][0]["code"]
    scale = decimals.get(code, 0) + (ask.fault == "decimals")
    points = f"{Decimal(ask.minor_units).scaleb(-scale):f}"
    document: dict[str, Any] = {"member_id": "m", "points": points}
    if ask.currency is not None:
        document["currency"] = ask.currency
    if ask.category != "REGULAR":
        document["category"] = ask.category
    if ask.allow_negative:
        document["allow_negative"] = True
    if ask.fault == "version":
        document["expected_version"] = NEVER_REACHED
    if ask.expiry is not None and ask.minor_units >= 0:
        document |= _expiration(ask.expiry, ask.spelling, now)
    return document


def _expiration(expiry: int | str, spelling: int, now: datetime) -> dict[str, Any]:
    if isinstance(expiry, str):
        return {"expiration_type": "NON_EXPIRING"}
    moment = now + expiry * DAY
    texts = (
        moment.date().isoformat(),
        moment.date().isoformat(),
        moment.isoformat(),
        moment.replace(tzinfo=None).isoformat(),
    )
    return {"expiration_type": "CUSTOM_DATE", "expiration_date": texts[spelling]}
