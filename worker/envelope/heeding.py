"""What the door says of a vendor's message, in the headers of the request that it made of it.

Only the worker's own user says such things; whoever reads them here has made sure of that.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from schemas import errors, names
from schemas.reading import Unreadable, read_json
from worker.domain.outcome import Rejection

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIGEST_LENGTH: Final = 2 * sha256().digest_size


class Said(NamedTuple):
    """The SHA-256 of what was asked and of the body that it came in, and what was wrong with it.

    Each is None where the door says nothing of the kind.
    """

    content_digest: bytes | None
    body_digest: bytes | None
    refusal: Rejection | None


def said(headers: Mapping[str, object]) -> Said:
    """Read what the door wrote; what it cannot have written says nothing."""
    return Said(
        _digest(headers.get(names.CONTENT_DIGEST_HEADER)),
        _digest(headers.get(names.BODY_DIGEST_HEADER)),
        _refusal(headers.get(names.REFUSAL_HEADER)),
    )


def _digest(text: object) -> bytes | None:
    if isinstance(text, str) and len(text) == _DIGEST_LENGTH:
        with suppress(ValueError):
            return bytes.fromhex(text)
    return None


def _refusal(text: object) -> Rejection | None:
    if isinstance(text, str):
        with suppress(Unreadable, KeyError, TypeError):
            found = cast("dict[str, Any]", read_json(text.encode("utf-8", "surrogateescape")))
            if found["key"] in errors.ERRORS:
                return Rejection(found["key"], found["message"], found["details"])
    return None
