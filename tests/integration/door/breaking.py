"""What tests of vendors' broken messages share: sound bodies, who they are for, what is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretBytes

from schemas.dialects import BEANS, CAPILLARY, MASTERCARD, VOUCHERIFY, WLL
from schemas.errors import ERRORS
from tests.integration.door.forwarding import BODY_BYTES_MAX, KEY, MOBILE
from tests.waiting import until
from worker.broker import Delivery
from worker.caution import _digest
from worker.identifiers import fingerprint
from worker.store.suspects import Suspects

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

    from tests.crew import Crew
    from tests.traffic import Received
    from worker.store.pool import Pool

MEMBER: Final = "member-7"
ACCOUNT: Final = "5555000011112222"
DEATHS_MAX: Final = 2

WAYS: Final[tuple[tuple[str, dict[str, object]], ...]] = (
    (BEANS, {"member-id": MEMBER}),
    (VOUCHERIFY, {"member-id": MEMBER}),
    (WLL, {"member-id": MEMBER}),
    (CAPILLARY, {"user-id": MEMBER}),
    (CAPILLARY, {"identifier-name": "mobile", "identifier-value": MOBILE}),
)
"""How each vendor names a member in headers."""

BODIES: Final[dict[str, dict[str, object]]] = {
    BEANS: {"type": "credit", "points": 20},
    VOUCHERIFY: {"points": 20},
    WLL: {"eventType": "BOUGHT", "payload": {"points": 20}},
    CAPILLARY: {"pointsToBeAdjusted": "20"},
    MASTERCARD: {
        "bankAccountNumber": ACCOUNT,
        "pointsToAdjust": 20,
        "adjustmentTypeCode": "CR",
        "adjustmentReason": "a reason",
        "adjustedBy": "somebody",
    },
}
"""A sound body of each dialect."""

SETTINGS: Final[dict[str, Any]] = {
    "identifier_key": SecretBytes(KEY),
    "body_bytes_max": BODY_BYTES_MAX,
    "suspect_deliveries_min": 1,
    "suspect_deaths_max": DEATHS_MAX,
}
"""Those of the workers of such tests."""


async def identify(owner: asyncpg.Connection) -> None:
    """Let the identifiers of the tests be the member's."""
    rows = [("mobile", MOBILE), ("bankAccountNumber", ACCOUNT)]
    await owner.executemany(
        "INSERT INTO points.identifiers VALUES ('default', $1, $2, $3)",
        [(name, fingerprint(KEY, name, value), MEMBER) for name, value in rows],
    )


def sent_as(
    message_type: str, headers: Mapping[str, object], request_id: str, **properties: Any
) -> dict[str, Any]:
    """Return the properties of a vendor's message."""
    given = {"message_type": message_type, "message_id": request_id, "headers": dict(headers)}
    return {"routing_key": "x", **given, **properties}


def key_of(reply: Received) -> str:
    """Return the key that a reply tells in its vendor's words, one of its code at Capillary."""
    document: dict[str, Any] = json.loads(reply.body)
    match reply.properties.message_type:
        case "voucherify.balance":
            return str(document["key"])
        case "capillary.negative_points_adjustment":
            (error,) = document["errors"]
            assert error["status"] is False
            return next(key for key, code in ERRORS.items() if error["code"] == code)
        case "mastercard.points_adjustment":
            (error,) = document["Errors"]["Error"]
            return str(error["ReasonCode"])
        case "beans.balance":
            assert document["status"] == "refused"
    return str(document["error"]["key"])


async def acknowledged(crew: Crew) -> None:
    await until(lambda: crew.counted("in_hand") == 0, what="everything is acknowledged")


async def journal(owner: asyncpg.Connection) -> list[tuple[str, str, str, str]]:
    """Return whose requests the journal tells of, and why they were refused, in order."""
    rows = await owner.fetch(
        "SELECT program_id, member_id, request_id, error_key FROM points.journal ORDER BY sequence"
    )
    return [tuple(row) for row in rows]


async def condemn(
    crew: Crew, pool: Pool, bodies: Mapping[str, bytes], deaths: int = DEATHS_MAX
) -> None:
    """Let messages at the door, by their ids, look as if so many workers had died over each."""
    door = crew.name("door")
    await crew.return_often(door, 1)
    for request_id, body in bodies.items():
        for _ in range(deaths):
            delivery = Delivery(1, body, "", "", door, message_id=request_id)
            await Suspects(pool).try_(door, _digest(delivery))
