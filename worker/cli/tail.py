"""`tail`: the events as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from schemas.names import HOLD, MEMBER_ID_HEADER, RELEASE, EventType
from schemas.topology import events_exchange
from worker.broker.client import tail as follow
from worker.cli.command import AnyProgram, Json, broker, carry_out, check_id, read_document
from worker.cli.showing import STYLES, console, talk, visible, write
from worker.exits import EXIT_OK

if TYPE_CHECKING:
    from worker.broker import Delivery
    from worker.settings import Settings


def tail(
    *,
    member: Annotated[
        str | None,
        typer.Option(metavar="MEMBER", help="Only of this member.", callback=check_id),
    ] = None,
    program: AnyProgram = None,
    event_type: Annotated[
        EventType | None, typer.Option("--type", help="Only of this type.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Stop after so many.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Follow the events from now on, until Ctrl-C; with --json an event a line.

    Example: points-worker tail --member alice --type POINTS_ADJUSTED
    """

    async def work(settings: Settings) -> int:
        routing_key = f"{program or '*'}.{event_type or '*'}"
        left = limit
        async with (
            broker(settings) as connection,
            follow(connection, settings.prefix, routing_key) as events,
        ):
            talk(f"Following {events_exchange(settings.prefix)} …")
            async for event in events:
                if member is not None and event.headers.get(MEMBER_ID_HEADER) != member:
                    continue
                _show(event, as_json=as_json)
                if left is not None:
                    left -= 1
                    if not left:
                        break
        return EXIT_OK

    try:
        carry_out(work, unused="DATABASE_URL")
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_OK) from None


def _show(event: Delivery, *, as_json: bool) -> None:
    if as_json:
        write(event.body)
        return
    document = read_document(event.body)
    data = document["data"]
    wallet = " ".join(data[name] for name in ("currency", "category") if data[name])
    line = Text.assemble(
        (f"{document['time'][:19]}Z  ", "dim"),
        f"{data['program_id']}/{visible(data['member_id'])} ",
        (f"{data['sequence']}  ", "dim"),
        (document["type"], STYLES.get(data["status"], "")),
        f"  {_what(data)}",
        (f"  {wallet}  {visible(data['request_id'] or data['caused_by'])}", "dim"),
    )
    console().print(line, soft_wrap=True)


def _what(data: dict[str, Any]) -> str:
    """Say what came of a request, or of what was due."""
    if error := data["error"]:
        return f"{error['key']}: {error['message']}"
    if data["balance"] is None:
        return "all that was due"
    if data["operation"] in {HOLD, RELEASE}:
        return f"{data['available']} of {data['balance']} available"
    return f"{data['points']} → {data['balance']}"
