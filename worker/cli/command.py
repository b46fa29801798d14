"""What the commands share: their common arguments, how they reach the servers, how they end.

Data goes to standard output, talk to standard error. Whatever a user can cause ends a command
with a sentence and its exit code; what is left is a bug, and ends with a traceback and 1.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from schemas.identity import ID_BYTES_MAX, PROGRAM_ID_RULE, is_id, is_program_id
from schemas.reading import read_json
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
    EXIT_USAGE,
)
from worker.observe import logging
from worker.readiness import NotReady, sentence
from worker.settings import BadSettings, LogLevel, Server, Settings
from worker.store.faults import PassingFault, RefusedFault
from worker.store.migrate import EditedMigration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from tempfile import _TemporaryFileWrapper

_CHUNK_BYTES: Final = 1024 * 1024


def check_id(text: str | None) -> str | None:
    """Refuse what cannot be the id of a member or request as an error of usage."""
    if text is not None and not is_id(text):
        raise typer.BadParameter(f"it {text_rule(1, ID_BYTES_MAX)}")
    return text


def check_program(program: str | None) -> str | None:
    """Refuse what cannot be the id of a programme as an error of usage."""
    if program is not None and not is_program_id(program):
        raise typer.BadParameter(f"it {PROGRAM_ID_RULE}")
    return program


Member = Annotated[
    str, typer.Argument(metavar="MEMBER", help="The member's id.", callback=check_id)
]
RequestId = Annotated[
    str, typer.Argument(metavar="REQUEST_ID", help="The request's id.", callback=check_id)
]
Program = Annotated[
    str, typer.Option("--program", metavar="ID", help="The programme.", callback=check_program)
]
AnyProgram = Annotated[
    str | None,
    typer.Option("--program", metavar="ID", help="Only of this programme.", callback=check_program),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]


class Ended(Exception):
    """The command cannot do what it was asked to; the text is one sentence for the user."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def carry_out(
    work: Callable[[Settings], Coroutine[Any, Any, int]],
    *,
    unused: Server | None = None,
    configure_log: bool = True,
) -> None:
    """Do a command's work with the settings of the environment, and end with its exit code.

    The address of an `unused` server need not be set.
    The log is silent unless LOG_LEVEL is debug, or the work configures it by itself. Ends as
    `ending` does.
    """
    with ending():
        settings = Settings.load(unused=unused)
        if configure_log:
            # What a library logs about a server that is away is said at the end, in a sentence.
            level: LogLevel = "debug" if settings.log_level == "debug" else "critical"
            logging.configure(level, settings.log_format, worker_id="cli", version=__version__)
        raise typer.Exit(asyncio.run(work(settings)))


@contextmanager
def ending() -> Iterator[None]:
    """Tell in one sentence what a user or a server has caused, and end with its exit code.

    Raises typer.Exit, and bugs.
    """
    try:
        yield
    except BrokenPipeError:
        # Whoever read has had enough, as `head` does; nothing more is to be written at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(EXIT_NOBODY_READS) from None
    except Exception as error:
        ended = end_of(error)
        if ended is None:
            raise
        talk(str(ended))
        raise typer.Exit(ended.exit_code) from None


def end_of(error: Exception) -> Ended | None:  # noqa: PLR0911 - one line for each kind of end.
    """Return what an error means for the user, None for a bug."""
    if isinstance(error, Ended):
        return error
    if isinstance(error, NotReady):
        return Ended(str(error), error.exit_code)
    if isinstance(error, RefusedFault | EditedMigration):
        return Ended(sentence(error), EXIT_BAD_CONFIGURATION)
    if isinstance(error, PassingFault):
        # What the driver waited for in vain may be the server itself.
        if error.timed_out and not isinstance(error.__cause__, TimeoutError):
            return Ended(f"Postgres is busy, or something there is locked: {error}. Try again.",
                         EXIT_TRY_AGAIN)  # fmt: skip
        return Ended(f"Postgres is not reachable: {error}", EXIT_UNREACHABLE)
    if isinstance(error, BrokerUnreachable | SessionLost | NotTaken) and "NOT_FOUND" in str(error):
        remedy = (
            "See with `points-worker doctor` whether POINTS_PREFIX is that of the workers; if it"
            " is, run `points-worker topology declare` first."
        )
        return Ended(f"{str(error).rstrip('. ')}. {remedy}", EXIT_BAD_CONFIGURATION)
    if isinstance(error, BrokerUnreachable | SessionLost):
        return Ended(str(error), EXIT_UNREACHABLE)
    if isinstance(error, NotTaken):
        return Ended(str(error), EXIT_TRY_AGAIN)
    if isinstance(error, BadSettings | BrokerRefused | TopologyDiffers):
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


def read_file(file: str, bytes_max: int, kind: str, *, param_hint: str) -> bytes:
    """Read a file, or standard input for "-". Raises typer.BadParameter, also for a longer one.

    `kind` is what the file holds, in words.
    """
    try:
        if file == "-":
            content = sys.stdin.buffer.read(bytes_max + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(bytes_max + 1)
    except OSError as error:
        raise typer.BadParameter(why_unread(file, error), param_hint=param_hint) from None
    if len(content) > bytes_max:
        raise typer.BadParameter(f"it is too long for {kind}", param_hint=param_hint)
    return content


def why_unread(file: object, error: OSError) -> str:
    """Say why a file cannot be read; one that is not there may lie outside this container."""
    outside = f"; from outside a container, pipe it: - < {file}"
    return f"{file}: {error.strerror}{outside if isinstance(error, FileNotFoundError) else ''}"


def spooled(bytes_max: int) -> _TemporaryFileWrapper[bytes]:
    """Return a temporary file with all of standard input, gone once it is closed.

    Raises Ended, also where there is more than so many bytes.
    """
    try:
        with ExitStack() as stack:
            file = stack.enter_context(NamedTemporaryFile(prefix="points-worker-"))
            left = bytes_max
            while chunk := sys.stdin.buffer.read(_CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise Ended(f"Standard input has more than {bytes_max} bytes.", EXIT_USAGE)
                file.write(chunk)
            file.flush()
            stack.pop_all()
            return file
    except OSError as error:
        raise Ended(f"Standard input cannot be kept: {error.strerror}.", EXIT_USAGE) from None


def read_document(body: bytes) -> dict[str, Any]:
    """Read an outcome, event or reply that the worker wrote."""
    document = read_json(body)
    assert isinstance(document, dict), "the worker writes objects"
    return document
