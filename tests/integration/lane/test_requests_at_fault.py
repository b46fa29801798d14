"""A batch is split until the request at fault stands alone, which is stored as refused (I5)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from schemas import errors
from tests.inside import Desk, documents, events, request
from tests.integration.lane.held import Held

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg


@pytest.fixture
def held(desk: Desk) -> Held:
    return Held(desk)


@pytest.fixture
async def unlucky(owner: asyncpg.Connection) -> AsyncIterator[None]:
    """Make 4711 points more than the books can hold."""
    await owner.execute("ALTER TABLE points.journal ADD CONSTRAINT no_4711 CHECK (points <> 4711)")
    yield
    await owner.execute("ALTER TABLE points.journal DROP CONSTRAINT IF EXISTS no_4711")


@pytest.mark.usefixtures("unlucky")
@pytest.mark.parametrize("places", [[0], [3], [6], [2, 3], [0, 6]], ids=str)
async def test_a_request_at_fault_is_stored_as_refused_and_its_neighbours_are_applied_in_order(
    held: Held, owner: asyncpg.Connection, places: list[int]
) -> None:
    batch = [request(f"r{n}", 4711 if n in places else n + 1) for n in range(7)]
    applied = await held.apply(*batch)
    outcomes = documents(applied)
    assert [item["sequence"] for item in outcomes] == [1, 2, 3, 4, 5, 6, 7]
    refused = [n for n, item in enumerate(outcomes) if item["status"] == "REJECTED"]
    assert refused == places
    for n in places:
        assert outcomes[n]["error"]["key"] == errors.INVALID_PAYLOAD
        assert "no_4711" in outcomes[n]["error"]["message"]
    told = [json.loads(event.body)["data"] for event in events(applied)]
    assert told == outcomes
    applied_points = sum(n + 1 for n in range(7) if n not in places)
    assert await owner.fetchval("SELECT balance FROM points.wallets") == applied_points
    assert not held.pauses
    # It stays refused when the reason is gone.
    await owner.execute("ALTER TABLE points.journal DROP CONSTRAINT no_4711")
    again = await held.apply(*batch)
    assert documents(again) == outcomes


@pytest.mark.usefixtures("unlucky")
async def test_a_batch_of_which_half_was_stored_already_is_finished_once(held: Held) -> None:
    batch = [request("a", 1), request("bad", 4711), request("c", 3)]
    first = await held.apply(*batch)
    again = await held.apply(*batch)
    assert again.publications == first.publications
    assert again.duplicates == 3


async def test_a_request_of_which_not_even_the_refusal_can_be_stored_is_set_aside(
    held: Held, owner: asyncpg.Connection
) -> None:
    await owner.execute(
        "ALTER TABLE points.journal ADD CONSTRAINT no_bad CHECK (request_id <> 'bad')"
    )
    applied = await held.apply(request("a", 1), request("bad", 2), request("c", 3))
    await owner.execute("ALTER TABLE points.journal DROP CONSTRAINT no_bad")
    assert [item.exchange for item in applied.publications] == [
        *("desk.events", "", "", "desk.dead", "desk.events", "")
    ]
    assert applied.letters == {errors.INVALID_PAYLOAD: 1}
    assert [item["balance"] for item in documents(applied)] == ["1", "4"]
