"""Sums that no row could hold, met by a running worker: a refusal of the request whose they are."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

import pytest

from tests.traffic import take_all
from tests.waiting import until
from worker.store.programs import apply_program

if TYPE_CHECKING:
    from tests.end_to_end.conversation import Conversation

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROGRAMME = {
    "program_id": "vast",
    "currencies": [{"code": "points", "decimals": 6}],
    "limits": {"points_per_operator_per_day": "999999999999999"},
}
IN_VAST = {"program_id": "vast"}
BY_KIM = {**IN_VAST, "adjusted_by": "kim"}
MUCH = 8_000_000_000_000
LATE = time(23, 59, 15)


async def test_the_sum_of_an_operators_day_refuses_the_request_that_exceeds_it_and_no_other(
    talk: Conversation,
) -> None:
    await apply_program(talk.scene.database_url, "vast", PROGRAMME)
    await until(lambda: datetime.now(UTC).time() < LATE, what="enough time before midnight")
    await talk.credit(talk.new_member(), MUCH, **BY_KIM)
    member = talk.new_member()
    rehearsed = await talk.ask(talk.request(member, MUCH, **BY_KIM, dry_run=True))
    assert rehearsed["error"]["key"] == "limit_exceeded"
    early = talk.send(talk.request(member, MUCH, **BY_KIM, ordinal=2))
    first = await talk.ask(talk.request(member, 1, **IN_VAST, ordinal=1))
    assert (first["status"], first["balance"]) == ("APPLIED", "1.000000")
    released = await talk.reply(early)
    assert b'"limit_exceeded"' in released.body
    assert (await talk.credit(member, 1, **IN_VAST))["sequence"] == 3
    assert await take_all(talk.scene.amqp_url, f"{talk.scene.prefix}.dead") == []
