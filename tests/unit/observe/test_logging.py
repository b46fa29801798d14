"""Every line of the log has stable keys, and no secret."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog

import worker
from worker.observe import logging as observed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.settings import LogFormat, LogLevel

LIBRARIES = ("aio_pika", "aiormq", "asyncpg", "asyncio")
PASSWORD_URL = "amqp://till:hush@broker:5672/vhost"


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("worker")
    before = (root.handlers[:], root.level, ours.level)
    yield
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)
    structlog.reset_defaults()


@contextmanager
def log_file(path: Path, level: LogLevel = "info", format_: LogFormat = "auto") -> Iterator[None]:
    with path.open("w") as stream:
        observed.configure(level, format_, worker_id="w-1", version="1.2.3", stream=stream)
        yield


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_has_its_event_time_level_logger_and_process(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with log_file(path):
        structlog.get_logger("worker.lane").bind(lane=3).info("batch_applied", requests=500)
        # Read while the stream is still open: what was logged is there at once.
        [line] = lines_of(path)

    timestamp = line.pop("timestamp")
    assert timestamp.endswith("Z")
    assert timestamp[10] == "T"
    assert line == {
        "event": "batch_applied",
        "requests": 500,
        "lane": 3,
        "level": "info",
        "logger": "worker.lane",
        "worker_id": "w-1",
        "version": "1.2.3",
    }


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_only_what_is_severe_enough_is_logged(
    level: LogLevel, seen: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "log"
    with log_file(path, level):
        log = structlog.get_logger("worker.lane")
        for severity in ("debug", "info", "warning", "error"):
            getattr(log, severity)("it_happened")

    assert seen == [line["level"] for line in lines_of(path)]


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("level", ["debug", "info"])
def test_libraries_are_heard_from_warnings_upwards(
    name: str, level: LogLevel, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    with log_file(path, level):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("lost %s", PASSWORD_URL)

    [line] = lines_of(path)
    assert line["event"] == "library_message"
    assert line["message"] == "lost amqp://till:***@broker:5672/vhost"
    assert (line["logger"], line["level"]) == (name, "warning")
    assert (line["worker_id"], line["version"]) == ("w-1", "1.2.3")


class Opaque:
    def __str__(self) -> str:
        return f"reached by {PASSWORD_URL}"


@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(PASSWORD_URL, id="text"),
        pytest.param(PASSWORD_URL.encode(), id="bytes"),
        {"url": PASSWORD_URL, "password": "hush"},
        {PASSWORD_URL: 1},
        [1, ("x", {"deep": [PASSWORD_URL]})],
        {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": {"j": PASSWORD_URL}}}}}}}}}},
        Opaque(),
        ConnectionError(f"cannot reach {PASSWORD_URL}"),
    ],
)
def test_no_secret_shows_whatever_holds_it(
    value: object, format_: LogFormat, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    with log_file(path, format_=format_):
        structlog.get_logger("worker.app").error("server_unreachable", found=value)
        logging.getLogger("aiormq").error("cannot reach %r", value)

    text = path.read_text()
    assert text.count("\n") == 2
    assert "hush" not in text


def refuse(payload: str) -> None:
    raise ConnectionError(f"{len(payload)}: {PASSWORD_URL}")


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_traceback_shows_neither_secrets_nor_local_variables(
    format_: LogFormat, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    with log_file(path, format_=format_):
        payload = "account 4711"
        try:
            refuse(payload)
        except ConnectionError:
            structlog.get_logger("worker.app").exception("server_unreachable")
            logging.getLogger("asyncio").exception("unhandled")

    text = path.read_text()
    assert text.count("ConnectionError: 12: amqp://till:***@broker") == 2
    assert text.count("in refuse") == 2
    assert "hush" not in text
    assert "4711" not in text


def test_values_named_like_secrets_are_hidden_whatever_they_are(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with log_file(path):
        structlog.get_logger("worker.app").info("told", token=4711, password="hush", secret=None)

    [line] = lines_of(path)
    assert (line["token"], line["password"], line["secret"]) == ("***", "***", None)


def test_configuring_again_replaces_what_was_configured(tmp_path: Path) -> None:
    log = structlog.get_logger("worker.app")
    with log_file(tmp_path / "first"):
        log.info("one")
        with log_file(tmp_path / "second", "error"):
            log.info("two")
            log.error("three")

    assert [line["event"] for line in lines_of(tmp_path / "first")] == ["one"]
    assert [line["event"] for line in lines_of(tmp_path / "second")] == ["three"]


def test_auto_means_console_on_a_terminal() -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        observed.configure("info", "auto", worker_id="w-1", version="1.2.3", stream=terminal)
        structlog.get_logger("worker.app").info("started")
        line = os.read(leader, 10_000).decode()
    os.close(leader)

    assert "started" in line
    assert not line.startswith("{")


@pytest.mark.parametrize("format_", ["auto", "json"])
def test_auto_means_json_where_nobody_reads(format_: LogFormat) -> None:
    stream = io.StringIO()
    observed.configure("info", format_, worker_id="w-1", version="1.2.3", stream=stream)
    structlog.get_logger("worker.app").info("started")

    assert json.loads(stream.getvalue())["event"] == "started"


def test_a_process_logs_to_standard_error_before_it_is_killed() -> None:
    code = (
        "import os, signal, structlog\n"
        "from worker.observe.logging import configure\n"
        "configure('info', 'auto', worker_id='w-1', version='1.2.3')\n"
        "structlog.get_logger('worker.app').info('started')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(worker.__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert process.stdout == ""
    assert json.loads(process.stderr)["event"] == "started"
