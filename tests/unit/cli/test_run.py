"""How `run` ends before it has reached any server: a process of its own, judged by what it says."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

from tests.workers import OURS, ROOT
from worker.exits import EXIT_BAD_CONFIGURATION, EXIT_BUG

# A worker in which one thing is wrong that nobody can have foreseen.
BROKEN = """
from worker import app, cli

async def check(settings):
    raise KeyError("a bug")

app.check = check
cli.main()
"""


def run(program: tuple[str, ...], **env: str) -> subprocess.CompletedProcess[str]:
    """Run a worker whose servers do not exist."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    ours = {"AMQP_URL": "amqp://127.0.0.1:1/", "DATABASE_URL": "postgresql://127.0.0.1:1/x"}
    return subprocess.run(
        [sys.executable, *program, "run"],
        cwd=ROOT,
        env=inherited | ours | {"POINTS_HTTP_HOST": "127.0.0.1"} | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_taken_port_is_told_in_one_sentence_that_names_the_settings() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(("-m", "worker"), POINTS_HTTP_PORT=str(port))
    assert done.returncode == EXIT_BAD_CONFIGURATION
    [told] = done.stderr.splitlines()
    assert told.startswith(
        f"POINTS_HTTP_PORT={port} cannot be served on POINTS_HTTP_HOST=127.0.0.1"
    )
    assert "address already in use" in told
    assert told.endswith("choose another port, or 0 for none.")


def test_a_bug_stands_in_the_log_with_its_traceback_and_ends_with_1() -> None:
    done = run(("-c", BROKEN), POINTS_HTTP_PORT="0", LOG_FORMAT="json")
    assert done.returncode == EXIT_BUG
    [line] = [json.loads(line) for line in done.stderr.splitlines()]
    assert (line["event"], line["level"]) == ("bug", "error")
    assert "Traceback" in line["exception"]
    assert "KeyError: 'a bug'" in line["exception"]
