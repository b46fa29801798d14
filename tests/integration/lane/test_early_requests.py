"""Requests with ordinals: parked, released, out of time, and told again."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.inside import (
    USER,
    Clock,
    Desk,
    delivered,
    documents,
    events,
    faults_in,
    replies,
    request,
    told,
)
from worker.domain.ordinals import Parking
from worker.store.keys import MemberKey
from worker.store.members import erase
from worker.store.transaction import Books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from worker.broker import Delivery
    from worker.store.pool import Pool

HOUR = timedelta(hours=1)
PARKING = Parking(wait_seconds=3600, per_member_max=3)


@pytest.fixture
def timed(pool: Pool, clock: Clock) -> Desk:
    """A desk where few requests may wait, for an hour."""
    return Desk(pool, clock, PARKING)


@pytest.fixture(autouse=True)
async def _books_add_up(pool: Pool) -> AsyncIterator[None]:
    yield
    assert await faults_in(pool) == []


def nth(number: int, points: object = 1, request_id: str | None = None, **more: Any) -> Delivery:
    """Return the request with this ordinal, from a publisher with a reply queue of its own."""
    name = request_id or f"r{number}"
    document = request(name, points, ordinal=number, **more)
    return delivered(
        document,
        reply_to=f"to-{name}",
        correlation_id=f"c-{name}",
        headers={"traceparent": f"00-{name}"},
    )


def caused(outcomes: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(one["request_id"], one["caused_by"]) for one in outcomes]


async def test_an_early_request_waits_without_an_answer_and_is_released_in_its_turn(
    timed: Desk, owner: asyncpg.Connection
) -> None:
    parked = await timed.apply(nth(3, -5), nth(2, 10))
    assert (parked.publications, parked.answers, parked.parked) == ([], [], 2)
    assert await owner.fetchval("SELECT count(*) FROM points.journal") == 0
    released = await timed.apply(nth(1, 1))
    assert caused(told(released)) == [("r1", None), ("r2", "r1"), ("r3", "r1")]
    assert [one["balance"] for one in told(released)] == ["1", "11", "6"]
    # Each is answered where it waits, right behind its event, and traced as its own.
    assert [(to, one["request_id"]) for to, one in replies(released)] == [
        ("to-r1", "r1"),
        ("to-r2", "r2"),
        ("to-r3", "r3"),
    ]
    assert [item.exchange for item in released.publications] == ["desk.events", ""] * 3
    for item, name in zip(released.publications, ("r1", "r1", "r2", "r2", "r3", "r3"), strict=True):
        assert (item.headers or {})["traceparent"] == f"00-{name}"
    assert [item.correlation_id for item in released.publications[1::2]] == ["c-r1", "c-r2", "c-r3"]
    assert released.outcomes.total() == 3


async def test_what_a_request_released_is_all_told_again_when_it_is_repeated(
    timed: Desk,
) -> None:
    """The worker may have died between commit and publication (I3)."""
    await timed.apply(nth(2, 10), nth(3, -50))
    first = await timed.apply(nth(1))
    again = await timed.apply(nth(1))
    assert len(first.publications) == 6
    assert again.publications == first.publications
    assert again.duplicates == 1


async def test_parked_and_released_by_one_batch_is_told_again_in_the_order_of_its_sequence(
    timed: Desk,
) -> None:
    """The worker may have died before it told anything: then this is how it is told first."""
    messages = nth(3), request("plain", 7), nth(2), nth(1)
    first = await timed.apply(*messages)
    assert [one["sequence"] for one in told(first)] == [1, 2, 3, 4]
    again = await timed.apply(*messages)
    assert told(again) == told(first)
    # Those that waited are answered at once; their events are owed with the one that released them.
    assert [to for to, _ in replies(again)[:3]] == ["to-r3", "answers", "to-r2"]
    assert replies(again)[3:] == [reply for reply in replies(first) if reply[0] != "answers"]
    assert again.duplicates == 4


async def test_a_repeat_within_the_batch_that_released_it_has_no_second_effect(
    timed: Desk, owner: asyncpg.Connection
) -> None:
    first = await timed.apply(nth(2, 10), nth(1), nth(2, 10))
    assert caused(told(first)) == [("r1", None), ("r2", "r1")]
    assert [to for to, _ in replies(first)] == ["to-r1", "to-r2", "to-r2"]
    assert await owner.fetchval("SELECT balance FROM points.wallets") == 11


@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_a_repeat_of_what_waits_renews_its_address_and_gets_no_answer_yet(
    timed: Desk, *, in_one_batch: bool
) -> None:
    moved = delivered(request("r2", "1.0", ordinal=2), reply_to="new", correlation_id="n")
    if in_one_batch:
        applied = await timed.apply(nth(2), moved)
    else:
        await timed.apply(nth(2))
        applied = await timed.apply(moved)
    assert (applied.publications, applied.duplicates) == ([], 1)
    released = await timed.apply(nth(1))
    assert [to for to, _ in replies(released)] == ["to-r1", "new"]


async def test_the_id_of_what_waits_is_taken(timed: Desk, owner: asyncpg.Connection) -> None:
    await timed.apply(nth(2))
    (answer,) = replies(await timed.apply(nth(2, 99)))
    assert answer[1]["error"]["key"] == "request_id_conflict"
    (answer,) = replies(await timed.apply(nth(2, request_id="another")))
    assert answer[1]["error"]["key"] == "ordinal_used"
    assert await owner.fetchval("SELECT count(*) FROM points.early_requests") == 1


async def test_a_repeat_of_what_was_released_gets_its_stored_answer(timed: Desk) -> None:
    await timed.apply(nth(2, 10))
    first = await timed.apply(nth(1))
    again = await timed.apply(nth(2, 10))
    assert again.publications == first.publications[3:]
    (conflict,) = documents(await timed.apply(nth(2, 11)))
    assert conflict["error"]["key"] == "request_id_conflict"


async def test_lots_that_fall_due_with_a_released_request_are_told_with_it_and_again(
    timed: Desk, clock: Clock
) -> None:
    soon = {"expiration_type": "CUSTOM_DATE", "expiration_date": "2030-06-15T12:30:00Z"}
    await timed.apply(
        request("c", 10, category="PROMISED", **soon), request("keep", 5, category="PROMISED")
    )
    await timed.apply(nth(2, -3, category="PROMISED"))
    clock.time += HOUR / 2
    first = await timed.apply(nth(1))
    assert caused(told(first)) == [("r1", None), (None, "r2"), ("r2", "r1")]
    assert (await timed.apply(nth(1))).publications == first.publications
    ids = [item.message_id for item in events(first)]
    assert len(set(ids)) == 3


async def test_out_of_time_a_request_is_refused_to_its_own_address_and_so_again(
    timed: Desk, clock: Clock, owner: asyncpg.Connection
) -> None:
    await timed.apply(nth(3), nth(5))
    assert await owner.fetchval("SELECT due_at FROM points.members") == clock.time + HOUR
    clock.time += HOUR
    expire = delivered(
        {"request_id": "x", "member_id": "m", "operation": "EXPIRE"}, reply_to=None, user_id=USER
    )
    first = await timed.apply(expire)
    assert caused(told(first)) == [("r3", "x"), ("r5", "x"), ("x", None)]
    assert [(to, one["error"]["key"]) for to, one in replies(first)] == [
        ("to-r3", "ordinal_gap"),
        ("to-r5", "ordinal_gap"),
    ]
    assert (await timed.apply(expire)).publications == first.publications
    # Only their own numbers are used up.
    late = await timed.apply(nth(1), nth(2), nth(4), nth(6))
    assert [one["status"] for one in documents(late)] == ["APPLIED"] * 4
    assert await owner.fetchval("SELECT due_at FROM points.members") is None


async def test_no_more_wait_than_may(timed: Desk) -> None:
    applied = await timed.apply(nth(2), nth(3), nth(4), nth(5))
    (full,) = documents(applied)
    assert full["error"]["key"] == "ordinal_gap"
    # Its number is not used up, but its id is.
    later = await timed.apply(nth(1), nth(5, request_id="again"))
    assert [one["balance"] for one in told(later)] == ["1", "2", "3", "4", "5"]


async def test_a_payload_that_is_wrong_uses_up_its_ordinal_and_does_not_wait(
    timed: Desk,
) -> None:
    (wrong,) = documents(await timed.apply(nth(2, "five")))
    assert wrong["error"]["key"] == "invalid_payload"
    late = await timed.apply(nth(3), nth(1))
    assert caused(told(late)) == [("r1", None), ("r3", "r1")]


async def test_in_a_programme_that_does_not_exist_nothing_waits(timed: Desk) -> None:
    (refused,) = documents(await timed.apply(nth(2, program_id="unborn")))
    assert refused["error"]["key"] == "unknown_program"


async def test_what_waited_of_a_member_erased_meanwhile_is_refused_for_that(
    timed: Desk, pool: Pool, database_url: str
) -> None:
    """Also where a request releases it before the sweep has come to it."""
    await timed.apply(nth(2, comment="private"))
    await erase(database_url, MemberKey("default", "m"))
    assert await faults_in(pool) == []
    refused = told(await timed.apply(nth(1)))
    assert [one["error"]["key"] for one in refused] == ["member_inactive", "member_inactive"]


async def test_only_the_streams_that_a_batch_needs_are_read(timed: Desk, pool: Pool) -> None:
    await timed.apply(*(nth(1, request_id=f"s{n}", ordinal_stream=f"s{n}") for n in range(20)))
    await timed.apply(nth(3, request_id="waits", ordinal_stream="waiting"))
    read: list[str] = []
    async with Books(pool).transaction() as transaction:
        key = MemberKey("default", "m")
        members = await transaction.lock([key])
        await transaction.early(members, [], [(key, "s7"), (key, "new")], [])
        read += members[key].streams
    assert sorted(read) == ["s7", "waiting"]


async def test_what_waits_is_read_and_locked_for_by_those_alone_that_may_release_it(
    timed: Desk, owner: asyncpg.Connection
) -> None:
    """Or an operator's day would be locked by every batch of a member with whom something waits."""
    await owner.execute(
        "INSERT INTO points.programs (program_id, version, document)"
        " SELECT 'default', 2, document || $1 FROM points.programs",
        json.dumps({"limits": {"points_per_operator_per_day": "10"}}),
    )
    await timed.apply(nth(2, 8, adjusted_by="kim"), nth(1, 8, "p", ordinal_stream="other"))
    await owner.execute("TRUNCATE points.operator_days")
    await timed.apply(request("plain", 1), nth(2, 1, "q", ordinal_stream="other"))
    assert await owner.fetchval("SELECT count(*) FROM points.operator_days") == 0
    await timed.apply(nth(1))
    assert await owner.fetchval("SELECT points FROM points.operator_days") == 8


async def test_a_released_request_has_the_rights_of_its_own_publisher(
    timed: Desk, owner: asyncpg.Connection
) -> None:
    await owner.execute(
        "INSERT INTO points.programs (program_id, version, document)"
        ' SELECT \'default\', 2, document || \'{"publishers": [{"user_id": "boss",'
        ' "may": ["adjust"]}]}\' FROM points.programs'
    )
    by_boss, by_till = nth(1), nth(2)
    by_boss.user_id, by_till.user_id = "boss", "till"
    own = nth(3)
    own.user_id = USER
    await timed.apply(own, by_till)
    released = await timed.apply(by_boss)
    keys = [one["error"] and one["error"]["key"] for one in told(released)]
    assert keys == [None, "not_permitted", None]


async def test_a_message_that_killed_workers_releases_nothing(timed: Desk) -> None:
    """What waits behind it may be what kills; it then runs out of time, which is harmless."""
    await timed.apply(nth(2))
    condemned = timed.reader.read(nth(1), lambda _: True, is_condemned=True)
    applied = await timed.applier.apply([condemned])
    assert [one["error"]["key"] for one in told(applied)] == ["killed_the_worker"]
    assert caused(told(await timed.apply(nth(1, request_id="anew")))) == [
        ("anew", None),
        ("r2", "anew"),
    ]


async def test_an_operation_that_waited_is_carried_out_like_one_that_did_not(timed: Desk) -> None:
    """Its original, hold or award is read although the batch itself does not name it."""
    await timed.apply(request("c", 50), request("d", -20))
    hold = delivered({"request_id": "h", "member_id": "m", "operation": "HOLD", "points": 10})
    await timed.apply(hold)
    capture = {"request_id": "k", "member_id": "m", "operation": "CAPTURE", "hold": "h"}
    undo = {"request_id": "u", "member_id": "m", "operation": "REVERSE", "reverses": "d"}
    await timed.apply(delivered({**undo, "ordinal": 3}), delivered({**capture, "ordinal": 2}))
    released = await timed.apply(nth(1, 5))
    assert [(one["request_id"], one["balance"]) for one in told(released)] == [
        ("r1", "35"),
        ("k", "25"),
        ("u", "45"),
    ]
