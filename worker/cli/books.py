"""`outcome`, `balance` and `history`: what the books say about a member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.text import Text

from schemas.names import DEFAULT_PROGRAM_ID
from schemas.times import parse_date
from worker.cli import showing, statement, wallets
from worker.cli.command import (
    Ended,
    Json,
    Member,
    Program,
    RequestId,
    carry_out,
    read_document,
)
from worker.exits import EXIT_FAULT_FOUND, EXIT_OK, EXIT_USAGE
from worker.readiness import check_migrated
from worker.store import holdings, views

if TYPE_CHECKING:
    from worker.settings import Settings
    from worker.store.entry import Entry
    from worker.store.pool import Pool

_LOTS_SHOWN = 10
_LOTS_MAX = 10_000
_EVENTS_SHOWN = 20
_EVENTS_MAX = 10_000


def _check_time(text: str | None) -> str | None:
    try:
        if text is not None:
            parse_date(text)
    except ValueError as error:
        raise typer.BadParameter(f"it {error}") from None
    return text


def outcome(
    member: Member,
    request_id: RequestId,
    *,
    program: Program = DEFAULT_PROGRAM_ID,
    caused: Annotated[
        bool, typer.Option("--caused", help="Show all that the request caused, in order.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, a line each, byte for byte as it was given.")
    ] = False,
) -> None:
    """Show the stored answer to a request.

    Ends with 3 if none is stored, also for an early request that still waits.

    Example: points-worker outcome alice order-4711
    """

    async def work(settings: Settings) -> int:
        await check_migrated(settings)
        async with views.view_pool(settings) as pool:
            view = await views.request_view(pool, program, member, request_id)
        if not isinstance(view, views.RequestView):
            raise Ended(_unanswered(view, program, member, request_id), EXIT_FAULT_FOUND)
        for entry in view.entries if caused else [view.own]:
            if as_json:
                showing.write(entry.outcome)
            else:
                _print_entry(entry, is_own=entry is view.own)
        return EXIT_OK

    carry_out(work, unused="AMQP_URL")


def balance(
    member: Member,
    *,
    program: Program = DEFAULT_PROGRAM_ID,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            callback=_check_time,
            show_default=False,
            help="As of this moment, what was recorded at it included: an RFC 3339 time (without"
            " an offset: in the programme's zone), or a date for the end of that day there.",
        ),
    ] = None,
    lots: Annotated[
        int, typer.Option(metavar="N", min=0, max=_LOTS_MAX, help="So many open lots a wallet.")
    ] = _LOTS_SHOWN,
    as_json: Json = False,
) -> None:
    """Show a member's wallets, their holds, and their open lots in the order of use.

    What has fallen due stays in a wallet until its next request, or a sweep, takes it out: it is
    shown as due, and is not available. A moment of the past is worked out from the journal, and
    shows what this command would have shown then; one to come, what will have fallen due by then.
    The exact times of events are those of history --json.

    JSON: program_id, member_id, sequence, last_recorded_at, at, and wallets, each with currency,
    category, balance, available, held, due, held_due, deficit, total, version, next_expiry
    (points, expires_at), holds (hold_id, points, lapses_at, is_due), lots (lot_id, remaining,
    expires_at, is_due, award_id, award_type, promotion_id) and lots_truncated. Amounts are text
    with their currency's decimals. Then waiting: stream, ordinal (the one that is waited for) and
    requests.

    Wallets come in the order of the programme's currencies. Requests that came early and wait for
    their predecessors are told where no --at is given.

    Ends with 3 if the programme does not know the member.

    Example: points-worker balance alice --at 2026-06-30
    """

    async def work(settings: Settings) -> int:
        await check_migrated(settings)
        moment = None if at is None else parse_date(at)
        async with views.view_pool(settings) as pool:
            try:
                view = await holdings.member_view(pool, program, member, at=moment, lots_max=lots)
            except OverflowError:
                raise Ended("--at lies beyond the calendar.", EXIT_USAGE) from None
            unknown = None if view.wallets else await _unknown(pool, program, member)
        if as_json:
            showing.write_json(view)
        elif unknown is None:
            wallets.show(view, is_past=at is not None)
        if unknown is not None:
            raise Ended(unknown, EXIT_FAULT_FOUND)
        return EXIT_OK

    carry_out(work, unused="AMQP_URL")


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
    lots: Annotated[
        bool, typer.Option("--lots", help="Show what came into which lots, and out of them.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a member's last events as a statement, the newest last.

    Each has its number and time, what was asked for, the points that came in or went out, and the
    wallet's balance after it; below that the request and what was said about it.

    JSON: a list of objects with sequence, type (of the event) and data, which is the outcome as it
    was given.

    Ends with 3 if the programme does not know the member.

    Example: points-worker history alice --limit 50 --before 200
    """

    async def work(settings: Settings) -> int:
        await check_migrated(settings)
        async with views.view_pool(settings) as pool:
            entries = await views.stream_view(pool, program, member, before=before, count_max=limit)
            unknown = None if entries else await _unknown(pool, program, member)
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
        elif entries:
            statement.show(entries, f"Member {member} of programme {program}", has_lots=lots)
        elif unknown is None:
            showing.talk(f"Member {member} of programme {program} has no such events.")
        if unknown is not None:
            raise Ended(unknown, EXIT_FAULT_FOUND)
        return EXIT_OK

    carry_out(work, unused="AMQP_URL")


async def _unknown(pool: Pool, program: str, member: str) -> str | None:
    """Return a sentence where the books have never heard of a member, or not of the programme."""
    if await views.is_known(pool, program, member):
        return None
    if not await views.has_program(pool, program):
        return f"There is no programme {program}."
    return f"Programme {program} does not know member {member}."


def _unanswered(
    waiting: views.WaitingView | None, program: str, member: str, request_id: str
) -> str:
    if waiting is None:
        return (
            f"No outcome of request {request_id} is stored for member {member} of programme"
            f" {program}."
        )
    stream = f" of stream {waiting.stream}" if waiting.stream else ""
    return (
        f"Request {request_id} came early: with ordinal {waiting.ordinal}{stream} it waits for its"
        f" predecessors, until {showing.moment(waiting.deadline)} at the latest."
    )


def _print_entry(entry: Entry, *, is_own: bool) -> None:
    out = showing.console()
    if not is_own:
        out.print(Text(f"{entry.event_type or entry.status}, caused by it", "dim"))
    out.print(showing.outcome(read_document(entry.outcome)))
    if not is_own:
        out.print()
