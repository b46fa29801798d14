"""`adjust`: publish one request, wait for its outcome, show it."""

from __future__ import annotations

import asyncio
import codecs
import inspect
import re
from contextlib import nullcontext
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args, get_origin
from uuid import uuid4

import typer
from typer.core import TyperCommand

from schemas.identity import ID_BYTES_MAX, PROGRAM_ID_RULE, is_id, is_program_id
from schemas.names import RESULT_TYPE
from schemas.numbers import parse
from schemas.reading import Unreadable, read_json, write_json
from schemas.request import AdjustmentRequest
from schemas.text import text_rule
from schemas.topology import bucket_key
from worker.broker import client
from worker.cli import showing
from worker.cli.command import (
    Ended,
    Json,
    broker,
    carry_out,
    check_id,
    read_document,
    read_file,
)
from worker.exits import EXIT_FAULT_FOUND, EXIT_OK, EXIT_TRY_AGAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic.fields import FieldInfo

    from worker.broker import Delivery
    from worker.settings import Settings

_FILE_BYTES_MAX: Final = 16 * 1024 * 1024
_TIMEOUT_SECONDS: Final = 15.0
_TIMEOUT_SECONDS_MAX: Final = 3_600

_ARGUMENTS: Final = ("member_id", "points")
_LIKE_AN_OPTION: Final = re.compile("--?[A-Za-z]")


class NoSuchOption(typer.BadParameter):
    """There is no such option; what may have been meant is told, where it can be guessed."""

    def __init__(self, ctx: Any, name: str, options: Sequence[str]) -> None:
        # All of them begin with dashes, which makes none of them a likely one.
        by_end = {option.lstrip("-"): option for option in options}
        near = get_close_matches(name.lstrip("-"), by_end, n=1, cutoff=0.7)
        hint = f" Did you mean {by_end[near[0]]}?" if near else ""
        super().__init__(f"No such option {name}.{hint}", ctx)

    def format_message(self) -> str:
        """Return the sentence alone: nothing is the matter with an option's value."""
        return self.message


class CommandWithAmounts(TyperCommand):
    """A command that takes a negative amount for the argument that it is, and not for an option.

    Its setting `ignore_unknown_options` makes arguments of all options that there are not; those
    that can be no amounts are refused here.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line. Raises NoSuchOption."""
        before_dashes = args[: args.index("--")] if "--" in args else args
        parsed, left, _ = self.make_parser(ctx).parse_args(list(before_dashes))
        params = self.get_params(ctx)
        taken = [parsed.get(param.name) for param in params if param.param_type_name == "argument"]
        for word in [*taken, *left]:
            if isinstance(word, str) and _LIKE_AN_OPTION.match(word):
                options = [
                    option
                    for param in params
                    if param.param_type_name == "option"
                    for option in param.opts
                ]
                raise NoSuchOption(ctx, word.partition("=")[0], options)
        return super().parse_args(ctx, args)


def _check_points(points: str | None) -> str | None:
    if points is not None:
        try:
            parse(points)
        except ValueError as error:
            raise typer.BadParameter(f"it {error}") from None
    return points


def _with_an_option_for_every_field(command: Callable[..., None]) -> Callable[..., None]:
    """Put an option for each field of a request in the place of the command's `**fields`."""
    signature = inspect.signature(command, eval_str=True)
    parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    parameters += [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                kind_of(field) | None,
                typer.Option(
                    *_spellings(name),
                    help=field.description,
                    show_default=False,
                    rich_help_panel="Fields of the request",
                ),
            ],
        )
        for name, field in AdjustmentRequest.model_fields.items()
        if name not in _ARGUMENTS
    ]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


def _spellings(name: str) -> list[str]:
    option = "--" + name.replace("_", "-")
    return ["--program", option] if name == "program_id" else [option]


def kind_of(field: FieldInfo) -> Any:
    """Return what an option of the command line can be: a choice, a flag, a number or text."""
    kinds: list[Any] = [field.annotation, *get_args(field.annotation)]
    kinds += [get_args(kind)[0] for kind in kinds if get_origin(kind) is Annotated]
    for kind in kinds:
        if kind in {bool, int} or get_origin(kind) is Literal:
            return kind
    return str


@_with_an_option_for_every_field
def adjust(
    member: Annotated[
        str | None,
        typer.Argument(
            metavar="MEMBER",
            help="The member's id.",
            callback=check_id,
            show_default=False,
        ),
    ] = None,
    points: Annotated[
        str | None,
        typer.Argument(
            metavar="POINTS",
            help="The signed change, as in 100, -20 or 12.50.",
            callback=_check_points,
            show_default=False,
        ),
    ] = None,
    *,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="Take the request from this JSON file, or with - from standard input; arguments"
            " and options replace what it says.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            max=_TIMEOUT_SECONDS_MAX,
            help="How long to wait for the outcome.",
        ),
    ] = _TIMEOUT_SECONDS,
    as_json: Json = False,
    **fields: Any,
) -> None:
    """Publish one request, wait for its outcome and show it.

    Ends with 3 if it was rejected, and with 75 if no answer came in time.

    Example: points-worker adjust alice -20 --reason "Redeemed at the till"
    """
    document = {}
    if file is not None:
        body = read_file(file, _FILE_BYTES_MAX, "a request", param_hint="'--file'")
        document = _parsed(body, "'--file'")
    given = {"member_id": member, "points": points, **fields}
    if isinstance(given["metadata"], str):
        given["metadata"] = _parsed(given["metadata"].encode(), "'--metadata'")
    document |= {name: value for name, value in given.items() if value is not None}
    if not is_id(document.get("member_id")):
        raise typer.BadParameter("it is missing: name it here, or in the file as member_id",
                                 param_hint="'MEMBER'")  # fmt: skip
    if file is None and points is None and fields["operation"] in {None, "ADJUST"}:
        raise typer.BadParameter("say by how many", param_hint="'POINTS'")
    if document.get("request_id") is None:
        document["request_id"] = str(uuid4())
    _check_ids(document)
    try:
        body = write_json(document)
    except TypeError as error:
        raise typer.BadParameter(f"the request cannot be written as JSON: {error}") from None
    carry_out(
        lambda settings: _ask(settings, document, body, timeout, as_json=as_json),
        unused="DATABASE_URL",
    )


async def _ask(
    settings: Settings,
    document: dict[str, Any],
    body: bytes,
    timeout_seconds: float,
    *,
    as_json: bool,
) -> int:
    """Publish a request and show its reply; return the exit code."""
    request_id, member_id = document["request_id"], document["member_id"]
    publication = client.request(
        settings.prefix,
        bucket_key(member_id),
        body,
        message_id=request_id,
        correlation_id=str(uuid4()),
    )
    again = (
        f"The request may still be carried out; to ask again is harmless: --request-id {request_id}"
    )
    early = ""
    if document.get("ordinal") is not None:
        early = ", `points-worker outcome` whether the request waits for earlier ordinals"
    talk = showing.console(stderr=True)
    waiting = talk.status("Waiting for the outcome …") if talk.is_terminal else nullcontext()
    async with broker(settings) as connection:
        try:
            with waiting:
                reply = await client.request_reply(
                    connection, publication, timeout_seconds=timeout_seconds
                )
        except asyncio.CancelledError:
            showing.talk(f"Interrupted. {again}")
            raise
        except TimeoutError:
            raise Ended(
                f"No answer came within {timeout_seconds:g} s: `points-worker doctor` says whether"
                f" a worker runs{early}. {again}",
                EXIT_TRY_AGAIN,
            ) from None
    return _show(reply, as_json=as_json)


def _check_ids(document: dict[str, Any]) -> None:
    """Refuse ids that are none: with them, a request would be a dead letter."""
    if not is_id(document["request_id"]):
        raise typer.BadParameter(f"it {text_rule(1, ID_BYTES_MAX)}", param_hint="'--request-id'")
    program_id = document.get("program_id")
    if program_id is not None and not is_program_id(program_id):
        raise typer.BadParameter(f"it {PROGRAM_ID_RULE}", param_hint="'--program'")


def _show(reply: Delivery, *, as_json: bool) -> int:
    document = read_document(reply.body)
    if as_json:
        showing.write(reply.body)
    elif reply.type == RESULT_TYPE:
        showing.console().print(showing.outcome(document))
    else:
        error = document["error"]
        showing.console().print(
            showing.facts({"dead letter": error["key"], "why": error["message"]})
        )
    return EXIT_FAULT_FOUND if document.get("error") else EXIT_OK


def _parsed(body: bytes, option: str) -> dict[str, Any]:
    try:
        document = read_json(body.removeprefix(codecs.BOM_UTF8))
    except Unreadable as error:
        raise typer.BadParameter(error.message, param_hint=option) from None
    if not isinstance(document, dict):
        raise typer.BadParameter("it must be a JSON object", param_hint=option)
    return document
