"""However many headers a message has, the lane knows who published it first."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.conftest import own_database
from tests.dialect_vectors.beans import BEANS, SHOP
from tests.end_to_end.vendors import Vendors
from tests.scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

GUARDED = {**SHOP, "program_id": "guarded", "publishers": [{"user_id": "till", "may": ["adjust"]}]}
# A worker reads headers up to half a frame, and passes them on with some of its own.
HALF_A_FRAME = 131_072 // 2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vendors(
    amqp_url: str, database_server_url: str, migrated_template: str
) -> AsyncIterator[Vendors]:
    """A conversation with one running worker, of a programme that lists its publishers."""
    async with own_database(database_server_url, migrated_template) as url:
        scene = Scene(amqp_url, url, f"t{secrets.token_hex(4)}")
        try:
            async with scene.worker() as worker:
                await worker.ready()
                async with Vendors(scene) as made:
                    await made.apply(GUARDED)
                    yield made
        finally:
            await scene.delete_topology()


@pytest.mark.parametrize("name", ["traceparent", "a-header", "z-header"])
async def test_no_header_is_so_long_that_an_unlisted_publisher_is_taken_for_the_worker_itself(
    vendors: Vendors, name: str
) -> None:
    member_id = vendors.new_member()
    for room in range(10, 90, 5):
        headers = {name: "x" * (HALF_A_FRAME - len(name) - room)}
        request = vendors.request(member_id, 5, program_id="guarded")
        outcome = await vendors.ask(request, routing_key="the door", headers=headers)
        assert (outcome["error"] or {}).get("key") == "not_permitted"


async def test_nor_is_a_vendors_message_trusted_for_the_length_of_its_headers(
    vendors: Vendors,
) -> None:
    member_id = vendors.new_member()
    whose = {"member-id": member_id, "program-id": "guarded"}
    for room in range(100, 400, 20):
        headers = {**whose, "traceparent": "x" * (HALF_A_FRAME - room)}
        reply = await vendors.say(
            BEANS, json.dumps({"type": "credit", "points": 5}).encode(), headers
        )
        assert reply["error"]["key"] == "not_permitted"
