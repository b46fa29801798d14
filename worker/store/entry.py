"""An entry of the journal, and what is to be read out of one."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple

from worker.domain.wallet import Label, LotChange


class Entry(NamedTuple):
    """One stored outcome; the fields are the journal's columns.

    `request_id` is the request that caused it and `step` its number among what that caused.
    `fingerprint` is set for that request's own outcome alone, which need not be the last step.
    `subject` is the released request, or the lapsed hold, that the outcome belongs to. `lots` are
    all changes of lots, each [lot id, points, expires_at, award id, award type, promotion id] in
    minor units and RFC 3339, where the outcome cannot say them all; else None.
    """

    program_id: str
    member_id: str
    request_id: str
    step: int
    sequence: int
    status: str
    event_type: str | None
    error_key: str | None
    currency: str | None
    category: str | None
    points: int
    balance: int | None
    total: int | None
    version: int | None
    fingerprint: bytes | None
    recorded_at: datetime
    outcome: bytes
    subject: str | None = None
    lots: list[list[Any]] | None = None


def read_outcome(outcome: bytes) -> dict[str, Any]:
    """Read a stored outcome; its numbers, which occur in metadata and of any size, stay text."""
    document: dict[str, Any] = json.loads(outcome, parse_int=str, parse_float=str)
    return document


def changes_of_lots(listed: list[list[Any]] | None, document: dict[str, Any]) -> list[LotChange]:
    """Return all changes of lots: as listed beside the outcome, else as the outcome has them."""
    if listed is not None:
        return [
            LotChange(lot_id, points, _moment(expires_at), Label(*label))
            for lot_id, points, expires_at, *label in listed
        ]
    return [
        LotChange(
            int(lot["lot_id"]),
            minor_units(lot["points"]),
            _moment(lot["expires_at"]),
            Label(award_id=lot.get("award_id"), promotion_id=lot.get("promotion_id")),
        )
        for lot in document["lots"]
    ]


def minor_units(amount: str) -> int:
    """Read an amount of an outcome, which has all decimals of its currency."""
    return int(amount.replace(".", ""))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
