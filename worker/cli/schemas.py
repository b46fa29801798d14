"""`schemas export`: the contract's documents as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schemas.export import write as write_documents
from worker.cli.command import Json  # noqa: TC001 - typer reads it at run time.
from worker.cli.showing import talk, visible, write, write_json
from worker.exits import EXIT_USAGE

schemas = typer.Typer(
    no_args_is_help=True, help="The contract as JSON Schemas and an AsyncAPI document."
)


@schemas.callback()
def _group() -> None:
    """Keep `export` a command of its own, though it is the only one."""


@schemas.command()
def export(
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="Where to; made if need be.")
    ] = "schemas",
    *,
    as_json: Json = False,
) -> None:
    """Write the JSON Schema of every message, and the AsyncAPI document, into a folder.

    JSON: files, their names.

    Example: points-worker schemas export ./contract
    """
    try:
        files = write_documents(Path(folder))
    except OSError as error:
        talk(f"The folder {folder} cannot be written to: {error.strerror}.")
        raise typer.Exit(EXIT_USAGE) from None
    names = [visible(str(file)) for file in files]
    if as_json:
        write_json({"files": names})
    else:
        write("\n".join(names).encode())
