"""What is wrong with a payload, told without repeating any of its values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import ErrorDetails, InitErrorDetails

from schemas import text
from schemas.numbers import NumberText

if TYPE_CHECKING:
    from pydantic import ValidationError

# A payload can be wrong in thousands of places; its answer must stay small enough to be sent.
FAULTS_LISTED_MAX: Final = 50

_FIELD_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def faults(error: ValidationError) -> list[dict[str, Any]]:
    """List every fault of an invalid payload, at most 50 and then how many more there are.

    Each has `field`, the `rule` that it breaks, and as `got` the shape of what came instead,
    never the value itself. A fault of the whole has the field `body`.
    """
    found = error.errors(include_url=False, include_context=False)
    listed = [
        {
            "field": field_name(".".join(map(str, fault["loc"]))),
            "rule": _rule(fault["type"], fault["msg"]),
            "got": _got(fault),
        }
        for fault in found[:FAULTS_LISTED_MAX]
    ]
    if len(found) > FAULTS_LISTED_MAX:
        more = len(found) - FAULTS_LISTED_MAX
        listed.append(
            {"field": "body", "rule": f"has {more} more faults", "got": "more than listed"}
        )
    return listed


def broken(field: str, rule: str, value: object) -> InitErrorDetails:
    """Make a fault of our own such as pydantic collects them; `rule` must hold no value."""
    return InitErrorDetails(
        type="value_error",
        loc=(field,) if field else (),
        input=value,
        ctx={"error": ValueError(rule)},
    )


def again(fault: ErrorDetails) -> InitErrorDetails:
    """Turn a fault that pydantic reported back into one that it collects."""
    return InitErrorDetails(
        type=fault["type"], loc=fault["loc"], input=fault["input"], ctx=fault.get("ctx", {})
    )


def shape(value: object) -> str:
    """Describe a JSON value by its kind and size alone."""
    if type(value) is str:
        flaw = text.flaw(value)
        size = "" if flaw or value.isascii() else f" ({len(value.encode())} bytes)"
        return f"a string of {_count(len(value), 'character')}{size}" + (flaw and f" with {flaw}")
    if isinstance(value, list):
        return f"an array of {_count(len(value), 'item')}"
    if isinstance(value, dict):
        return f"an object of {_count(len(value), 'field')}"
    return _PLAIN_SHAPES.get(type(value), "a value that JSON does not have")


_PLAIN_SHAPES: Final[dict[type, str]] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    NumberText: "a number that is no plain integer",
}


# Of a number that pydantic finds out of bounds the shape alone would not say what is wrong with it.
_OUT_OF_BOUNDS: Final = {"greater_than_equal": " below that", "less_than_equal": " above that"}


def _got(fault: ErrorDetails) -> str:
    # A null counts as absent: only an unknown field is ever faulted for one.
    absent = fault["type"] == "missing" or (
        fault["type"] == "value_error" and fault["input"] is None
    )
    if absent:
        return "nothing"
    return shape(fault["input"]) + _OUT_OF_BOUNDS.get(fault["type"], "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def field_name(path: str) -> str:
    """Name a field as it was sent only if that is what a field's name looks like."""
    if not path:
        return "body"
    if _FIELD_NAME.fullmatch(path):
        return path
    return f"a name of {_count(len(path), 'character')}"


def _rule(kind: str, message: str) -> str:
    """Turn pydantic's wording, which holds no values, into the tone of our own rules."""
    if kind == "extra_forbidden":
        return "is not a field of this message"
    if kind == "missing":
        return "is required"
    rule = message.removeprefix("Value error, ")
    for theirs, ours in _WORDINGS:
        rule = rule.replace(theirs, ours)
    return rule


_WORDINGS: Final = (
    ("Input should be greater than or equal to", "must be at least"),
    ("Input should be less than or equal to", "must be at most"),
    ("Input should be a valid integer", "must be an integer"),
    ("Input should be a valid boolean", "must be true or false"),
    ("Input should be", "must be"),
)
