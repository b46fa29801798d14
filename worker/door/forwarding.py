"""How a request goes on from the door to its lane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import names
from schemas.topology import adjustments_exchange, bucket_key
from worker.broker import Publication, passed_on
from worker.envelope.properties import PRIORITY_MAX, fault

if TYPE_CHECKING:
    from worker.broker import Delivery


def forward(
    delivery: Delivery, member_id: str, headers: dict[str, object], *, prefix: str, user: str
) -> Publication:
    """Return a delivery as it goes on to its member's bucket, with these headers.

    It carries the name of a property that the lane will refuse: the property itself could cost the
    message on its way. `user` is the worker's own user at the broker.
    """
    onward = passed_on(
        delivery, adjustments_exchange(prefix), bucket_key(member_id), user=user, headers=headers
    )
    if (field := fault(delivery)) is not None:
        headers[names.REFUSED_PROPERTY_HEADER] = field
    if (delivery.priority or 0) > PRIORITY_MAX:
        onward.priority = PRIORITY_MAX
    return onward
