"""`points-worker`: what its commands are."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from worker import __version__
from worker.cli.adjust import CommandWithAmounts, adjust
from worker.cli.audit import audit
from worker.cli.books import balance, history, outcome
from worker.cli.bucket import bucket
from worker.cli.dead_letters import dead_letters
from worker.cli.demo import demo
from worker.cli.doctor import doctor
from worker.cli.importing import import_
from worker.cli.liability import liability
from worker.cli.member import member
from worker.cli.program import program
from worker.cli.schemas import schemas
from worker.cli.setup import migrate, run
from worker.cli.showing import write
from worker.cli.tail import tail
from worker.cli.topology import topology


class PlainSpokenGroup(TyperGroup):
    """Commands whose errors of usage say nothing of the library that found them."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is asked for."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            plain = error.message.removeprefix("Value error, ")
            error.message = plain.replace("Input should be", "it must be")
            raise


app = typer.Typer(
    name="points-worker",
    cls=PlainSpokenGroup,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    # The line breaks of a docstring are not those of a terminal.
    rich_markup_mode="markdown",
    # A traceback with local variables would show payloads and passwords.
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag's value.
    if wanted:
        write(__version__.encode())
        raise typer.Exit


@app.callback()
def points_worker(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Apply loyalty points adjustments from RabbitMQ to Postgres: in order, once, each answered.

    The servers are named by AMQP_URL and DATABASE_URL.
    """


_WORKER = "The worker"
_MEMBERS = "Members and their points"
_WATCHING = "Watching over it"

app.command(rich_help_panel=_WORKER)(run)
app.command(rich_help_panel=_WORKER)(migrate)
app.add_typer(topology, name="topology", rich_help_panel=_WORKER)
app.add_typer(program, name="program", rich_help_panel=_WORKER)
app.command(rich_help_panel=_WORKER)(doctor)
app.command(rich_help_panel=_WORKER)(demo)
app.command(
    cls=CommandWithAmounts,
    context_settings={"ignore_unknown_options": True},
    rich_help_panel=_MEMBERS,
)(adjust)
app.command("import", rich_help_panel=_MEMBERS)(import_)
app.command(rich_help_panel=_MEMBERS)(outcome)
app.command(rich_help_panel=_MEMBERS)(balance)
app.command(rich_help_panel=_MEMBERS)(history)
app.add_typer(member, name="member", rich_help_panel=_MEMBERS)
app.command(rich_help_panel=_MEMBERS)(bucket)
app.command(rich_help_panel=_WATCHING)(tail)
app.command(rich_help_panel=_WATCHING)(audit)
app.command(rich_help_panel=_WATCHING)(liability)
app.add_typer(dead_letters, name="dead-letters", rich_help_panel=_WATCHING)
app.add_typer(schemas, name="schemas", rich_help_panel="The contract")


def main() -> None:
    """Run the command line."""
    app(prog_name="points-worker")
