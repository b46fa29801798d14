"""The demo's audit: what was published against what is stored, answered and told.

Each check is a pure comparison; beside it stands the SQL or the command with which anybody can
make it, while the servers run.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from schemas.topology import dead
from worker.broker import open_connection
from worker.broker.client import queue_count
from worker.demo.replay import Account, replay
from worker.store.views import view_pool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.demo.traffic import Event, Traffic
    from worker.settings import Settings

_QUERIES = ("requests", "effects", "balances", "books", "order", "late")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold: what should be, what is, and how to see it oneself."""

    name: str
    expected: str
    found: str
    how: str
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.expected == self.found


@dataclass(frozen=True, slots=True)
class Books:
    """What the books hold of one run, and how many dead letters lie in their queue."""

    requests: int
    effects: tuple[int, int]
    balances: Mapping[str, tuple[int, int]]
    sums: Sequence[tuple[str, int, int, int]]
    order: Sequence[tuple[str, int, str]]
    late: int
    dead_letters: int


async def dead_letters(settings: Settings) -> int:
    """Return how many dead letters there are. Raises what connecting raises."""
    connection = await open_connection(
        settings.amqp_url.get_secret_value(),
        name="points-worker demo",
        heartbeat_seconds=settings.heartbeat_seconds,
    )
    try:
        count = await queue_count(connection, dead(settings.prefix))
    finally:
        await connection.shut()
    return count.ready if count else 0


async def read_books(settings: Settings, run: str, dead_letters_before: int) -> Books:
    """Read what the checks need. Raises PassingFault, and what connecting to RabbitMQ raises."""
    rows: dict[str, list[Any]] = {}
    async with view_pool(settings) as pool:
        for name in _QUERIES:
            rows[name] = [tuple(row) for row in await pool.fetch(_query(name), _pattern(run))]
    return Books(
        requests=rows["requests"][0][0],
        effects=rows["effects"][0],
        balances={member: (balance, total) for member, balance, total in rows["balances"]},
        sums=rows["books"],
        order=rows["order"],
        late=rows["late"][0][0],
        dead_letters=await dead_letters(settings) - dead_letters_before,
    )


def checks(traffic: Traffic, books: Books, run: str, stories_right: tuple[int, int]) -> list[Check]:
    """Compare what was published with all that came of it; `stories_right` is how many of all."""
    accounts = replay(traffic.published)
    messages, requests = len(traffic.published), traffic.requests
    applied = sum(account.applied for account in accounts.values())
    same = sum(balance == journal == lots for _, balance, journal, lots in books.sums)
    replayed = {
        name: (account.balance, account.total)
        for name, account in accounts.items()
        if account.total
    }
    as_replayed = sum(books.balances.get(name) == sums for name, sums in replayed.items())
    in_order = members_in_order(books.order, accounts)
    told = members_told(traffic.events, accounts)
    member, account = next(reversed(accounts.items()), ("", Account()))
    request_id = next(iter(account.request_ids), "")
    return [
        Check(
            "the vendors' examples came out as they must",
            _number(stories_right[1]),
            _number(stories_right[0]),
            f"points-worker history {next(iter(accounts), '')}",
        ),
        Check(
            "every message was answered",
            _number(messages),
            _number(len(traffic.replies)),
            f"points-worker outcome {member} {request_id}",
            note=_again(traffic.repeated_replies),
        ),
        Check(
            "one request, one answer, byte for byte",
            "0 differ",
            f"{_number(traffic.differing_replies)} differ",
            f"points-worker outcome {member} {request_id} --json",
        ),
        Check(
            "requests = stored outcomes", _number(requests), _number(books.requests),
            _shown("requests", run),
        ),
        Check(
            "effects = distinct request ids, as replayed",
            f"{_number(applied)} = {_number(applied)}",
            f"{_number(books.effects[0])} = {_number(books.effects[1])}",
            _shown("effects", run),
        ),
        Check(
            "balances = \N{GREEK CAPITAL LETTER SIGMA} journal"
            " = \N{GREEK CAPITAL LETTER SIGMA} lots \N{MINUS SIGN} deficit",
            _wallets(len(replayed)), _wallets(same), "points-worker audit",
        ),
        Check(
            "balances and totals = an independent replay",
            _wallets(len(replayed)), _wallets(as_replayed), _shown("balances", run),
        ),
        Check(
            "applied in the order of publishing",
            f"{_members(len(accounts))}, 0 late", f"{_members(in_order)}, {books.late} late",
            _shown("late", run),
        ),
        Check(
            "events per member in order, without a gap",
            f"{_number(requests)}, {_members(len(accounts))}",
            f"{_number(len(traffic.event_ids))}, {_members(told)}",
            f"points-worker history {member} --limit 1000",
            note=_again(len(traffic.events) - len(traffic.event_ids)),
        ),
        Check("dead letters", "0", _number(books.dead_letters), "points-worker dead-letters list"),
    ]  # fmt: skip


def members_in_order(order: Sequence[tuple[str, int, str]], accounts: Mapping[str, Account]) -> int:
    """Count the members whose journal holds their requests in the order of first publication.

    `order` has member, sequence and request id of each line, by member and sequence.
    """
    lines: dict[str, list[str]] = {}
    for member, _, request_id in order:
        lines.setdefault(member, []).append(request_id)
    return sum(
        lines.get(member) == list(account.request_ids) for member, account in accounts.items()
    )


def members_told(events: Sequence[Event], accounts: Mapping[str, Account]) -> int:
    """Count the members with one event for each request, first told in order, without a gap.

    An event may come again after a crash, but never for the first time behind a later one.
    """
    sequences: dict[str, list[int]] = {}
    seen: set[str] = set()
    for event in events:
        if event.event_id not in seen:
            seen.add(event.event_id)
            sequences.setdefault(event.member_id, []).append(event.sequence)
    return sum(
        _is_gapless(sequences.get(member, []), len(account.request_ids))
        for member, account in accounts.items()
    )


def _is_gapless(sequences: Sequence[int], count: int) -> bool:
    return (
        len(sequences) == count
        and sequences[:1] == [1]
        and all(later == earlier + 1 for earlier, later in pairwise(sequences))
    )


def _query(name: str) -> str:
    return resources.files("worker.demo").joinpath("sql", f"{name}.sql").read_text("utf-8")


def _pattern(run: str) -> str:
    return f"%@{run}"


def _shown(name: str, run: str) -> str:
    return _query(name).replace("$1", f"'{_pattern(run)}'").strip() + ";"


def _number(value: int) -> str:
    return f"{value:,}"


def _wallets(count: int) -> str:
    return f"{count} wallets"


def _members(count: int) -> str:
    return f"{count} members"


def _again(count: int) -> str:
    return f"{_number(count)} came again after the kill" if count else ""
