"""What tests of vendors' messages at the door share: how they are sent, and what goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.integration.door.forwarding import MOBILE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.traffic import Received

DEDUCTION = {"pointsToBeAdjusted": "10.50", "reasonOfReturn": "Extra points were issued"}
BY_MOBILE = {"identifier-name": "mobile", "identifier-value": MOBILE}


def vendors(
    message_type: str, headers: Mapping[str, object] | None = None, message_id: str = "r-1"
) -> dict[str, Any]:
    """Return the properties of a vendor's message; by default member m's."""
    given = {"member-id": "m"} if headers is None else headers
    return {"message_type": message_type, "message_id": message_id, "headers": given}


def body_of(message: Received) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(message.body)
    return document
