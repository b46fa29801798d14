"""Hides secrets in text that people or machines will read.

A secret reaches a log in two ways: inside a URL (``amqp://user:password@host``) or as a named value
(``password=…``, as Postgres addresses allow it). Both are hidden here, in one place, so that the
settings, the log and the health pages cannot disagree about it.
"""

from __future__ import annotations

import re

MASK = "***"

# The password ends at the last "@" before a blank: a password that was not percent-encoded may hold
# any other character, and hiding too much of an address is harmless where hiding too little is not.
# Python's repr may have escaped a quote in it, which is why no quote ends it either.
_URL_PASSWORD = re.compile(r"([a-z][a-z0-9+.\-]*://[^\s:/@]*):\S*@", re.IGNORECASE)
_NAMED_SECRET = re.compile(
    r"((?:password|passwd|pwd|passphrase|secret|token|authorization)[\"']?\s*[=:]\s*)"
    r"(?:Bearer\s+|Basic\s+)?[\"']?[^\s&\"',;})\]]+",
    re.IGNORECASE,
)

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:password|passwd|pwd|passphrase|secret|token|authorization)$", re.IGNORECASE
)


def mask(text: str) -> str:
    """Give `text` with the passwords of URLs and the values named like secrets replaced."""
    # Nearly every text holds neither, and looking for one character is cheaper than two searches.
    if "@" in text:
        text = _URL_PASSWORD.sub(rf"\1:{MASK}@", text)
    if "=" in text or ":" in text:
        text = _NAMED_SECRET.sub(rf"\1{MASK}", text)
    return text


def is_secret_name(name: str) -> bool:
    """Tell whether a value of this name is to be hidden whatever it is."""
    return _SECRET_NAME.search(name) is not None
