"""The AMQP properties that a request must not have: with them the broker could break a promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas import errors, names
from worker.domain.outcome import Rejection

if TYPE_CHECKING:
    from worker.broker import Delivery

PRIORITY_MAX: Final = 4


def refused(delivery: Delivery, user: str) -> Rejection | None:
    """Refuse what would let the broker drop a message, or let it overtake others.

    The door, which takes such a property off, names it in a header; `user` is the worker's own
    user at the broker, who alone is believed.
    """
    if delivery.expiration is not None:
        return _refusal("expiration")
    if (delivery.priority or 0) > PRIORITY_MAX:
        return _refusal("priority")
    found_by_the_door = delivery.headers.get(names.REFUSED_PROPERTY_HEADER)
    if found_by_the_door is None or delivery.user_id != user:
        return None
    return _refusal(str(found_by_the_door))


def _refusal(field: str) -> Rejection:
    rule = (
        "must not be set: the broker could drop the request"
        if field == "expiration"
        else f"must be 0 to {PRIORITY_MAX}: a higher one could overtake"
    )
    return Rejection(
        errors.INVALID_PAYLOAD,
        f"AMQP property {field} {rule}.",
        [{"field": field, "rule": rule, "got": "an AMQP property"}],
    )
