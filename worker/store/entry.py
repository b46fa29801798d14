"""An entry of the journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(slots=True)
class Entry:
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
