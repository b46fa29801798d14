"""Commands beside a running worker."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import aiormq
import asyncpg
import pytest

from schemas.event import Event
from schemas.outcome import Outcome
from tests.waiting import DEADLINE_SECONDS, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cli.conftest import CommandLine, Done

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_request_is_applied_answered_and_looked_up(points: CommandLine) -> None:
    adjusted = await points(
        *("adjust", "alice", "100", "--request-id", "order-1", "--reason", "Welcome"),
        *("--metadata", '{"till": 4.50}', "--json"),
    )
    Outcome.model_validate_json(adjusted.stdout)
    assert adjusted.code == 0
    assert b'"metadata":{"till":4.50}' in adjusted.stdout
    again = await points("adjust", "alice", "100.00", "--request-id", "order-1", "--reason",
                         "Welcome", "--metadata", '{"till":4.50}', "--json")  # fmt: skip
    assert (again.code, again.stdout) == (0, adjusted.stdout)
    stored = await points("outcome", "alice", "order-1", "--json")
    assert (stored.code, stored.stdout) == (0, adjusted.stdout)
    for arguments in (["outcome", "alice", "order-1"], ["history", "alice"]):
        assert "Welcome" in (await points(*arguments)).stdout.decode()
    assert (await points("outcome", "alice", "order-2")).code == 3


async def test_where_publishers_are_listed_the_workers_own_user_may_adjust_by_hand(
    points: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "strict.toml"
    file.write_text(
        'program_id = "strict"\nname = "Strict"\nstatus = "active"\ntime_zone = "UTC"\n'
        '[[currencies]]\ncode = "points"\ndecimals = 0\nexpiry = { rule = "never" }\n'
        '[[publishers]]\nuser_id = "till"\nmay = ["adjust"]\n'
    )
    assert (await points("program", "apply", str(file))).code == 0
    adjusted = await points("adjust", "alice", "5", "--program-id", "strict", "--json")
    assert (adjusted.code, adjusted.json["status"]) == (0, "APPLIED")


async def test_a_negative_number_is_an_amount_and_a_rejection_ends_with_3(
    points: CommandLine,
) -> None:
    assert (await points("adjust", "bob", "50")).code == 0
    debit = await points("adjust", "bob", "-20", "--json")
    assert (debit.code, debit.json["balance"]) == (0, "30")
    refused = await points("adjust", "bob", "-31", "--json")
    assert (refused.code, refused.json["error"]["key"]) == (3, "insufficient_points")
    assert "insufficient_points" in (await points("adjust", "bob", "-31")).stdout.decode()
    allowed = await points("adjust", "bob", "-31", "--allow-negative", "--json")
    assert (allowed.code, allowed.json["balance"]) == (0, "-1")
    assert (await points("adjust", "bob", "5", "--operation", "HOLD")).code == 3


async def test_a_request_comes_from_a_file_and_options_replace_what_it_says(
    points: CommandLine,
) -> None:
    body = b'{"member_id": "carol", "points": 9.00, "comment": "from the file"}'
    plain = await points("adjust", "-f", "-", "--json", stdin=b"\xef\xbb\xbf" + body)
    assert (plain.json["points"], plain.json["comment"]) == ("9", "from the file")
    changed = await points(
        "adjust", "-f", "-", "carol", "-4", "--comment", "x", "--json", stdin=body
    )
    assert (changed.json["balance"], changed.json["comment"]) == ("5", "x")
    faulty = await points(
        "adjust", "-f", "-", "--json", stdin=b'{"member_id": "carol", "pionts": 1}'
    )
    assert (faulty.code, faulty.json["error"]["key"]) == (3, "invalid_payload")


async def test_a_balance_shows_wallets_and_their_lots_in_the_order_of_use(
    points: CommandLine,
) -> None:
    await points("adjust", "dora", "70")
    await points("adjust", "dora", "30", "--expiration-type", "CUSTOM_DATE",
                 "--expiration-date", "2090-12-31")  # fmt: skip
    await points("adjust", "dora", "5", "--category", "PROMISED")
    shown = await points("balance", "dora", "--lots", "1", "--json")
    promised, regular = shown.json["wallets"]
    assert (promised["category"], promised["balance"]) == ("PROMISED", "5")
    assert (regular["balance"], regular["available"], regular["version"]) == ("100", "100", 2)
    expiry = {"points": "30", "expires_at": "2091-01-01T00:00:00Z"}
    assert regular["next_expiry"] == expiry
    assert [lot["remaining"] for lot in regular["lots"]] == ["30"]
    assert regular["lots_truncated"]
    assert "2091-01-01" in (await points("balance", "dora")).stdout.decode()
    nobody = await points("balance", "nobody", "--json")
    assert (nobody.code, nobody.json["wallets"]) == (3, [])


async def test_what_else_a_request_caused_is_shown_where_it_is_asked_for(
    points: CommandLine,
) -> None:
    await points("adjust", "kim", "7", "--expiration-type", "CUSTOM_DATE",
                 "--expiration-date", "2090-12-31")  # fmt: skip
    connection = await asyncpg.connect(points.scene.database_url)
    await connection.execute(
        "UPDATE points.lots SET expires_at = now() - interval '1 day' WHERE member_id = 'kim'"
    )
    await connection.close()
    assert (await points("adjust", "kim", "1", "--request-id", "k-2")).code == 0
    own = await points("outcome", "kim", "k-2", "--json")
    both = await points("outcome", "kim", "k-2", "--caused", "--json")
    expired, answer = map(json.loads, both.stdout.splitlines())
    assert (own.json, expired["points"], expired["caused_by"]) == (answer, "-7", "k-2")
    for arguments, is_told in (([], False), (["--caused"], True)):
        shown = await points("outcome", "kim", "k-2", *arguments)
        assert (b"POINTS_EXPIRED" in shown.stdout) is is_told


async def test_a_history_is_the_events_newest_last_page_by_page(points: CommandLine) -> None:
    for amount in ("1", "2", "-9", "4"):
        await points("adjust", "erik", amount)
    lines = (await points("history", "erik", "--json")).json
    assert [line["sequence"] for line in lines] == [1, 2, 3, 4]
    assert [line["type"] for line in lines][2:] == ["ADJUSTMENT_REJECTED", "POINTS_ADJUSTED"]
    page = (await points("history", "erik", "--limit", "2", "--before", "4", "--json")).json
    assert page == lines[1:3]
    none = await points("history", "erik", "--before", "1", "--json")
    assert (none.code, none.json, none.stderr) == (0, [], "")


@pytest.mark.parametrize(
    ("command", "empty"), [(["balance"], "wallets"), (["history", "--lots"], None)]
)
async def test_a_member_nobody_heard_of_ends_with_3_and_one_that_has_nothing_yet_with_0(
    points: CommandLine, command: list[str], empty: str | None
) -> None:
    sentence = "Programme default does not know member nobody.\n"
    told = await points(*command, "nobody")
    assert (told.code, told.stdout, told.stderr) == (3, b"", sentence)
    as_json = await points(*command, "nobody", "--json")
    assert (as_json.code, as_json.stderr) == (3, sentence)
    assert (as_json.json[empty] if empty else as_json.json) == []
    await points("member", "enrol", "newcomer")
    new = await points(*command, "newcomer")
    assert (new.code, new.stdout) == (0, b"")
    assert new.stderr.startswith("Member newcomer of programme default has no ")


@pytest.mark.parametrize(
    "command", [["balance", "a"], ["history", "a"], ["member", "erase", "a", "--yes"]], ids=" ".join
)
async def test_a_programme_that_there_is_not_is_told_as_such(
    points: CommandLine, command: list[str]
) -> None:
    told = await points(*command, "--program", "nowhere")
    assert (told.code, told.stderr) == (3, "There is no programme nowhere.\n")


async def test_a_balance_has_the_currencies_in_the_order_of_the_document(
    points: CommandLine,
) -> None:
    codes = ["zinc", "amber", "mica"]
    document = 'program_id = "ordered"\n' + "".join(
        f'[[currencies]]\ncode = "{code}"\n' for code in codes
    )
    assert (await points("program", "apply", "-", stdin=document.encode())).code == 0
    for code in ("amber", "mica", "zinc"):
        await points("adjust", "olga", "1", "--program", "ordered", "--currency", code)
    shown = await points("balance", "olga", "--program", "ordered", "--json")
    assert [wallet["currency"] for wallet in shown.json["wallets"]] == codes


async def test_a_balance_tells_how_many_requests_wait_and_for_which_ordinal(
    points: CommandLine,
) -> None:
    async def waiting() -> Any:
        # So little time may be over before a request is published: it is asked for again then.
        for ordinal, stream in ((2, []), (4, []), (5, ["--ordinal-stream", "till"])):
            named = ["--ordinal", str(ordinal), *stream, "--request-id", f"w-{ordinal}"]
            late = await points("adjust", "willow", "1", *named, "--timeout", "0.1")
            assert late.code == 75
        told = (await points("balance", "willow", "--json")).json["waiting"]
        return told if sum(one["requests"] for one in told) == 3 else None

    assert await until(waiting, what="they wait") == [
        {"stream": "", "ordinal": 1, "requests": 2},
        {"stream": "till", "ordinal": 1, "requests": 1},
    ]
    nothing_yet = await points("balance", "willow")
    assert nothing_yet.stdout.decode().splitlines() == [
        "2 requests wait for ordinal 1.",
        "1 request waits for ordinal 1 of stream till.",
    ]
    await points("adjust", "willow", "1", "--ordinal", "1")
    one_left = (await points("balance", "willow")).stdout.decode()
    assert "\n\n1 request waits for ordinal 3.\n" in one_left


async def test_tail_follows_what_it_was_asked_for(points: CommandLine) -> None:
    process = await points.start("tail", "--member", "frida", "--program", "default", "--json",
                                 "--type", "POINTS_ADJUSTED", "--limit", "2")  # fmt: skip
    assert process.stderr is not None
    await asyncio.wait_for(process.stderr.readline(), DEADLINE_SECONDS)
    for member, amount in (("gustav", "1"), ("frida", "2"), ("frida", "-9"), ("frida", "3")):
        await points("adjust", member, amount)
    output, _ = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    events = [Event.model_validate_json(line) for line in output.splitlines()]
    assert [(event.subject, event.data.points) for event in events] == [
        ("frida", "2"),
        ("frida", "3"),
    ]
    assert process.returncode == 0


async def test_tail_tells_in_a_line_what_came_of_each_request(points: CommandLine) -> None:
    process = await points.start("tail", "--member", "ines", "--limit", "4")
    assert process.stderr is not None
    await asyncio.wait_for(process.stderr.readline(), DEADLINE_SECONDS)
    await points("adjust", "ines", "10")
    await points("adjust", "ines", "4", "--operation", "HOLD", "--request-id", "hold-1")
    await points("adjust", "ines", "-11")
    await points("adjust", "ines", "--operation", "RELEASE", "--hold", "hold-1")
    output, _ = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    lines = output.decode().splitlines()
    assert "POINTS_ADJUSTED  10 → 10  points REGULAR" in lines[0]
    assert "POINTS_HELD  6 of 10 available  points REGULAR" in lines[1]
    assert "ADJUSTMENT_REJECTED  insufficient_points: " in lines[2]
    assert "POINTS_RELEASED  10 of 10 available  points REGULAR" in lines[3]


async def test_tail_ends_well_at_an_interrupt(points: CommandLine) -> None:
    process = await points.start("tail")
    assert process.stderr is not None
    await asyncio.wait_for(process.stderr.readline(), DEADLINE_SECONDS)
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), DEADLINE_SECONDS) == 0
    assert b"Traceback" not in await process.stderr.read()


async def test_a_reader_who_has_had_enough_is_no_bug(points: CommandLine) -> None:
    for arguments in (["balance", "jon"], ["balance", "jon", "--json"]):
        await points("adjust", "jon", "1")
        reading, writing = os.pipe()
        os.close(reading)
        process = await points.start(*arguments, stdout=writing)
        os.close(writing)
        _, errors = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
        assert (process.returncode, errors) == (141, b"")


async def test_a_bucket_leads_to_the_lane_that_takes_it(points: CommandLine) -> None:
    shown = (await points("bucket", "123456789", "--json")).json
    assert shown == {
        "member_id": "123456789",
        "bucket": 38,
        "bucket_key": "bucket.038",
        "partition": 6,
        "queue": f"{points.scene.prefix}.partition.1.006",
    }


async def publish(points: CommandLine, body: bytes, **properties: Any) -> None:
    """Publish a message that nobody can understand."""
    connection = await aiormq.connect(points.scene.amqp_url)
    channel = await connection.channel()
    exchange = f"{points.scene.prefix}.adjustments"
    await channel.basic_publish(
        body,
        exchange=exchange,
        routing_key="" if properties else "bucket.000",
        properties=aiormq.spec.Basic.Properties(**properties),
    )
    await connection.close()


async def letters(points: CommandLine, count: int) -> Done:
    """Wait until so many dead letters are listed."""

    async def listed() -> Done | None:
        done = await points("dead-letters", "list", "--json")
        return done if len(done.json) == count else None

    found = await until(listed, what=f"{count} dead letters")
    assert found is not None
    return found


async def test_dead_letters_are_listed_shown_replayed_and_dropped(points: CommandLine) -> None:
    await publish(points, b'{"member_id": "secret \x1b[31m"')
    await publish(points, b'{"points": 5}')
    listed = await letters(points, 2)
    assert [letter["reason"] for letter in listed.json] == ["malformed_json", "missing_member_id"]
    assert {letter["routing_key"] for letter in listed.json} == {"bucket.000"}
    table = (await points("dead-letters", "list", "--limit", "1")).stdout
    malformed = listed.json[0]["id"]
    assert malformed.encode() in table
    shown = await points("dead-letters", "show", malformed)
    assert b"secret" not in listed.stdout + table + shown.stdout
    with_body = await points("dead-letters", "show", malformed, "--body")
    assert rb"secret \x1b[31m" in with_body.stdout
    assert b"\x1b[31m" not in with_body.stdout
    as_json = await points("dead-letters", "show", malformed, "--body", "--json")
    assert as_json.json["body"] == '{"member_id": "secret \x1b[31m"'
    assert (await points("dead-letters", "show", "0" * 16)).code == 3
    replayed = await points("dead-letters", "replay", malformed, "--yes", "--json")
    assert (replayed.code, replayed.json) == (0, {"replayed": [malformed]})
    both = [letter["id"] for letter in (await letters(points, 2)).json]
    assert both[1] == malformed

    async def doctor_counts_both() -> bool:
        doctor = await points("doctor", "--json")
        assert doctor.code == 0
        checks = {check["subject"]: check["text"] for check in doctor.json["checks"]}
        return bool(checks["dead letters"] == "2 wait")

    # The broker does not count what whoever listed it is just giving back.
    await until(doctor_counts_both, what="both letters in the doctor's count")
    kept = await points("dead-letters", "drop", *both, stdin=b"no\n")
    assert (kept.code, "Nothing done." in kept.stderr) == (0, True)
    assert [letter["id"] for letter in (await letters(points, 2)).json] == both
    dropped = await points("dead-letters", "drop", *both, stdin=b"y\n")
    assert dropped.code == 0
    gone = await points("dead-letters", "drop", *both, "--yes", "--json")
    assert (gone.code, gone.json) == (3, {"dropped": []})
    assert (await letters(points, 0)).code == 0


async def test_the_identifier_of_a_dead_letter_is_shown_only_with_its_body(
    points: CommandLine,
) -> None:
    await publish(
        points,
        b"{}",
        message_type="capillary.negative_points_adjustment",
        message_id="till-1",
        headers={"identifier-name": "mobile", "identifier-value": "4917012345"},
    )
    [letter] = (await letters(points, 1)).json
    for option in ([], ["--json"]):
        shown = await points("dead-letters", "show", letter["id"], *option)
        assert (shown.code, b"identifier-value" in shown.stdout) == (0, True)
        assert b"4917012345" not in shown.stdout
        whole = await points("dead-letters", "show", letter["id"], "--body", *option)
        assert b"4917012345" in whole.stdout
    assert (await points("dead-letters", "drop", letter["id"], "--yes")).code == 0


async def test_the_audit_ends_with_3_and_a_sentence_for_a_fault(points: CommandLine) -> None:
    assert (await points("adjust", "ida", "12")).code == 0
    healthy = await points("audit", "--json")
    assert (healthy.code, healthy.json["ok"], healthy.json["faults"]) == (0, True, [])
    connection = await asyncpg.connect(points.scene.database_url)
    lose = "UPDATE points.lots SET remaining = remaining {} 1 WHERE member_id = 'ida'"
    await connection.execute(lose.format("-"))
    found = await points("audit", "--json")
    [fault] = found.json["faults"]
    assert (found.code, found.json["ok"], fault["rule"], fault["member_id"]) == (
        3,
        False,
        "lots",
        "ida",
    )
    assert fault["sentence"] in (await points("audit")).stdout.decode()
    await connection.execute(lose.format("+"))
    await connection.close()
    assert (await points("audit")).code == 0


async def test_the_doctor_finds_a_running_worker_well(points: CommandLine) -> None:
    doctor = await points("doctor", "--json")
    verdicts = {check["subject"]: check["verdict"] for check in doctor.json["checks"]}
    assert (doctor.code, verdicts["workers"], verdicts["role"]) == (0, "ok", "ok")
    assert {setting["name"] for setting in doctor.json["settings"]} >= {"AMQP_URL", "POINTS_PREFIX"}
    assert json.dumps(doctor.json).count("***") >= 2
