"""What the commands share: their common arguments, how they reach the servers, how they end.

Data goes to standard output, talk to standard error. Whatever a user can cause ends a command
with a sentence and its exit code; what is left is a bug, and ends with a traceback and 1.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.identity import ID_BYTES_MAX, PROGRAM_ID_RULE, is_id, is_program_id
from schemas.text import text_rule
from worker import __version__
from worker.broker import (
    BrokerRefused,
    BrokerUnreachable,
    NotTaken,
    SessionLost,
    TopologyDiffers,
    WireConnection,
    open_connection,
)
from worker.cli.showing import talk
from worker.exits import (
    EXIT_BAD_CONFIGURATION,
    EXIT_NOBODY_READS,
    EXIT_TRY_AGAIN,
    EXIT_UNREACHABLE,
)
from worker.observe import logging
from worker.readiness import NotReady
from worker.settings import BadSettings, Settings
from worker.store.faults import PassingFault, RefusedFault
from worker.store.migrate import EditedMigration, missing_migrations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine


def check_id(text: str | None) -> str | None:
    """Refuse what cannot be the id of a member or request as an error of usage."""
    if text is not None and not is_id(text):
        raise typer.BadParameter(f"an id {text_rule(1, ID_BYTES_MAX)}")
    return text


def _check_program(program: str | None) -> str | None:
    if program is not None and not is_program_id(program):
        raise typer.BadParameter(f"a programme's id {PROGRAM_ID_RULE}")
    return program


Member = Annotated[
    str, typer.Argument(metavar="MEMBER", help="The member's id.", callback=check_id)
]
RequestId = Annotated[
    str, typer.Argument(metavar="REQUEST_ID", help="The request's id.", callback=check_id)
]
Program = Annotated[
    str, typer.Option("--program", metavar="ID", help="The programme.", callback=_check_program)
]
AnyProgram = Annotated[
    str | None,
    typer.Option(
        "--program", metavar="ID", help="Only of this programme.", callback=_check_program
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Ended(Exception):
    """The command cannot do what it was asked to; the text is one sentence for the user."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def carry_out(
    work: Callable[[Settings], Coroutine[Any, Any, int]], *, configure_log: bool = True
) -> None:
    """Do a command's work with the settings of the environment, and end with its exit code.

    What the user or a server has caused is told in one sentence. The log is silent unless
    LOG_LEVEL is debug, or the work configures it by itself. Raises typer.Exit, and bugs.
    """
    try:
        settings = Settings.load()
    except BadSettings as error:
        talk(str(error))
        raise typer.Exit(EXIT_BAD_CONFIGURATION) from None
    if configure_log:
        # What a library logs about a server that is away is said below, in a sentence.
        level: logging.Level = "debug" if settings.log_level == "debug" else "critical"
        logging.configure(level, settings.log_format, worker_id="cli", version=__version__)
    try:
        code = asyncio.run(work(settings))
    except BrokenPipeError:
        # Whoever read has had enough, as `head` does; nothing more is to be written at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_NOBODY_READS
    except Exception as error:
        ended = end_of(error)
        if ended is None:
            raise
        talk(str(ended))
        code = ended.exit_code
    raise typer.Exit(code)


def end_of(error: Exception) -> Ended | None:  # noqa: PLR0911 - one line for each kind of end.
    """Return what an error means for the user, None for a bug."""
    if isinstance(error, Ended):
        return error
    if isinstance(error, NotReady):
        return Ended(str(error), error.exit_code)
    if isinstance(error, RefusedFault):
        sentence = f"Postgres refuses the user or database of DATABASE_URL: {error}"
        return Ended(sentence, EXIT_BAD_CONFIGURATION)
    if isinstance(error, PassingFault):
        return Ended(f"Postgres is not reachable: {error}", EXIT_UNREACHABLE)
    if isinstance(error, BrokerUnreachable | SessionLost | NotTaken) and "NOT_FOUND" in str(error):
        sentence = f"{str(error).rstrip('. ')}. Run `points-worker topology declare` first."
        return Ended(sentence, EXIT_BAD_CONFIGURATION)
    if isinstance(error, BrokerUnreachable | SessionLost):
        return Ended(str(error), EXIT_UNREACHABLE)
    if isinstance(error, NotTaken):
        return Ended(str(error), EXIT_TRY_AGAIN)
    if isinstance(error, BrokerRefused | TopologyDiffers | EditedMigration):
        return Ended(str(error), EXIT_BAD_CONFIGURATION)
    return None


@asynccontextmanager
async def broker(settings: Settings) -> AsyncIterator[WireConnection]:
    """Give a connection to RabbitMQ. Raises BrokerUnreachable and BrokerRefused."""
    connection = await open_connection(
        settings.amqp_url.get_secret_value(),
        name="points-worker command line",
        heartbeat_seconds=settings.heartbeat_seconds,
    )
    try:
        yield connection
    finally:
        await connection.shut()


async def check_migrated(settings: Settings) -> None:
    """Refuse a database that lacks a migration. Raises NotReady, PassingFault, EditedMigration."""
    missing = await missing_migrations(settings.database_url.get_secret_value())
    if missing:
        raise NotReady(f"the database lacks migration {missing[0]}: run `points-worker migrate`")
