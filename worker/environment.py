"""Finds settings in environment variables and files, and says in plain words what is wrong there.

Everything here works on the mapping that it is given; `worker.settings` declares the settings.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import SecretBytes, SecretStr

from worker.masking import MASK, mask

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

PREFIX = "POINTS_"
FILE_SUFFIX = "_FILE"

# Longer than any setting; the path in a …_FILE variable may by mistake name anything.
_FILE_BYTES_MAX = 65_536

# How much of a wrong value is shown: enough to recognise it.
_SHOWN_CHARACTERS_MAX = 60

# Addresses are matched rather than parsed, because parsers put what they cannot read, here perhaps
# a password, into their error's text.
_USER = r"(?:[^/?#\s]*@)?"
_NUMBER = r"(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
_HOST = rf"(?:\[[0-9A-Fa-f:.%]+\]|[^/?#\s:@\[\],]+)(?::{_NUMBER})?"
_REST = r"(?:/[^?#\s]*)?(?:\?[^#\s]*)?"
AMQP_ADDRESS = re.compile(rf"amqps?://{_USER}{_HOST}{_REST}", re.ASCII)
POSTGRES_ADDRESS = re.compile(
    rf"postgres(?:ql)?://{_USER}(?:{_HOST}(?:,{_HOST})*)?{_REST}", re.ASCII
)

# What Kubernetes puts into every container beside a service called "points" or "points-…". Nobody
# wrote these, so they are not misspelt settings.
_SERVICE_LINK = re.compile(
    r"POINTS_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_\w+)?)"
    r"=.*"
    r"|POINTS_(?:\w+_)?PORT=(?:tcp|udp|sctp)://.*",
    re.DOTALL,
)


def variable_of(name: str, field: FieldInfo) -> str:
    """Give the environment variable of a setting: ``POINTS_BATCH_MAX`` for ``batch_max``."""
    alias = field.validation_alias
    return alias if isinstance(alias, str) else PREFIX + name.upper()


def unknown_variables(environ: Mapping[str, str], variables: Iterable[str]) -> list[str]:
    """Refuse variables that look like ours but are none, and would silently do nothing."""
    plain = list(variables)
    known = [*plain, *(variable + FILE_SUFFIX for variable in plain)]
    # All of ours begin alike, which makes none of them a likely one.
    by_end = {variable.removeprefix(PREFIX): variable for variable in known}
    faults = []
    for name, value in sorted(environ.items()):
        ours = name.upper().startswith(PREFIX)
        if ours and name not in known and not _SERVICE_LINK.fullmatch(f"{name}={value}"):
            end = name.upper().removeprefix(PREFIX)
            near = difflib.get_close_matches(end, by_end, n=1, cutoff=0.6)
            perhaps = f", perhaps to {by_end[near[0]]}," if near else ""
            faults.append(
                f"{name} is not a setting of the worker: correct its name{perhaps} or remove it."
            )
    return faults


def read_variables(
    environ: Mapping[str, str], variables: Iterable[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Give the text of each variable that is set, and a fault for each that could not be read.

    The text comes from the variable itself or from the file that its ``_FILE`` variant names, and
    loses the blanks around it. An empty variable counts as absent.
    """
    texts: dict[str, str] = {}
    faults: dict[str, str] = {}
    for variable in variables:
        text = environ.get(variable, "").strip()
        path = environ.get(variable + FILE_SUFFIX, "")
        if text and path:
            faults[variable] = (
                f"{variable} and {variable}{FILE_SUFFIX} are both set: keep one of them."
            )
        elif text:
            texts[variable] = text
        elif path:
            try:
                texts[variable] = _file_content(Path(path))
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                faults[variable] = (
                    f"{variable}{FILE_SUFFIX} names {_short(mask(path))!r}, which cannot be used"
                    f" ({reason}): name a readable text file that holds {variable}."
                )
    return texts, faults


def _file_content(path: Path) -> str:
    """Read a setting's file. Raises `OSError`, or `ValueError` with what is wrong in it."""
    with path.open("rb") as file:
        content = file.read(_FILE_BYTES_MAX + 1)
    if len(content) > _FILE_BYTES_MAX:
        raise ValueError(f"it is longer than {_FILE_BYTES_MAX} bytes")
    text = content.decode(errors="replace").strip()
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise ValueError("it is not UTF-8 text")
    if not text:
        raise ValueError("it is empty")
    return text


def sentences(
    detail: ErrorDetails,
    fields: Mapping[str, FieldInfo],
    texts: Mapping[str, str],
    but_not: Container[str],
) -> list[str]:
    """Say what one validation error means for whoever wrote the environment.

    Nothing is said about the variables in `but_not`, of which something was said before.
    """
    reason = str(detail.get("ctx", {}).get("error", ""))
    if not detail["loc"]:
        # A rule between settings: its text names the variables itself.
        return [f"{rule}." for rule in reason.split("\n")]
    location = str(detail["loc"][0])
    [(variable, field)] = [
        (variable_of(name, field), field)
        for name, field in fields.items()
        if location in {name, variable_of(name, field)}
    ]
    if variable in but_not:
        return []
    if detail["type"] == "missing":
        meaning = (field.description or "").rstrip(".")
        return [f"{variable} is missing: set it, or {variable}{FILE_SUFFIX} ({meaning})."]
    rule = reason or _rule(field)
    if {SecretBytes, SecretStr} & {field.annotation, *get_args(field.annotation)}:
        return [f"{variable} {rule}."]
    return [f"{variable} {rule}, and is {shown(texts[variable])!r}."]


def _rule(field: FieldInfo) -> str:
    """Say which values a setting takes, from the bounds or choices it was declared with."""
    if get_origin(field.annotation) is Literal:
        return "must be one of " + ", ".join(get_args(field.annotation))
    low = next(bound.ge for bound in field.metadata if isinstance(bound, Ge))
    high = next(bound.le for bound in field.metadata if isinstance(bound, Le))
    kind = "number" if field.annotation is float else "whole number"
    return f"must be a {kind} from {low} to {high}"


def shown(value: object) -> str:
    """Give a value as people may see it, without a password: "" stands for a value not set.

    Of a secret text, which is an address, only the password is hidden; of secret bytes all.
    """
    if value is None:
        return ""
    if isinstance(value, SecretBytes):
        return MASK
    if isinstance(value, SecretStr):
        return mask(value.get_secret_value())
    return _short(mask(f"{value:g}" if isinstance(value, float) else str(value)))


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else text[: _SHOWN_CHARACTERS_MAX - 1] + "…"
