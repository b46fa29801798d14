"""What an audit looks for, and the sentence for each thing that it finds wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from schemas.names import APPLIED
from schemas.times import utc_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import asyncpg

Told = tuple[str, str]
"""A rule that is broken, and a sentence about it."""

Amounts = Callable[[Any], str]
"""Writes an amount with the decimals of its currency."""

BALANCE: Final = "balance"
LOTS: Final = "lots"
HELD: Final = "held"
TOTAL: Final = "total"
VERSION: Final = "version"
CHAIN: Final = "chain"
SEQUENCE: Final = "sequence"
DUE: Final = "due"
ORDINAL: Final = "ordinal"
ANSWER: Final = "answer"
REVERSAL: Final = "reversal"
AWARD: Final = "award"


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
    elif deficit and row["lot_points"]:
        yield (
            LOTS,
            (
                f"{whose} has a deficit of {text(deficit)}, but its open lots hold"
                f" {text(row['lot_points'])}: these are to be used up first."
            ),
        )
    if row["held"] != row["hold_points"]:
        yield (
            HELD,
            (
                f"{whose} says that {text(row['held'])} are held, but its open holds sum to"
                f" {text(row['hold_points'])}."
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
    elif row["answered_at"] != row["last_own"]:
        yield (
            ANSWER,
            (
                f"{whose} has its own outcome at step {row['answered_at']} instead of the last of"
                f" its own, {row['last_own']}."
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


def _due_faults(row: asyncpg.Record, _: Amounts) -> Iterator[Told]:
    looked_at = f"not before {utc_text(row['due_at'])}" if row["due_at"] else "never"
    yield (
        DUE,
        (
            f"Something of {_member(row)} falls due at {utc_text(row['moment'])}, but is looked for"
            f" {looked_at}."
        ),
    )


def _early_faults(row: asyncpg.Record, _: Amounts) -> Iterator[Told]:
    whose = f"Request {row['request_id']} of {_member(row)}"
    match row["fault"]:
        case "unanswered":
            yield ANSWER, f"{whose} waited and has ended, but has no outcome where it ended."
        case "twice":
            yield ANSWER, f"{whose} waited for its turn, but also has an outcome without waiting."
        case "alone":
            yield ANSWER, f"{whose} has an outcome with another request, but never waited for it."
        case "overdue":
            yield ORDINAL, f"{whose} waits although it is its turn or its number is used up."
        case _:
            yield ORDINAL, f"There are ordinals of {_member(row)}, but nobody looks for any."


def _reversal_faults(row: asyncpg.Record, text: Amounts) -> Iterator[Told]:
    yield (
        REVERSAL,
        (
            f"Request {row['request_id']} of {_member(row)} changed {text(row['points'])} points,"
            f" but {text(row['reversed'])} of them are reversed."
        ),
    )


def _award_faults(row: asyncpg.Record, _: Amounts) -> Iterator[Told]:
    yield (
        AWARD,
        f"Lot {row['lot_id']} of {_member(row)} is of an award that the member never got.",
    )


CHECKS: Final[dict[str, Callable[[asyncpg.Record, Amounts], Iterator[Told]]]] = {
    "audit_wallets": _wallet_faults,
    "audit_entries": _entry_faults,
    "audit_sequences": _sequence_faults,
    "audit_answers": _answer_faults,
    "audit_early": _early_faults,
    "audit_due": _due_faults,
    "audit_reversals": _reversal_faults,
    "audit_awards": _award_faults,
}
"""The statements that find what is wrong, and what each line that they find is called."""


def _member(row: asyncpg.Record) -> str:
    return f"member {row['member_id']} of programme {row['program_id']}"
