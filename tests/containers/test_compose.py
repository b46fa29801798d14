"""`docker compose up` gives a complete system, driven here from outside as a user would."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.containers.conftest import need
from tests.waiting import until
from tests.workers import ROOT
from worker.demo.servers.docker import POSTGRES_IMAGE, RABBITMQ_IMAGE
from worker.demo.servers.probe import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

PYTHON_IMAGE = "python:3.13-slim"
COMMAND_SECONDS = 400


class Compose:
    """A project of its own, on ports of its own, so that it disturbs no other."""

    def __init__(self) -> None:
        self.project = f"points-test-{secrets.token_hex(4)}"
        self.http_port = free_port()
        self._environment = os.environ | {
            "AMQP_PORT": str(free_port()),
            "MANAGEMENT_PORT": str(free_port()),
            "POSTGRES_PORT": str(free_port()),
            "HTTP_PORTS": str(self.http_port),
            "POINTS_IDENTIFIER_KEY": "a key for tests of identifiers",
        }

    def __call__(self, *arguments: str, code: int = 0, stdin: str = "") -> str:
        """Run a compose command, expecting an exit code, and return what it printed."""
        done = subprocess.run(
            ["docker", "compose", "--project-name", self.project, *arguments],
            cwd=ROOT,
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        assert code == done.returncode, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def worker(self, *arguments: str, code: int = 0, stdin: str = "") -> Any:
        """Run a command of the worker in a container of its own and return the JSON it printed."""
        command = ("run", "--rm", "-T", "worker", *arguments, "--json")
        return json.loads(self(*command, code=code, stdin=stdin))

    def is_ready(self) -> bool:
        """Whether the worker says that it is ready."""
        try:
            url = f"http://127.0.0.1:{self.http_port}/readyz"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    """A running system, taken down with its data afterwards."""
    need(RABBITMQ_IMAGE, POSTGRES_IMAGE, PYTHON_IMAGE)
    if subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False
    ).returncode:
        pytest.skip("needs the compose plugin of docker: it is not installed")
    project = Compose()
    try:
        project("up", "--build", "--detach", "--wait")
        yield project
    finally:
        project("down", "--volumes", "--timeout=30")


def test_a_request_sent_from_outside_is_applied(compose: Compose) -> None:
    outcome = compose.worker("adjust", "alice", "100")
    assert (outcome["status"], outcome["points"], outcome["balance"]) == ("APPLIED", "100", "100")
    refused = compose.worker("adjust", "alice", "-101", code=3)
    assert (refused["status"], refused["error"]["key"]) == ("REJECTED", "insufficient_points")


def test_the_same_request_twice_has_one_effect(compose: Compose) -> None:
    first = compose.worker("adjust", "bob", "70", "--request-id", "order-1")
    again = compose.worker("adjust", "bob", "70", "--request-id", "order-1")
    assert first == again
    assert compose.worker("outcome", "bob", "order-1") == first


def test_a_file_and_an_identifier_come_by_standard_input(compose: Compose) -> None:
    rows = "member_id,points\ndora,4\ndora,5\n"
    summary = compose.worker("import", "-", "--format", "csv", stdin=rows)
    assert (summary["sent"], summary["applied"]) == (2, 2)
    named = compose.worker("member", "identify", "dora", "--name", "mobile", stdin="+49 151 1\n")
    assert named["is_changed"]


def test_the_worker_in_the_container_is_nobody_special(compose: Compose) -> None:
    identity = compose("exec", "-T", "worker", "python", "-c", "import os; print(os.getuid())")
    assert identity.strip() == "10001"


async def test_a_stopped_worker_drains_and_a_started_one_carries_on(compose: Compose) -> None:
    compose.worker("adjust", "carol", "5")
    compose("stop", "worker")
    state = json.loads(compose("ps", "--all", "--format=json", "worker").splitlines()[0])
    assert (state["State"], state["ExitCode"]) == ("exited", 0)
    compose("start", "worker")
    await until(compose.is_ready, 150, "a ready worker")
    assert compose.worker("adjust", "carol", "6")["balance"] == "11"


def test_the_audit_finds_no_fault(compose: Compose) -> None:
    compose("run", "--rm", "-T", "worker", "audit")
