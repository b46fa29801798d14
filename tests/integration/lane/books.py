"""What tests of batches ask for, and all that the books hold of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.inside import (
    BODY_BYTES_MAX,
    request,
)

if TYPE_CHECKING:
    import asyncpg

NOON = datetime(2030, 6, 15, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def expiring(request_id: str, points: int, at: datetime = NOON + MINUTE, **more: Any) -> Any:
    """Return a credit that expires."""
    return request(
        request_id,
        points,
        expiration_type="CUSTOM_DATE",
        expiration_date=at.isoformat(),
        **more,
    )


async def books(owner: asyncpg.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that is in the books."""
    tables = ("members", "wallets", "lots", "journal")
    return {
        table: sorted(map(tuple, await owner.fetch(f"SELECT * FROM points.{table}")), key=repr)
        for table in tables
    }


def too_large(request_id: str = "r") -> dict[str, Any]:
    """Return a request of more than a message may hold."""
    return request(request_id, 5, comment="x" * BODY_BYTES_MAX)
