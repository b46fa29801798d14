"""A vendor's answer is made of the stored outcome, the first time and every other (I3)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.inside import USER, delivered, documents, request

if TYPE_CHECKING:
    from tests.inside import Desk
    from worker.broker import Delivery
    from worker.lane.applying import Applied


def from_the_door(body: dict[str, Any], dialect: dict[str, str]) -> Delivery:
    """Return a request as the door makes it of a vendor's message."""
    headers: dict[str, object] = {
        "x-dialect": json.dumps(dialect),
        "x-content-digest": "00" * 32,
        "x-original-user-id": "",
    }
    return delivered(body, user_id=USER, headers=headers)


def replies(applied: Applied) -> list[dict[str, Any]]:
    return [json.loads(item.body) for item in applied.publications if not item.exchange]


async def test_a_repeat_is_answered_in_the_same_words_whatever_has_happened_since(
    desk: Desk,
) -> None:
    credit = from_the_door(request("r1", 5), {"name": "beans.balance"})
    (first,) = replies(await desk.apply(credit))
    await desk.apply(request("r2", 7))
    (again,) = replies(await desk.apply(credit))
    assert again == first
    assert (first["status"], first["balance"]) == ("committed", "5")


async def test_one_request_may_be_asked_about_in_two_dialects(desk: Desk) -> None:
    """What was asked is the fingerprint's affair; the words of the answer are the asker's."""
    (beans,) = replies(await desk.apply(from_the_door(request("r1", 5), {"name": "beans.balance"})))
    card = from_the_door(request("r1", 5), {"name": "voucherify.balance"})
    (voucher,) = replies(await desk.apply(card))
    assert (beans["balance"], voucher["balance"]) == ("5", 5)


async def test_an_early_request_is_answered_in_its_dialect_when_its_turn_comes(desk: Desk) -> None:
    early = from_the_door(request("r2", 5, ordinal=2), {"name": "beans.balance"})
    assert (await desk.apply(early)).publications == []
    own, released = replies(await desk.apply(request("r1", 1, ordinal=1)))
    assert own["request_id"] == "r1"
    assert (released["status"], released["balance"]) == ("committed", "6")


async def test_an_answer_that_nobody_may_read_is_given_up_and_the_request_is_done(
    desk: Desk,
) -> None:
    gone = {"name": "mastercard.points_adjustment", "reply-kid": "gone"}
    applied = await desk.apply(from_the_door(request("r1", 5), gone))
    assert [item["status"] for item in documents(applied)] == ["APPLIED"]
    assert replies(applied) == []
    assert applied.replies_given_up == 1
    assert len(applied.publications) == 1
