"""What an import writes down of rejected requests, and how a later one takes it up again.

A rejected request keeps its answer, so another try needs another id. One that an import made up is
followed by the next of its kind: the same file asks for the same again, which repeats nothing.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from schemas.errors import REQUEST_ID_CONFLICT
from schemas.reading import write_json

_KEYS: Final = frozenset({"line", "error", "request", "unsent"})
_WALLET: Final = ("program_id", "member_id", "currency", "category")
_MADE_UP: Final = re.compile(
    r"(?P<first>import-[0-9a-f]{20}-[0-9]{1,7}(?:-credit|-debit)?)(?:-(?P<tries>[0-9]{1,4}))?"
)
_DIGEST_DIGITS: Final = 20


class Again(NamedTuple):
    """A rejected request to be tried again, and what is sent once it is carried out."""

    request: dict[str, Any]
    unsent: dict[str, Any] | None


def made_up_id(digest: str, line: int) -> str:
    """Return the id of the request of a row that names none."""
    return f"import-{digest[:_DIGEST_DIGITS]}-{line}"


def written(
    line: int, error: dict[str, Any], request: dict[str, Any], unsent: dict[str, Any] | None
) -> bytes:
    """Return the line of a file of rejected requests."""
    row = {"line": line, "error": error, "request": request}
    return write_json(row | ({"unsent": unsent} if unsent is not None else {})) + b"\n"


def again(row: dict[str, Any]) -> Again | None:
    """Return what a row of such a file asks for now; None for a row of any other."""
    request, unsent = row.get("request"), row.get("unsent")
    if not isinstance(request, dict) or not row.keys() <= _KEYS:
        return None
    if unsent is not None and not isinstance(unsent, dict):
        return None
    if unsent is not None:
        # Who mends whose wallet it is need not do so twice.
        place = {name: request[name] for name in _WALLET if name in request}
        unsent = {name: v for name, v in unsent.items() if name not in _WALLET} | place
    error = row.get("error")
    # Where the id is another request's already, that one may have been carried out.
    if not isinstance(error, dict) or error.get("key") != REQUEST_ID_CONFLICT:
        request = request | _next_id(request.get("request_id"))
    return Again(request, unsent)


def _next_id(request_id: object) -> dict[str, str]:
    match = _MADE_UP.fullmatch(request_id) if isinstance(request_id, str) else None
    if match is None:
        return {}
    return {"request_id": f"{match['first']}-{int(match['tries'] or 1) + 1}"}
