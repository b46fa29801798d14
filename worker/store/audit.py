"""Checks over the whole database that the books add up.

The books are checked stretch by stretch of members, each stretch in one snapshot, so that an audit
is right while workers write, and holds no snapshot for long. Every check takes a whole stretch at
once. An audit changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from worker.domain.money import to_text
from worker.store.audit_rules import CHECKS
from worker.store.statements import statement
from worker.store.views import currency_decimals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from worker.store.pool import Pool

MEMBERS_MAX: Final = 2_000
EVENTS_MAX: Final = 100_000
FAULTS_MAX: Final = 1_000
"""After so many faults an audit goes no further; nobody reads more."""

_STATEMENT_SECONDS_MAX: Final = 600

Key = tuple[str, str]
_BEGINNING: Final[Key] = ("", "")
# No programme's id sorts behind it.
_END: Final[Key] = ("\U0010ffff", "\U0010ffff")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that does not add up: which rule, whose, and what it is in one sentence.

    Rules: `balance`, `lots`, `held`, `total` and `version` of a wallet; `chain`, a line of the
    journal that does not follow from the one before; `sequence`, `due` and `ordinal` of a member;
    `answer`, a request's own outcome; `reversal` of a request; `award` of a lot.
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
        for name, faults_of in CHECKS.items():
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
