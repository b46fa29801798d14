"""A setting is what the environment says, or the worker says in one sentence why it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import worker
from worker.settings import BadSettings, Settings

if TYPE_CHECKING:
    from worker.settings import Server

GIVEN = {
    "AMQP_URL": "amqp://till:hush%40@broker:5672/vhost",
    "DATABASE_URL": "postgresql://till:hush@db:5432/points",
}


def faults_of(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(BadSettings) as caught:
        Settings.load(environ)
    assert "hush" not in str(caught.value)
    assert "\n".join(caught.value.faults) == str(caught.value)
    return caught.value.faults


def test_the_two_addresses_are_all_that_must_be_given() -> None:
    settings = Settings.load(GIVEN)

    assert GIVEN["AMQP_URL"] == settings.amqp_url.get_secret_value()
    assert GIVEN["DATABASE_URL"] == settings.database_url.get_secret_value()
    assert (settings.log_level, settings.log_format, settings.prefix) == ("info", "auto", "points")
    assert (settings.partitions, settings.prefetch, settings.batch_max) == (None, None, 500)


def test_the_process_environment_is_read_when_none_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("POINTS_")]:
        monkeypatch.delenv(name)
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("POINTS_BATCH_MAX", "7")

    assert Settings.load().batch_max == 7


def test_an_empty_environment_is_not_the_process_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)

    assert len(faults_of({})) == 2


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("LOG_FORMAT", " json\n", "log_format", "json"),
        ("POINTS_PREFIX", "acme.points-2", "prefix", "acme.points-2"),
        ("POINTS_PARTITIONS", "256", "partitions", 256),
        ("POINTS_HTTP_PORT", "0", "http_port", 0),
        ("POINTS_RETRY_DELAY_SECONDS_MIN", "0.25", "retry_delay_seconds_min", 0.25),
        ("POINTS_BATCH_MAX", "", "batch_max", 500),
        ("POINTS_JWE_PRIVATE_KEYS", "/run/keys", "jwe_private_keys", Path("/run/keys")),
        ("POINTS_JWE_PUBLIC_KEYS", "", "jwe_public_keys", None),
    ],
)
@pytest.mark.parametrize("from_file", [False, True])
def test_every_setting_is_read_from_its_variable_or_the_file_it_names(
    variable: str, text: str, field: str, value: object, *, from_file: bool, tmp_path: Path
) -> None:
    environ = GIVEN | {variable: text}
    if from_file and text:
        path = tmp_path / "setting"
        path.write_text(text)
        environ = GIVEN | {variable + "_FILE": str(path)}

    assert value == getattr(Settings.load(environ), field)


def test_a_secret_is_read_from_the_file_that_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "amqp_url"
    path.write_text(GIVEN["AMQP_URL"] + "\n")
    settings = Settings.load(
        {"AMQP_URL": "", "AMQP_URL_FILE": str(path), "DATABASE_URL": GIVEN["DATABASE_URL"]}
    )

    assert GIVEN["AMQP_URL"] == settings.amqp_url.get_secret_value()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"amqp://till:hush\xff@broker", "it is not UTF-8 text"),
        (b"x" * 100_000, "it is longer than 65536 bytes"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "url"
    if content is not None:
        path.write_bytes(content)

    [fault] = faults_of({"AMQP_URL_FILE": str(path), "DATABASE_URL": GIVEN["DATABASE_URL"]})
    assert fault.startswith("AMQP_URL_FILE names ")
    assert f"({reason})" in fault


def test_a_setting_given_twice_is_refused() -> None:
    [fault] = faults_of(GIVEN | {"AMQP_URL_FILE": "/run/secrets/amqp_url"})

    assert fault == "AMQP_URL and AMQP_URL_FILE are both set: keep one of them."


@pytest.mark.parametrize(
    ("variable", "text", "rule"),
    [
        ("AMQP_URL", "http://till:hush@broker", "must be an address like amqp://"),
        ("AMQP_URL", "amqp://till:hush/hush@broker", "special characters of the password"),
        ("AMQP_URL", "amqp://till:hush#hush@broker", "special characters of the password"),
        ("AMQP_URL", "amqp://till:hush@broker:70000", "must be an address like amqp://"),
        ("AMQP_URL", "amqp://", "must be an address like amqp://"),
        ("DATABASE_URL", "mysql://till:hush@db", "must be an address like postgresql://"),
        ("DATABASE_URL", "postgresql://till:hush@a:1,b:x/db", "several host:port"),
        ("DATABASE_URL", "postgresql://till:hush hush@a/db", "must be an address"),
        ("LOG_LEVEL", "loud", "must be one of debug, info, warning, error, critical, and is"),
        ("LOG_FORMAT", "xml", "must be one of auto, console, json, and is 'xml'."),
        ("POINTS_PREFIX", "amq.points", "not begin with amq., and is 'amq.points'."),
        ("POINTS_PREFIX", "a#b", "letters, digits, dots, underscores and hyphens"),
        ("POINTS_PREFIX", "p" * 65, "1 to 64 letters"),
        ("POINTS_PARTITIONS", "257", "must be a whole number from 1 to 256, and is '257'."),
        ("POINTS_PREFETCH", "0", "must be a whole number from 1 to 65535, and is '0'."),
        ("POINTS_HTTP_PORT", "http", "must be a whole number from 0 to 65535, and is 'http'."),
        ("POINTS_HEARTBEAT_SECONDS", "1.5", "must be a whole number from 1 to 600"),
        ("POINTS_STATEMENT_TIMEOUT_SECONDS", "nan", "must be a number from 0.1 to 600"),
        ("POINTS_LOCK_TIMEOUT_SECONDS", "inf", "must be a number from 0.1 to 600"),
        ("POINTS_BATCH_MAX", "amqp://till:hush@broker", "must be a whole number from 1 to 10000"),
        ("POINTS_BATCH_MAX", "9" * 5_000, "must be a whole number from 1 to 10000"),
    ],
)
def test_a_wrong_setting_is_named_with_its_rule(variable: str, text: str, rule: str) -> None:
    [fault] = faults_of(GIVEN | {variable: text})

    assert fault.startswith(f"{variable} ")
    assert rule in fault
    assert len(fault) < 300


@pytest.mark.parametrize(
    "url",
    [
        "amqps://broker",
        "amqp://till:hush@[::1]:5671/%2F?heartbeat=10",
        "amqp://guest:guest@localhost:5672/",
    ],
)
def test_every_form_of_a_brokers_address_is_taken(url: str) -> None:
    assert url == Settings.load(GIVEN | {"AMQP_URL": url}).amqp_url.get_secret_value()


@pytest.mark.parametrize(
    "url",
    [
        "postgres://db",
        "postgresql:///points?host=/var/run/postgresql&user=till&password=hush",
        "postgresql://till:hush@a:5432,b:5433/points?target_session_attrs=read-write",
        "postgresql://till@%2Fvar%2Frun%2Fpostgresql/points",
        "postgresql://[::1]:5432/points",
    ],
)
def test_every_form_of_a_databases_address_is_taken(url: str) -> None:
    assert url == Settings.load(GIVEN | {"DATABASE_URL": url}).database_url.get_secret_value()


def test_every_fault_is_said_at_once_in_a_sentence_of_its_own() -> None:
    faults = faults_of(
        {
            "AMQP_URL": "tcp://hush",
            "POINTS_BATCHMAX": "7",
            "POINTS_HTTP_PORT": "-1",
            "POINTS_PREFIX_FILE": "/nowhere/at/all",
        }
    )

    assert {
        "POINTS_BATCHMAX",
        "POINTS_PREFIX_FILE",
        "AMQP_URL",
        "DATABASE_URL",
        "POINTS_HTTP_PORT",
    } == {fault.split()[0] for fault in faults}
    assert all(fault.endswith(".") for fault in faults)
    assert any(fault.startswith("DATABASE_URL is missing: set it") for fault in faults)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"POINTS_PREFETCH": "100"}, ("POINTS_BATCH_MAX", "POINTS_PREFETCH")),
        (
            {"POINTS_HEARTBEAT_SECONDS": "30"},
            ("POINTS_HEARTBEAT_SECONDS", "POINTS_CONFIRM_TIMEOUT_SECONDS"),
        ),
        (
            {"POINTS_STATEMENT_TIMEOUT_SECONDS": "16"},
            ("POINTS_IDLE_TRANSACTION_TIMEOUT_SECONDS", "POINTS_STATEMENT_TIMEOUT_SECONDS"),
        ),
        (
            {"POINTS_RETRY_DELAY_SECONDS_MIN": "6"},
            ("POINTS_RETRY_DELAY_SECONDS_MIN", "POINTS_RETRY_DELAY_SECONDS_MAX"),
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    variables: dict[str, str], named: tuple[str, str]
) -> None:
    [fault] = faults_of(GIVEN | variables)

    assert all(name in fault for name in named)


def test_settings_at_the_edge_of_the_rules_between_them_are_taken() -> None:
    Settings.load(
        GIVEN
        | {
            "POINTS_PREFETCH": "500",
            "POINTS_HEARTBEAT_SECONDS": "29",
            "POINTS_STATEMENT_TIMEOUT_SECONDS": "15",
            "POINTS_RETRY_DELAY_SECONDS_MIN": "5",
        }
    )


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("POINTS_BATCHMAX", "POINTS_BATCH_MAX"),
        ("points_prefix", "POINTS_PREFIX"),
        ("POINTS_SHUTDOWN_GRACE", "POINTS_SHUTDOWN_GRACE_SECONDS"),
        ("POINTS_PREFIX_FIEL", "POINTS_PREFIX_FILE"),
        ("POINTS_AMQP_URL", "AMQP_URL"),
        ("POINTS_PORT", "POINTS_HTTP_PORT"),
    ],
)
def test_a_misspelt_setting_is_refused_with_the_nearest_known_one(name: str, nearest: str) -> None:
    [fault] = faults_of(GIVEN | {name: "8080"})

    assert fault == (
        f"{name} is not a setting of the worker: correct its name, perhaps to {nearest},"
        " or remove it."
    )


@pytest.mark.parametrize("name", ["POINTS_TEAM", "POINTS_COLOUR", "POINTS_X"])
def test_a_setting_that_comes_near_none_is_refused_without_a_guess(name: str) -> None:
    [fault] = faults_of(GIVEN | {name: "8080"})

    told = f"{name} is not a setting of the worker: correct its name or remove it."
    assert fault == told


def test_what_kubernetes_says_of_a_service_called_points_is_no_setting() -> None:
    Settings.load(
        GIVEN
        | {
            "POINTS_SERVICE_HOST": "10.0.0.7",
            "POINTS_SERVICE_PORT": "8080",
            "POINTS_SERVICE_PORT_HTTP": "8080",
            "POINTS_PORT": "tcp://10.0.0.7:8080",
            "POINTS_WORKER_PORT": "tcp://10.0.0.7:8080",
            "POINTS_WORKER_PORT_8080_TCP": "tcp://10.0.0.7:8080",
            "POINTS_WORKER_PORT_8080_TCP_ADDR": "10.0.0.7",
            "POINTS_WORKER_SERVICE_HOST": "10.0.0.7",
        }
    )


def test_described_lists_every_setting_and_no_password() -> None:
    described = Settings.load(GIVEN | {"POINTS_PARTITIONS": "4"}).described()

    assert len(Settings.model_fields) == len(described)
    assert "hush" not in str(described)
    assert all(setting.description.endswith(".") for setting in described)
    by_name = {setting.name: setting for setting in described}
    assert by_name["AMQP_URL"].value == "amqp://till:***@broker:5672/vhost"
    assert by_name["AMQP_URL"].default == "required"
    assert (by_name["POINTS_PARTITIONS"].value, by_name["POINTS_PARTITIONS"].default) == ("4", "")
    assert by_name["POINTS_SHUTDOWN_GRACE_SECONDS"].value == "25"


def test_no_text_about_settings_shows_a_secret() -> None:
    settings = Settings.load(GIVEN)

    assert "hush" not in f"{settings} {settings!r} {settings.model_dump_json()}"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load(GIVEN).batch_max = 1  # type: ignore[misc]


def test_the_error_holds_on_to_nothing_that_read_a_secret() -> None:
    with pytest.raises(BadSettings) as caught:
        Settings.load(GIVEN | {"DATABASE_URL": "hush"})

    assert caught.value.__context__ is None


def test_a_process_says_what_is_wrong_with_the_environment_it_really_has() -> None:
    code = "from worker.settings import BadSettings, Settings\ntry: Settings.load()\n"
    code += "except BadSettings as error: print(error)"
    environ = GIVEN | {"POINTS_BATCH_MAX": "0", "PATH": os.environ["PATH"]}
    said = subprocess.run(
        [sys.executable, "-c", code],
        env=environ,
        cwd=Path(worker.__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    expected = "POINTS_BATCH_MAX must be a whole number from 1 to 10000, and is '0'.\n"
    assert expected == said.stdout


@pytest.mark.parametrize("unused", ["AMQP_URL", "DATABASE_URL"])
def test_the_address_of_an_unused_server_may_be_missing_and_must_be_one(unused: Server) -> None:
    rest = {name: address for name, address in GIVEN.items() if name != unused}
    settings = Settings.load(rest, unused=unused)
    unset = settings.amqp_url if unused == "AMQP_URL" else settings.database_url
    assert unset.get_secret_value().endswith("://unset.invalid/")
    assert Settings.load(GIVEN, unused=unused) == Settings.load(GIVEN)
    with pytest.raises(BadSettings, match=f"{unused} must be an address"):
        Settings.load(GIVEN | {unused: "nonsense"}, unused=unused)
    with pytest.raises(BadSettings, match=f"{unused} is missing"):
        Settings.load(rest)


def test_an_identifier_key_is_long_enough_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("hush://hush@hush\n")
    settings = Settings.load(GIVEN | {"POINTS_IDENTIFIER_KEY_FILE": str(file)})
    assert settings.identifier_key is not None
    assert settings.identifier_key.get_secret_value() == b"hush://hush@hush"
    [shown] = [one for one in settings.described() if one.name == "POINTS_IDENTIFIER_KEY"]
    assert (shown.value, shown.default) == ("***", "")
    assert Settings.load(GIVEN).identifier_key is None
    [fault] = faults_of(GIVEN | {"POINTS_IDENTIFIER_KEY": "hush-is-15-byte"})
    assert fault.startswith("POINTS_IDENTIFIER_KEY must have at least 16 bytes")
