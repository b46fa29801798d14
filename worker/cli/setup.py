"""`run` and `migrate`: the worker itself, and the database that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker import app as worker_app
from worker.cli.command import Json, carry_out
from worker.cli.showing import talk, write, write_json
from worker.exits import EXIT_OK
from worker.store.migrate import migrate as migrate_database

if TYPE_CHECKING:
    from worker.settings import Settings


def run(
    *,
    setup: Annotated[
        bool, typer.Option("--setup", help="Migrate and declare the topology first.")
    ] = False,
) -> None:
    """Run a worker until SIGTERM or SIGINT; a second signal stops it at once.

    Example: points-worker run --setup
    """
    carry_out(lambda settings: worker_app.run(settings, setup=setup), configure_log=False)


def migrate(*, as_json: Json = False) -> None:
    """Bring the database to the schema that this version needs.

    JSON: applied, the names of the migrations that were missing.

    Example: points-worker migrate
    """

    async def work(settings: Settings) -> int:
        applied = await migrate_database(settings.database_url.get_secret_value())
        if as_json:
            write_json({"applied": applied})
        elif applied:
            write("\n".join(f"applied {name}" for name in applied).encode())
        else:
            talk("Nothing to do: the database has every migration.")
        return EXIT_OK

    carry_out(work, unused="AMQP_URL")
