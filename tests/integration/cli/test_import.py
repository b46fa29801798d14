"""A file of requests is published whole, once, and every outcome of it counted."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import tempfile
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.waiting import DEADLINE_SECONDS, until
from worker.cli import importing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cli.conftest import CommandLine

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_rows_are_applied_in_their_order_and_a_second_time_changes_nothing(
    points: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    rows = [f"i-{n % 7},{n + 1}" for n in range(1_500)] + [f"i-{n},-1" for n in range(7)]
    file.write_text("member_id,points\n" + "\n".join(rows) + "\n")
    first = await points("import", str(file), "--json")
    counts = {"no_change": 0, "simulated": 0, "rejected": 0, "dead_letters": 0, "errors": {}}
    assert (first.code, first.json) == (
        0,
        {"rows": 1_507, "sent": 1_507, "applied": 1_507} | counts,
    )
    balances = [(await points("balance", f"i-{n}", "--json")).json["wallets"] for n in range(7)]
    sums = [sum(m + 1 for m in range(1_500) if m % 7 == n) - 1 for n in range(7)]
    assert [wallet[0]["balance"] for wallet in balances] == [str(number) for number in sums]
    history = (await points("history", "i-3", "--limit", "9999", "--json")).json
    assert [event["data"]["points"] for event in history][:3] == ["4", "11", "18"]
    again = await points("import", str(file), "--json")
    assert (again.code, again.json) == (0, first.json)
    same = [(await points("balance", f"i-{n}", "--json")).json["wallets"] for n in range(7)]
    assert same == balances


async def test_what_is_rejected_is_told_written_down_and_ends_with_3(
    points: CommandLine, tmp_path: Path
) -> None:
    file, rejects = tmp_path / "rows.ndjson", tmp_path / "rejects.jsonl"
    documents: list[dict[str, Any]] = [
        {"member_id": "r-1", "points": "5", "program_id": "default"},
        {"member_id": "r-1", "points": "-6", "comment": "too much"},
        {"member_id": "r-1", "operation": "SET_BALANCE", "points": 5},
        {"member_id": "r-1", "points": 1, "dry_run": True},
        {"member_id": "r-1", "points": 1, "currency": "coins"},
    ]
    file.write_text("\n".join(map(json.dumps, documents)))
    done = await points("import", str(file), "--rejects", str(rejects), "--json")
    assert (done.code, done.json) == (
        3,
        {
            "rows": 5,
            "sent": 5,
            "applied": 1,
            "no_change": 1,
            "simulated": 1,
            "rejected": 2,
            "dead_letters": 0,
            "errors": {"insufficient_points": 1, "unknown_currency": 1},
        },
    )
    lines = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert sorted((line["line"], line["error"]["key"]) for line in lines) == [
        (2, "insufficient_points"),
        (5, "unknown_currency"),
    ]
    told = await points("import", str(file))
    assert (told.code, b"insufficient_points" in told.stdout) == (3, True)
    assert "line 2: insufficient_points: " in told.stderr
    rejected = {line["line"]: line["request"] for line in lines}[2]
    assert (rejected["points"], rejected["comment"]) == ("-6", "too much")
    rows = file.read_bytes()
    over = await points("import", str(file), "--rejects", str(file))
    assert (over.code, over.stdout, file.read_bytes()) == (2, b"", rows)


async def test_rows_come_also_by_standard_input_and_are_the_same_as_those_of_a_file(
    points: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rows = b"member_id,points\np-1,5\np-1,-2\n"
    arguments = ("import", "-", "--format", "csv", "--json")
    first = await points(*arguments, stdin=rows)
    assert (first.code, first.json["applied"]) == (0, 2)
    file = tmp_path / "rows.csv"
    file.write_bytes(rows)
    assert (await points("import", str(file), "--json")).json == first.json
    [wallet] = (await points("balance", "p-1", "--json")).json["wallets"]
    assert wallet["balance"] == "3"
    faulty = await points(*arguments, stdin=b"member_id,points\np-1,x\n")
    assert (faulty.code, faulty.stderr.startswith("stdin:2: points ")) == (2, True)
    assert (await points("import", "-", stdin=rows)).code == 2
    monkeypatch.setattr(importing, "_STDIN_BYTES_MAX", len(rows) - 1)
    long = await points(*arguments, stdin=rows)
    assert (long.code, long.stdout) == (2, b"")
    assert "more than" in long.stderr
    assert list(tmp_path.iterdir()) == [file]


async def test_an_opening_leaves_balance_and_total_as_the_file_has_them(
    points: CommandLine, tmp_path: Path
) -> None:
    document = (
        b'program_id = "opened"\nreason = "required"\n[[currencies]]\ncode = "points"\n'
        b'decimals = 2\nbalance_cap = "100"\nearn_caps = [{ per = "day", points = "10" }]\n'
        b'expiry = { rule = "after", years = 1 }\n'
    )
    assert (await points("program", "apply", "-", stdin=document)).code == 0
    file = tmp_path / "opening.csv"
    file.write_text(
        "member_id,balance,total,category,expiration_type,expiration_date\n"
        "o-1,1250.50,9000,,CUSTOM_DATE,2090-12-31\n"
        "o-2,7,,PROMISED,NON_EXPIRING,\n"
        "o-3,-12.25,3,,,\n"
        "o-4,0,0,,,\n"
    )
    arguments = ("import", str(file), "--opening", "--program", "opened", "--json")
    done = await points(*arguments)
    counts = [done.json[name] for name in ("rows", "sent", "applied")]
    assert (done.code, counts) == (0, [4, 5, 5])

    async def wallets(member_id: str) -> list[tuple[str, str, str]]:
        shown = await points("balance", member_id, "--program", "opened", "--json")
        return [(w["category"], w["balance"], w["total"]) for w in shown.json["wallets"]]

    assert await wallets("o-1") == [("REGULAR", "1250.50", "9000.00")]
    assert await wallets("o-2") == [("PROMISED", "7.00", "7.00")]
    assert await wallets("o-3") == [("REGULAR", "-12.25", "3.00")]
    assert await wallets("o-4") == []
    lots = await points("balance", "o-1", "--program", "opened", "--json")
    expiry = {"points": "1250.50", "expires_at": "2091-01-01T00:00:00Z"}
    assert lots.json["wallets"][0]["next_expiry"] == expiry
    assert (await points(*arguments)).json == done.json
    shown = (await points(*arguments[:-1])).stdout.decode()
    assert shown.split() == ["rows", "4", "requests", "5", "applied", "5", "of", "5"]
    file.write_text(file.read_text() + "o-5,1,1,,,\n")
    corrected = await points(*arguments)
    assert corrected.json["errors"] == {"version_mismatch": 3}
    told = await points(*arguments[:-1])
    in_use = told.stdout.decode().splitlines()[-1].split()
    assert " ".join(in_use) == "wallets in use 3; an opening balance needs a fresh one"
    assert await wallets("o-1") == [("REGULAR", "1250.50", "9000.00")]
    assert await wallets("o-5") == [("REGULAR", "1.00", "1.00")]
    assert (await points("audit", "--json")).json["faults"] == []


@pytest.mark.parametrize("balance", ["100", "-5"])
async def test_an_opening_changes_nothing_of_a_wallet_that_is_in_use(
    points: CommandLine, tmp_path: Path, balance: str
) -> None:
    member = f"in-use-{balance}"
    await points("adjust", member, "500")
    file = tmp_path / "opening.csv"
    file.write_text(f"member_id,balance,total\n{member},{balance},250\n")
    done = await points("import", str(file), "--opening", "--json")
    assert (done.code, done.json["sent"], done.json["errors"]) == (3, 1, {"version_mismatch": 1})
    (wallet,) = (await points("balance", member, "--json")).json["wallets"]
    assert (wallet["balance"], wallet["total"]) == ("500", "500")


async def test_rejected_rows_are_told_in_their_order_and_how_many_more_there_are(
    points: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("member_id,points\n" + "".join(f"poor-{number},-1\n" for number in range(25)))
    told = (await points("import", str(file))).stderr.splitlines()
    lines = [int(line.split()[1].rstrip(":")) for line in told[:-2]]
    assert (len(lines), lines) == (20, sorted(lines))
    assert told[-2] == "… and 5 more: --rejects FILE writes all of them down."
    assert "To try again, add --rejects FILE, mend what is written there, and" in told[-1]


async def test_what_a_refused_opening_leaves_unsent_is_written_down_with_it(
    points: CommandLine, tmp_path: Path
) -> None:
    await points("adjust", "unsent", "1")
    file, rejects = tmp_path / "opening.csv", tmp_path / "rejects.jsonl"
    file.write_text("member_id,balance,total\nunsent,10,25\n")
    await points("import", str(file), "--opening", "--rejects", str(rejects))
    row = json.loads(rejects.read_text())
    assert (row["line"], row["request"]["points"], row["unsent"]["points"]) == (2, "25", "-15")


async def test_what_was_rejected_is_mended_and_imported_as_it_was_written_down_and_only_once(
    points: CommandLine, tmp_path: Path
) -> None:
    file, rejects, left = (tmp_path / name for name in ("rows.csv", "rejects.jsonl", "left.jsonl"))
    file.write_text("member_id,points\nmend-1,5\nmend-2,-3\nmend-3,-4\n")
    first = await points("import", str(file), "--rejects", str(rejects))
    assert (first.code, f"mend {rejects}, and import that file" in first.stderr) == (3, True)
    rejects.write_text(rejects.read_text().replace('"-3"', '"3"'))

    for _ in range(2):
        done = await points("import", str(rejects), "--rejects", str(left), "--json")
        counts = [done.json[name] for name in ("rows", "sent", "applied", "rejected")]
        assert (done.code, counts) == (3, [2, 2, 1, 1])
    await points("adjust", "mend-3", "10")
    again = await points("import", str(left), "--json")
    assert (again.code, again.json["applied"]) == (0, 1)

    for member, balance in (("mend-1", "5"), ("mend-2", "3"), ("mend-3", "6")):
        (wallet,) = (await points("balance", member, "--json")).json["wallets"]
        assert (member, wallet["balance"]) == (member, balance)


async def test_what_was_refused_before_stays_so_though_the_reason_is_gone_until_it_is_tried_anew(
    points: CommandLine, tmp_path: Path
) -> None:
    document = b'program_id = "club"\nenrolment = "required"\n[[currencies]]\ncode = "points"\n'
    assert (await points("program", "apply", "-", stdin=document)).code == 0
    file, rejects = tmp_path / "rows.csv", tmp_path / "rejects.jsonl"
    file.write_text("member_id,points\njoining,5\n")
    arguments = ("import", str(file), "--program", "club", "--rejects", str(rejects))
    assert (await points(*arguments)).code == 3
    await points("member", "enrol", "joining", "--program", "club")
    same = await points(*arguments)
    assert (same.code, "What was refused, now or before, stays so" in same.stderr) == (3, True)
    done = await points("import", str(rejects), "--json")
    assert (done.code, done.json["applied"]) == (0, 1)


async def test_an_opening_whose_debit_is_refused_is_told_and_finished_by_importing_the_debit(
    points: CommandLine, tmp_path: Path
) -> None:
    document = (
        b'program_id = "halves"\nreason_codes = [{ code = "IN", sign = "credit" }]\n'
        b'[[currencies]]\ncode = "points"\n'
    )
    assert (await points("program", "apply", "-", stdin=document)).code == 0
    file, rejects = tmp_path / "opening.csv", tmp_path / "rejects.jsonl"
    file.write_text("member_id,balance,total,reason_code\nhalf,10,25,IN\nfull,25,25,IN\n")
    arguments = ("--program", "halves", "--opening", "--rejects", str(rejects))
    done = await points("import", str(file), *arguments)
    assert (done.code, "half open" in done.stdout.decode()) == (3, True)
    row = json.loads(rejects.read_text())
    assert (row["error"]["key"], row["request"]["points"]) == ("invalid_reason_code", "-15")
    refused = await points("import", str(rejects), "--opening")
    assert (refused.code, "row must be imported without --opening" in refused.stderr) == (2, True)
    del row["request"]["reason_code"]
    rejects.write_text(json.dumps(row))
    assert (await points("import", str(rejects))).code == 0
    (wallet,) = (await points("balance", "half", "--program", "halves", "--json")).json["wallets"]
    assert (wallet["balance"], wallet["total"]) == ("10", "25")


async def test_an_opening_that_was_refused_is_imported_with_its_debit_into_the_wallet_it_names_now(
    points: CommandLine, tmp_path: Path
) -> None:
    file, rejects = tmp_path / "opening.csv", tmp_path / "rejects.jsonl"
    file.write_text("member_id,balance,total,currency\nwhole,10,25,pionts\n")
    await points("import", str(file), "--opening", "--rejects", str(rejects))
    row = json.loads(rejects.read_text())
    row["request"]["currency"] = "points"
    rejects.write_text(json.dumps(row))
    done = await points("import", str(rejects), "--json")
    assert (done.code, done.json["sent"], done.json["applied"]) == (0, 2, 2)
    (wallet,) = (await points("balance", "whole", "--json")).json["wallets"]
    assert (wallet["balance"], wallet["total"]) == ("10", "25")


async def test_openings_of_more_members_than_wait_at_a_time_come_out_right(
    points: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "_WAITING_MAX", 3)
    await points("adjust", "many-4", "1")
    file = tmp_path / "opening.csv"
    rows = "".join(f"many-{number},{number},10\n" for number in range(10))
    file.write_text(f"member_id,balance,total\n{rows}")
    done = await points("import", str(file), "--opening", "--json")
    counts = [done.json[name] for name in ("rows", "sent", "applied", "rejected")]
    assert (done.code, counts) == (3, [10, 19, 18, 1])
    for number in range(10):
        (wallet,) = (await points("balance", f"many-{number}", "--json")).json["wallets"]
        wanted = ("1", "1") if number == 4 else (str(number), "10")
        assert (wallet["balance"], wallet["total"]) == wanted


async def test_nothing_is_sent_while_a_row_has_a_fault(points: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("member_id,points\nn-1,5\nn-1,five\nn-2\n")
    refused = await points("import", str(file))
    assert (refused.code, refused.stdout) == (2, b"")
    told = refused.stderr.splitlines()
    assert told[0].startswith(f"{file}:3: points must be an integer or a decimal")
    assert told[1:] == [f"{file}:4: row must have 2 cells; got 1", "Nothing was sent."]
    as_json = await points("import", str(file), "--json")
    assert [(one["line"], one["field"]) for one in as_json.json["faults"]] == [
        (3, "points"),
        (4, "row"),
    ]
    assert (await points("balance", "n-1", "--json")).json["wallets"] == []
    file.write_text("member_id,points\n" + "n-1,five\n" * 30)
    many = await points("import", str(file))
    assert "file has 10 more faults" in many.stderr
    for arguments in (["nowhere.csv"], [str(tmp_path / "x.txt")]):
        assert (await points("import", *arguments)).code == 2
    assert "pipe it: - < nowhere.csv." in (await points("import", "nowhere.csv")).stderr
    other = tmp_path / "rows.txt"
    other.write_text("member_id,points\nn-1,5\n")
    assert (await points("import", str(other))).code == 2
    assert (await points("import", str(other), "--format", "csv")).code == 0
    rejects = str(tmp_path / "no" / "folder")
    no_folder = await points("import", str(other), "--format", "csv", "--rejects", rejects)
    assert (no_folder.code, no_folder.stderr) == (2, f"{rejects}: No such file or directory.\n")


async def test_an_import_without_answers_ends_with_75_and_goes_on_where_it_broke_off(
    points: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("member_id,points,ordinal\nw-1,5,2\nw-2,5,1\n")

    async def goes_on() -> bool:
        late = await points("import", str(file), "--timeout", "1")
        assert (late.code, late.stdout) == (75, b"")
        told = re.search(r"(.) of 2 requests have their outcome. Import the same", late.stderr)
        assert told is not None
        return told[1] == "1"

    await until(goes_on, what="the outcome of the one that need not wait")
    await points("adjust", "w-1", "1", "--ordinal", "1")
    done = await points("import", str(file), "--json")
    assert (done.code, done.json["applied"]) == (0, 2)
    assert (await points("balance", "w-1", "--json")).json["wallets"][0]["balance"] == "6"


async def test_an_import_under_a_prefix_that_is_not_there_says_how_to_mend_it(
    points: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("member_id,points\np-1,5\n")
    done = await points("import", str(file), env={"POINTS_PREFIX": "elsewhere"})
    assert (done.code, done.stdout) == (78, b"")
    assert "whether POINTS_PREFIX is that of the workers" in done.stderr


async def test_an_import_that_is_killed_and_repeated_counts_every_row_once(
    points: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    count = 20_000
    rows = "\n".join(f"k-{n % 50},1" for n in range(count))
    file.write_text(f"member_id,points\n{rows}\n")
    process = await points.start("import", str(file), "--json")
    connection = await asyncpg.connect(points.scene.database_url)
    asked = "SELECT count(*) FROM points.journal WHERE member_id LIKE 'k-%'"
    await until(lambda: connection.fetchval(asked), what="some are applied")
    process.send_signal(signal.SIGKILL)
    await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    assert 0 < await connection.fetchval(asked) < count
    done = await points("import", str(file), "--json")
    assert (done.code, done.json["applied"]) == (0, count)
    balance = "SELECT sum(balance)::bigint FROM points.wallets WHERE member_id LIKE 'k-%'"
    assert await connection.fetchval(balance) == count
    await connection.close()
