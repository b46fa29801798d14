"""An entry of the journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(slots=True)
class Entry:
    """One stored outcome; the fields are the journal's columns.

    `request_id` is the request that caused it and `step` its number among what that caused.
    `fingerprint` is set for the request's own outcome, the last of its steps.
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
