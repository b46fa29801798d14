"""Everything that speaks AMQP: aio-pika, aiormq and pamqp are imported nowhere else."""

from __future__ import annotations

from worker.broker.connection import WireConnection, open_connection
from worker.broker.errors import (
    BrokerError,
    BrokerRefused,
    BrokerUnreachable,
    NotTaken,
    SessionLost,
    TopologyDiffers,
    Unpublishable,
)
from worker.broker.intake import Intake
from worker.broker.messages import Delivery, Publication, passed_on
from worker.broker.publisher import Publisher, PublishReport, PublishRules
from worker.broker.session import Session, open_session

__all__ = [
    "BrokerError",
    "BrokerRefused",
    "BrokerUnreachable",
    "Delivery",
    "Intake",
    "NotTaken",
    "Publication",
    "PublishReport",
    "PublishRules",
    "Publisher",
    "Session",
    "SessionLost",
    "TopologyDiffers",
    "Unpublishable",
    "WireConnection",
    "open_connection",
    "open_session",
    "passed_on",
]
