"""Strict JSON, in and out: what is read is what was sent, to the last digit."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

import orjson

from schemas.errors import MALFORMED_JSON, NOT_UTF8
from schemas.numbers import NumberText

# No field of the contract needs more than metadata's own nesting. A bound of our own keeps what
# is accepted independent of how deep the caller's stack happens to be.
DEPTH_MAX: Final = 32

# Integers of up to 18 characters fit a 64-bit column; no field takes a longer one.
_INTEGER_CHARACTERS_MAX = 18

_BLANKS = " \t\n\r"


class Unreadable(Exception):
    """A message that cannot be taken as a request, with the key and message of its dead letter.

    The message names what is wrong, never a value that was sent.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(key, message)
        self.key = key
        self.message = message


def read_json(body: bytes) -> object:
    """Read one JSON value strictly.

    Integers become `int`; every other number, and integers of more than 18 characters, become
    `NumberText`. Raises `Unreadable` with `not_utf8`, or with `malformed_json` for all else that
    is wrong: NaN and infinities, a field given twice, more than 32 levels, a byte order mark.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(NOT_UTF8, f"the body is not UTF-8 at byte {error.start}") from None
    text = text.rstrip(_BLANKS)
    try:
        value, end = _scan(text, len(text) - len(text.lstrip(_BLANKS)))
    except StopIteration as stop:
        raise _malformed(f"a value is missing at character {stop.value}") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg} at character {error.pos}") from None
    except RecursionError:
        raise _malformed(f"more than {DEPTH_MAX} levels") from None
    if end != len(text):
        raise _malformed(f"more follows the value at character {end}")
    # Only a text with so many brackets can be so deep, so the levels are rarely counted.
    if text.count("{") + text.count("[") > DEPTH_MAX and depth(value) > DEPTH_MAX:
        raise _malformed(f"more than {DEPTH_MAX} levels")
    return value


def write_json(value: object, *, sort_keys: bool = False) -> bytes:
    """Write what `read_json` read as compact JSON, every number as it was sent.

    Raises `TypeError` for a string with a lone surrogate.
    """
    option = orjson.OPT_PASSTHROUGH_SUBCLASS
    if sort_keys:
        option |= orjson.OPT_SORT_KEYS
    return orjson.dumps(value, _number, option)


def depth(value: object) -> int:
    """Count the levels of nesting, level by level rather than by recursion."""
    levels = 0
    level = [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        levels += 1
        level = [
            child for item in level for child in (item.values() if isinstance(item, dict) else item)
        ]
    return levels


def _number(value: object) -> orjson.Fragment:
    if type(value) is NumberText:
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _integer(text: str) -> int | NumberText:
    return int(text) if len(text) <= _INTEGER_CHARACTERS_MAX else NumberText(text)


def _constant(name: str) -> NoReturn:
    raise _malformed(f"{name} is not a number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _malformed("a field is given twice in one object")
    return fields


def _malformed(what: str) -> Unreadable:
    return Unreadable(MALFORMED_JSON, f"the body is not valid JSON: {what}")


# The decoder's own `decode` spends longer on surrounding blanks than its scanner on a request.
_scan = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=NumberText, parse_constant=_constant
).scan_once  # type: ignore[attr-defined] # Documented nowhere, but public and there since 2.7.
