"""The AMQP properties with which no request is taken.

With some the broker could break a promise; of headers that were cut, nobody knows what they said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas import errors, names
from worker.domain.outcome import Rejection

if TYPE_CHECKING:
    from worker.broker import Delivery

PRIORITY_MAX: Final = 4

_HEADERS: Final = "headers"
_RULES: Final = {
    "expiration": "must not be set: the broker could drop the request",
    "priority": f"must be 0 to {PRIORITY_MAX}: a higher one could overtake",
    _HEADERS: (
        "must be readable and fit into half an AMQP frame (64 KiB by default): some were lost"
    ),
}


def fault(delivery: Delivery) -> str | None:
    """Name the property for which a message must be refused; whoever passes it on takes it off."""
    if delivery.expiration is not None:
        return "expiration"
    if (delivery.priority or 0) > PRIORITY_MAX:
        return "priority"
    return _HEADERS if delivery.were_headers_cut else None


def refused(delivery: Delivery, user: str) -> Rejection | None:
    """Refuse what would let the broker drop a message or let it overtake others, or was cut.

    Who passed it on names the property in a header; `user` is the worker's own user at the broker,
    who alone is believed.
    """
    field = fault(delivery) or _found_before(delivery, user)
    return None if field is None else _refusal(field)


def headers_cut(delivery: Delivery, user: str) -> Rejection | None:
    """Refuse a message for its headers alone: others of them may be what tells whose it is."""
    is_cut = delivery.were_headers_cut or _found_before(delivery, user) == _HEADERS
    return _refusal(_HEADERS) if is_cut else None


def _found_before(delivery: Delivery, user: str) -> str | None:
    field = delivery.headers.get(names.REFUSED_PROPERTY_HEADER)
    return field if delivery.user_id == user and isinstance(field, str) else None


def _refusal(field: str) -> Rejection:
    rule = _RULES.get(field, _RULES["priority"])
    return Rejection(
        errors.INVALID_PAYLOAD,
        f"AMQP property {field} {rule}.",
        [{"field": field, "rule": rule, "got": "an AMQP property"}],
    )
