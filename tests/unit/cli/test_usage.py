"""What the command line says for itself, without any server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from schemas.export import documents
from schemas.request import AdjustmentRequest
from worker import __version__
from worker.broker import BrokerRefused, BrokerUnreachable, NotTaken, SessionLost, TopologyDiffers
from worker.cli.command import end_of
from worker.cli.main import app
from worker.cli.showing import talk, visible
from worker.exits import (
    EXIT_BAD_CONFIGURATION,
    EXIT_FAULT_FOUND,
    EXIT_TRY_AGAIN,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
)
from worker.readiness import NotReady
from worker.settings import BadSettings
from worker.store.faults import PassingFault, RefusedFault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMANDS_OF_THE_CONTRACT = {
    "run", "migrate", "topology declare", "topology show", "doctor", "adjust", "outcome",
    "balance", "history", "tail", "bucket", "dead-letters list", "dead-letters show",
    "dead-letters replay", "dead-letters drop", "audit", "liability", "schemas export",
}  # fmt: skip

# What prints no data, only its log.
WITHOUT_JSON = {"run"}


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every command there is."""
    command = command or typer.main.get_command(app)
    subcommands = getattr(command, "commands", None)
    if not subcommands:
        yield path
        return
    for name, subcommand in subcommands.items():
        yield from commands(subcommand, (*path, name))


def invoke(*arguments: str, stdin: bytes = b"") -> Any:
    """Run a command without any setting in its environment."""
    environment = {"AMQP_URL": None, "DATABASE_URL": None, "COLUMNS": "200"}
    return CliRunner().invoke(app, list(arguments), input=stdin, env=environment)


def test_there_is_every_command_of_the_contract() -> None:
    assert set(map(" ".join, commands())) >= COMMANDS_OF_THE_CONTRACT


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_has_a_help_that_shows_an_example(path: tuple[str, ...]) -> None:
    result = invoke(*path, "--help")
    assert result.exit_code == 0
    assert f"points-worker {' '.join(path)}" in result.stdout.partition("Example: ")[2]


def test_the_short_form_of_help_is_understood_everywhere() -> None:
    for arguments in ([], ["adjust"], ["topology"], ["topology", "show"]):
        assert invoke(*arguments, "-h").stdout == invoke(*arguments, "--help").stdout


def test_the_paragraphs_of_a_help_fill_the_lines() -> None:
    assert "totals never fall, versions and sequences have" in invoke("audit", "--help").stdout


def test_the_version_is_told() -> None:
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"{__version__}\n")


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_that_prints_data_prints_json_too(path: tuple[str, ...]) -> None:
    assert ("--json" in invoke(*path, "--help").stdout) == (path[0] not in WITHOUT_JSON)


# What prints them as they are; of the demonstration only people read the figures.
AS_IT_IS = {"adjust", "outcome", "tail", "demo"}


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_help_says_what_its_json_holds(path: tuple[str, ...]) -> None:
    if path[0] not in WITHOUT_JSON | AS_IT_IS:
        assert " JSON: " in invoke(*path, "--help").stdout


def test_adjust_has_an_option_for_every_field_of_a_request() -> None:
    text = invoke("adjust", "--help").stdout
    fields = set(AdjustmentRequest.model_fields) - {"member_id", "points"}
    assert [name for name in fields if f"--{name.replace('_', '-')}" not in text] == []


RABBITMQ, POSTGRES = "AMQP_URL", "DATABASE_URL"


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("balance alice", {POSTGRES}),
        ("history alice", {POSTGRES}),
        ("outcome alice r-1", {POSTGRES}),
        ("bucket alice", {POSTGRES}),
        ("member block alice", {POSTGRES}),
        ("member identify alice --name mobile --value 1", {POSTGRES}),
        ("program list", {POSTGRES}),
        ("audit", {POSTGRES}),
        ("liability", {POSTGRES}),
        ("migrate", {POSTGRES}),
        ("adjust alice -20", {RABBITMQ}),
        ("adjust alice -1.50 --reason refund", {RABBITMQ}),
        ("adjust alice --operation RELEASE --hold h-1", {RABBITMQ}),
        ("import rows.csv", {RABBITMQ}),
        ("tail", {RABBITMQ}),
        ("dead-letters list", {RABBITMQ}),
        ("dead-letters drop 0123456789abcdef --yes", {RABBITMQ}),
        ("topology declare", {RABBITMQ, POSTGRES}),
        ("doctor", {RABBITMQ, POSTGRES}),
        ("run", {RABBITMQ, POSTGRES}),
    ],
)
def test_a_missing_setting_is_told_by_name_and_ends_the_commands_that_need_it_with_78(
    line: str, needed: set[str]
) -> None:
    result = invoke(*line.split())
    assert result.exit_code == EXIT_BAD_CONFIGURATION
    missing = {name for name in (RABBITMQ, POSTGRES) if f"{name} is missing" in result.stderr}
    assert missing == needed


@pytest.mark.parametrize(
    "arguments",
    [
        ["adjust"],
        ["adjust", "alice"],
        ["adjust", "", "5"],
        ["adjust", "alice\x1b", "5"],
        ["adjust", "alice", "five"],
        ["adjust", "alice", "1e3"],
        ["adjust", "alice", "--resaon", "5"],
        ["adjust", "--resaon", "5"],
        ["adjust", "alice", "5", "--resaon", "x"],
        ["adjust", "alice", "5", "--category", "SOME"],
        ["adjust", "alice", "5", "--ordinal", "first"],
        ["adjust", "alice", "5", "--metadata", "{"],
        ["adjust", "alice", "5", "--metadata", "[]"],
        ["adjust", "alice", "5", "--timeout", "0"],
        ["adjust", "alice", "5", "--reason", "half a character \ud800"],
        ["adjust", "alice", "5", "--ordinal", "99999999999999999999"],
        ["adjust", "alice", "5", "--program", "a b"],
        ["adjust", "alice", "5", "--request-id", "x" * 129],
        ["adjust", "-f", "/nowhere/at/all"],
        ["outcome", "alice", "x" * 129],
        ["balance"],
        ["balance", "alice", "--program", "a b"],
        ["balance", "alice", "--lots", "-1"],
        ["history", "alice", "--limit", "0"],
        ["history", "alice", "--before", "99999999999999999999"],
        ["tail", "--type", "SOMETHING"],
        ["dead-letters", "replay"],
        ["no-such-command"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_an_error_of_usage(arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == EXIT_USAGE
    assert result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [["--reson", "x", "alice", "5"], ["alice", "5", "--reson", "x"], ["alice", "-5", "--reson=x"]],
    ids=" ".join,
)
def test_a_misspelt_option_is_told_with_the_one_that_may_have_been_meant(
    arguments: list[str],
) -> None:
    result = invoke("adjust", *arguments)
    assert result.exit_code == EXIT_USAGE
    assert "No such option --reson. Did you mean --reason?" in result.stderr


@pytest.mark.parametrize("option", ["--amount", "--mobile", "--xyz"])
def test_an_option_that_comes_near_none_is_told_without_a_guess(option: str) -> None:
    result = invoke("adjust", "alice", "5", option, "x")
    assert result.exit_code == EXIT_USAGE
    assert f"No such option {option}." in result.stderr
    assert "Did you mean" not in result.stderr


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--operation", "FLY", "'--operation': 'FLY' is not one of 'ADJUST', 'SET_BALANCE',"),
        ("--ordinal", "first", "'--ordinal': it must be a valid integer"),
    ],
)
def test_a_wrong_option_is_told_in_the_words_of_the_command_line(
    option: str, value: str, told: str
) -> None:
    result = invoke("adjust", "alice", "5", option, value)
    assert told in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize("points", ["five", "-5x", "-"])
def test_what_is_no_amount_is_told_once(points: str) -> None:
    result = invoke("adjust", "alice", points)
    assert result.exit_code == EXIT_USAGE
    assert "Invalid value for 'POINTS': it must be an integer or a decimal" in result.stderr


def test_behind_two_dashes_anything_is_an_argument() -> None:
    assert invoke("adjust", "--", "--alice", "-5").exit_code == EXIT_BAD_CONFIGURATION


def test_a_bucket_is_told_without_any_setting() -> None:
    result = invoke("bucket", "123456789", "--json")
    assert result.exit_code == EXIT_BAD_CONFIGURATION
    assert json.loads(result.stdout)["bucket_key"] == "bucket.038"
    assert "bucket.038" in invoke("bucket", "123456789").stdout


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"{}", b'{"points": 5}', b'{"member_id": 7}',
        b'{"member_id": "a", "points": 5, "request_id": 7}',
        b'{"member_id": "a", "points": 5, "program_id": []}',
    ],
)  # fmt: skip
def test_a_file_with_ids_that_are_none_is_an_error_of_usage(body: bytes) -> None:
    assert invoke("adjust", "-f", "-", stdin=body).exit_code == EXIT_USAGE


@pytest.mark.parametrize(
    "line", ["dead-letters drop 0123456789abcdef", "member erase alice"], ids=str.split
)
def test_nothing_is_done_before_somebody_says_yes_and_a_no_is_an_answer(line: str) -> None:
    for answer, code, told in ((b"n\n", 0, "Nothing done."), (b"", 2, "Nobody answered: say")):
        done = invoke(*line.split(), stdin=answer)
        assert (done.exit_code, told in done.stderr) == (code, True)


def test_the_exported_documents_are_those_of_the_models(tmp_path: Path) -> None:
    result = invoke("schemas", "export", str(tmp_path / "new"), "--json")
    files = json.loads(result.stdout)["files"]
    assert len(files) == len(documents())
    for name, text in documents().items():
        assert (tmp_path / "new" / name).read_text() == text


def test_a_folder_that_cannot_be_made_is_an_error_of_usage(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = invoke("schemas", "export", str(tmp_path / "file"))
    assert result.exit_code == EXIT_USAGE
    assert f"folder {tmp_path / 'file'} cannot be written to" in result.stderr


def test_what_is_said_begins_as_it_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    talk("alice has no wallet.")
    assert capsys.readouterr().err == "alice has no wallet.\n"


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert visible("a\x1b[31mb\x07\u202e\udc80ü\n") == r"a\x1b[31mb\x07\u202e\udc80ü" + "\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotReady("x"), EXIT_BAD_CONFIGURATION),
        (PassingFault(OSError("x")), EXIT_UNREACHABLE),
        (PassingFault(OSError("x"), timed_out=True), EXIT_TRY_AGAIN),
        (RefusedFault(OSError("x")), EXIT_BAD_CONFIGURATION),
        (BrokerUnreachable("x"), EXIT_UNREACHABLE),
        (SessionLost("x"), EXIT_UNREACHABLE),
        (SessionLost("NOT_FOUND - no exchange"), EXIT_BAD_CONFIGURATION),
        (BrokerRefused("x"), EXIT_BAD_CONFIGURATION),
        (TopologyDiffers("x"), EXIT_BAD_CONFIGURATION),
        (NotTaken("x"), EXIT_TRY_AGAIN),
        (BadSettings(["x"]), EXIT_BAD_CONFIGURATION),
        (KeyError("a bug"), None),
    ],
    ids=repr,
)
def test_every_end_has_its_exit_code_and_a_bug_has_none(error: Exception, code: int | None) -> None:
    ended = end_of(error)
    assert (ended.exit_code if ended else None) == code
    assert code != EXIT_FAULT_FOUND


def test_a_file_that_is_not_there_may_lie_outside_a_container_and_is_to_be_piped() -> None:
    done = invoke("program", "apply", "nowhere.toml")
    assert done.exit_code == EXIT_USAGE
    assert "from outside a container, pipe it: - < nowhere.toml" in done.stderr
