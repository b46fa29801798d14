"""`points-worker`: what its commands are."""

from __future__ import annotations

import asyncio

import typer

from worker import app as worker_app
from worker.settings import BadSettings, Settings

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.command()
def run(*, setup: bool = False) -> None:
    """Run a worker until it is told to stop."""
    try:
        settings = Settings.load()
    except BadSettings as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(78) from error
    raise typer.Exit(asyncio.run(worker_app.run(settings, setup=setup)))


@app.command()
def migrate() -> None:
    """Migrate."""


def main() -> None:
    """Run the command line."""
    app()
