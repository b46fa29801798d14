"""What workers agreed on stays as first declared, and its time tells of what was done alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from schemas.topology import adjustments_exchange
from tests.inside import settings_of
from tests.traffic import connected as at_broker
from worker.readiness import NotReady, declare_topology
from worker.store.agreement import read_agreement, record_agreement

if TYPE_CHECKING:
    from worker.settings import Settings
    from worker.store.pool import Pool


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    return emptied_database_url


@pytest.fixture
def settings(amqp_url: str, database_url: str, prefix: str) -> Settings:
    return settings_of(amqp_url, database_url, prefix, partitions=2)


async def test_a_declaration_with_other_settings_is_refused_and_renews_nothing(
    settings: Settings, pool: Pool
) -> None:
    declared = await declare_topology(settings)
    with pytest.raises(NotReady, match="POINTS_PARTITIONS is 3"):
        await declare_topology(settings.model_copy(update={"partitions": 3}))
    assert await read_agreement(pool) == declared


async def test_a_declaration_that_the_broker_refuses_renews_nothing(
    settings: Settings, pool: Pool
) -> None:
    declared = await declare_topology(settings)
    exchange = adjustments_exchange(settings.prefix)
    async with at_broker(settings.amqp_url.get_secret_value()) as connection:
        channel = await connection.channel()
        await channel.exchange_delete(exchange)
        await channel.exchange_declare(exchange, exchange_type="topic", durable=True)
    with pytest.raises(NotReady, match=f"Exchange {exchange} is not"):
        await declare_topology(settings)
    assert await read_agreement(pool) == declared


async def test_a_declaration_that_was_repeated_is_renewed(settings: Settings, pool: Pool) -> None:
    first = await declare_topology(settings)
    second = await declare_topology(settings)
    assert second.declared_at > first.declared_at
    assert await read_agreement(pool) == second


async def test_of_several_first_declarations_at_once_one_decides_for_all(database_url: str) -> None:
    agreements = await asyncio.gather(
        *(record_agreement(database_url, "p", partitions, 1_000) for partitions in range(1, 9))
    )
    assert len(set(agreements)) == 1
