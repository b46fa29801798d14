"""Everything that speaks AMQP: aio-pika, aiormq and pamqp are imported nowhere else."""

from __future__ import annotations

from worker.broker.errors import (
    BrokerError,
    BrokerRefused,
    BrokerUnreachable,
    SessionLost,
    Unpublishable,
)
from worker.broker.intake import Intake
from worker.broker.messages import Delivery, Publication
from worker.broker.publisher import Publisher, PublishReport, PublishRules
from worker.broker.session import Session, close_connection, open_session
from worker.broker.wire import WireConnection, open_connection

__all__ = [
    "BrokerError",
    "BrokerRefused",
    "BrokerUnreachable",
    "Delivery",
    "Intake",
    "Publication",
    "PublishReport",
    "PublishRules",
    "Publisher",
    "Session",
    "SessionLost",
    "Unpublishable",
    "WireConnection",
    "close_connection",
    "open_connection",
    "open_session",
]
