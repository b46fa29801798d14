"""Beans: credits, debits and pending debits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from schemas.numbers import NumberText
from tests.dialect_vectors.beans import SHOP
from tests.unit.dialects.counter import NOW, Counter, Json, arrive, program_of
from worker.dialects.beans import Beans
from worker.dialects.dialect import Refused, Undeliverable

if TYPE_CHECKING:
    from worker.domain.outcome import Rejection

BEANS = Beans()
HEADERS: dict[str, object] = {"member-id": "m"}


def translate(body: object) -> Json:
    return BEANS.translate(BEANS.read(arrive(body), HEADERS, "r1"), None)


def refused(body: object) -> Rejection:
    with pytest.raises(Refused) as caught:
        translate(body)
    return caught.value.rejection


def outcome(**fields: Any) -> Json:
    known: Json = {
        "operation": "ADJUST",
        "points": "-20.00",
        "balance": "80.00",
        "available": "50.50",
        "error": None,
        "warnings": [],
    }
    return known | fields


def test_ids_come_from_the_headers_and_the_message() -> None:
    inbound = BEANS.read({}, {"member-id": "m", "program-id": "beans"}, "r1")
    assert (inbound.program_id, inbound.member_id, inbound.request_id) == ("beans", "m", "r1")


@pytest.mark.parametrize(
    ("headers", "message_id", "key"),
    [({}, "r1", "missing_member_id"), (HEADERS, None, "missing_request_id")],
)
def test_a_message_of_nobody_is_a_dead_letter(
    headers: dict[str, object], message_id: str | None, key: str
) -> None:
    with pytest.raises(Undeliverable) as caught:
        BEANS.read({}, headers, message_id)
    assert caught.value.key == key
    error = BEANS.error(key, caught.value.message, {}, caught.value.details)
    assert error["status"] == "refused"
    assert error["error"]["key"] == key


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (
            {"type": "credit", "points": 20, "description": "Refund"},
            {"operation": "ADJUST", "points": "20", "reason": "Refund"},
        ),
        (
            {"type": "credit", "points": NumberText("0.50"), "pending": False},
            {"operation": "ADJUST", "points": "0.5"},
        ),
        ({"type": "debit", "points": "20"}, {"operation": "ADJUST", "points": "-20"}),
        (
            {"type": "debit", "points": 20, "pending": True},
            {"operation": "HOLD", "points": "20", "ttl_seconds": 172_800},
        ),
        ({"type": "commit", "debit": "d"}, {"operation": "CAPTURE", "hold": "d"}),
        (
            {"type": "cancel", "debit": "d", "points": None},
            {"operation": "RELEASE", "hold": "d"},
        ),
    ],
)
def test_every_type_has_its_operation(body: Json, fields: Json) -> None:
    assert translate(body) == fields


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "type"),
        ({"type": "refund"}, "type"),
        ({"type": ["credit"]}, "type"),
        ({"type": "credit"}, "points"),
        ({"type": "credit", "points": -20}, "points"),
        ({"type": "debit", "points": "twenty"}, "points"),
        ({"type": "credit", "points": 1, "pending": True}, "pending"),
        ({"type": "debit", "points": 1, "pending": "yes"}, "pending"),
        ({"type": "debit", "points": 1, "debit": "d"}, "debit"),
        ({"type": "commit"}, "debit"),
        ({"type": "commit", "debit": 7}, "debit"),
        ({"type": "commit", "debit": "d", "points": 1}, "points"),
        ({"type": "cancel", "debit": "d", "pending": False}, "pending"),
        ({"type": "credit", "points": 1, "description": "x" * 256}, "description"),
        ({"type": "credit", "points": 1, "amount": 1}, "amount"),
        ([], "body"),
    ],
)
def test_what_is_wrong_is_told_by_its_field(body: object, field: str) -> None:
    rejection = refused(body)
    assert rejection.key == "invalid_payload"
    assert [detail["field"] for detail in rejection.details] == [field]


@pytest.mark.parametrize("pending", [True, False])
def test_a_debit_of_nothing_is_zero_points(pending: bool) -> None:  # noqa: FBT001
    assert refused({"type": "debit", "points": 0, "pending": pending}).key == "zero_points"


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ("ADJUST", "committed"),
        ("CAPTURE", "committed"),
        ("HOLD", "pending"),
        ("RELEASE", "cancelled"),
    ],
)
def test_the_reply_tells_the_balance_and_what_is_pending(operation: str, status: str) -> None:
    assert BEANS.reply(outcome(operation=operation, warnings=["balance_cap"]), {}, None) == {
        "status": status,
        "points": "-20.00",
        "balance": "80.00",
        "pending": "29.50",
        "warnings": ["balance_cap"],
    }


def test_a_pending_debit_is_cancelled_of_itself_within_48_hours() -> None:
    counter = Counter("beans", "m", program_of(SHOP))
    counter.ask({"points": "100"})
    counter.send("beans.balance", {"type": "debit", "points": 80, "pending": True}, HEADERS)
    (hold,) = counter.member.holds.values()
    assert (hold.lapses_at - NOW).total_seconds() == 48 * 3600


def test_spellings_of_an_amount_are_the_same_request() -> None:
    contents = {
        BEANS.read(arrive({"type": "credit", "points": points}), HEADERS, "r1").content
        for points in (20, "20", "20.0", NumberText("20.00"))
    }
    assert len(contents) == 1
