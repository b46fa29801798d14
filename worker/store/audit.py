"""Checks invariant I4 over the whole database: that the books add up.

The books are checked stretch by stretch of members, each stretch in one snapshot, so that an audit
is right while workers write, and holds no snapshot for long. Every check takes a whole stretch at
once. An audit changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from schemas.names import APPLIED
from worker.domain.money import to_text
from worker.store.statements import statement
from worker.store.views import currency_decimals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    import asyncpg

    from worker.store.pool import Pool

MEMBERS_MAX: Final = 2_000
EVENTS_MAX: Final = 100_000
FAULTS_MAX: Final = 1_000
"""After so many faults an audit goes no further; nobody reads more."""

_STATEMENT_SECONDS_MAX: Final = 600

Key = tuple[str, str]
Told = tuple[str, str]
Amounts = Callable[[Any], str]
_BEGINNING: Final[Key] = ("", "")
# No programme's id sorts behind it.
_END: Final[Key] = ("\U0010ffff", "\U0010ffff")

BALANCE: Final = "balance"
LOTS: Final = "lots"
TOTAL: Final = "total"
VERSION: Final = "version"
CHAIN: Final = "chain"
SEQUENCE: Final = "sequence"
ANSWER: Final = "answer"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that does not add up: which rule, whose, and what it is in one sentence.

    Rules: `balance`, `lots`, `total` and `version` of a wallet; `chain`, a line of the journal that
    does not follow from the one before; `sequence` of a member; `answer`, a request's own outcome.
    """

    rule: str
    sentence: str
    program_id: str
    member_id: str
    currency: str | None
    category: str | None
    request_id: str | None


@dataclass(slots=True)
class Findings:
    """What was looked at, and what was wrong with it."""

    members: int = 0
    wallets: int = 0
    lots: int = 0
    entries: int = 0
    faults: list[Fault] = field(default_factory=list)

    def __iadd__(self, other: Findings) -> Self:
        self.members += other.members
        self.wallets += other.wallets
        self.lots += other.lots
        self.entries += other.entries
        self.faults += other.faults
        return self


async def count_members(pool: Pool) -> int:
    """Return how many members an audit will go through."""
    return int(await pool.fetchval(statement("audit_members")))


async def audit(
    pool: Pool, *, members_max: int = MEMBERS_MAX, events_max: int = EVENTS_MAX
) -> AsyncIterator[Findings]:
    """Go through the whole database and yield what was found in each stretch of it.

    A stretch has at most `members_max` members and, unless one member alone has more, about
    `events_max` events. Nothing follows once there are FAULTS_MAX faults.
    """
    decimals = await currency_decimals(pool)
    after = _BEGINNING
    faults = 0
    while after != _END and faults < FAULTS_MAX:
        findings, after = await _stretch(pool, after, members_max, events_max, decimals)
        faults += len(findings.faults)
        yield findings


async def _stretch(
    pool: Pool,
    after: Key,
    members_max: int,
    events_max: int,
    decimals: Mapping[tuple[str, str | None], int],
) -> tuple[Findings, Key]:
    """Check the members behind the key `after`; return what was found and the last one's key.

    Behind the last member there is one more stretch, for what belongs to no member.
    """
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        milliseconds = str(_STATEMENT_SECONDS_MAX * 1_000)
        await connection.execute(statement("audit_session"), milliseconds)
        row = await connection.fetchrow(statement("audit_next"), *after, members_max, events_max)
        upto: Key = (row["program_id"], row["member_id"]) if row else _END
        timeout = _STATEMENT_SECONDS_MAX
        counts = await connection.fetchrow(
            statement("audit_counts"), *after, *upto, timeout=timeout
        )
        assert counts is not None, "a count has one row"
        findings = Findings(row["members"] if row else 0, *counts)
        for name, faults_of in _CHECKS.items():
            broken = await connection.fetch(
                statement(name), *after, *upto, FAULTS_MAX, timeout=timeout
            )
            for line in broken:
                scale = decimals.get((line["program_id"], line.get("currency")), 0)
                findings.faults += [
                    Fault(
                        rule,
                        sentence,
                        line["program_id"],
                        line["member_id"],
                        line.get("currency"),
                        line.get("category"),
                        line.get("request_id"),
                    )
                    for rule, sentence in faults_of(line, partial(_text, scale))
                ]
    return findings, upto


def _text(decimals: int, minor_units: Any) -> str:
    # Postgres sums up in decimals.
    return to_text(int(minor_units), decimals)


def _wallet_faults(row: asyncpg.Record, text: Amounts) -> Iterator[Told]:
    whose = f"The {row['category']} wallet of {row['currency']} of {_member(row)}"
    balance, deficit, version = row["balance"], row["deficit"], row["version"]
    has = f"{whose} has a balance of {text(balance)}, but"
    if balance != row["journal_points"]:
        yield BALANCE, f"{has} its journal sums to {text(row['journal_points'])}."
    if balance != row["newest_balance"]:
        yield BALANCE, f"{has} the last line of its journal says {text(row['newest_balance'])}."
    if balance != row["lot_points"] - deficit:
        yield (
            LOTS,
            (
                f"{has} its open lots hold {text(row['lot_points'])} and its deficit is"
                f" {text(deficit)}."
            ),
        )
    if row["total"] != row["newest_total"]:
        yield (
            TOTAL,
            (
                f"{whose} has a lifetime total of {text(row['total'])}, but the last line of its"
                f" journal says {text(row['newest_total'])}."
            ),
        )
    if version != row["newest_version"] or version != row["journal_changes"]:
        yield (
            VERSION,
            (
                f"{whose} is at version {version}, but its journal has {row['journal_changes']}"
                f" changes and ends at version {row['newest_version']}."
            ),
        )


def _entry_faults(row: asyncpg.Record, text: Amounts) -> Iterator[Told]:
    line = (
        f"Line {row['sequence']} of the journal of {_member(row)}, in the {row['category']} wallet"
        f" of {row['currency']},"
    )
    points, before = row["points"], row["balance_before"]
    if row["balance"] != before + points:
        yield (
            CHAIN,
            (
                f"{line} says a balance of {text(row['balance'])}, but {text(before)} before it and"
                f" a change of {text(points)} make {text(before + points)}."
            ),
        )
    rise = row["total"] - row["total_before"]
    if rise < 0:
        yield (
            TOTAL,
            (
                f"{line} says a lifetime total of {text(row['total'])}, which is less than"
                f" {text(row['total_before'])} before it."
            ),
        )
    elif rise > max(points, 0):
        yield TOTAL, f"{line} adds {text(rise)} to the lifetime total."
    expected = row["version_before"] + (row["status"] == APPLIED)
    if row["version"] != expected:
        yield VERSION, f"{line} has version {row['version']}, but it is the turn of {expected}."


def _sequence_faults(row: asyncpg.Record, _: Amounts) -> Iterator[Told]:
    whose, events, counter = _member(row), row["events"], row["sequence"]
    if row["astray"] is not None:
        yield (
            SEQUENCE,
            (
                f"The {events} events of {whose} are not numbered from 1 to {events}: the order"
                f" breaks at number {row['astray']}."
            ),
        )
    if counter is None:
        yield SEQUENCE, f"There are {events} events of {whose}, who has no counter."
    elif counter != row["last"]:
        yield (
            SEQUENCE,
            f"The counter of {whose} is at {counter}, but the last event has number {row['last']}.",
        )


def _answer_faults(row: asyncpg.Record, _: Amounts) -> Iterator[Told]:
    whose = f"Request {row['request_id']} of {_member(row)}"
    if row["answers"] != 1:
        yield ANSWER, f"{whose} has {row['answers']} outcomes of its own instead of one."
    elif row["answered_at"] != row["last"]:
        yield (
            ANSWER,
            (
                f"{whose} has its own outcome at step {row['answered_at']} instead of the last,"
                f" {row['last']}."
            ),
        )
    else:
        yield (
            ANSWER,
            (
                f"{whose} has {row['steps']} steps, but they are numbered {row['first']} to"
                f" {row['last']}."
            ),
        )


_CHECKS: Final[dict[str, Callable[[asyncpg.Record, Amounts], Iterator[Told]]]] = {
    "audit_wallets": _wallet_faults,
    "audit_entries": _entry_faults,
    "audit_sequences": _sequence_faults,
    "audit_answers": _answer_faults,
}


def _member(row: asyncpg.Record) -> str:
    return f"member {row['member_id']} of programme {row['program_id']}"
