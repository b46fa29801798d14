"""A command that is stopped or cut off in the midst of a change holds nobody up for long (I6)."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.inside import waiting
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.cli.conftest import CommandLine

PROGRAM = """
program_id = "{id}"
[[currencies]]
code = "points"
"""
TO_GO = """
[[currencies]]
code = "to-go"
"""


@pytest.fixture
async def owner(points: CommandLine) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the owner's to the database of the commands, that waits for no lock."""
    connection = await asyncpg.connect(
        points.scene.database_url, server_settings={"lock_timeout": "50"}
    )
    yield connection
    await connection.close()


@pytest.mark.parametrize("command", ["member block", "program apply"])
async def test_a_command_stopped_in_the_midst_lets_go_of_the_members_it_has_locked(
    points: CommandLine, owner: asyncpg.Connection, tmp_path: Path, command: str
) -> None:
    program = tmp_path / "program.toml"
    # To take a currency away, every member is locked.
    program.write_text(PROGRAM.format(id="stopped") + TO_GO)
    assert (await points("program", "apply", str(program))).code == 0
    program.write_text(PROGRAM.format(id="stopped"))
    await points("member", "enrol", "stan")
    lock = "SELECT FROM points.members WHERE member_id = 'stan' FOR UPDATE"

    async def is_free() -> bool:
        with suppress(asyncpg.LockNotAvailableError):
            await owner.execute(lock)
            return True
        return False

    async def is_locked() -> bool:
        return not await is_free()

    somebody = await asyncpg.connect(points.scene.database_url)
    async with somebody.transaction():
        await somebody.execute(lock)
        argument = "stan" if command == "member block" else str(program)
        process = await points.start(*command.split(), argument)
        await waiting(owner, 1, "transactionid", "relation")
        process.send_signal(signal.SIGSTOP)
    await somebody.close()
    try:
        await until(is_locked, what="the stopped command has the lock")
        await until(is_free, what="the member is free")
    finally:
        process.send_signal(signal.SIGCONT)
        _, said = await process.communicate()
    # Who comes back to it is told that nothing was done.
    assert process.returncode == 69, said
    assert b"connection is closed" in said
    shown = await points("program", "show", "stopped")
    assert b"to-go" in shown.stdout
