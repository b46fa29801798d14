"""Commands where nothing is set up, and where a server is away."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.conftest import database_named
from tests.traffic import connected
from tests.waiting import DEADLINE_SECONDS
from worker.demo.servers.probe import free_port

if TYPE_CHECKING:
    from tests.integration.cli.conftest import CommandLine


async def test_a_fresh_system_is_set_up_command_by_command(fresh: CommandLine) -> None:
    doctor = await fresh("doctor", "--json")
    assert (doctor.code, doctor.json["ok"]) == (3, False)
    assert "Run `points-worker migrate`." in doctor.stdout.decode()
    for arguments in (["balance", "alice"], ["audit"], ["topology", "show"]):
        refused = await fresh(*arguments)
        assert refused.code == 78
        assert "run `points-worker migrate`" in refused.stderr
    migrated = await fresh("migrate", "--json")
    assert (migrated.code, migrated.json["applied"][0]) == (0, "0001_books")
    assert (await fresh("migrate", "--json")).json == {"applied": []}
    for arguments in (["adjust", "alice", "5"], ["tail"], ["dead-letters", "list"]):
        refused = await fresh(*arguments)
        assert refused.code == 78
        assert "points-worker topology declare" in refused.stderr
    bucket = await fresh("bucket", "123456789", "--json")
    assert (bucket.code, bucket.json["bucket_key"], bucket.json["queue"]) == (
        78,
        "bucket.038",
        None,
    )
    declared = await fresh("topology", "declare", "--json", env={"POINTS_PARTITIONS": "2"})
    assert (declared.code, declared.json["partitions"]) == (0, 2)
    shown = await fresh("topology", "show", "--json")
    assert (shown.code, shown.json["faults"], shown.json["bindings"]) == (0, [], 258)
    assert (await fresh("doctor", "--json")).json["ok"]
    assert (await fresh("audit", "--json")).json["ok"]
    elsewhere = await fresh("adjust", "alice", "5", env={"POINTS_PREFIX": "elsewhere"})
    prefix, _, declare = elsewhere.stderr.partition("POINTS_PREFIX")
    assert (elsewhere.code, "topology declare" in prefix) == (78, False)
    assert "`points-worker topology declare` first." in declare
    nobody = await fresh("adjust", "alice", "5", "--timeout", "0.5")
    assert nobody.code == 75
    assert nobody.stderr.startswith("No answer came within 0.5 s: `points-worker doctor` says")
    assert "harmless: --request-id" in nobody.stderr
    assert (await fresh("doctor", env={"POINTS_PARTITIONS": "3"})).code == 3


async def test_commands_need_only_the_server_that_they_read(fresh: CommandLine) -> None:
    await fresh("migrate")
    await fresh("topology", "declare")
    no_broker = {"AMQP_URL": f"amqp://guest:s3cret@127.0.0.1:{free_port()}/"}
    no_database = {"DATABASE_URL": f"postgresql://x:s3cret@127.0.0.1:{free_port()}/x"}
    of_postgres = (["balance", "a"], ["history", "a"], ["audit"], ["bucket", "a"], ["migrate"])
    of_rabbitmq = (["dead-letters", "list"], ["adjust", "a", "1", "--timeout", "0.5"])
    for commands, missing, other, sentence in (
        (of_postgres, no_database, no_broker, "Postgres is not reachable"),
        (of_rabbitmq, no_broker, no_database, "RabbitMQ at 127.0.0.1"),
    ):
        for arguments in commands:
            unset = "AMQP_URL" if other is no_broker else "DATABASE_URL"
            assert (await fresh(*arguments, env={unset: ""})).code in {0, 3, 75}
            # Nobody knows the member, and no worker answers: that much one server tells.
            assert (await fresh(*arguments, env=other)).code in {0, 3, 75}
            away = await fresh(*arguments, env=missing)
            assert (away.code, len(away.stderr.splitlines())) == (69, 1)
            assert away.stderr.startswith(sentence)
    for unset in ("AMQP_URL", "DATABASE_URL"):
        refused = await fresh("doctor", env={unset: ""})
        assert (refused.code, refused.stderr.startswith(f"{unset} is missing")) == (78, True)
    both = await fresh("doctor", "--json", env=no_broker | no_database)
    assert (both.code, b"s3cret" in both.stdout) == (3, False)
    faults = {check["subject"] for check in both.json["checks"] if check["verdict"] == "fault"}
    assert faults == {"postgres", "rabbitmq"}


async def test_a_wrong_password_is_bad_configuration(fresh: CommandLine) -> None:
    url = urlsplit(fresh.scene.amqp_url)
    wrong = url._replace(netloc=f"{url.username}:wr0ng@{url.hostname}:{url.port}").geturl()
    refused = await fresh("dead-letters", "list", env={"AMQP_URL": wrong})
    assert (refused.code, "wr0ng" in refused.stderr) == (78, False)
    nowhere = database_named(fresh.scene.database_url, "no_such_database")
    assert (await fresh("balance", "a", env={"DATABASE_URL": nowhere})).code == 78


async def test_the_doctor_sees_a_journal_that_can_be_changed(fresh: CommandLine) -> None:
    await fresh("migrate")
    await fresh("topology", "declare")
    connection = await asyncpg.connect(fresh.scene.database_url)
    for privilege in ("DELETE", "UPDATE (outcome)", "TRUNCATE"):
        await connection.execute(f"GRANT {privilege} ON points.journal TO points_worker")
        doctor = await fresh("doctor", "--json")
        roles = [c["verdict"] for c in doctor.json["checks"] if c["subject"] == "role"]
        assert (doctor.code, roles) == (3, ["fault"])
        await connection.execute(f"REVOKE {privilege} ON points.journal FROM points_worker")
    await connection.close()
    assert (await fresh("doctor")).code == 0


async def test_the_doctor_and_show_see_what_is_missing_on_the_broker(fresh: CommandLine) -> None:
    await fresh("migrate")
    await fresh("topology", "declare")
    await fresh.scene.delete_topology()
    shown = await fresh("topology", "show", "--json")
    assert shown.code == 3
    assert f"Queue {fresh.scene.prefix}.partition.1.007 is missing." in shown.json["faults"]
    doctor = await fresh("doctor", "--json")
    assert (doctor.code, "topology declare" in json.dumps(doctor.json)) == (3, True)
    lines = (await fresh("doctor", env={"COLUMNS": "80"})).stdout.decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert "→ Run `points-worker topology declare`." in map(str.strip, lines)
    assert (await fresh("topology", "declare")).code == 0
    assert (await fresh("topology", "show")).code == 0


async def test_only_a_queue_with_other_properties_is_to_be_deleted_and_once_it_is_empty(
    fresh: CommandLine,
) -> None:
    await fresh("migrate")
    await fresh("topology", "declare")
    queue = f"{fresh.scene.prefix}.partition.1.003"
    async with connected(fresh.scene.amqp_url) as connection:
        channel = await connection.channel()
        await channel.queue_delete(queue)
        await channel.queue_declare(queue, durable=True)
        doctor = await fresh("doctor", "--json")
        [fault] = [one for one in doctor.json["checks"] if one["verdict"] == "fault"]
        remedy = "Once it is empty, delete it, and run `points-worker topology declare`."
        assert (fault["text"].partition(" is ")[0], fault["remedy"]) == (f"Queue {queue}", remedy)
        declared = await fresh("topology", "declare")
        assert (declared.code, declared.stderr.rstrip().endswith(remedy)) == (78, True)
        process = await fresh.start("run")
        _, told = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
        assert (process.returncode, remedy in told.decode()) == (78, True)
        await channel.queue_delete(queue)
        await channel.queue_declare(queue, exclusive=True)
        locked = await fresh("doctor", "--json")
        assert "RESOURCE_LOCKED" in locked.stdout.decode()
        assert b"delete" not in locked.stdout


@pytest.mark.parametrize("arguments", [["run"], ["balance", "a"], ["doctor"]], ids=" ".join)
async def test_bad_settings_are_told_in_words(fresh: CommandLine, arguments: list[str]) -> None:
    refused = await fresh(*arguments, env={"POINTS_BATCH_MAX": "many"})
    assert refused.code == 78
    assert "POINTS_BATCH_MAX must be a whole number" in refused.stderr
