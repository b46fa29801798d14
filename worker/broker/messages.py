"""The two things that cross the broker's border: what was delivered and what is to be published.

Strings are UTF-8 on the wire. Bytes that are not are kept as lone surrogates (`surrogateescape`)
and go out again as the bytes they were, so that no publisher can make a message unreadable for
the whole session; whoever writes such a string anywhere else must expect them.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Delivery:
    """One message as the broker handed it over; `tag` counts deliveries of its channel from 1."""

    tag: int
    body: bytes
    exchange: str
    routing_key: str
    queue: str
    redelivered: bool = False
    """Whether the broker handed it out before."""
    delivery_count: int = 0
    """How often it was handed out before and came back (header `x-delivery-count`)."""
    content_type: str | None = None
    type: str | None = None
    message_id: str | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    user_id: str | None = None
    expiration: str | None = None
    priority: int | None = None
    headers: dict[str, object] = field(default_factory=dict)
    """The headers as far as they can be read and passed on again; timestamps are aware."""
    were_headers_cut: bool = False
    """Whether some of them found no room, or could not be read."""


@dataclass(slots=True)
class Publication:
    """One message to publish, always persistent.

    `must_be_taken` divides events, dead letters and forwarded requests, which are sent until the
    broker takes them, from replies, which are given up after a few attempts. `mandatory` asks the
    broker to return what no queue receives.
    """

    exchange: str
    routing_key: str
    body: bytes
    must_be_taken: bool
    mandatory: bool = False
    content_type: str | None = None
    type: str | None = None
    message_id: str | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    user_id: str | None = None
    priority: int | None = None
    headers: dict[str, object] | None = None


def passed_on(
    delivery: Delivery, exchange: str, routing_key: str, *, user: str, headers: dict[str, object]
) -> Publication:
    """Return a delivery as the worker's own user sends it on: persistent, and never into nothing.

    Body and properties stay what they were but for `expiration`, which could cost the message.
    """
    return Publication(
        exchange=exchange,
        routing_key=routing_key,
        body=delivery.body,
        must_be_taken=True,
        mandatory=True,
        content_type=delivery.content_type,
        type=delivery.type,
        message_id=delivery.message_id,
        correlation_id=delivery.correlation_id,
        reply_to=delivery.reply_to,
        user_id=user,
        priority=delivery.priority,
        headers=headers,
    )
