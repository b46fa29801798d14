"""A programme with every rule, and batches that need every kind of reading and writing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.inside import request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import asyncpg

PROGRAM: dict[str, Any] = {
    "program_id": "strict",
    "name": "Strict Rewards",
    "status": "active",
    "time_zone": "Europe/Berlin",
    "enrolment": "required",
    "currencies": [
        {
            "code": "points",
            "decimals": 0,
            "expiry": {"rule": "after", "years": 50},
            "earn_caps": [{"per": "month", "points": "1000"}],
            "spend_caps": [{"rolling_days": 7, "points": "500"}],
        }
    ],
    "limits": {"points_per_request": "1000", "points_per_operator_per_day": "100000"},
}


async def apply_strict_program(owner: asyncpg.Connection) -> None:
    """Put the programme into the database."""
    await owner.execute(
        "INSERT INTO points.programs VALUES ('strict', 1, $1::text::jsonb)", json.dumps(PROGRAM)
    )


async def enrol(owner: asyncpg.Connection, members: Sequence[str]) -> None:
    """Enrol members in the programme, also those who were refused as strangers before."""
    await owner.execute(
        "INSERT INTO points.members (program_id, member_id, enrolled_at)"
        " SELECT 'strict', member_id, now() FROM unnest($1::text[]) AS wanted (member_id)"
        " ON CONFLICT (program_id, member_id) DO UPDATE SET enrolled_at = now()",
        list(members),
    )


def strict(request_id: str, member_id: str, **more: Any) -> dict[str, Any]:
    """Return a request in the programme that an operator made."""
    return {
        "request_id": request_id,
        "member_id": member_id,
        "program_id": "strict",
        "adjusted_by": "agent-19",
        **more,
    }


def batches(members: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield batches for enrolled members in their order, each of one kind for all of them."""

    def of_all(request_id: str, **more: Any) -> list[dict[str, Any]]:
        return [strict(request_id, member_id, **more) for member_id in members]

    def numbered(request_id: str, ordinal: int) -> list[dict[str, Any]]:
        return of_all(request_id, points=ordinal, ordinal=ordinal, ordinal_stream="till")

    yield [request("elsewhere", 7, f"{member_id}-stranger") for member_id in members]
    yield [strict("stranger", f"{member_id}-stranger", points=1) for member_id in members]
    yield of_all("credit", points=100, award_id="A", award_type="bill_regular")
    yield of_all("promised", points=40, category="PROMISED")
    yield of_all("debit", points=-10, award_id="A") + of_all("plain", points=-5)
    yield of_all("hold", points=30, operation="HOLD") + of_all("other", points=5, operation="HOLD")
    yield of_all("capture", operation="CAPTURE", hold="hold", points=20)
    yield of_all("release", operation="RELEASE", hold="other")
    yield of_all("undo", operation="REVERSE", reverses="capture", points=3)
    yield of_all("again", operation="REVERSE", reverses="capture", points=2)
    yield of_all("convert", operation="CONVERT", category="PROMISED", points=15)
    yield of_all("back", operation="REVERSE", reverses="convert")
    yield of_all("set", operation="SET_BALANCE", points=60)
    yield of_all("same", operation="SET_BALANCE", points=60)
    yield numbered("third", 3) + numbered("fifth", 5)
    yield numbered("second", 2)
    yield numbered("third", 3)
    yield numbered("first", 1)
    yield numbered("first", 1) + numbered("second", 2)
    yield of_all("dry", points=5, dry_run=True)
    yield of_all("expire", operation="EXPIRE")
