"""What must be there before a worker can work: schema, topology, and agreement about both."""

from __future__ import annotations

from worker.broker import BrokerRefused, WireConnection, open_connection
from worker.broker.errors import TopologyDiffers
from worker.broker.topology import Topology, declare, verify
from worker.exits import EXIT_BAD_CONFIGURATION
from worker.settings import PARTITIONS_DEFAULT, PREFETCH_DEFAULT, Settings, variable_of
from worker.store.agreement import (
    Agreement,
    read_agreement,
    record_agreement,
    renew_agreement,
)
from worker.store.faults import RefusedFault
from worker.store.migrate import EditedMigration, migrate, missing_migrations
from worker.store.pool import check_role, connected


class NotReady(Exception):
    """A worker cannot start; the text is one sentence that says how to mend it."""

    def __init__(self, reason: str, exit_code: int = EXIT_BAD_CONFIGURATION) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


async def set_up(settings: Settings) -> tuple[list[str], Agreement]:
    """Migrate the database and declare the topology; return the migrations applied, and the rest.

    Raises NotReady, and PassingFault, BrokerUnreachable or SessionLost where a server is away.
    """
    try:
        applied = await migrate(settings.database_url.get_secret_value())
    except (EditedMigration, RefusedFault) as error:
        raise NotReady(sentence(error)) from error
    return applied, await declare_topology(settings)


async def declare_topology(settings: Settings) -> Agreement:
    """Declare the topology at the broker, and record it where it is declared the first time.

    What is refused leaves no trace in the record. Raises as `set_up` does.
    """
    await check_migrated(settings)
    partitions = settings.partitions or PARTITIONS_DEFAULT
    prefetch = settings.prefetch or PREFETCH_DEFAULT
    database_url = settings.database_url.get_secret_value()
    connection = await _connect(settings)
    try:
        # Recorded before it is declared, so that of several workers that start at once one
        # decides for all.
        agreement = await record_agreement(database_url, settings.prefix, partitions, prefetch)
        _check_agreement(settings, agreement)
        await declare(connection, _topology(agreement))
    except TopologyDiffers as error:
        raise NotReady(f"{error} {remedy_for(str(error))}".rstrip()) from error
    except BrokerRefused as error:
        raise NotReady(str(error)) from error
    finally:
        await connection.shut()
    # Only now: the door takes it as the sign that a missing binding is back.
    return await renew_agreement(database_url, agreement)


async def check(settings: Settings) -> Agreement:
    """Return what the workers of this database agreed on, if one can start; change nothing.

    Raises as `set_up` does.
    """
    agreement = await agreed(settings)
    _check_agreement(settings, agreement)
    try:
        await check_role(settings.database_url.get_secret_value())
    except RefusedFault as error:
        raise NotReady(
            f"{error}: run `points-worker migrate` as a user that may create roles, and grant"
            " points_worker to the user of DATABASE_URL."
        ) from error
    connection = await _connect(settings)
    try:
        faults = await verify(connection, _topology(agreement))
    except BrokerRefused as error:
        raise NotReady(str(error)) from error
    finally:
        await connection.shut()
    if faults:
        raise NotReady(f"{faults[0]} {remedy_for(faults[0])}".rstrip())
    return agreement


def remedy_for(fault: str) -> str:
    """Return how to mend what `verify` or `declare` found, "" where nothing is known to help."""
    if fault.endswith("is missing."):
        return "Run `points-worker topology declare`."
    if "PRECONDITION_FAILED" in fault:
        return "Once it is empty, delete it, and run `points-worker topology declare`."
    return ""


async def check_migrated(settings: Settings) -> None:
    """Refuse a database that lacks a migration. Raises NotReady, or PassingFault if it is away."""
    try:
        missing = await missing_migrations(settings.database_url.get_secret_value())
    except (EditedMigration, RefusedFault) as error:
        raise NotReady(sentence(error)) from error
    if missing:
        raise NotReady(f"The database lacks migration {missing[0]}: run `points-worker migrate`.")


async def agreed(settings: Settings) -> Agreement:
    """Return what the workers of this database agreed on.

    Raises as `check_migrated` does, and NotReady where nothing was declared yet.
    """
    await check_migrated(settings)
    async with connected(settings.database_url.get_secret_value()) as connection:
        agreement = await read_agreement(connection)
    if agreement is None:
        raise NotReady("The topology is not declared yet: run `points-worker topology declare`.")
    return agreement


def sentence(error: EditedMigration | RefusedFault) -> str:
    """Say what keeps a worker from using a database that answers."""
    if isinstance(error, RefusedFault):
        return f"Postgres refuses the user or database of DATABASE_URL: {error}"
    return str(error)


def _topology(agreement: Agreement) -> Topology:
    return Topology(agreement.prefix, agreement.generation, agreement.partitions)


def _check_agreement(settings: Settings, agreement: Agreement) -> None:
    """Refuse settings that differ from what is recorded: workers must not disagree."""
    wanted = {
        "prefix": settings.prefix,
        "partitions": settings.partitions,
        "prefetch": settings.prefetch,
    }
    for name, value in wanted.items():
        recorded = getattr(agreement, name)
        if value is not None and value != recorded:
            raise NotReady(
                f"{variable_of(name)} is {value}, but the workers of this database agreed on"
                f" {recorded}: unset it or set it to {recorded}."
            )
    if settings.batch_max > agreement.prefetch:
        raise NotReady(
            f"{variable_of('batch_max')} is {settings.batch_max}, but a lane holds"
            f" {agreement.prefetch} messages at most: lower it."
        )


async def _connect(settings: Settings) -> WireConnection:
    try:
        return await open_connection(
            settings.amqp_url.get_secret_value(),
            name="points-worker setup",
            heartbeat_seconds=settings.heartbeat_seconds,
        )
    except BrokerRefused as error:
        raise NotReady(str(error)) from error
