"""What the READMEs say is so: names, defaults, codes, commands, files, and small programs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args

import pytest
import typer

from schemas.errors import ERRORS
from schemas.event import Event
from schemas.names import Category, Operation
from schemas.outcome import Outcome
from schemas.request import AdjustmentRequest
from schemas.topology import bucket_key
from tests.readmes import (
    CONTRACT_README,
    README,
    READMES,
    ROOT,
    blocks,
    links,
    named,
    shell_lines,
    spans,
    table,
)
from worker import exits
from worker.cli.main import app
from worker.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

WITH_FILES = {".py", ".json", ".md", ".sql", ".yml", ".toml"}
PATH = re.compile(r"[\w.*-]+(/[\w.*-]+)*/?|(\.\./)+[\w/]+")

# The headings of columns in which every name is that of a file or folder.
PLACES = {"schemas": "file", "tests": "Folder", "worker": "where"}

# What the command line's exit codes mean, in words that the README uses for them.
MEANINGS = {
    "EXIT_OK": "all well",
    "EXIT_BUG": "a bug",
    "EXIT_USAGE": "wrong usage",
    "EXIT_FAULT_FOUND": "found a fault",
    "EXIT_UNREACHABLE": "could not be reached",
    "EXIT_TRY_AGAIN": "try again",
    "EXIT_BAD_CONFIGURATION": "bad configuration",
    "EXIT_INTERRUPTED": "interrupted",
    "EXIT_NOBODY_READS": "nobody reads",
}

# What AMQP, RabbitMQ and Python call things, beside the names of the contract.
NAMES_OF_OTHERS = {
    *("reply_to", "message_id", "correlation_id", "user_id"),
    *("program_id", "member_id", "max_message_size"),
}


def ids(value: object) -> str | None:
    return value.relative_to(ROOT).as_posix() if hasattr(value, "relative_to") else None


every_readme = pytest.mark.parametrize("readme", READMES, ids=ids)


def commands(readme: Path) -> list[str]:
    """What follows `points-worker` wherever a README shows a command, in Docker too."""
    shown = [*named(readme), *shell_lines(readme)]
    found = (
        re.search(r"(?:\bpoints-worker|\brun --rm(?: -T)? worker) ([^<]+)", text) for text in shown
    )
    return [match[1] for match in found if match]


COMMANDS = sorted({command for readme in READMES for command in commands(readme)})


def parse(command: str) -> Any:
    """Parse a command without doing it; return its context, or the group of commands that it is.

    Fails on unknown commands and options, and on values that a command does not take.
    """
    words = shlex.split(command)
    found: Any = typer.main.get_command(app)
    while hasattr(found, "commands"):
        assert words[0] in found.commands, f"points-worker {command}"
        found = found.commands[words.pop(0)]
        if not words and hasattr(found, "commands"):
            return found
    return found.make_context(command, words)


def exists(readme: Path, path: str) -> bool:
    """Tell whether a path leads somewhere: from the README, from the root, or below the README."""
    places = (readme.parent, ROOT)
    if any(next(place.glob(path), None) or (place / path).exists() for place in places):
        return True
    # Below the root there is more than the project, so that its README has to be exact.
    return readme.parent != ROOT and next(readme.parent.rglob(path), None) is not None


def test_the_settings_are_the_ones_there_are_with_their_defaults_and_meanings() -> None:
    settings = Settings.load({"AMQP_URL": "amqp://a", "DATABASE_URL": "postgres://b"})

    described = [(f"`{one.name}`", one.default, one.description) for one in settings.described()]
    assert table(README, "variable") == described


def test_a_setting_can_be_read_from_the_file_as_shown(tmp_path: Path) -> None:
    [(variable, path)] = [
        span.split("=") for span in named(README) if re.fullmatch(r"[A-Z_]+_FILE=.+", span)
    ]
    file = tmp_path / path.rpartition("/")[2]
    file.write_text("postgresql://from.the.file/points\n")

    settings = Settings.load({"AMQP_URL": "amqp://a", variable: str(file)})
    assert settings.database_url.get_secret_value() == "postgresql://from.the.file/points"


def test_the_exit_codes_are_the_ones_there_are_and_mean_what_they_are_named_for() -> None:
    codes = {name: value for name, value in vars(exits).items() if name.startswith("EXIT_")}
    rows = table(README, "exit code")

    assert [int(code) for code, _ in rows] == sorted(codes.values())
    meanings = {int(code): meaning for code, meaning in rows}
    assert codes.keys() == MEANINGS.keys()
    assert [name for name, code in codes.items() if MEANINGS[name] not in meanings[code]] == []


@every_readme
def test_every_make_target_exists_and_has_its_help(readme: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    helped = set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))

    shown = "\n".join([*named(readme), *shell_lines(readme)])
    assert set(re.findall(r"\bmake ([a-z-]+)", shown)) - helped == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_exists_and_takes_what_it_is_given(command: str) -> None:
    assert parse(command) is not None


def test_commands_are_found_where_the_readme_shows_them() -> None:
    assert {"run --setup", "tail", "adjust alice 100 --reason goodwill"} <= set(COMMANDS)


def test_each_command_of_the_block_to_use_by_hand_prints_json_too() -> None:
    by_hand = [line for line in shell_lines(README) if line.startswith("points-worker ")]

    assert len(by_hand) > 5
    for line in by_hand:
        context = parse(line.removeprefix("points-worker ") + " --json")
        assert context.params["as_json"] is True


@every_readme
def test_every_link_leads_to_a_file_or_folder_of_the_project(readme: Path) -> None:
    assert [link for link in links(readme) if not (readme.parent / link).exists()] == []


@every_readme
def test_every_file_and_folder_that_is_named_exists(readme: Path) -> None:
    paths = [
        span
        for span in named(readme)
        if PATH.fullmatch(span)
        and ("/" in span or any(span.endswith(suffix) for suffix in WITH_FILES))
        # What `make venv` makes.
        and not span.startswith(".venv/")
    ]
    heading = PLACES.get(readme.parent.name)
    if heading is not None:
        paths += [place for row in table(readme, heading) for place in spans(row[0])]

    assert paths
    assert [path for path in paths if not exists(readme, path)] == []


def proofs() -> list[str]:
    """What the README says its promises are proved by."""
    return sorted({proof for row in table(README, "promise") for proof in spans(row[1])})


@pytest.mark.parametrize("proof", proofs())
def test_every_promise_is_proved_by_tests_that_exist_or_by_a_command(proof: str) -> None:
    if proof.startswith("points-worker "):
        assert parse(proof.removeprefix("points-worker ")) is not None
        return
    place = ROOT / proof
    assert place.is_dir() == proof.endswith("/")
    files = sorted(place.rglob("test_*.py")) if place.is_dir() else [place]
    assert files
    for file in files:
        assert re.search(r"^ *(async )?def test_", file.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_promise_has_its_proof() -> None:
    assert [row for row in table(README, "promise") if not spans(row[1])] == []


def test_fields_errors_and_operations_have_the_names_of_the_contract() -> None:
    known = {*AdjustmentRequest.model_fields, *ERRORS, *NAMES_OF_OTHERS}
    known |= {*get_args(Operation), *get_args(Category)}
    settings = {row[0].strip("`") for row in table(README, "variable")}

    words = [span for span in named(README) if re.fullmatch(r"[A-Za-z]+(_[A-Za-z]+)+", span)]
    assert {"request_id_conflict", "SET_BALANCE"} <= set(words)
    assert set(words) - known - settings == set()


def test_the_oldest_python_is_the_one_that_is_asked_for() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    asked = re.search(r'requires-python = ">=(.+)"', project)

    assert asked is not None
    assert f"Python {asked[1]} or newer" in README.read_text(encoding="utf-8")


def test_the_bucket_key_is_the_one_shown() -> None:
    [program] = [block for block in blocks(CONTRACT_README, "python") if "bucket_key(" in block]
    shown = re.search(r'^(bucket_key\(.*\))  # "([^"]+)"', program, re.MULTILINE)

    assert shown is not None
    namespace: dict[str, Any] = {}
    exec(program, namespace)
    assert namespace["bucket_key"] is bucket_key
    assert eval(shown[1], namespace) == shown[2]


def test_the_faults_are_the_ones_shown() -> None:
    [program] = [block for block in blocks(CONTRACT_README, "python") if "faults(" in block]

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )

    shown = [line.removeprefix("# ") for line in program.splitlines() if line.startswith("# ")]
    assert shown
    assert done.stdout.splitlines() == shown


def test_a_subscriber_reads_events_and_replies_as_shown() -> None:
    [program] = [block for block in blocks(CONTRACT_README, "python") if "Event" in block]
    examples = ROOT / "schemas" / "examples"
    body = (examples / "event" / "valid" / "points_adjusted.json").read_bytes()

    namespace: dict[str, Any] = {"body": body}
    exec(program, namespace)
    event = namespace["event"]
    assert isinstance(event, Event)
    assert isinstance(event.data.points, str)
    assert event.time.utcoffset() == timedelta(0)
    reply = (examples / "outcome" / "valid" / "applied.json").read_bytes()
    assert isinstance(namespace["Outcome"].model_validate_json(reply), Outcome)


def test_no_program_of_the_contract_is_left_untried() -> None:
    assert len(blocks(CONTRACT_README, "python")) == 3
