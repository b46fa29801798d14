"""Whose request a message is, is found by the same rules as the model's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.errors import INVALID_PAYLOAD, MISSING_MEMBER_ID, MISSING_REQUEST_ID
from schemas.faults import faults
from schemas.identity import Identity, identity
from schemas.numbers import NumberText
from schemas.reading import Unreadable
from schemas.request import AdjustmentRequest

IDS = {"program_id", "member_id", "request_id"}


def test_the_ids_are_those_of_the_document() -> None:
    document = {"program_id": "acme", "member_id": "m", "request_id": "r", "points": "what?"}

    assert identity(document, "other") == Identity("acme", "m", "r")


@pytest.mark.parametrize("absent", [{}, {"request_id": None, "program_id": None}])
def test_the_message_id_stands_in_and_the_programme_has_a_default(absent: dict[str, None]) -> None:
    assert identity({"member_id": "m", **absent}, "r") == Identity("default", "m", "r")


@pytest.mark.parametrize(
    ("document", "message_id", "key", "told"),
    [
        ({"member_id": "m"}, None, MISSING_REQUEST_ID, "request_id is required"),
        ({"member_id": "m"}, "", MISSING_REQUEST_ID, "request_id is required"),
        ({}, "r", MISSING_MEMBER_ID, "member_id is required"),
        ({"member_id": None}, "r", MISSING_MEMBER_ID, "member_id is required"),
        ({"member_id": 7}, "r", INVALID_PAYLOAD, "member_id must be a string of 1 to 128 bytes"),
        ({"member_id": ""}, "r", INVALID_PAYLOAD, "got a string of 0 characters"),
        ({"member_id": "\ud800"}, "r", INVALID_PAYLOAD, "with a lone surrogate"),
        ({"member_id": "m\n"}, "r", INVALID_PAYLOAD, "with a control character"),
        ({"member_id": "é" * 65}, "r", INVALID_PAYLOAD, "65 characters (130 bytes)"),
        ({"member_id": NumberText("1.5")}, "r", INVALID_PAYLOAD, "a number that is no"),
        ({"member_id": "m"}, "r" * 129, INVALID_PAYLOAD, "request_id must be"),
        ({"member_id": "m", "request_id": ""}, "r", INVALID_PAYLOAD, "request_id must be"),
        ({"member_id": "m", "request_id": []}, "r", INVALID_PAYLOAD, "an array of 0 items"),
        ({"member_id": "m", "program_id": "a b"}, "r", INVALID_PAYLOAD, "program_id must be"),
        ({"member_id": "m", "program_id": {}}, "r", INVALID_PAYLOAD, "an object of 0 fields"),
        ([1], "r", INVALID_PAYLOAD, "the body must be a JSON object; it is an array of 1 item"),
        (None, "r", INVALID_PAYLOAD, "it is null"),
    ],
)
def test_an_id_that_is_absent_or_invalid_is_named_with_its_rule(
    document: object, message_id: str | None, key: str, told: str
) -> None:
    found = identity(document, message_id)

    assert isinstance(found, Unreadable)
    assert found.key == key
    assert told in found.message


@given(
    st.dictionaries(
        st.sampled_from(sorted(IDS)),
        st.none() | st.text(max_size=5) | st.text("aé", min_size=62, max_size=130) | st.integers(),
    )
)
def test_ids_are_valid_exactly_if_the_model_says_so(document: dict[str, Any]) -> None:
    found = identity(document, "stand-in")

    try:
        AdjustmentRequest.model_validate({"points": 1, **document})
        faulty = set()
    except ValidationError as error:
        faulty = {fault["field"] for fault in faults(error)}
    assert isinstance(found, Identity) is (not faulty)
