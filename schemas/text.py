"""The rule for strings: limits are bytes of UTF-8, and nothing in them is invisible."""

from __future__ import annotations

import re
from typing import Final, TypeGuard

CONTROL_CHARACTER: Final = "a control character"
LONE_SURROGATE: Final = "a lone surrogate"

# C0, DEL and C1 control characters, and the surrogates, which stand alone wherever Python shows
# them. Postgres cannot store some of these, and no log or terminal should be handed the others.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

# The same for JSON Schema: what must not be found. Said the other way round it would need a `$`,
# which some validators also find before a line break.
FORBIDDEN_PATTERN: Final = r"[\u0000-\u001f\u007f-\u009f\ud800-\udfff]"


def is_text(value: object, bytes_min: int, bytes_max: int) -> TypeGuard[str]:
    """Whether `value` is a string of so many bytes, without control characters.

    A `NumberText` is a number and no string.
    """
    if type(value) is not str or not bytes_min <= len(value) <= bytes_max:
        return False
    # Nearly every string is printable ASCII, where characters are bytes: that test is cheap.
    if value.isascii() and value.isprintable():
        return True
    return _FORBIDDEN.search(value) is None and len(value.encode()) <= bytes_max


def text_rule(bytes_min: int, bytes_max: int) -> str:
    """Return the rule that `is_text` holds strings to, as a sentence without its subject."""
    size = f"{bytes_min} to {bytes_max}" if bytes_min else f"at most {bytes_max}"
    return f"must be a string of {size} bytes of UTF-8 without control characters"


def flaw(value: str) -> str:
    """Name what is invisible in a string, without showing any of it; empty if nothing is."""
    match = _FORBIDDEN.search(value)
    if match is None:
        return ""
    return LONE_SURROGATE if match.group() >= "\ud800" else CONTROL_CHARACTER
