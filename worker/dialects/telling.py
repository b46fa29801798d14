"""The error of an outcome or a dead letter, as the replies of dialects tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas import errors
from worker.dialects.dialect import UNKNOWN_FIELD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.dialects.dialect import Detail


def renamed(error: Mapping[str, Any], sent: Mapping[str, str]) -> dict[str, Any]:
    """Return the error of an outcome with the names of the fields that were sent.

    `sent` has them by the names of the canonical request, which the rules blame. A field that the
    dialect does not know was sent by the very name that it is told by.
    """
    message: str = error["message"]
    details: list[Detail] = []
    for detail in error["details"]:
        blamed = detail["field"]
        name = blamed if detail["rule"] == UNKNOWN_FIELD else sent.get(blamed, blamed)
        if not details:
            message = message.replace(blamed, name, 1)
        details.append({**detail, "field": name})
    return {**error, "message": message, "details": details}


def rejection_error(error: Mapping[str, Any]) -> dict[str, Any]:
    """Return the error of an outcome for a reply whose vendor publishes no form of its own."""
    return {name: error[name] for name in ("code", "key", "message", "details")}


def letter_error(key: str, message: str, details: Sequence[Detail] = ()) -> dict[str, Any]:
    """Return the error of a dead letter in the form of an outcome's error."""
    return {
        "code": errors.ERRORS[key],
        "key": key,
        "message": f"{message}.",
        "details": list(details),
    }
