"""`demo`: the whole path on real servers, to look at."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.command import Ended, Json, ending
from worker.demo import show
from worker.demo.servers import ServerError
from worker.exits import EXIT_UNREACHABLE


def demo(
    *,
    requests: Annotated[
        int, typer.Option("--requests", metavar="N", min=1, help="Messages of the burst.")
    ] = 5_000,
    members: Annotated[
        int, typer.Option("--members", metavar="N", min=1, help="Members of the burst.")
    ] = 20,
    kill: Annotated[bool, typer.Option(help="Kill the worker half-way with SIGKILL.")] = True,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep servers and worker running in the end.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the whole path on real servers: vendors' examples, a burst, a killed worker, an audit.

    The servers are those of AMQP_URL and DATABASE_URL where they are set; otherwise Docker's, or
    private ones of what is installed, or of what apt-get installs. Ends with 3 unless all holds.

    Example: points-worker demo --requests 20000
    """
    with ending():
        try:
            code = show.run(show.Options(requests, members, kill, keep, as_json))
        except ServerError as error:
            raise Ended(str(error), EXIT_UNREACHABLE) from None
        raise typer.Exit(code)
