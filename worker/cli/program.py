"""`program apply`, `show` and `list`: the documents that say how a programme works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from schemas.identity import PROGRAM_ID_RULE, is_program_id
from schemas.names import DEFAULT_PROGRAM_ID
from worker.cli import showing, toml_text
from worker.cli.changes import changes, line_of
from worker.cli.command import Ended, Json, carry_out, check_program, read_file
from worker.domain.document import BadDocument, from_document
from worker.domain.table import Fault, shape
from worker.exits import EXIT_BAD_CONFIGURATION, EXIT_FAULT_FOUND, EXIT_OK
from worker.readiness import check_migrated
from worker.store.programs import apply_program, stored_program, stored_programs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.settings import Settings

program = typer.Typer(no_args_is_help=True, help="Apply and show the documents of programmes.")

_FILE_BYTES_MAX: Final = 1024 * 1024
_VERSION_MAX: Final = 2**31 - 1

# Postgres keeps the keys of a document in an order of its own; people read them in this one.
_KEYS: Final = (
    "program_id", "name", "status", "time_zone", "enrolment", "allow_negative", "reason",
    "reason_max_length", "reason_codes", "sources", "currencies", "limits", "promotions",
    "reactors", "dialects", "publishers",
    "id", "identifier", "user_id", "may", "event_type", "property", "multiplier",
    "reason_code",
    "code", "decimals", "sign", "max", "rule", "period", "per", "rolling_days", "points",
    "expiry", "balance_cap", "earn_caps", "spend_caps",
)  # fmt: skip


@program.command()
def apply(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The document in TOML; - for stdin.")],
    *,
    as_json: Json = False,
) -> None:
    """Make a programme, or its next version, from a document; running workers follow at once.

    A document with a fault is refused as a whole, each fault told with its line: exit code 78.
    The decimals of a currency never change, and a currency with points cannot go. A document
    that is the newest version already changes nothing.

    JSON: program_id, version, is_new, and changes, each with path, old and new. Faults are told on
    standard error alone.

    Example: points-worker program apply acme.toml
    """
    name = "stdin" if file == "-" else file
    text = _read(file)
    document, program_id = _checked(name, text)

    async def work(settings: Settings) -> int:
        await check_migrated(settings)
        try:
            applied = await apply_program(
                settings.database_url.get_secret_value(), program_id, document
            )
        except BadDocument as error:
            raise _told(name, text, error.faults) from None
        found = changes(applied.previous, document)
        if as_json:
            showing.write_json(
                {
                    "program_id": program_id,
                    "version": applied.version,
                    "is_new": applied.is_new,
                    "changes": [change._asdict() for change in found],
                }
            )
            return EXIT_OK
        done = "is applied" if applied.is_new else "is in force already; nothing changed"
        showing.talk(f"Version {applied.version} of programme {program_id} {done}.")
        for change in found:
            showing.write(showing.visible(line_of(change)).encode())
        return EXIT_OK

    carry_out(work, unused="AMQP_URL")


@program.command()
def show(
    program_id: Annotated[
        str, typer.Argument(metavar="ID", help="The programme.", callback=check_program)
    ] = DEFAULT_PROGRAM_ID,
    *,
    version: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=_VERSION_MAX, help="The newest by default.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a programme's document in TOML, ready to be changed and applied again.

    Ends with 3 if there is none.

    JSON: program_id, version, applied_at and document.

    Example: points-worker program show acme --version 3 > acme.toml
    """

    async def work(settings: Settings) -> int:
        await check_migrated(settings)
        stored = await stored_program(settings.database_url.get_secret_value(), program_id, version)
        if stored is None:
            wanted = f"version {version} of programme" if version else "programme"
            raise Ended(f"There is no {wanted} {program_id}.", EXIT_FAULT_FOUND)
        document = _ordered(stored.document)
        if as_json:
            showing.write_json(
                {
                    "program_id": stored.program_id,
                    "version": stored.version,
                    "applied_at": stored.applied_at,
                    "document": document,
                }
            )
            return EXIT_OK
        when = showing.moment(stored.applied_at)
        showing.write(f"# Version {stored.version}, applied at {when}".encode())
        showing.write(toml_text.write(document).rstrip("\n").encode())
        return EXIT_OK

    carry_out(work, unused="AMQP_URL")


@program.command("list")
def list_(*, as_json: Json = False) -> None:
    """List the programmes in their newest versions.

    JSON: a list of objects with program_id, version, applied_at, name, status and currencies (their
    codes).

    Example: points-worker program list
    """

    async def work(settings: Settings) -> int:
        await check_migrated(settings)
        programs = await stored_programs(settings.database_url.get_secret_value())
        if as_json:
            showing.write_json(
                [
                    {
                        "program_id": one.program_id,
                        "version": one.version,
                        "applied_at": one.applied_at,
                        "name": one.document.get("name", ""),
                        "status": one.document.get("status", "active"),
                        "currencies": [item["code"] for item in one.document["currencies"]],
                    }
                    for one in programs
                ]
            )
            return EXIT_OK
        rows = showing.table(
            "programme", "version", "applied at", "status", "currencies", "name",
            right=("version",), whole=("applied at",),
        )  # fmt: skip
        for one in programs:
            rows.add_row(
                one.program_id,
                str(one.version),
                showing.moment(one.applied_at),
                one.document.get("status", "active"),
                showing.visible(", ".join(item["code"] for item in one.document["currencies"])),
                showing.visible(one.document.get("name", "")),
            )
        showing.console().print(rows)
        return EXIT_OK

    carry_out(work, unused="AMQP_URL")


def _read(file: str) -> str:
    """Read a document from a file, or from standard input for "-"."""
    content = read_file(file, _FILE_BYTES_MAX, "a programme document", param_hint="'FILE'")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise typer.BadParameter(
            f"it is not UTF-8 at byte {error.start}", param_hint="'FILE'"
        ) from None


def _checked(name: str, text: str) -> tuple[dict[str, Any], str]:
    """Return the document and its programme's id, or end with everything that is wrong."""
    try:
        document = toml_text.read(text)
    except toml_text.NotToml as error:
        showing.talk(f"{name}:{error.line}: {error}")
        raise typer.Exit(EXIT_BAD_CONFIGURATION) from None
    faults: list[Fault] = []
    given = document.get("program_id")
    if not is_program_id(given):
        rule = "is required" if given is None else PROGRAM_ID_RULE
        faults.append(Fault(("program_id",), rule, "nothing" if given is None else shape(given)))
    try:
        rest = {key: value for key, value in document.items() if key != "program_id"}
        from_document(str(given), 1, rest)
    except BadDocument as error:
        faults += error.faults
    if faults:
        showing.talk(str(_told(name, text, faults)))
        raise typer.Exit(EXIT_BAD_CONFIGURATION)
    return document, str(given)


def _told(name: str, text: str, faults: Iterable[Fault]) -> Ended:
    """Say what is wrong, in the order of the lines."""
    lines = toml_text.Lines(text)
    told = sorted((lines.of(fault.path), str(fault)) for fault in faults)
    return Ended(
        "\n".join(f"{name}:{line}: {fault}" for line, fault in told), EXIT_BAD_CONFIGURATION
    )


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        known = {key: _ordered(value[key]) for key in _KEYS if key in value}
        return known | {key: _ordered(item) for key, item in value.items() if key not in known}
    return [_ordered(item) for item in value] if isinstance(value, list) else value
