"""What tests of ordinals share: a stream as it stands, and what was told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.domain.outcome import Rejection

if TYPE_CHECKING:
    from tests.unit.domain.desk import Desk
    from worker.domain.member import Stream

REFUSAL = Rejection("invalid_payload", "points is required.")


def stream(desk: Desk, name: str = "") -> Stream:
    return desk.member.streams[name]


def told(desk: Desk, *points: object, **fields: Any) -> list[tuple[str | None, str | None]]:
    """Hand in a request; return (request id, error) of each step that came of it."""
    return [
        (outcome.request_id, outcome.rejection.key if outcome.rejection else None)
        for outcome in desk.outcomes(*points, **fields)
    ]
