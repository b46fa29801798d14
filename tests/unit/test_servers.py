"""The servers that the demo and the tests run on: how they are chosen, and that none is left."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import until
from worker.demo.servers import Given, ServerError, Servers
from worker.demo.servers.apt import POLICY_TEXT
from worker.demo.servers.guard import Guard, watch
from worker.demo.servers.probe import PORT_MAX, PORT_MIN, await_ready, free_port, speaks_amqp

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


def sleeper() -> subprocess.Popen[bytes]:
    """A process of its own group that ends when told to."""
    process = subprocess.Popen(SLEEPER, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.stdout.close()
    return process


def test_servers_named_by_a_url_are_used_and_never_stopped() -> None:
    said: list[str] = []
    with Servers(amqp_url="amqp://a/", database_url="postgresql://b/c", say=said.append) as servers:
        assert (servers.amqp_url, servers.database_url) == ("amqp://a/", "postgresql://b/c")
        with pytest.raises(ServerError, match="AMQP_URL is not ours to stop"):
            servers.rabbitmq.stop()
        with pytest.raises(ServerError, match="DATABASE_URL is not ours to start"):
            servers.postgres.start()
    assert said == [
        "RabbitMQ: the one named by AMQP_URL.",
        "PostgreSQL: the one named by DATABASE_URL.",
    ]


def test_an_unset_url_of_a_given_server_does_not_stop_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without Docker there is no server, and the error names what was tried."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServerError, match=r"rabbitmq-server: the docker command is not installed"):
        Servers(amqp_url="", only="docker", say=lambda _: None).__enter__()


def test_ports_lie_below_those_of_outgoing_connections() -> None:
    port = free_port()
    assert PORT_MIN <= port <= PORT_MAX
    assert not speaks_amqp(port)


def test_waiting_for_a_server_ends_as_soon_as_it_has_failed() -> None:
    with pytest.raises(ServerError, match="it did not start: no memory"):
        await_ready("it", lambda: False, lambda: "no memory", 60)


def test_waiting_for_a_server_ends_at_its_limit() -> None:
    with pytest.raises(ServerError, match="it was not ready within 0 s"):
        await_ready("it", lambda: False, lambda: None, 0)


def test_the_guard_stops_what_a_killed_owner_left_running(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    process = sleeper()
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(process.pid), str(folder)], stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    with owner.stdout:
        assert owner.stdout.readline() == b"promised\n"
        owner.kill()
        owner.wait()
    assert process.wait(30) == -signal.SIGTERM


OWNER = """
import signal, sys, time
from worker.demo.servers.apt import POLICY_TEXT
from worker.demo.servers.guard import Guard
guard = Guard()
guard.remove_folder("folder", sys.argv[2])
guard.stop_group("process", int(sys.argv[1]), signal.SIGTERM)
print("promised", flush=True)
time.sleep(600)
"""


def test_the_guard_forgets_what_its_owner_undid() -> None:
    process = sleeper()
    try:
        guard = Guard()
        guard.stop_group("process", process.pid, signal.SIGKILL)
        guard.forget("process")
        guard.close()
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_the_guard_runs_commands_and_removes_folders_newest_first(tmp_path: Path) -> None:
    folder, witness = tmp_path / "data", tmp_path / "seen"
    folder.mkdir()
    orders = [
        ["folder", ["remove", str(folder)]],
        ["command", ["run", "cp", "-r", str(folder), str(witness)]],
    ]
    watch(io.StringIO("".join(json.dumps(order) + "\n" for order in orders)))
    assert (folder.exists(), witness.exists()) == (False, True)


async def test_a_killed_process_leaves_no_private_server_behind() -> None:
    """A whole private PostgreSQL, its processes and its data, goes with its owner."""
    owner = subprocess.Popen(
        [sys.executable, "-c", SERVERS_OWNER], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    with owner.stdout:
        folder = Path(owner.stdout.readline().strip())
        assert folder.is_dir()
        postmaster = int((folder / "postgres/data/postmaster.pid").read_text().splitlines()[0])
        owner.kill()
        owner.wait()
    await until(lambda: not folder.exists(), 30, "the removal of the data")
    await until(lambda: ended(postmaster), 10, "the end of the server")


SERVERS_OWNER = """
import time
from worker.demo.servers import Servers
servers = Servers(amqp_url="amqp://unused/", only="private", fsync=False, say=lambda _: None)
with servers:
    print(servers._folder, flush=True)
    time.sleep(600)
"""


def ended(pid: int) -> bool:
    """Whether a process runs no more (nobody may have reaped it yet)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_a_given_server_says_where_it_comes_from() -> None:
    assert Given("amqp://a/", "AMQP_URL").origin == "the one named by AMQP_URL"


def test_packaged_services_are_kept_from_starting_only_while_we_live(tmp_path: Path) -> None:
    """The answer to Debian's question is 101, no, while its author lives, and then 0, yes."""
    process = sleeper()
    policy = tmp_path / "policy-rc.d"
    policy.write_text(POLICY_TEXT.format(pid=process.pid))
    assert subprocess.run(["sh", policy], check=False).returncode == 101
    process.kill()
    process.wait()
    assert subprocess.run(["sh", policy], check=False).returncode == 0
