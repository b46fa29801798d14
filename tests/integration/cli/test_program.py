"""Programme documents go into the database whole, or are refused by line."""

from __future__ import annotations

import asyncio
import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.waiting import DEADLINE_SECONDS, until
from worker.store import programs

if TYPE_CHECKING:
    from tests.integration.cli.conftest import CommandLine

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLE = Path(__file__).parents[3] / "schemas" / "examples" / "program.toml"
SMALL = """\
program_id = "{program_id}"
allow_negative = {allow_negative}
[[currencies]]
code = "points"
decimals = {decimals}
"""


def small(program_id: str, *, allow_negative: str = "false", decimals: int = 0) -> bytes:
    return SMALL.format(
        program_id=program_id, allow_negative=allow_negative, decimals=decimals
    ).encode()


async def test_a_document_is_applied_shown_listed_and_applied_again(
    points: CommandLine, tmp_path: Path
) -> None:
    first = await points("program", "apply", str(EXAMPLE), "--json")
    assert (first.code, first.json["version"], first.json["is_new"]) == (0, 1, True)
    shown = await points("program", "show", "acme")
    assert tomllib.loads(shown.stdout.decode()) == tomllib.loads(EXAMPLE.read_text())
    assert shown.stdout.startswith(b"# Version 1, applied at ")
    assert shown.stdout.splitlines()[1] == b'program_id = "acme"'
    as_json = await points("program", "show", "acme", "--json")
    assert as_json.json["document"] == tomllib.loads(EXAMPLE.read_text())
    file = tmp_path / "acme.toml"
    file.write_bytes(shown.stdout)
    again = await points("program", "apply", str(file))
    assert (again.code, again.stdout) == (0, b"")
    assert "Version 1 of programme acme is in force already" in again.stderr
    listed = {one["program_id"]: one for one in (await points("program", "list", "--json")).json}
    assert listed["acme"]["currencies"] == ["points", "coins"]
    assert listed["default"]["version"] == 1
    assert b"Acme Rewards" in (await points("program", "list")).stdout


async def test_a_running_worker_follows_a_new_version_with_its_next_batch(
    points: CommandLine,
) -> None:
    assert (await points("program", "apply", "-", stdin=small("live"))).code == 0
    request = ("adjust", "mia", "-5", "--program", "live", "--json")
    assert (await points(*request)).json["error"]["key"] == "insufficient_points"
    applied = await points("program", "apply", "-", stdin=small("live", allow_negative="true"))
    assert "Version 2 of programme live is applied." in applied.stderr
    assert applied.stdout == b"  allow_negative: false \xe2\x86\x92 true\n"
    assert (await points(*request)).json["balance"] == "-5"
    old = await points("program", "show", "live", "--version", "1")
    assert b"allow_negative = false" in old.stdout


async def test_what_changed_is_told_by_the_names_of_things(points: CommandLine) -> None:
    before = small("told") + b'[[currencies]]\ncode = "coins"\nbalance_cap = "5"\n'
    after = (
        b'program_id = "told"\nname = "Told"\nallow_negative = false\n'
        b'[[currencies]]\ncode = "coins"\nbalance_cap = "6"\n'
        b'[[currencies]]\ncode = "points"\ndecimals = 0\n'
    )
    await points("program", "apply", "-", stdin=before)
    changed = await points("program", "apply", "-", "--json", stdin=after)
    assert changed.json["changes"] == [
        {"path": "name", "old": None, "new": "Told"},
        {"path": "currencies[coins].balance_cap", "old": "5", "new": "6"},
        {"path": "the default currency", "old": "points", "new": "coins"},
    ]


async def test_a_faulty_document_is_refused_whole_with_the_line_of_each_fault(
    points: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "acme.toml"
    file.write_text(
        'program_id = "faulty"\nstatus = "on"\n\n[[currencies]]\ncode = "points"\n\n'
        'decimals = 7\nearn_caps = [\n  { per = "month", points = 5 },\n]\n[limit]\n'
    )
    refused = await points("program", "apply", str(file))
    assert (refused.code, refused.stdout) == (78, b"")
    assert refused.stderr.splitlines() == [
        f'{file}:2: status must be one of active, inactive; got "on"',
        f"{file}:7: currencies[0].decimals must be 0 to 6; got 7",
        (
            f"{file}:9: currencies[0].earn_caps[0].points must be a decimal in quotes,"
            ' as "400" or "12.50"; got 5'
        ),
        f"{file}:11: limit is not known to this version (did you mean limits?); got a table of 0",
    ]
    assert (await points("program", "show", "faulty")).code == 3
    broken = await points("program", "apply", "-", stdin=b"a = 1\nb\n")
    assert (broken.code, broken.stderr.partition(": ")[0]) == (78, "stdin:2")
    nameless = await points("program", "apply", "-", stdin=b'[[currencies]]\ncode = "p"\n')
    assert nameless.stderr == "stdin:1: program_id is required; got nothing\n"
    missing = await points("program", "apply", str(tmp_path / "nowhere.toml"))
    assert missing.code == 2


async def test_decimals_never_change_not_even_by_leaving_a_currency_out_for_a_while(
    points: CommandLine,
) -> None:
    coins = b'[[currencies]]\ncode = "coins"\ndecimals = %d\n'
    for document in (small("fixed") + coins % 3, small("fixed")):
        assert (await points("program", "apply", "-", stdin=document)).code == 0
    for document, line, place in (
        (small("fixed", decimals=2), 5, "currencies[0].decimals must stay 0"),
        (small("fixed") + coins % 2, 8, "currencies[1].decimals must stay 3"),
    ):
        refused = await points("program", "apply", "-", stdin=document)
        assert (refused.code, refused.stderr.startswith(f"stdin:{line}: {place}")) == (78, True)
    assert (await points("program", "apply", "-", stdin=small("fixed") + coins % 3)).code == 0


async def test_a_currency_with_points_cannot_go_and_one_without_can(points: CommandLine) -> None:
    coins = b'[[currencies]]\ncode = "coins"\n'
    await points("program", "apply", "-", stdin=small("kept") + coins)
    credit = ("adjust", "noa", "--program", "kept", "--currency", "coins", "--json")
    assert (await points(*credit, "5")).code == 0
    refused = await points("program", "apply", "-", stdin=small("kept"))
    assert refused.code == 78
    assert "must keep coins, in which members have points" in refused.stderr
    assert (await points(*credit, "-5")).code == 0
    assert (await points("program", "apply", "-", stdin=small("kept"))).code == 0
    assert (await points(*credit, "5")).json["error"]["key"] == "unknown_currency"


async def test_a_document_that_cannot_come_in_for_a_lock_ends_with_75_and_changes_nothing(
    points: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_LOCK_SECONDS_MAX", 0.1)
    connection = await asyncpg.connect(points.scene.database_url)
    async with connection.transaction():
        await connection.execute("LOCK TABLE points.programs IN SHARE ROW EXCLUSIVE MODE")
        done = await points("program", "apply", "-", stdin=small("locked"))
    await connection.close()
    assert (done.code, "something there is locked" in done.stderr) == (75, True)
    assert (await points("program", "show", "locked")).code == 3


async def test_two_who_apply_at_once_make_two_versions(points: CommandLine, tmp_path: Path) -> None:
    files = [tmp_path / "one.toml", tmp_path / "two.toml"]
    for file, allow_negative in zip(files, ("false", "true"), strict=True):
        file.write_bytes(small("race", allow_negative=allow_negative))
    connection = await asyncpg.connect(points.scene.database_url)

    async def both_wait() -> bool:
        waiting = "SELECT count(*) FROM pg_locks WHERE relation = $1::regclass AND NOT granted"
        return bool(await connection.fetchval(waiting, "points.programs") == 2)

    async with connection.transaction():
        await connection.execute("LOCK TABLE points.programs IN SHARE ROW EXCLUSIVE MODE")
        both = [await points.start("program", "apply", str(file), "--json") for file in files]
        await until(both_wait, what="both wait for their turn")
    await connection.close()
    done = [await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS) for process in both]
    assert sorted(json.loads(output)["version"] for output, _ in done) == [1, 2]
