"""The demo's audit, held to what it must notice: each test spoils one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from worker.demo.audit import Books, checks
from worker.demo.burst import burst
from worker.demo.replay import replay
from worker.demo.traffic import Event, Traffic

RUN = "beef"


def told(traffic: Traffic) -> list[Event]:
    """One event for each request, in order."""
    return [
        Event(f"{member}/{request_id}", member, sequence)
        for member, account in replay(traffic.published).items()
        for sequence, request_id in enumerate(account.request_ids, 1)
    ]


@pytest.fixture
def traffic() -> Traffic:
    """A burst of which everything came back as it should."""
    traffic = Traffic(published=burst(300, 5, run=RUN))
    traffic.replies = dict.fromkeys(range(300), b"{}")
    traffic.events = told(traffic)
    traffic.event_ids = {event.event_id for event in traffic.events}
    return traffic


@pytest.fixture
def books(traffic: Traffic) -> Books:
    """Books that hold what they should of that burst."""
    accounts = replay(traffic.published)
    applied = sum(account.applied for account in accounts.values())
    return Books(
        requests=traffic.requests,
        effects=(applied, applied),
        balances={name: (account.balance, account.total) for name, account in accounts.items()},
        sums=[(name, *(account.balance,) * 3) for name, account in accounts.items()],
        order=[
            (name, sequence, request_id)
            for name, account in accounts.items()
            for sequence, request_id in enumerate(account.request_ids, 1)
        ],
        late=0,
        dead_letters=0,
    )


def failing(traffic: Traffic, books: Books, stories: tuple[int, int] = (16, 16)) -> list[str]:
    return [check.name for check in checks(traffic, books, RUN, stories) if not check.holds]


def test_everything_holds_when_everything_is_right(traffic: Traffic, books: Books) -> None:
    assert failing(traffic, books) == []


def test_a_repeated_event_is_no_fault(traffic: Traffic, books: Books) -> None:
    traffic.events += traffic.events[10:20]

    assert failing(traffic, books) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"requests": 1}, "requests = stored outcomes"),
        ({"effects": (200, 199)}, "effects = distinct request ids, as replayed"),
        ({"late": 1}, "applied in the order of publishing"),
        ({"dead_letters": 2}, "dead letters"),
        ({"balances": {}}, "balances and totals = an independent replay"),
    ],
)
def test_books_that_differ_are_noticed(
    traffic: Traffic, books: Books, change: dict[str, Any], name: str
) -> None:
    assert failing(traffic, replace(books, **change)) == [name]


def test_a_balance_that_is_not_its_lots_is_noticed(traffic: Traffic, books: Books) -> None:
    member, balance, journal, lots = books.sums[0]
    sums = [(member, balance, journal, lots + 1), *books.sums[1:]]

    [name] = failing(traffic, replace(books, sums=sums))

    assert name.startswith("balances = ")


def test_two_lines_in_the_wrong_order_are_noticed(traffic: Traffic, books: Books) -> None:
    order = list(books.order)
    (member, first, one), (_, second, other) = order[:2]
    order[:2] = [(member, first, other), (member, second, one)]

    assert failing(traffic, replace(books, order=order)) == ["applied in the order of publishing"]


def test_a_missing_answer_is_noticed(traffic: Traffic, books: Books) -> None:
    del traffic.replies[7]

    assert failing(traffic, books) == ["every message was answered"]


def test_a_gap_in_the_events_is_noticed(traffic: Traffic, books: Books) -> None:
    gone = traffic.events.pop(3)
    traffic.event_ids.remove(gone.event_id)

    assert failing(traffic, books) == ["events per member in order, without a gap"]


def test_events_in_the_wrong_order_are_noticed(traffic: Traffic, books: Books) -> None:
    traffic.events[3], traffic.events[4] = traffic.events[4], traffic.events[3]

    assert failing(traffic, books) == ["events per member in order, without a gap"]


def test_an_example_that_came_out_otherwise_is_noticed(traffic: Traffic, books: Books) -> None:
    assert failing(traffic, books, (15, 16)) == ["the vendors' examples came out as they must"]
