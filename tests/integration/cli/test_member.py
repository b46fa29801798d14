"""What is said of a member counts from the next request on; what is erased is nowhere any more."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiormq
import asyncpg
import pytest
import pytest_asyncio

from schemas.topology import adjustments_exchange, bucket_key
from tests.waiting import DEADLINE_SECONDS, until
from worker.dialects import IDENTIFIER_NAMES
from worker.identifiers import fingerprint
from worker.store import members

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.cli.conftest import CommandLine

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "a key of sixteen bytes, or more"
ENV = {"POINTS_IDENTIFIER_KEY": KEY}
NUMBER = "+49 170 1234567"
REQUIRED = b'program_id = "club"\nenrolment = "required"\n[[currencies]]\ncode = "points"\n'


@pytest_asyncio.fixture(loop_scope="module")
async def owner(points: CommandLine) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(points.scene.database_url)
    yield connection
    await connection.close()


async def key_of(points: CommandLine, *arguments: str) -> str | None:
    """Adjust, and return the error's key, None where it was applied."""
    error = (await points("adjust", *arguments, "--json")).json["error"]
    return str(error["key"]) if error else None


async def test_a_member_is_adjusted_only_once_enrolled_where_the_programme_wants_it(
    points: CommandLine,
) -> None:
    assert (await points("program", "apply", "-", stdin=REQUIRED)).code == 0
    assert await key_of(points, "ann", "5", "--program", "club") == "member_not_found"
    enrolled = await points("member", "enrol", "ann", "--program", "club", "--json")
    assert (enrolled.code, enrolled.json["is_changed"]) == (0, True)
    assert enrolled.json["enrolled_at"].endswith("Z")
    assert await key_of(points, "ann", "5", "--program", "club") is None
    again = await points("member", "enrol", "ann", "--program", "club", "--json")
    assert again.json == enrolled.json | {"is_changed": False}
    nowhere = await points("member", "enrol", "ann", "--program", "nowhere")
    assert (nowhere.code, nowhere.stderr) == (3, "There is no programme nowhere.\n")


async def test_a_blocked_member_is_inactive_until_unblocked(points: CommandLine) -> None:
    assert await key_of(points, "bo", "5") is None
    assert (await points("member", "block", "bo", "--json")).json["status"] == "blocked"
    assert await key_of(points, "bo", "5") == "member_inactive"
    again = await points("member", "block", "bo")
    assert "is blocked already; nothing changed" in again.stderr
    assert (await points("member", "unblock", "bo", "--json")).json["status"] == "active"
    assert await key_of(points, "bo", "5") is None
    for command in ("block", "unblock", "erase"):
        unknown = await points("member", command, "nobody", *["--yes"][: command == "erase"])
        assert (unknown.code, unknown.stdout) == (3, b"")
        assert "does not know member nobody" in unknown.stderr


@pytest.mark.parametrize("arguments", [["enrol"], ["block"], ["erase", "--yes"]])
async def test_a_member_who_stays_locked_is_told_of_as_such_and_ends_with_75(
    points: CommandLine,
    owner: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    monkeypatch.setattr(members, "_LOCK_SECONDS_MAX", 0.1)
    await points("member", "enrol", "ian")
    async with owner.transaction():
        await owner.execute("SELECT FROM points.members WHERE member_id = 'ian' FOR UPDATE")
        done = await points("member", arguments[0], "ian", *arguments[1:])
    assert (done.code, done.stdout) == (75, b"")
    assert done.stderr.startswith("Postgres is busy, or something there is locked: ")
    assert done.stderr.endswith(" Try again.\n")


async def test_an_identifier_is_stored_as_its_fingerprint_alone_and_belongs_to_one_member(
    points: CommandLine, owner: asyncpg.Connection
) -> None:
    mobile = ("--name", "mobile", "--json")
    first = await points("member", "identify", "cy", *mobile, stdin=NUMBER.encode() + b"\n",
                         env=ENV)  # fmt: skip
    assert (first.code, first.json["is_changed"]) == (0, True)
    rows = await owner.fetch("SELECT * FROM points.identifiers")
    expected = ("default", "mobile", fingerprint(KEY.encode(), "mobile", NUMBER), "cy")
    assert [tuple(row) for row in rows] == [expected]
    same = await points("member", "identify", "cy", *mobile, "--value", NUMBER, env=ENV)
    assert (same.code, same.json["is_changed"]) == (0, False)
    other = await points("member", "identify", "di", *mobile, "--value", NUMBER, env=ENV)
    assert (other.code, other.stdout) == (3, b"")
    assert "that of another member" in other.stderr
    kept = await points("member", "identify", "di", *mobile, "--value", NUMBER, "--remove", env=ENV)
    assert kept.code == 3
    gone = await points("member", "identify", "cy", *mobile, "--value", NUMBER, "--remove", env=ENV)
    assert (gone.code, gone.json["is_changed"]) == (0, True)
    moved = await points("member", "identify", "di", *mobile, "--value", NUMBER, env=ENV)
    assert moved.code == 0
    for done in (first, same, other, kept, gone, moved):
        assert NUMBER not in done.stdout.decode() + done.stderr


async def test_whoever_stores_an_identifier_is_told_that_every_worker_needs_the_key(
    points: CommandLine,
) -> None:
    given = ("member", "identify", "ned", "--name", "email", "--value", "ned@x")
    told = "Every worker needs this POINTS_IDENTIFIER_KEY from now on: the door of one without"
    assert told in (await points(*given, env=ENV)).stderr
    assert told not in (await points(*given, "--remove", env=ENV)).stderr


async def test_an_identifier_needs_a_key_and_must_be_one(points: CommandLine) -> None:
    arguments = ("member", "identify", "ed", "--name", "email")
    keyless = await points(*arguments, "--value", "ed@example.org")
    assert (keyless.code, keyless.stderr.split()[0]) == (78, "POINTS_IDENTIFIER_KEY")
    for given in (b"", b"secret\x00", b"secret\xff"):
        refused = await points(*arguments, stdin=given, env=ENV)
        assert refused.code == 2
        assert "secret" not in refused.stderr


async def test_an_identifier_has_a_name_that_a_dialect_looks_up(points: CommandLine) -> None:
    for name in ("", "card", "Mobile"):
        refused = await points("member", "identify", "ed", "--name", name, stdin=b"x", env=ENV)
        assert (refused.code, refused.stdout) == (2, b"")
        assert all(known in refused.stderr for known in IDENTIFIER_NAMES)
    for number, name in enumerate(IDENTIFIER_NAMES):
        done = await points("member", "identify", "ed", "--name", name, "--value", f"ed-{number}",
                            env=ENV)  # fmt: skip
        assert done.code == 0


async def test_another_key_than_that_of_the_first_identifier_is_refused(
    points: CommandLine, owner: asyncpg.Connection
) -> None:
    other = {"POINTS_IDENTIFIER_KEY": KEY[::-1]}
    given = ("member", "identify", "ike", "--name", "mobile", "--value", "secret number")
    assert (await points(*given, env=ENV)).code == 0
    for options in ((), ("--remove",)):
        refused = await points(*given, *options, env=other)
        assert (refused.code, refused.stdout) == (78, b"")
        assert refused.stderr.startswith("POINTS_IDENTIFIER_KEY is another than")
        assert refused.stderr.count("\n") == 1
    doctor = await points("doctor", "--json", env=other)
    found = [c["verdict"] for c in doctor.json["checks"] if c["subject"] == "identifiers"]
    assert (doctor.code, found) == (3, ["fault"])
    kept = await owner.fetchval("SELECT count(*) FROM points.identifiers WHERE member_id = 'ike'")
    assert kept == 1


async def test_whoever_is_not_enrolled_where_it_is_required_gets_no_identifier(
    points: CommandLine, owner: asyncpg.Connection
) -> None:
    applied = await points("program", "apply", "-", stdin=REQUIRED.replace(b"club", b"guild"))
    assert applied.code == 0
    given = ("member", "identify", "jo", "--name", "email", "--value", "jo@x", "--program", "guild")
    refused = await points(*given, env=ENV)
    assert (refused.code, refused.stdout) == (3, b"")
    assert "is not enrolled" in refused.stderr
    assert await owner.fetchval("SELECT count(*) FROM points.members WHERE member_id = 'jo'") == 0
    assert (await points("member", "enrol", "jo", "--program", "guild")).code == 0
    assert (await points(*given, env=ENV)).code == 0


async def test_the_doctor_warns_where_identifiers_are_stored_and_the_key_is_not_set(
    points: CommandLine, tmp_path: Path
) -> None:
    done = await points("member", "identify", "el", "--name", "email", "--value", "e@l", env=ENV)
    assert done.code == 0
    for env, verdicts in (({}, ["warning"]), (ENV, [])):
        doctor = await points("doctor", "--json", env=env)
        found = [c["verdict"] for c in doctor.json["checks"] if c["subject"] == "identifiers"]
        assert (doctor.code, found) == (0, verdicts)
    empty = await points("doctor", "--json", env=ENV | {"POINTS_JWE_PRIVATE_KEYS": str(tmp_path)})
    assert (empty.code, b"which holds no key" in empty.stdout) == (3, True)


async def test_erasing_blanks_what_is_personal_and_leaves_all_else_as_it_was(
    points: CommandLine, owner: asyncpg.Connection
) -> None:
    personal = ("--reason", "secret one", "--comment", "secret two", "--source-id", "secret three",
                "--metadata", '{"note": "secret four", "till": 4.50}')  # fmt: skip
    await points("adjust", "fay", "50", "--request-id", "f-1", *personal, "--reason-code", "X",
                 "--adjusted-by", "op-1")  # fmt: skip
    await points("adjust", "fay", "-70", "--request-id", "f-2", "--comment", "secret five")
    await points("adjust", "fay", "5", "--operation", "HOLD", "--request-id", "f-3")
    await points("member", "identify", "fay", "--name", "mobile", "--value", "secret six", env=ENV)
    before = await outcomes(owner, "fay")
    balance = (await points("balance", "fay", "--json")).json["wallets"]
    asked = await points("member", "erase", "fay", stdin=b"n\n")
    assert (asked.code, await outcomes(owner, "fay")) == (0, before)
    erased = await points("member", "erase", "fay", "--yes", "--json")
    assert erased.json == {
        "program_id": "default",
        "member_id": "fay",
        "status": "erased",
        "outcomes_blanked": 2,
        "identifiers_deleted": 1,
        "requests_to_reject": 0,
    }
    after = await outcomes(owner, "fay")
    blank = dict.fromkeys(("reason", "comment", "source_id", "metadata"))
    for old, new in zip(before, after, strict=True):
        assert json.loads(new) == json.loads(old) | blank
        assert list(json.loads(new)) == list(json.loads(old))
    assert after[2] == before[2]
    assert b"secret" not in b"".join(after)
    assert (await points("balance", "fay", "--json")).json["wallets"] == balance
    repeated = await points("adjust", "fay", "50", "--request-id", "f-1", *personal,
                            "--reason-code", "X", "--adjusted-by", "op-1", "--json")  # fmt: skip
    assert repeated.stdout.rstrip(b"\n") == after[0]
    assert await key_of(points, "fay", "1") == "member_inactive"
    for command in (["enrol", "fay"], ["unblock", "fay"], ["block", "fay"],
                    ["identify", "fay", "--name", "mobile", "--value", "x"]):  # fmt: skip
        refused = await points("member", *command, env=ENV)
        assert (refused.code, "is erased" in refused.stderr) == (3, True)
    audit = await points("audit", "--json")
    assert audit.json["faults"] == []


async def outcomes(owner: asyncpg.Connection, member_id: str) -> list[bytes]:
    rows = await owner.fetch(
        "SELECT outcome FROM points.journal WHERE member_id = $1 ORDER BY sequence", member_id
    )
    return [row["outcome"] for row in rows]


async def test_erasing_goes_through_a_long_history(
    points: CommandLine, owner: asyncpg.Connection
) -> None:
    await points("adjust", "gil", "1", "--request-id", "g-0", "--comment", "secret")
    await owner.execute(
        "INSERT INTO points.journal SELECT (jsonb_populate_record(entry, jsonb_build_object("
        "'request_id', 'h-' || n, 'sequence', 1 + n))).* FROM points.journal AS entry,"
        " generate_series(1, 2500) AS n WHERE entry.member_id = 'gil'"
    )
    erased = await points("member", "erase", "gil", "--yes", "--json")
    assert erased.json["outcomes_blanked"] == 2501
    assert b"secret" not in b"".join(await outcomes(owner, "gil"))
    await owner.execute("DELETE FROM points.journal WHERE request_id LIKE 'h-%'")


async def test_a_request_that_waits_is_rejected_once_its_member_is_erased(
    points: CommandLine, owner: asyncpg.Connection
) -> None:
    await points("adjust", "hal", "1", "--ordinal", "1")
    body = {"member_id": "hal", "request_id": "h-3", "points": 7, "ordinal": 3, "reason": "secret"}
    connection = await aiormq.connect(points.scene.amqp_url)
    channel = await connection.channel()
    reply_to = str((await channel.queue_declare(exclusive=True)).queue)
    replies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def take(message: Any) -> None:
        replies.put_nowait(json.loads(message.body))

    await channel.basic_consume(reply_to, take, no_ack=True)
    await channel.basic_publish(
        json.dumps(body).encode(),
        exchange=adjustments_exchange(points.scene.prefix),
        routing_key=bucket_key("hal"),
        properties=aiormq.spec.Basic.Properties(reply_to=reply_to, correlation_id="x"),
    )
    waiting = "SELECT body FROM points.early_requests WHERE member_id = 'hal'"
    await until(lambda: owner.fetchval(waiting), what="the request waits")
    erased = await points("member", "erase", "hal", "--yes", "--json")
    assert erased.json["requests_to_reject"] == 1
    assert await owner.fetchval(waiting) is None
    reply = await asyncio.wait_for(replies.get(), DEADLINE_SECONDS)
    assert (reply["request_id"], reply["error"]["key"]) == ("h-3", "member_inactive")
    await connection.close()
    assert b"secret" not in b"".join(await outcomes(owner, "hal"))
    assert (await points("audit", "--json")).json["faults"] == []
