"""Caps, limits, enrolment and permissions, counted and looked up in the real books."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.inside import (
    USER,
    Clock,
    Desk,
    add_program,
    delivered,
    faults_in,
    request,
)
from tests.integration.lane.operations import ACME, DAY, HOUR, acme, shape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from worker.store.pool import Pool


@pytest.fixture(autouse=True)
async def _books_add_up(pool: Pool) -> AsyncIterator[None]:
    """Whatever a test here does, the books add up afterwards (I4)."""
    yield
    assert await faults_in(pool) == []


async def test_caps_count_the_days_of_earlier_batches(
    timed: Desk, clock: Clock, owner: asyncpg.Connection
) -> None:
    await add_program(owner, ACME)
    await timed.apply(acme("a", 900))
    (cut,) = await timed.outcomes(acme("b", 300))
    assert (shape(cut)[:3], cut["forfeited"]) == (("APPLIED", "100", "1000"), "200")
    assert cut["warnings"] == ["earn_cap_day"]
    clock.time += DAY
    (rolling,) = await timed.outcomes(acme("c", 900))
    assert (rolling["points"], rolling["warnings"]) == ("500", ["earn_cap_3_days"])
    over, passing = await timed.outcomes(
        acme("d", -601, operation_type="AUTOMATIC"), acme("e", -601)
    )
    assert [shape(one)[0] for one in (over, passing)] == ["limit_exceeded", "APPLIED"]
    # A capture counts in the wallet of its hold, which it does not name.
    promised = {"category": "PROMISED"}
    await timed.apply(acme("p", 700, **promised), acme("q", -600, **promised))
    await timed.apply(acme("h", 10, operation="HOLD", **promised))
    (held,) = await timed.outcomes(
        acme("k", operation="CAPTURE", hold="h", operation_type="AUTOMATIC")
    )
    assert shape(held)[0] == "limit_exceeded"


async def test_an_operators_limit_is_one_over_all_members(
    timed: Desk, clock: Clock, owner: asyncpg.Connection
) -> None:
    await add_program(owner, ACME)
    by = {"adjusted_by": "op"}
    first = await timed.outcomes(
        acme("a", 400, **by), acme("a", 300, member_id="n", **by), acme("b", 1, **by)
    )
    assert [shape(one)[0] for one in first] == ["APPLIED", "APPLIED", "limit_exceeded"]
    clock.time += HOUR
    later = await timed.outcomes(
        acme("c", operation="REVERSE", reverses="a", **by),
        acme("d", operation="REVERSE", reverses="a", adjusted_by="another"),
        acme("e", "700.00", currency="coins", **by),
    )
    assert [shape(one)[0] for one in later] == ["limit_exceeded", "APPLIED", "APPLIED"]
    # A reversal moves points of the currency of what it undoes, which it does not name.
    (undone,) = await timed.outcomes(acme("u", operation="REVERSE", reverses="e", **by))
    assert shape(undone)[0] == "limit_exceeded"
    clock.time += DAY
    (tomorrow,) = await timed.outcomes(acme("f", 700, **by))
    assert shape(tomorrow)[0] == "APPLIED"


async def test_enrolment_tells_a_member_of_another_programme_from_nobody(
    timed: Desk, owner: asyncpg.Connection
) -> None:
    closed = {**ACME, "enrolment": "required"}
    await add_program(owner, closed)
    await timed.apply(request("a", 5, "elsewhere"))
    await owner.execute(
        "INSERT INTO points.members (program_id, member_id, enrolled_at)"
        " VALUES ('acme', 'in', clock_timestamp())"
    )
    found = await timed.outcomes(
        acme("b", 5, member_id="in"),
        acme("b", 5, member_id="elsewhere"),
        acme("b", 5, member_id="nobody"),
    )
    assert [shape(one)[0] for one in found] == ["APPLIED", "not_enrolled", "member_not_found"]


@pytest.mark.parametrize(
    ("user_id", "first", "key"),
    [
        (USER, None, "APPLIED"),
        (USER, "till", "not_permitted"),
        (USER, "boss", "APPLIED"),
        (USER, "", "not_permitted"),
        ("boss", None, "APPLIED"),
        ("till", "boss", "not_permitted"),
        (None, None, "not_permitted"),
        (None, "boss", "not_permitted"),
    ],
)
async def test_a_publisher_may_what_the_user_may_whom_the_broker_checked(
    timed: Desk, owner: asyncpg.Connection, user_id: str | None, first: str | None, key: str
) -> None:
    """What the worker passes on names its first publisher; nobody else is believed about one."""
    publishers = [{"user_id": "boss", "may": ["adjust"]}, {"user_id": "till", "may": ["hold"]}]
    await add_program(owner, {**ACME, "publishers": publishers})
    headers = {} if first is None else {"x-original-user-id": first}
    (outcome,) = await timed.outcomes(delivered(acme("a", 5), user_id=user_id, headers=headers))
    assert shape(outcome)[0] == key
