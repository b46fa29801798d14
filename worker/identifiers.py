"""Keyed fingerprints of identifiers: mobile numbers, e-mail addresses, account numbers.

An identifier leads to its member and is personal, so it is stored only as this fingerprint. Without
the key nobody can find out by trying which numbers are behind them.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from schemas.text import is_text

NAME_BYTES_MAX: Final = 64
VALUE_BYTES_MAX: Final = 255

# No name is empty, so no identifier's fingerprint is made of a text that begins like this.
_KEY_ITSELF: Final = b"\0the key of identifiers"


def is_name(value: object) -> bool:
    """Whether `value` may be the name of a kind of identifier, as `mobile` or `email` are."""
    return is_text(value, 1, NAME_BYTES_MAX)


def is_value(value: object) -> bool:
    """Whether `value` may be an identifier."""
    return is_text(value, 1, VALUE_BYTES_MAX)


def fingerprint(key: bytes, name: str, value: str) -> bytes:
    """Return HMAC-SHA256 of the name, a NUL byte and the value: 32 bytes.

    Both are taken to the letter: a number with blanks is another than one without. Raises
    ValueError, without the value, for what is no identifier; so no name can hold a NUL.
    """
    if not is_name(name) or not is_value(value):
        raise ValueError("an identifier needs a name and a value without control characters")
    return hmac.digest(key, f"{name}\0{value}".encode(), hashlib.sha256)


def key_digest(key: bytes) -> bytes:
    """Return what tells a key from all others without giving it away: 32 bytes.

    It is recorded beside the fingerprints, and is that of no identifier.
    """
    return hmac.digest(key, _KEY_ITSELF, hashlib.sha256)
