"""Every setting of the worker: its name, unit, bounds and default.

Nothing else reads a setting from the environment. A setting comes from an environment variable, or
from the file that the same variable with ``_FILE`` behind it names, so that orchestrators can mount
secrets. An empty variable counts as absent, as compose files leave them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path  # noqa: TC003 - pydantic reads it at run time.
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Self

from pydantic import (
    Field,
    SecretBytes,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from schemas.names import DEFAULT_PREFIX
from worker import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_settings import PydanticBaseSettingsSource

LogLevel = Literal["debug", "info", "warning", "error", "critical"]
LogFormat = Literal["auto", "console", "json"]

# What the first declaration takes where it is not told; it stands in no setting's default, because
# from then on what is recorded counts.
PARTITIONS_DEFAULT: Final = 8
PREFETCH_DEFAULT: Final = 1_000

Server = Literal["AMQP_URL", "DATABASE_URL"]
"""A server, by the variable that has its address."""

# No name ends with .invalid (RFC 2606).
_NOWHERE: Final[dict[Server, str]] = {
    "AMQP_URL": "amqp://unset.invalid/",
    "DATABASE_URL": "postgresql://unset.invalid/",
}

# The broker keeps names that begin with "amq." for itself; 64 characters leave room for the
# longest name that is made from the prefix.
_TOPOLOGY_PREFIX = re.compile(r"(?!amq\.)[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

# HMAC with a shorter key would let somebody who has the fingerprints try them all.
_IDENTIFIER_KEY_BYTES_MIN: Final = 16


class BadSettings(Exception):
    """The settings cannot be used.

    Its text has one sentence per fault, each on a line of its own, that names the variable and the
    rule and says how to mend it. It never holds a secret's value.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class Described(NamedTuple):
    """One setting for people to read: a secret in `value` is masked, and "" means not set."""

    name: str
    value: str
    default: str
    description: str


class Settings(BaseSettings):
    """What this process was told; it does not change while the process lives."""

    model_config = SettingsConfigDict(
        env_prefix=environment.PREFIX,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_by_name=True,
        validate_by_alias=True,
    )

    amqp_url: SecretStr = Field(
        validation_alias="AMQP_URL",
        description="Address of RabbitMQ: amqp:// or amqps://.",
    )
    database_url: SecretStr = Field(
        validation_alias="DATABASE_URL",
        description="Address of Postgres: postgresql:// or postgres://, one host or several.",
    )
    log_level: LogLevel = Field(
        default="info",
        validation_alias="LOG_LEVEL",
        description="The least severe level that is logged; debug has a line per request.",
    )
    log_format: LogFormat = Field(
        default="auto",
        validation_alias="LOG_FORMAT",
        description="console for people, json for machines, auto: console on a terminal.",
    )
    prefix: str = Field(
        default=DEFAULT_PREFIX,
        description="What the names of all exchanges and queues begin with.",
    )
    partitions: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Number of lanes; used at the first declaration only, which takes"
        f" {PARTITIONS_DEFAULT} by default and records it for all workers.",
    )
    prefetch: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        description="Messages that one lane may hold unacknowledged; used at the first declaration"
        f" only, which takes {PREFETCH_DEFAULT} by default and records it for all workers.",
    )
    batch_max: int = Field(
        default=500, ge=1, le=10_000, description="The most requests in one transaction."
    )
    body_bytes_max: int = Field(
        default=65_536,
        ge=1_024,
        le=16_777_216,
        description="The longest message body that is read, in bytes; a longer one is too_large.",
    )
    reply_attempts_max: int = Field(
        default=3,
        ge=1,
        le=100,
        description="How often a reply that nobody takes is tried before it is given up.",
    )
    suspect_deliveries_min: int = Field(
        default=5,
        ge=1,
        le=1_000,
        description="Deliveries of one message after which requests are taken one by one,"
        " to find the one that kills the worker.",
    )
    suspect_deaths_max: int = Field(
        default=3,
        ge=1,
        le=100,
        description="Deaths of a worker over one request after which it is killed_the_worker.",
    )
    ordinal_wait_seconds: float = Field(
        default=3_600,
        ge=1,
        le=31_536_000,
        description="How long a request that came before its predecessors waits for them.",
    )
    parked_max: int = Field(
        default=1_000,
        ge=1,
        le=10_000,
        description="The most requests of one member that wait for their predecessors.",
    )
    sweep_seconds: float = Field(
        default=10,
        ge=0,
        le=86_400,
        description="How often to look for members of whom something has fallen due; 0 is never.",
    )
    sweep_max: int = Field(
        default=500,
        ge=1,
        le=10_000,
        description="The most members for whom one such look asks for what is due to be done.",
    )
    pool_size_max: int = Field(
        default=12,
        ge=1,
        le=1_000,
        description="The most connections to Postgres, besides one for whose turn it is to sweep.",
    )
    connect_timeout_seconds: float = Field(
        default=60,
        ge=0.1,
        le=3_600,
        description="How long to try to reach the servers at the start before giving up.",
    )
    heartbeat_seconds: int = Field(
        default=10,
        ge=1,
        le=600,
        description="How often RabbitMQ and the worker make sure of each other, in whole seconds.",
    )
    confirm_timeout_seconds: float = Field(
        default=30,
        ge=0.1,
        le=600,
        description="How long to wait for the broker's confirms before connecting anew.",
    )
    retry_delay_seconds_min: float = Field(
        default=0.1,
        ge=0.001,
        le=60,
        description="The first wait before something that failed is tried again.",
    )
    retry_delay_seconds_max: float = Field(
        default=5, ge=0.001, le=600, description="The longest wait before trying again."
    )
    lock_timeout_seconds: float = Field(
        default=10, ge=0.1, le=600, description="The longest wait for a lock in Postgres."
    )
    statement_timeout_seconds: float = Field(
        default=15, ge=0.1, le=600, description="The longest that one SQL statement may take."
    )
    idle_transaction_timeout_seconds: float = Field(
        default=15,
        ge=0.1,
        le=600,
        description="After this, Postgres ends the transaction of a worker that stopped talking,"
        " and frees its locks.",
    )
    shutdown_grace_seconds: float = Field(
        default=25,
        ge=0.1,
        le=600,
        description="How long a stopping worker may take to finish what it has in hand.",
    )
    identifier_key: SecretBytes | None = Field(
        default=None,
        description="Key of the fingerprints of members' identifiers, at least"
        f" {_IDENTIFIER_KEY_BYTES_MIN} bytes; needed only where identifiers are used.",
    )
    jwe_private_keys: Path | None = Field(
        default=None,
        description="Folder of our RSA keys, each in a file <kid>.pem; needed only for encrypted"
        " requests.",
    )
    jwe_public_keys: Path | None = Field(
        default=None,
        description="Folder of the callers' RSA keys or certificates, each in a file <kid>.pem;"
        " needed only for encrypted replies.",
    )
    http_host: str = Field(
        default="0.0.0.0",  # noqa: S104 - probes and scrapers come from outside the container.
        description="The address on which /livez, /readyz and /metrics are served.",
    )
    http_port: int = Field(
        default=8_080, ge=0, le=65_535, description="The port for them; 0 serves none."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's.
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take nothing behind the caller's back: `load` alone reads the environment."""
        return (init_settings,)

    @classmethod
    def load(
        cls, environ: Mapping[str, str] | None = None, *, unused: Server | None = None
    ) -> Self:
        """Read the settings from `environ` (by default the process's) and the files it names.

        The address of an `unused` server may be missing; it is then one that leads nowhere.
        Raises `BadSettings` with every fault that was found.
        """
        if environ is None:
            environ = os.environ
        variables = [variable_of(name) for name in cls.model_fields]
        texts, unreadable = environment.read_variables(environ, variables)
        faults = environment.unknown_variables(environ, variables) + list(unreadable.values())
        if unused is not None and unused not in unreadable:
            texts.setdefault(unused, _NOWHERE[unused])
        source = EnvSettingsSource(cls)
        source.env_vars = {variable.lower(): text for variable, text in texts.items()}
        settings = None
        try:
            settings = cls(**source())
        except ValidationError as error:
            for detail in error.errors():
                faults += environment.sentences(detail, cls.model_fields, texts, unreadable)
        # Raised out here so that nothing that read a secret hangs on to it as its context.
        if faults or settings is None:
            raise BadSettings(faults)
        return settings

    def described(self) -> list[Described]:
        """List every setting with its variable, value, default and meaning, for people."""
        return [
            Described(
                variable_of(name),
                environment.shown(getattr(self, name)),
                "required" if field.is_required() else environment.shown(field.default),
                field.description or "",
            )
            for name, field in type(self).model_fields.items()
        ]

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("amqp_url")
    @classmethod
    def _amqp_address(cls, value: SecretStr) -> SecretStr:
        if environment.AMQP_ADDRESS.fullmatch(value.get_secret_value()) is None:
            raise ValueError(
                "must be an address like amqp://user:password@host:5672/vhost (or amqps://…),"
                " with special characters of the password percent-encoded"
            )
        return value

    @field_validator("database_url")
    @classmethod
    def _postgres_address(cls, value: SecretStr) -> SecretStr:
        if environment.POSTGRES_ADDRESS.fullmatch(value.get_secret_value()) is None:
            raise ValueError(
                "must be an address like postgresql://user:password@host:5432/database (or"
                " postgres://…, or several host:port joined by commas), with special characters"
                " of the password percent-encoded"
            )
        return value

    @field_validator("identifier_key")
    @classmethod
    def _long_key(cls, value: SecretBytes | None) -> SecretBytes | None:
        if value is not None and len(value) < _IDENTIFIER_KEY_BYTES_MIN:
            raise ValueError(
                f"must have at least {_IDENTIFIER_KEY_BYTES_MIN} bytes: take a random text and keep"
                " it, because what is stored with it cannot be found with another"
            )
        return value

    @field_validator("prefix")
    @classmethod
    def _topology_prefix(cls, value: str) -> str:
        if _TOPOLOGY_PREFIX.fullmatch(value) is None:
            raise ValueError(
                "must be 1 to 64 letters, digits, dots, underscores and hyphens, begin with a"
                " letter or digit, and not begin with amq."
            )
        return value

    @model_validator(mode="after")
    def _rules_between_settings(self) -> Self:
        rules = {
            "POINTS_BATCH_MAX must not be above POINTS_PREFETCH, which is all that a lane ever"
            " holds: lower the first or raise the second": (
                self.prefetch is None or self.batch_max <= self.prefetch
            ),
            "POINTS_HEARTBEAT_SECONDS must be below POINTS_CONFIRM_TIMEOUT_SECONDS, or a slow"
            " confirm looks like a dead connection: lower the first or raise the second": (
                self.heartbeat_seconds < self.confirm_timeout_seconds
            ),
            "POINTS_IDLE_TRANSACTION_TIMEOUT_SECONDS must be at least"
            " POINTS_STATEMENT_TIMEOUT_SECONDS: raise the first or lower the second": (
                self.idle_transaction_timeout_seconds >= self.statement_timeout_seconds
            ),
            "POINTS_RETRY_DELAY_SECONDS_MIN must not be above POINTS_RETRY_DELAY_SECONDS_MAX:"
            " lower the first or raise the second": (
                self.retry_delay_seconds_min <= self.retry_delay_seconds_max
            ),
        }
        broken = [rule for rule, holds in rules.items() if not holds]
        if broken:
            raise ValueError("\n".join(broken))
        return self


def variable_of(name: str) -> str:
    """Give the environment variable of a setting: ``POINTS_BATCH_MAX`` for ``batch_max``."""
    return environment.variable_of(name, Settings.model_fields[name])
