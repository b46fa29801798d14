"""Every fault is told, and by the name of the field that the vendor's system sent."""

from __future__ import annotations

import pytest

from tests.dialect_vectors.beans import BEANS, SHOP
from tests.dialect_vectors.capillary import ACME, CAPILLARY
from tests.dialect_vectors.mastercard import ASKED, BANK, MASTERCARD
from tests.dialect_vectors.voucherify import VOUCHERIFY
from tests.unit.dialects.counter import Counter, Json, program_of
from worker.dialects.dialect import Faults

USER: dict[str, object] = {"user-id": "m", "program-id": "973"}
SHOPPER: dict[str, object] = {"member-id": "m", "program-id": "beans"}
DEDUCTION = {"pointsToBeAdjusted": "1", "reasonOfReturn": "Returned"}


def test_a_reason_too_long_for_the_programme_is_blamed_by_capillarys_name_of_it() -> None:
    counter = Counter("973", "m", program_of({**ACME, "reason_max_length": 5}))

    assert counter.send(CAPILLARY, DEDUCTION, USER) == {
        "errors": [
            {
                "status": False,
                "code": 400,
                "message": "reasonOfReturn must be at most 5 characters long.",
            }
        ]
    }


def test_a_reason_too_long_for_the_programme_is_blamed_by_the_name_that_beans_has_for_it() -> None:
    counter = Counter("beans", "m", program_of({**SHOP, "reason_max_length": 5}))
    body = {"type": "credit", "points": 1, "description": "A refund"}

    error = counter.send(BEANS, body, SHOPPER)["error"]

    assert error["message"] == "description must be at most 5 characters long."
    assert [detail["field"] for detail in error["details"]] == ["description"]


def test_a_promotion_id_that_is_none_hides_no_other_fault() -> None:
    body = {**DEDUCTION, "promotionId": 1234567890, "pointCategoryTypes": "GOLD", "pionts": 1}

    reply = Counter("973", "m", program_of(ACME)).send(CAPILLARY, body, USER)

    assert [error["message"] for error in reply["errors"]] == [
        "pionts is not a field of this message.",
        "Input is invalid",
        "pointCategoryTypes must be one of REGULAR, PROMISED, EXTERNAL_TRIGGER_BASED.",
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("pionts", "pionts"),
        ("5555000011112222", "a name with digits"),
        ("DE89370400440532013000", "a name with digits"),
        ("jo@example.org", "a name of 14 characters"),
    ],
)
def test_a_fields_name_that_may_be_somebodys_number_is_not_shown(name: str, shown: str) -> None:
    faults = Faults()

    faults.unknown({name: 1}, ())

    assert [detail["field"] for detail in faults.details] == [shown]


@pytest.mark.parametrize(
    ("dialect", "programme", "body", "headers", "name"),
    [
        (BEANS, SHOP, {"type": "credit", "points": 1}, SHOPPER, "reason"),
        (CAPILLARY, ACME, DEDUCTION, USER, "reason"),
        (MASTERCARD, BANK, ASKED, {"program-id": "mastercard"}, "points"),
        (MASTERCARD, BANK, ASKED, {"program-id": "mastercard"}, "adjusted_by"),
    ],
    ids=["beans", "capillary", "mastercard points", "mastercard adjusted_by"],
)
def test_an_unknown_field_is_told_by_the_name_it_came_under_though_the_contract_has_it(
    dialect: str, programme: Json, body: Json, headers: Json, name: str
) -> None:
    counter = Counter(programme["program_id"], "m", program_of(programme))

    reply = counter.send(dialect, {**body, name: "x"}, headers)

    assert f"{name} is not a field of this message." in repr(reply)


def test_what_is_no_name_is_not_told_as_a_property_of_voucherifys() -> None:
    counter = Counter("default", "m", None)

    reply = counter.send(VOUCHERIFY, {"points": 1, "5555000011112222": 1}, {"member-id": "m"})

    assert (
        reply["details"] == "Payload has a name with digits, which is not a field of this message"
    )
