"""`member enrol`, `block`, `unblock`, `identify` and `erase`: what is said of a member."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from schemas.names import DEFAULT_PROGRAM_ID
from schemas.text import text_rule
from worker.cli import showing
from worker.cli.command import Ended, Json, Member, Program, Yes, carry_out
from worker.dialects import IDENTIFIER_NAMES
from worker.exits import EXIT_BAD_CONFIGURATION, EXIT_FAULT_FOUND, EXIT_OK
from worker.identifiers import VALUE_BYTES_MAX, fingerprint, is_value, key_digest
from worker.readiness import check_migrated
from worker.store import members
from worker.store.keys import MemberKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from worker.settings import Settings

member = typer.Typer(
    no_args_is_help=True, help="Enrol, block, identify and erase members of a programme."
)

_STDIN_BYTES_MAX: Final = 4_096
_NAMES: Final = f"{', '.join(IDENTIFIER_NAMES[:-1])} or {IDENTIFIER_NAMES[-1]}"


def _check_name(name: str) -> str:
    """Refuse what no dialect looks up, which would lead nobody to the member."""
    if name not in IDENTIFIER_NAMES:
        raise typer.BadParameter(f"it must be {_NAMES}")
    return name


@member.command()
def enrol(
    member_id: Member, *, program: Program = DEFAULT_PROGRAM_ID, as_json: Json = False
) -> None:
    """Enrol a member, as a programme with enrolment = "required" asks for.

    JSON: program_id, member_id, status, enrolled_at, is_changed.

    Example: points-worker member enrol alice --program acme
    """
    key = MemberKey(program, member_id)
    _carry_out(lambda url: members.enrol(url, key), "is enrolled", as_json=as_json)


@member.command()
def block(
    member_id: Member, *, program: Program = DEFAULT_PROGRAM_ID, as_json: Json = False
) -> None:
    """Block a member: requests are rejected with member_inactive, and points still expire.

    A member of whom nothing was heard yet is made known first, with `member enrol`.

    JSON: program_id, member_id, status, enrolled_at, is_changed.

    Example: points-worker member block alice
    """
    key = MemberKey(program, member_id)
    _carry_out(
        lambda url: members.set_blocked(url, key, is_blocked=True), "is blocked", as_json=as_json
    )


@member.command()
def unblock(
    member_id: Member, *, program: Program = DEFAULT_PROGRAM_ID, as_json: Json = False
) -> None:
    """Take the block from a member.

    JSON: program_id, member_id, status, enrolled_at, is_changed.

    Example: points-worker member unblock alice
    """
    key = MemberKey(program, member_id)
    _carry_out(
        lambda url: members.set_blocked(url, key, is_blocked=False),
        "is active",
        as_json=as_json,
    )


@member.command()
def identify(
    member_id: Member,
    *,
    name: Annotated[
        str,
        typer.Option(metavar="NAME", help=f"What it is: {_NAMES}.", callback=_check_name),
    ],
    value: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE",
            help="The identifier. Without it, it is read from standard input, where no shell"
            " writes it down.",
            show_default=False,
        ),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Let it lead to the member no longer.")
    ] = False,
    program: Program = DEFAULT_PROGRAM_ID,
    as_json: Json = False,
) -> None:
    """Let an identifier (a mobile number, an e-mail or account number) lead to a member.

    It is taken to the letter and stored only as a fingerprint, made with POINTS_IDENTIFIER_KEY: the
    key of the first one, which is that of all. Ends with 3 if it is another member's, or the member
    is not enrolled where the programme requires it.

    JSON: program_id, member_id, status, enrolled_at, is_changed.

    Example: points-worker member identify alice --name mobile < number.txt
    """
    given = _read_value() if value is None else value
    if not is_value(given):
        raise typer.BadParameter(
            f"it {text_rule(1, VALUE_BYTES_MAX)}", param_hint="--value or standard input"
        )

    async def work(settings: Settings) -> int:
        if settings.identifier_key is None:
            raise Ended(
                "POINTS_IDENTIFIER_KEY is missing: set it, or POINTS_IDENTIFIER_KEY_FILE, to the"
                " key that the workers have.",
                EXIT_BAD_CONFIGURATION,
            )
        secret, key = settings.identifier_key.get_secret_value(), MemberKey(program, member_id)
        found, digest = fingerprint(secret, name, given), key_digest(secret)
        try:
            code = await _work(
                settings,
                lambda url: members.identify(url, key, name, found, digest, is_removed=remove),
                f"is no longer known by this {name}" if remove else f"is known by this {name}",
                as_json=as_json,
            )
        except members.OtherKey:
            raise Ended(
                "POINTS_IDENTIFIER_KEY is another than when identifiers were stored: set it as it"
                " was then; nothing was changed.",
                EXIT_BAD_CONFIGURATION,
            ) from None
        if not remove and not as_json:
            showing.talk(
                "Every worker needs this POINTS_IDENTIFIER_KEY from now on: the door of one without"
                " it stops at the first message by identifier, as /readyz then says."
            )
        return code

    carry_out(work, unused="AMQP_URL")


@member.command()
def erase(
    member_id: Member,
    *,
    program: Program = DEFAULT_PROGRAM_ID,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase a member for good: identifiers, and what is personal in every stored answer.

    Reasons, comments, metadata and source ids become null; amounts and ids stay, so the books
    still add up. Requests that wait are rejected, later ones are member_inactive.

    JSON: program_id, member_id, status, outcomes_blanked, identifiers_deleted, requests_to_reject.

    Example: points-worker member erase alice --program acme --yes
    """
    if not yes:
        showing.ask(f"Really erase member {member_id} of programme {program} for good?")

    async def work(settings: Settings) -> int:
        await check_migrated(settings)
        try:
            erased = await members.erase(
                settings.database_url.get_secret_value(), MemberKey(program, member_id)
            )
        except members.NotDone as error:
            raise Ended(str(error), EXIT_FAULT_FOUND) from None
        if as_json:
            showing.write_json(
                {
                    "program_id": program,
                    "member_id": member_id,
                    "status": "erased",
                    "outcomes_blanked": erased.outcomes,
                    "identifiers_deleted": erased.identifiers,
                    "requests_to_reject": erased.waiting,
                }
            )
        else:
            showing.talk(
                f"Member {member_id} of programme {program} is erased. Answers blanked:"
                f" {erased.outcomes}; identifiers deleted: {erased.identifiers}; waiting requests"
                f" that will be rejected: {erased.waiting}."
            )
        return EXIT_OK

    carry_out(work, unused="AMQP_URL")


def _read_value() -> str:
    """Read an identifier from standard input, unseen where somebody types it."""
    if sys.stdin.isatty():
        return str(typer.prompt("Identifier", hide_input=True, err=True))
    try:
        return sys.stdin.buffer.read(_STDIN_BYTES_MAX).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise typer.BadParameter("it is not UTF-8", param_hint="standard input") from None


def _carry_out(
    change: Callable[[str], Awaitable[members.MemberState]], done: str, *, as_json: bool
) -> None:
    carry_out(lambda settings: _work(settings, change, done, as_json=as_json), unused="AMQP_URL")


async def _work(
    settings: Settings,
    change: Callable[[str], Awaitable[members.MemberState]],
    done: str,
    *,
    as_json: bool,
) -> int:
    """Make one change and say what the member is now."""
    await check_migrated(settings)
    try:
        state = await change(settings.database_url.get_secret_value())
    except members.NotDone as error:
        raise Ended(str(error), EXIT_FAULT_FOUND) from None
    if as_json:
        showing.write_json(state)
    else:
        already = "" if state.is_changed else " already; nothing changed"
        showing.talk(f"Member {state.member_id} of programme {state.program_id} {done}{already}.")
    return EXIT_OK
