"""The demo as its user starts it: a process of its own, judged by its exit code and its JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import pytest

RUN_SECONDS_MAX = 250
OURS = ("AMQP_URL", "DATABASE_URL", "LOG_", "POINTS_")


async def demo(environment: dict[str, str], *arguments: str) -> tuple[int | None, str, str]:
    """Run the demo and return exit code, standard output and standard error."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "worker",
        "demo",
        *arguments,
        env=inherited | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(RUN_SECONDS_MAX):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
def environment(amqp_url: str, database_url: str, prefix: str) -> dict[str, str]:
    """The servers of the tests, named explicitly."""
    return {"AMQP_URL": amqp_url, "DATABASE_URL": database_url, "POINTS_PREFIX": prefix}


async def test_the_demo_kills_its_worker_and_everything_still_holds(
    environment: dict[str, str],
) -> None:
    code, out, err = await demo(environment, "--json", "--requests", "3000", "--members", "8")

    assert code == 0, err + out
    document: dict[str, Any] = json.loads(out)
    assert document["ok"]
    assert all(check["ok"] for check in document["audit"])
    assert all(story["ok"] for story in document["stories"])
    assert 1_500 <= document["burst"]["killed_after_answers"] <= 3_000
    assert document["burst"]["through_the_door"] > 0


async def test_the_demo_can_be_seen_twice_on_the_same_servers(
    environment: dict[str, str],
) -> None:
    for _ in range(2):
        code, out, err = await demo(environment, "--no-kill", "--requests", "200", "--members", "4")

        assert code == 0, err + out
        assert "All holds." in out
        assert "SELECT count(*)" in out
        assert environment["AMQP_URL"] not in out + err


async def test_an_address_that_nobody_answers_ends_the_demo_with_a_sentence(
    environment: dict[str, str],
) -> None:
    code, _, err = await demo(environment | {"AMQP_URL": "amqp://guest:guest@127.0.0.1:1/"})

    assert code == 69
    assert "Traceback" not in err
