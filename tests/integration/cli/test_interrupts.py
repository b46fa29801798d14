"""Whoever interrupts a command that has asked for something is told how to go on."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.waiting import DEADLINE_SECONDS, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cli.conftest import CommandLine

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def interrupted(points: CommandLine, member_id: str, *arguments: str) -> str:
    """Interrupt a command once its first request waits in the books; return what it says."""
    process = await points.start(*arguments)
    connection = await asyncpg.connect(points.scene.database_url)
    waits = "SELECT count(*) FROM points.early_requests WHERE member_id = $1"
    await until(lambda: connection.fetchval(waits, member_id), what="a request waits")
    await connection.close()
    process.send_signal(signal.SIGINT)
    out, told = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    assert (process.returncode, out) == (130, b"")
    return told.decode()


async def test_an_import_that_is_interrupted_tells_how_far_it_came(
    points: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"member_id": "early", "points": 1, "ordinal": 2}\n')
    told = await interrupted(points, "early", "import", str(file))
    assert told == (
        "Interrupted. 0 of 1 requests have their outcome. Import the same file again: what is done"
        " is not done twice.\n"
    )


async def test_an_adjustment_that_is_interrupted_tells_how_to_ask_again(
    points: CommandLine,
) -> None:
    told = await interrupted(
        points, "hasty", "adjust", "hasty", "1", "--ordinal", "2", "--request-id", "r-1"
    )
    assert told == (
        "Interrupted. The request may still be carried out; to ask again is harmless:"
        " --request-id r-1\n"
    )
