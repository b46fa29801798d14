"""The points worker: applies adjustments from RabbitMQ to Postgres, in order and once."""

from __future__ import annotations

__version__ = "0.1.0"
