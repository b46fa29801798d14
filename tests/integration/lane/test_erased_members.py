"""Of a member who is erased nothing personal is kept, not even of what is asked afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.inside import Desk, documents, faults_in, replies, request, told
from worker.store.keys import MemberKey
from worker.store.members import erase

if TYPE_CHECKING:
    import asyncpg

    from worker.store.pool import Pool

PERSONAL: Final[dict[str, Any]] = {
    "reason": "secret",
    "comment": "secret",
    "source_id": "secret",
    "metadata": {"secret": 1.50},
}
KEPT: Final = "SELECT string_agg(convert_from(outcome, 'UTF8'), '') FROM points.journal"


@pytest.fixture
async def erased(desk: Desk, database_url: str) -> Desk:
    """A desk whose member "m" is erased."""
    await desk.apply(request("before", 5, ordinal=1))
    await erase(database_url, MemberKey("default", "m"))
    return desk


async def test_a_request_for_an_erased_member_is_refused_and_stored_without_what_is_personal(
    erased: Desk, owner: asyncpg.Connection, pool: Pool
) -> None:
    asked = request("after", 5, reason_code="X", **PERSONAL)
    first = await erased.apply(asked)
    (outcome,) = documents(first)
    assert outcome["error"]["key"] == "member_inactive"
    assert outcome["reason_code"] == "X"
    assert {name: outcome[name] for name in PERSONAL} == dict.fromkeys(PERSONAL)
    assert told(first) == [outcome]
    assert replies(first) == replies(await erased.apply(asked)) == [("answers", outcome)]
    (conflict,) = await erased.outcomes(request("after", 6, **PERSONAL))
    assert conflict["error"]["key"] == "request_id_conflict"
    assert "secret" not in json.dumps(conflict) + await owner.fetchval(KEPT)
    assert await faults_in(pool) == []


async def test_an_early_request_for_an_erased_member_waits_without_its_body(
    erased: Desk, owner: asyncpg.Connection, pool: Pool
) -> None:
    early = request("third", 5, ordinal=3, **PERSONAL)
    assert await erased.outcomes(early) == []
    assert await owner.fetchval("SELECT body FROM points.early_requests") is None
    assert await erased.outcomes(early) == []
    answers = replies(await erased.apply(request("second", 5, ordinal=2, **PERSONAL)))
    assert [(a["request_id"], a["error"]["key"]) for _, a in answers] == [
        ("second", "member_inactive"),
        ("third", "member_inactive"),
    ]
    assert "secret" not in await owner.fetchval(KEPT)
    assert await faults_in(pool) == []
