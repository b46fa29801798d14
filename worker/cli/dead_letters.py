"""`dead-letters`: what could not be understood, and what to do about it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.names import (
    DIED_AT_HEADER,
    ERROR_MESSAGE_HEADER,
    IDENTIFIER_VALUE_HEADER,
    ORIGINAL_EXCHANGE_HEADER,
    ORIGINAL_QUEUE_HEADER,
    ORIGINAL_USER_ID_HEADER,
)
from schemas.times import parse_utc, utc_text
from worker.broker.dead_letters import (
    COUNT_MAX,
    DeadLetter,
    drop_letter,
    read_letters,
    replay_letter,
)
from worker.cli import showing
from worker.cli.command import Ended, Json, Yes, broker, carry_out
from worker.exits import EXIT_FAULT_FOUND, EXIT_OK
from worker.masking import MASK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from worker.broker import WireConnection
    from worker.settings import Settings

_LETTERS_SHOWN = 50

dead_letters = typer.Typer(
    no_args_is_help=True, help="Look at what could not be understood; replay it or drop it."
)

LetterId = Annotated[str, typer.Argument(metavar="ID", help="The letter's id, as `list` shows it.")]
LetterIds = Annotated[
    list[str], typer.Argument(metavar="ID", help="The letters' ids, as `list` shows them.")
]


@dead_letters.command("list")
def list_(
    *,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=COUNT_MAX, help="The oldest N letters.")
    ] = _LETTERS_SHOWN,
    as_json: Json = False,
) -> None:
    """List the oldest dead letters: why each is here, how old it is, where it was sent to.

    JSON: a list of objects with id, reason, message, died_at, routing_key, exchange, queue,
    user_id, type, content_type, message_id, correlation_id and body_bytes.

    Example: points-worker dead-letters list --limit 10
    """

    async def work(settings: Settings) -> int:
        async with broker(settings) as connection:
            letters = await read_letters(connection, settings.prefix, limit)
        if as_json:
            showing.write_json([_facts(letter) for letter in letters])
        elif letters:
            _print(letters)
        else:
            showing.talk("There are no dead letters.")
        return EXIT_OK

    carry_out(work, unused="DATABASE_URL")


@dead_letters.command()
def show(
    letter_id: LetterId,
    *,
    body: Annotated[bool, typer.Option("--body", help="Show the body too.")] = False,
    as_json: Json = False,
) -> None:
    """Show one dead letter; what of it may be personal, the body above all, only with --body.

    JSON: as list has it, and headers; with --body the body too.

    Example: points-worker dead-letters show 5f2d6c1e0a9b8c7d --body
    """

    async def work(settings: Settings) -> int:
        async with broker(settings) as connection:
            letters = await read_letters(connection, settings.prefix)
        letter = next((one for one in letters if one.letter_id == letter_id), None)
        if letter is None:
            raise _not_found(letter_id)
        shown = _facts(letter) | {"headers": _headers(letter.delivery.headers, is_whole=body)}
        text = letter.delivery.body.decode(errors="backslashreplace")
        if as_json:
            showing.write_json(shown | ({"body": text} if body else {}))
            return EXIT_OK
        out = showing.console()
        headers = shown.pop("headers")
        out.print(showing.facts(shown | {f"header {name}": headers[name] for name in headers}))
        if body:
            out.print()
            out.print(showing.visible(text), soft_wrap=True)
        return EXIT_OK

    carry_out(work, unused="DATABASE_URL")


@dead_letters.command()
def replay(letter_ids: LetterIds, *, yes: Yes = False, as_json: Json = False) -> None:
    """Publish dead letters again as they first were, and remove them here; a repeat is harmless.

    JSON: replayed, the ids of those that were there.

    Example: points-worker dead-letters replay 5f2d6c1e0a9b8c7d --yes
    """
    _settle(letter_ids, "replay", "replayed", replay_letter, yes=yes, as_json=as_json)


@dead_letters.command()
def drop(letter_ids: LetterIds, *, yes: Yes = False, as_json: Json = False) -> None:
    """Remove dead letters for good.

    JSON: dropped, the ids of those that were there.

    Example: points-worker dead-letters drop 5f2d6c1e0a9b8c7d --yes
    """
    _settle(letter_ids, "drop", "dropped", drop_letter, yes=yes, as_json=as_json)


def _settle(
    letter_ids: list[str],
    verb: str,
    done: str,
    settle: Callable[[WireConnection, str, str], Awaitable[DeadLetter | None]],
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Do one thing to each of the letters, asking first; end with 3 if one is not there."""
    if not yes:
        showing.ask(f"Really {verb} {', '.join(letter_ids)}?")

    async def work(settings: Settings) -> int:
        settled = []
        async with broker(settings) as connection:
            for letter_id in letter_ids:
                if await settle(connection, settings.prefix, letter_id) is None:
                    showing.talk(str(_not_found(letter_id)))
                    continue
                settled.append(letter_id)
                if not as_json:
                    showing.write(f"{done} {letter_id}".encode())
        if as_json:
            showing.write_json({done: settled})
        return EXIT_OK if len(settled) == len(letter_ids) else EXIT_FAULT_FOUND

    carry_out(work, unused="DATABASE_URL")


def _not_found(letter_id: str) -> Ended:
    return Ended(f"No letter {letter_id} is among the oldest {COUNT_MAX}.", EXIT_FAULT_FOUND)


def _facts(letter: DeadLetter) -> dict[str, Any]:
    """Return what is known of a letter but its body; what anybody may have sent is made visible."""
    delivery, headers = letter.delivery, letter.delivery.headers
    time = _died_at(headers)
    known = {
        "id": letter.letter_id,
        "reason": letter.reason,
        "message": headers.get(ERROR_MESSAGE_HEADER),
        "died_at": utc_text(time) if time else None,
        "routing_key": letter.routing_key,
        "exchange": headers.get(ORIGINAL_EXCHANGE_HEADER),
        "queue": headers.get(ORIGINAL_QUEUE_HEADER),
        "user_id": headers.get(ORIGINAL_USER_ID_HEADER) or None,
        "type": delivery.type,
        "content_type": delivery.content_type,
        "message_id": delivery.message_id,
        "correlation_id": delivery.correlation_id,
    }
    shown: dict[str, Any] = {
        name: None if value is None else showing.visible(str(value))
        for name, value in known.items()
    }
    return shown | {"body_bytes": len(delivery.body)}


def _headers(headers: Mapping[str, object], *, is_whole: bool) -> dict[str, str]:
    """Return the headers as text, a member's identifier among them only where all is wanted."""
    hidden = set() if is_whole else {IDENTIFIER_VALUE_HEADER}
    return {
        showing.visible(name): MASK if name in hidden else showing.visible(str(value))
        for name, value in headers.items()
    }


def _died_at(headers: Mapping[str, object]) -> datetime | None:
    """Return when a letter died: the worker writes it down, and so does the broker."""
    if isinstance(told := headers.get(DIED_AT_HEADER), str):
        with suppress(ValueError):
            return parse_utc(told)
    deaths = headers.get("x-death")
    if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict):
        time = deaths[0].get("time")
        return time if isinstance(time, datetime) else None
    return None


def _print(letters: list[DeadLetter]) -> None:
    rows = showing.table("id", "reason", "age", "routing key", "bytes", right=("age", "bytes"))
    now = datetime.now(UTC)
    for letter in letters:
        facts = _facts(letter)
        time = _died_at(letter.delivery.headers)
        age = str(timedelta(seconds=int((now - time).total_seconds()))) if time else "unknown"
        rows.add_row(
            facts["id"], facts["reason"], age, facts["routing_key"], str(facts["body_bytes"])
        )
    showing.console().print(rows)
