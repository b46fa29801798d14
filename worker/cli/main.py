"""`points-worker`: what its commands are."""

from __future__ import annotations

import typer

from worker.cli.adjust import adjust
from worker.cli.audit import audit
from worker.cli.books import balance, history, outcome
from worker.cli.bucket import bucket
from worker.cli.dead_letters import dead_letters
from worker.cli.demo import demo
from worker.cli.doctor import doctor
from worker.cli.schemas import schemas
from worker.cli.setup import migrate, run
from worker.cli.tail import tail
from worker.cli.topology import topology

app = typer.Typer(
    name="points-worker",
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables would show payloads and passwords.
    pretty_exceptions_enable=False,
    help="Applies loyalty points adjustments from RabbitMQ to Postgres: in order, once, with every"
    " outcome published. The servers are named by AMQP_URL and DATABASE_URL.",
)

_WORKER = "The worker"
_MEMBERS = "Members and their points"
_WATCHING = "Watching over it"

app.command(rich_help_panel=_WORKER)(run)
app.command(rich_help_panel=_WORKER)(migrate)
app.add_typer(topology, name="topology", rich_help_panel=_WORKER)
app.command(rich_help_panel=_WORKER)(doctor)
app.command(rich_help_panel=_WORKER)(demo)
# A negative number of points is no option.
app.command(context_settings={"ignore_unknown_options": True}, rich_help_panel=_MEMBERS)(adjust)
app.command(rich_help_panel=_MEMBERS)(outcome)
app.command(rich_help_panel=_MEMBERS)(balance)
app.command(rich_help_panel=_MEMBERS)(history)
app.command(rich_help_panel=_MEMBERS)(bucket)
app.command(rich_help_panel=_WATCHING)(tail)
app.command(rich_help_panel=_WATCHING)(audit)
app.add_typer(dead_letters, name="dead-letters", rich_help_panel=_WATCHING)
app.add_typer(schemas, name="schemas", rich_help_panel="The contract")


def main() -> None:
    """Run the command line."""
    app(prog_name="points-worker")
