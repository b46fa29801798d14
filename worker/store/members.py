"""What is said of a member as a whole: enrolled or not, blocked or not, identifiers, erasure.

Each change is made under the member's lock, so that no batch sees half of it, and as the user of
the URL: workers only read these things.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

from schemas.reading import read_json, write_json
from worker.store.pool import connected
from worker.store.statements import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from worker.domain.member import MemberStatus
    from worker.store.keys import MemberKey
    from worker.store.pool import Connection

ERASER_ROLE: Final = "points_eraser"
PERSONAL_FIELDS: Final = ("reason", "comment", "source_id", "metadata")
"""What of an outcome may be about the person; ids, amounts and times are not."""

_OUTCOMES_AT_ONCE: Final = 1_000
_LOCK_SECONDS_MAX: Final = 10


class NotDone(Exception):
    """What was asked for a member cannot be; the text is one sentence that says why."""


class OtherKey(Exception):
    """The identifiers that are stored were fingerprinted with another key."""


@dataclass(frozen=True, slots=True)
class MemberState:
    """A member after a change; `is_changed` is False where all was so already."""

    program_id: str
    member_id: str
    status: MemberStatus
    enrolled_at: datetime | None
    is_changed: bool


@dataclass(frozen=True, slots=True)
class Erased:
    """What was taken out: outcomes that were blanked, identifiers, requests that waited."""

    outcomes: int
    identifiers: int
    waiting: int


async def enrol(database_url: str, key: MemberKey) -> MemberState:
    """Enrol a member, who need not be known before; whoever is enrolled stays as they are.

    Raises NotDone for an unknown programme and an erased member, and PassingFault.
    """
    async with _locked(database_url, key, is_made=True) as (connection, before):
        if before.enrolled_at is not None:
            return before
        return await _change(connection, key, "enrol_member")


async def set_blocked(database_url: str, key: MemberKey, *, is_blocked: bool) -> MemberState:
    """Block a member, or take a block away; requests of a blocked one are `member_inactive`.

    Raises NotDone for a member nobody knows and for an erased one, and PassingFault.
    """
    wanted: MemberStatus = "blocked" if is_blocked else "active"
    async with _locked(database_url, key, is_made=False) as (connection, before):
        if before.status == wanted:
            return before
        return await _change(connection, key, "set_member_status", wanted)


async def identify(
    database_url: str,
    key: MemberKey,
    name: str,
    fingerprint: bytes,
    key_digest: bytes,
    *,
    is_removed: bool = False,
) -> MemberState:
    """Let an identifier lead to a member, or no longer.

    `fingerprint` and `key_digest` are those of `worker.identifiers`; the key of the first
    identifier is that of all. Raises OtherKey for another, and NotDone where the identifier belongs
    to another member, where one to be removed is not this member's, for an unknown programme, and
    for a member who is erased, or not enrolled where the programme requires it; raises
    PassingFault.
    """
    async with _locked(database_url, key, is_made=not is_removed) as (connection, before):
        await _check_key(connection, key_digest, is_recorded=not is_removed)
        if not is_removed and before.enrolled_at is None:
            await _check_enrolment(connection, key)
        name_of = "remove_identifier" if is_removed else "add_identifier"
        arguments = (key.program_id, name, fingerprint, key.member_id)
        is_changed = await connection.fetchval(statement(name_of), *arguments) is not None
        if not is_changed:
            owner = await connection.fetchval(statement("read_identifier"), *arguments[:3])
            if owner != key.member_id or is_removed:
                whose = "not this member's" if is_removed else "that of another member"
                raise NotDone(f"The identifier is {whose}; nothing was changed.")
        return replace(before, is_changed=is_changed)


async def erase(database_url: str, key: MemberKey) -> Erased:
    """Erase a member for good: identifiers, and what is personal in every stored answer.

    Amounts, ids and fingerprints stay, so the books still add up and repeats get the answers they
    had, blanked. Requests that wait for their predecessors lose their bodies and are due at once,
    to be rejected. Erasing again blanks what has been stored since. Acts as the role that alone
    may change answers. Raises NotDone for a member nobody knows, and PassingFault. Members of a
    programme that there is not may have refusals stored.
    """
    async with (
        connected(database_url, lock_seconds_max=_LOCK_SECONDS_MAX) as connection,
        connection.transaction(),
    ):
        has_program = await _has_program(connection, key)
        await connection.execute(f"SET LOCAL ROLE {ERASER_ROLE}")
        if await _lock(connection, key) is None:
            raise _unknown(key) if has_program else _no_program(key)
        waiting = await connection.fetchval(statement("erase_early_requests"), *key)
        await connection.execute(statement("erase_member"), *key, waiting > 0)
        identifiers = await connection.fetchval(statement("erase_identifiers"), *key)
        return Erased(await _blank_outcomes(connection, key), identifiers, waiting)


def blanked(outcome: bytes) -> bytes:
    """Return a stored answer without what is personal in it, and otherwise as it was."""
    document = cast("dict[str, Any]", read_json(outcome))
    if all(document.get(name) is None for name in PERSONAL_FIELDS):
        return outcome
    return write_json(document | {name: None for name in PERSONAL_FIELDS if name in document})


async def _blank_outcomes(connection: Connection, key: MemberKey) -> int:
    """Blank the member's answers, some at a time, and return how many held something."""
    count = 0
    after: tuple[str, int] = ("", -1)
    while rows := await connection.fetch(
        statement("read_outcomes"), *key, *after, _OUTCOMES_AT_ONCE
    ):
        after = (rows[-1]["request_id"], rows[-1]["step"])
        changed = [
            (request_id, step, new)
            for request_id, step, old in rows
            if (new := blanked(old)) != old
        ]
        if changed:
            columns = [list(column) for column in zip(*changed, strict=True)]
            await connection.execute(statement("blank_outcomes"), *key, *columns)
        count += len(changed)
    return count


@asynccontextmanager
async def _locked(
    database_url: str, key: MemberKey, *, is_made: bool
) -> AsyncIterator[tuple[Connection, MemberState]]:
    """Give a transaction in which the member is locked; `is_made` makes one who is not there."""
    async with (
        connected(database_url, lock_seconds_max=_LOCK_SECONDS_MAX) as connection,
        connection.transaction(),
    ):
        if not await _has_program(connection, key):
            raise _no_program(key)
        if is_made:
            columns = ([key.program_id], [key.member_id])
            await connection.execute(statement("create_members"), *columns)
        state = await _lock(connection, key)
        if state is None:
            raise _unknown(key)
        if state.status == "erased":
            raise NotDone(f"Member {key.member_id} of programme {key.program_id} is erased.")
        yield connection, state


async def _check_key(connection: Connection, digest: bytes, *, is_recorded: bool) -> None:
    if is_recorded:
        await connection.execute(statement("record_identifier_key"), digest)
    recorded = await connection.fetchval(statement("identifier_key"))
    if recorded not in {None, digest}:
        raise OtherKey("the identifiers were stored with another key")


async def _check_enrolment(connection: Connection, key: MemberKey) -> None:
    """Refuse a member who is not enrolled, where the programme requires it."""
    row = await connection.fetchrow(statement("view_programs"), key.program_id, None)
    assert row is not None, "the programme was there"
    if json.loads(row["document"]).get("enrolment") == "required":
        raise NotDone(
            f"Member {key.member_id} of programme {key.program_id} is not enrolled: run"
            " `points-worker member enrol` first."
        )


async def _lock(connection: Connection, key: MemberKey) -> MemberState | None:
    row = await connection.fetchrow(statement("lock_member"), *key)
    return None if row is None else _state(key, *row, is_changed=False)


async def _change(
    connection: Connection, key: MemberKey, name: str, *arguments: object
) -> MemberState:
    row = await connection.fetchrow(statement(name), *key, *arguments)
    assert row is not None, "the member is locked"
    return _state(key, *row, is_changed=True)


def _state(
    key: MemberKey, status: MemberStatus, enrolled_at: datetime | None, *, is_changed: bool
) -> MemberState:
    return MemberState(key.program_id, key.member_id, status, enrolled_at, is_changed)


def _unknown(key: MemberKey) -> NotDone:
    return NotDone(f"Programme {key.program_id} does not know member {key.member_id}.")


async def _has_program(connection: Connection, key: MemberKey) -> bool:
    return bool(await connection.fetch(statement("view_programs"), key.program_id, None))


def _no_program(key: MemberKey) -> NotDone:
    return NotDone(f"There is no programme {key.program_id}.")
