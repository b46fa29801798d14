"""Hides secrets in text that people or machines will read.

A secret reaches a text in two ways: inside an address (``amqp://user:password@host``) or as a named
value (``password=…``, as Postgres addresses allow it). Both are hidden here, in one place, so that
the settings, the log and the health pages cannot differ about it.
"""

from __future__ import annotations

import re

MASK = "***"

_NAMES = "password|passwd|pwd|passphrase|secret|token|authorization"
_SECRET_NAME = re.compile(rf"(?:^|_)(?:{_NAMES})$", re.IGNORECASE)

# Quotes may come escaped where one text holds another, as JSON in a log line does.
_NAMED_SECRET = re.compile(
    rf"((?:{_NAMES})\\*[\"']?\s*[=:]\s*(?:Bearer\s+|Basic\s+)?)"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s&]+)",
    re.IGNORECASE,
)
_WORD = re.compile(r"\S+")


def mask(text: str) -> str:
    """Give `text` with the passwords of addresses and the values named like secrets replaced.

    In doubt it hides too much rather than too little. Its cost grows linearly with the text.
    """
    if "@" in text and "://" in text:
        text = _WORD.sub(lambda word: _without_password(word[0]), text)
    return _NAMED_SECRET.sub(rf"\1{MASK}", text)


def is_secret_name(name: str) -> bool:
    """Tell whether a value of this name is to be hidden whatever it is."""
    return _SECRET_NAME.search(name) is not None


def _without_password(word: str) -> str:
    # The password ends at the last "@": one that was not percent-encoded may hold any other.
    before, _, host = word.rpartition("@")
    scheme, separator, credentials = before.partition("://")
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{separator}{user}:{MASK}@{host}" if colon else word
