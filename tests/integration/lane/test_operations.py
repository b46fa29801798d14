"""Every operation on the real books: across batches, beside each other, and told again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.inside import (
    Clock,
    Desk,
    add_program,
    documents,
    events,
    faults_in,
    request,
    told,
)
from tests.integration.lane.operations import ACME, DAY, HOUR, acme, asked, shape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from worker.store.pool import Pool


@pytest.fixture(autouse=True)
async def _books_add_up(pool: Pool) -> AsyncIterator[None]:
    """Whatever a test here does, the books add up afterwards (I4)."""
    yield
    assert await faults_in(pool) == []


async def test_a_hold_of_one_batch_is_captured_in_part_by_the_next_and_then_ended(
    timed: Desk,
) -> None:
    await timed.apply(request("c", 100), asked("h", "HOLD", 60))
    (short,) = await timed.outcomes(request("d", -50))
    assert shape(short) == ("insufficient_points", "0", "100", "40")
    captured, again, spent = await timed.outcomes(
        asked("k", "CAPTURE", 25, hold="h"), asked("l", "RELEASE", hold="h"), request("e", -75)
    )
    assert shape(captured) == ("APPLIED", "-25", "75", "75")
    assert shape(again)[0] == "hold_ended"
    assert shape(spent) == ("APPLIED", "-75", "0", "0")
    (later,) = await timed.outcomes(asked("n", "CAPTURE", hold="h"))
    assert shape(later)[0] == "hold_ended"
    (never,) = await timed.outcomes(asked("o", "CAPTURE", hold="c"))
    assert shape(never)[0] == "unknown_hold"


@pytest.mark.parametrize("category", ["REGULAR", "PROMISED"])
async def test_a_capture_that_may_owe_uses_up_what_there_is_and_leaves_a_deficit(
    timed: Desk, clock: Clock, owner: asyncpg.Connection, category: str
) -> None:
    day = {"expiration_type": "CUSTOM_DATE", "expiration_date": clock.time.date().isoformat()}
    of = {"category": category}
    lots = request("b", 12, **of), request("c", 8, **of), request("e", 80, **of, **day)
    await timed.apply(*lots)
    await timed.apply(asked("h", "HOLD", 50, **of))
    clock.time += DAY
    expired, short = told(await timed.apply(asked("k", "CAPTURE", hold="h")))
    assert (shape(expired)[1:3], shape(short)[0]) == (("-80", "20"), "insufficient_points")
    (captured,) = await timed.outcomes(asked("l", "CAPTURE", hold="h", allow_negative=True))
    assert shape(captured) == ("APPLIED", "-50", "-30", "-30")
    assert await owner.fetchval("SELECT deficit FROM points.wallets") == 30
    (undone,) = await timed.outcomes(asked("u", "REVERSE", reverses="l"))
    assert shape(undone) == ("APPLIED", "50", "20", "20")


async def test_what_is_held_and_captured_by_one_batch_may_be_owed_as_well(
    timed: Desk, owner: asyncpg.Connection
) -> None:
    await timed.apply(request("b", 12), request("c", 8))
    owing = {"allow_negative": True}
    _, captured = await timed.outcomes(
        asked("h", "HOLD", 50, **owing), asked("k", "CAPTURE", hold="h", **owing)
    )
    assert shape(captured) == ("APPLIED", "-50", "-30", "-30")
    assert await owner.fetchval("SELECT deficit FROM points.wallets") == 30


async def test_a_hold_lapses_with_the_next_request_of_its_wallet_and_is_told_under_its_own_id(
    timed: Desk, clock: Clock, owner: asyncpg.Connection
) -> None:
    await timed.apply(request("c", 100), asked("h", "HOLD", 60, ttl_seconds=60))
    assert await owner.fetchval("SELECT due_at FROM points.members") == clock.time + HOUR / 60
    clock.time += HOUR
    first = await timed.apply(request("d", -90))
    lapse, own = told(first)
    assert (lapse["request_id"], lapse["caused_by"], lapse["operation"]) == ("h", "d", "RELEASE")
    assert shape(lapse) == ("APPLIED", "0", "100", "100")
    assert shape(own) == ("APPLIED", "-90", "10", "10")
    assert await owner.fetchval("SELECT due_at FROM points.members") is None
    again = await timed.apply(request("d", -90))
    assert again.publications == first.publications


async def test_a_reversal_puts_back_what_an_earlier_batch_took_and_no_more(timed: Desk) -> None:
    await timed.apply(request("c", 100, category="PROMISED"), request("x", 1))
    await timed.apply(request("d", -80, category="PROMISED"))
    part, rest, more = await timed.outcomes(
        asked("r1", "REVERSE", 30, reverses="d"),
        asked("r2", "REVERSE", reverses="d"),
        asked("r3", "REVERSE", 1, reverses="d"),
    )
    assert (part["category"], shape(part)) == ("PROMISED", ("APPLIED", "30", "50", "50"))
    assert shape(rest) == ("APPLIED", "50", "100", "100")
    assert shape(more)[0] == "already_reversed"
    assert (part["lots"][0]["lot_id"], part["reverses"]) == ("1", "d")
    (unknown,) = await timed.outcomes(asked("r4", "REVERSE", reverses="nothing"))
    assert shape(unknown)[0] == "unknown_request"


async def test_a_debit_of_more_lots_than_an_answer_lists_is_reversed_whole(
    timed: Desk, owner: asyncpg.Connection
) -> None:
    await timed.apply(*(request(f"c{n}", 1) for n in range(150)))
    await timed.apply(request("d", -150))
    (reversed_,) = await timed.outcomes(asked("r", "REVERSE", reverses="d"))
    assert shape(reversed_) == ("APPLIED", "150", "150", "150")
    assert await owner.fetchval("SELECT count(*) FROM points.lots") == 150


async def test_what_a_request_may_not_see_of_its_own_batch_it_sees_as_if_alone(
    timed: Desk,
) -> None:
    """Original and reversal, hold and capture, award and aimed debit, each pair in one batch."""
    found = await timed.outcomes(
        request("c", 50, award_id="a", award_type="bill_regular"),
        request("d", -20, award_id="a"),
        asked("r", "REVERSE", reverses="d"),
        asked("h", "HOLD", 10),
        asked("k", "CAPTURE", hold="h"),
        asked("s", "SET_BALANCE", 7),
        request("e", -1, award_id="b"),
        request("f", -1, award_id="a", award_type="bill_promotions"),
    )
    assert [shape(one)[:3] for one in found] == [
        ("APPLIED", "50", "50"),
        ("APPLIED", "-20", "30"),
        ("APPLIED", "20", "50"),
        ("APPLIED", "0", "50"),
        ("APPLIED", "-10", "40"),
        ("APPLIED", "-33", "7"),
        ("invalid_award", "0", "7"),
        ("invalid_award_type", "0", "7"),
    ]


async def test_a_debit_of_more_than_was_there_before_its_batch_still_takes_the_oldest_first(
    timed: Desk,
) -> None:
    await timed.apply(request("a", 20), request("b", 30))
    _, debit = await timed.outcomes(request("c", 60), request("d", -100))
    lots = [(lot["lot_id"], lot["points"]) for lot in debit["lots"]]
    assert lots == [("1", "-20"), ("2", "-30"), ("3", "-50")]


async def test_a_debit_into_a_deficit_leaves_no_lot_behind(
    timed: Desk, owner: asyncpg.Connection
) -> None:
    await timed.apply(request("a", 20), request("b", 30))
    (debit,) = await timed.outcomes(request("d", -100, allow_negative=True))
    assert ([lot["points"] for lot in debit["lots"]], debit["balance"]) == (["-20", "-30"], "-50")
    assert await owner.fetchval("SELECT count(*) FROM points.lots") == 0


async def test_an_award_is_known_to_later_batches_by_its_type_and_its_own_lots(
    timed: Desk, owner: asyncpg.Connection
) -> None:
    await timed.apply(
        # First in the order of use, and enough for each debit that is aimed at others.
        request("x", 60),
        request("c", 50, award_id="a", award_type="bill_regular"),
        request("p", 30, promotion_id="pp"),
    )
    # Each in a batch of its own: what one needs must not be read for another.
    (short,) = await timed.outcomes(request("d", -51, award_id="a"))
    (aimed,) = await timed.outcomes(request("e", -50, award_id="a"))
    (by_promotion,) = await timed.outcomes(request("f", -30, promotion_id="pp"))
    (wrong,) = await timed.outcomes(
        request("g", 1, award_id="a", award_type="bill_promotions"),
    )
    assert [shape(one)[:3] for one in (short, aimed, by_promotion, wrong)] == [
        ("insufficient_points", "0", "140"),
        ("APPLIED", "-50", "90"),
        ("APPLIED", "-30", "60"),
        ("invalid_award_type", "0", "60"),
    ]
    (back,) = await timed.outcomes(asked("r", "REVERSE", reverses="e"))
    assert [lot["award_id"] for lot in back["lots"]] == ["a"]
    rows = await owner.fetch("SELECT award_id, award_type FROM points.lots ORDER BY 1")
    assert [tuple(row) for row in rows] == [("a", "bill_regular"), (None, None)]


async def test_a_conversion_tells_of_both_wallets_and_is_told_again_byte_for_byte(
    timed: Desk,
) -> None:
    await timed.apply(request("c", 100, category="PROMISED"))
    first = await timed.apply(asked("v", "CONVERT", 40, category="PROMISED"))
    regular, own = told(first)
    assert (regular["category"], regular["caused_by"]) == ("REGULAR", "v")
    assert shape(regular) == ("APPLIED", "40", "40", "40")
    assert (own["category"], shape(own)) == ("PROMISED", ("APPLIED", "-40", "60", "60"))
    assert len({event.message_id for event in events(first)}) == 2
    again = await timed.apply(asked("v", "CONVERT", 40, category="PROMISED"))
    assert again.publications == first.publications
    back = await timed.apply(asked("r", "REVERSE", 10, reverses="v"))
    assert [shape(one)[1:3] for one in told(back)] == [("-10", "30"), ("10", "70")]


@pytest.mark.parametrize("spent", [request("d", -55), asked("d", "SET_BALANCE", 20)])
@pytest.mark.parametrize("part", [{}, {"points": 20}])
async def test_what_a_conversion_brings_may_be_spent_by_the_same_batch(
    timed: Desk, spent: dict[str, Any], part: dict[str, Any]
) -> None:
    """First of all from the lots that were there before: it must have read them."""
    await timed.apply(*(request(f"p{n}", 10, category="PROMISED") for n in range(3)))
    await timed.apply(*(request(f"r{n}", 10) for n in range(4)))
    converted, left = await timed.outcomes(
        asked("v", "CONVERT", category="PROMISED", **part), spent
    )
    assert converted["balance"] == ("10" if part else "0")
    balance = "20" if "operation" in spent else "5" if part else "15"
    assert left["balance"] == balance
    taken = [(int(lot["lot_id"]), int(lot["points"])) for lot in left["lots"]]
    assert [lot_id for lot_id, _ in taken] == [4, 5, 6, 7, 8][: len(taken)]
    assert sum(points for _, points in taken) == int(left["points"])


async def test_what_changes_nothing_is_stored_and_uses_up_no_sequence(
    timed: Desk, owner: asyncpg.Connection
) -> None:
    await timed.apply(request("c", 10))
    first = await timed.apply(asked("s", "SET_BALANCE", 10), asked("x", "EXPIRE"))
    assert [one["status"] for one in documents(first)] == ["NO_CHANGE", "NO_CHANGE"]
    assert [one["sequence"] for one in documents(first)] == [1, 1]
    assert events(first) == []
    again = await timed.apply(asked("s", "SET_BALANCE", 10), asked("x", "EXPIRE"))
    assert (again.publications, again.duplicates) == (first.publications, 2)
    (other,) = await timed.outcomes(asked("s", "SET_BALANCE", 11))
    assert shape(other)[0] == "request_id_conflict"
    assert await owner.fetchval("SELECT count(*) FROM points.journal") == 3


async def test_expire_does_all_that_is_due_in_every_wallet(
    timed: Desk, clock: Clock, owner: asyncpg.Connection
) -> None:
    await add_program(owner, ACME)
    await timed.apply(
        acme("a", 100),
        acme("b", 50, category="PROMISED"),
        acme("c", "5.00", currency="coins"),
        acme("h", "1.50", currency="coins", operation="HOLD", ttl_seconds=86_400),
    )
    clock.time += 31 * DAY
    first = await timed.apply(acme("x", operation="EXPIRE", operation_type="AUTOMATIC"))
    kinds = [(one["operation"], one["currency"], one["points"]) for one in told(first)]
    assert sorted(kinds[:-1], key=repr) == [
        ("EXPIRE", "points", "-100"),
        ("EXPIRE", "points", "-50"),
        ("RELEASE", "coins", "0.00"),
    ]
    assert kinds[-1] == ("EXPIRE", None, "0")
    again = await timed.apply(acme("x", operation="EXPIRE", operation_type="AUTOMATIC"))
    assert again.publications == first.publications
    assert await owner.fetchval("SELECT due_at FROM points.members") is None
