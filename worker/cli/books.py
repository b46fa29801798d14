"""`outcome`, `balance` and `history`: what the books say about a member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.text import Text

from schemas.names import DEFAULT_PROGRAM_ID
from worker.cli import showing
from worker.cli.command import (
    Ended,
    Json,
    Member,
    Program,
    RequestId,
    carry_out,
    read_document,
)
from worker.exits import EXIT_FAULT_FOUND, EXIT_OK
from worker.readiness import check_migrated
from worker.store import views

if TYPE_CHECKING:
    from worker.settings import Settings
    from worker.store.entry import Entry

_LOTS_SHOWN = 10
_LOTS_MAX = 10_000
_EVENTS_SHOWN = 20
_EVENTS_MAX = 10_000


def outcome(
    member: Member,
    request_id: RequestId,
    *,
    program: Program = DEFAULT_PROGRAM_ID,
    caused: Annotated[
        bool, typer.Option("--caused", help="Before it, show all else that the request caused.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, a line each, byte for byte as it was given.")
    ] = False,
) -> None:
    """Show the stored answer to a request.

    Ends with 3 if none is stored.

    Example: points-worker outcome alice order-4711
    """

    async def work(settings: Settings) -> int:
        await check_migrated(settings)
        async with views.view_pool(settings) as pool:
            entries = await views.request_view(pool, program, member, request_id)
        if not entries:
            raise Ended(
                f"No outcome of request {request_id} is stored for member {member} of programme"
                f" {program}.",
                EXIT_FAULT_FOUND,
            )
        for entry in entries if caused else entries[-1:]:
            if as_json:
                showing.write(entry.outcome)
            else:
                _print_entry(entry)
        return EXIT_OK

    carry_out(work)


def balance(
    member: Member,
    *,
    program: Program = DEFAULT_PROGRAM_ID,
    lots: Annotated[
        int, typer.Option(metavar="N", min=0, max=_LOTS_MAX, help="So many open lots a wallet.")
    ] = _LOTS_SHOWN,
    as_json: Json = False,
) -> None:
    """Show a member's wallets, and their open lots in the order in which they are used.

    Example: points-worker balance alice --lots 3
    """

    async def work(settings: Settings) -> int:
        await check_migrated(settings)
        async with views.view_pool(settings) as pool:
            view = await views.member_view(pool, program, member, lots_max=lots)
        if as_json:
            showing.write_json(view)
        else:
            _print_member(view)
        return EXIT_OK

    carry_out(work)


def history(
    member: Member,
    *,
    program: Program = DEFAULT_PROGRAM_ID,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=_EVENTS_MAX, help="So many events.")
    ] = _EVENTS_SHOWN,
    before: Annotated[
        int,
        typer.Option(
            metavar="SEQUENCE",
            min=1,
            max=views.SEQUENCE_MAX,
            help="Only those before this one.",
            show_default=False,
        ),
    ] = views.SEQUENCE_MAX,
    as_json: Json = False,
) -> None:
    """Show a member's last events as a statement, the newest last.

    Example: points-worker history alice --limit 50 --before 200
    """

    async def work(settings: Settings) -> int:
        await check_migrated(settings)
        async with views.view_pool(settings) as pool:
            entries = await views.stream_view(pool, program, member, before=before, count_max=limit)
        if as_json:
            showing.write_json(
                [
                    {
                        "sequence": entry.sequence,
                        "type": entry.event_type,
                        "data": orjson.Fragment(entry.outcome),
                    }
                    for entry in entries
                ]
            )
        else:
            _print_statement(entries, member, program)
        return EXIT_OK

    carry_out(work)


def _print_entry(entry: Entry) -> None:
    out = showing.console()
    if entry.fingerprint is None:
        out.print(Text(f"{entry.event_type}, caused by it", "dim"))
    out.print(showing.outcome(read_document(entry.outcome)))
    if entry.fingerprint is None:
        out.print()


def _print_member(view: views.MemberView) -> None:
    out = showing.console()
    if not view.wallets:
        showing.talk(f"Member {view.member_id} of programme {view.program_id} has no wallet yet.")
        return
    wallets = showing.table(
        "currency", "category", "balance", "available", "total", "version", "next expiry",
        right=("balance", "available", "total", "version"),
    )  # fmt: skip
    for wallet in view.wallets:
        coming = wallet.next_expiry
        wallets.add_row(
            wallet.currency,
            wallet.category,
            wallet.balance,
            wallet.available,
            wallet.total,
            str(wallet.version),
            f"{coming.points} at {showing.moment(coming.expires_at)}" if coming else "none",
        )
    out.print(wallets)
    for wallet in view.wallets:
        if wallet.lots:
            lots = showing.table("lot", "points left", "of", "expires", right=("points left", "of"))
            for lot in wallet.lots:
                expires = showing.moment(lot.expires_at)
                lots.add_row(lot.lot_id, lot.remaining, lot.points, expires)
            out.print()
            out.print(Text(f"Open lots of {wallet.currency} {wallet.category}, soonest first"))
            out.print(lots)
        if wallet.lots_truncated:
            out.print(Text("There are more: see --lots.", "dim"))


def _print_statement(entries: list[Entry], member: str, program: str) -> None:
    if not entries:
        showing.talk(f"Member {member} of programme {program} has no such events.")
        return
    lines = showing.table(
        "no.", "time", "event", "wallet", "points", "balance", "request", "about",
        right=("no.", "points", "balance"),
    )  # fmt: skip
    for entry in entries:
        document = read_document(entry.outcome)
        error = document["error"]
        wallet = f"{entry.currency} {entry.category}" if entry.currency else ""
        about = error["key"] if error else document["reason"] or document["comment"] or ""
        lines.add_row(
            str(entry.sequence),
            showing.moment(entry.recorded_at),
            entry.event_type or "",
            wallet,
            document["points"],
            document["balance"] or "",
            showing.visible(entry.request_id),
            showing.visible(about),
            style="red" if error else "",
        )
    showing.console().print(lines)
