"""White Label Loyalty: events, and what reactors make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from schemas.numbers import NumberText
from schemas.reading import read_json, write_json
from tests.dialect_vectors.wll import REWARDS
from tests.unit.dialects.counter import Json, arrive, program_of
from worker.dialects.dialect import Refused, Undeliverable
from worker.dialects.wll import WhiteLabelLoyalty

if TYPE_CHECKING:
    from worker.domain.outcome import Rejection

WLL = WhiteLabelLoyalty()
PROGRAM = program_of(REWARDS)
HEADERS: dict[str, object] = {"member-id": "m", "program-id": "wll"}


def event(payload: object, event_type: object = "MANUAL_ADJUSTMENT") -> Json:
    return {"eventType": event_type, "payload": payload}


def reacting(*reactors: tuple[str, str]) -> Json:
    """A programme with reactors to EVENT: properties and multipliers."""
    return REWARDS | {
        "reactors": [
            {"event_type": "EVENT", "property": name, "multiplier": multiplier}
            for name, multiplier in reactors
        ]
    }


def nested(levels: int) -> Json:
    """A payload of so many levels."""
    value: Json = {}
    for _ in range(levels - 2):
        value = {"in": value}
    return {"points": 1, "in": value}


def translate(body: object, document: Json | None = REWARDS) -> Json:
    return WLL.translate(WLL.read(arrive(body), HEADERS, "r1"), program_of(document))


def refused(body: object, document: Json | None = REWARDS) -> Rejection:
    with pytest.raises(Refused) as caught:
        translate(body, document)
    return caught.value.rejection


def test_an_event_becomes_an_adjustment_that_tells_of_it() -> None:
    body = event({"points": 20, "comment": "Sorry for the wait"})
    assert translate(body) == {
        "operation": "ADJUST",
        "points": "20",
        "comment": "Sorry for the wait",
        "metadata": body,
    }


def test_the_reason_code_is_that_of_the_first_reactor_which_has_one() -> None:
    document = reacting(("a", "1"), ("a", "2"), ("a", "3"))
    assert "reason_code" not in translate(event({"a": 1}, "EVENT"), document)
    document["reactors"][1]["reason_code"] = "BOUGHT"
    document["reactors"][2]["reason_code"] = "OTHER"
    assert translate(event({"a": 1}, "EVENT"), document)["reason_code"] == "BOUGHT"


@pytest.mark.parametrize("points", ["-20.0", -20, NumberText("-20.00")])
def test_a_negative_property_deducts(points: object) -> None:
    assert translate(event({"points": points}))["points"] == "-20"


@pytest.mark.parametrize(
    ("reactors", "payload", "points"),
    [
        ([("a", "0.1")], {"a": "0.1"}, "0.01"),
        ([("a", "0.001")], {"a": "0.001"}, "0.000001"),
        ([("a", "3"), ("a", "-1")], {"a": "10.5"}, "21"),
        ([("a", "1"), ("b", "0.5")], {"a": "1", "b": "3"}, "2.5"),
        ([("a", "1"), ("b", "-1")], {"a": "7", "b": "7"}, "0"),
        ([("a", "999999999999999")], {"a": 1}, "999999999999999"),
        ([("a", "0.000001")], {"a": "999999999999999"}, "999999999.999999"),
        # A float would make 0.30000000000000004 of these.
        ([("a", "1"), ("b", "1")], {"a": NumberText("0.1"), "b": NumberText("0.2")}, "0.3"),
    ],
)
def test_all_reactors_of_a_type_are_summed_exactly(
    reactors: list[tuple[str, str]], payload: Json, points: str
) -> None:
    assert translate(event(payload, "EVENT"), reacting(*reactors))["points"] == points


@pytest.mark.parametrize(
    ("reactors", "payload", "key"),
    [
        ([("a", "0.000001")], {"a": "0.1"}, "decimal_places_exceeded"),
        ([("a", "10")], {"a": "999999999999999"}, "limit_exceeded"),
        ([("a", "-10")], {"a": "999999999999999"}, "limit_exceeded"),
    ],
)
def test_what_no_amount_can_hold_is_refused(
    reactors: list[tuple[str, str]], payload: Json, key: str
) -> None:
    assert refused(event(payload, "EVENT"), reacting(*reactors)).key == key


@pytest.mark.parametrize(
    "event_type",
    [
        "REGISTERED_ACCOUNT",
        "PURCHASED_REWARD",
        "CLOSED_ACCOUNT",
        "CONSENT_GIVEN",
        "CONSENT_REVOKED",
        "POINTS_ADJUSTED",
    ],
)
@pytest.mark.parametrize("document", [REWARDS, None])
def test_an_intrinsic_type_cannot_be_reported(event_type: str, document: Json | None) -> None:
    rejection = refused(event({"points": 1}, event_type), document)
    assert rejection.key == "invalid_payload"
    assert "intrinsic" in rejection.message


def test_an_event_that_no_reactor_waits_for_is_refused() -> None:
    rejection = refused(event({"points": 1}, "OTHER"))
    assert (rejection.key, rejection.details[0]["field"]) == ("invalid_payload", "eventType")


def test_without_a_programme_there_are_no_reactors() -> None:
    assert refused(event({"points": 1}), None).key == "unknown_program"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"payload": {"points": 1}}, "eventType"),
        (event({"points": 1}, 7), "eventType"),
        (event({"points": 1}, "x" * 129), "eventType"),
        ({"eventType": "MANUAL_ADJUSTMENT"}, "payload"),
        (event([1]), "payload"),
        (event({"points": 1, "note": "a\nb"}), "payload"),
        (event({"points": 1, "note": "x" * 4096}), "payload"),
        (event(nested(31)), "payload"),
        (event({}), "payload.points"),
        (event({"points": None}), "payload.points"),
        (event({"points": "many"}), "payload.points"),
        (event({"points": {"value": 1}}), "payload.points"),
        (event({"points": 1, "comment": 7}), "payload.comment"),
        (event({"points": 1, "comment": "x" * 2001}), "payload.comment"),
        (event({"points": 1}) | {"points": 1}, "points"),
        ([], "body"),
    ],
)
def test_what_is_wrong_is_told_by_its_field(body: object, field: str) -> None:
    rejection = refused(body)
    assert rejection.key == "invalid_payload"
    assert [detail["field"] for detail in rejection.details] == [field]


def test_what_is_taken_of_an_event_is_no_deeper_than_the_lane_reads() -> None:
    request = {"member_id": "m", **translate(event(nested(30)))}
    assert read_json(write_json(request)) == request


def outcome(**fields: Any) -> Json:
    known: Json = {
        "points": "20",
        "forfeited": "5",
        "balance": "120",
        "total": "130",
        "metadata": event({"points": 25}),
        "error": None,
        "warnings": ["earn_cap_month"],
    }
    return known | fields


def test_the_reply_is_the_event_with_what_it_changed() -> None:
    inbound = WLL.read(event({"points": 25}), HEADERS, "r1")
    assert WLL.reply(outcome(), inbound.context, PROGRAM) == {
        "eventType": "MANUAL_ADJUSTMENT",
        "payload": {"points": 25},
        "pointsAdjusted": "20",
        "forfeited": "5",
        "balance": "120",
        "lifetime": "130",
        "warnings": ["earn_cap_month"],
    }


def test_the_reply_of_an_erased_member_has_no_payload() -> None:
    assert WLL.reply(outcome(metadata=None), {"eventType": "E"}, PROGRAM)["payload"] is None


def test_a_refusal_tells_the_event_type_and_why() -> None:
    error = {"code": 422, "key": "limit_exceeded", "message": "Too much.", "details": []}
    assert WLL.reply(outcome(error=error), {"eventType": "E"}, None) == {
        "eventType": "E",
        "error": error,
    }


def test_an_event_of_nobody_is_a_dead_letter() -> None:
    with pytest.raises(Undeliverable) as caught:
        WLL.read(event({}), {}, "r1")
    assert WLL.error(caught.value.key, caught.value.message, {}) == {
        "eventType": None,
        "error": {
            "code": 400,
            "key": "missing_member_id",
            "message": "header member-id is required.",
            "details": [],
        },
    }
