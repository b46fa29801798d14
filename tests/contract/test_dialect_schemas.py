"""The schemas of the vendors' messages and of the replies say what the dialects do."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from schemas import dialects
from schemas.export import json_schema
from tests.dialect_vectors import VECTORS
from tests.unit.dialects.counter import Counter, arrive, program_of
from worker.dialects import DIALECTS
from worker.dialects.dialect import Refused, Undeliverable

if TYPE_CHECKING:
    from tests.dialect_vectors import Vector

STORED = [vector for vector in VECTORS if vector.letter is None]

MEMBER_ID = "10054321"

# What a schema can tell of a body: its fields and their shapes.
KEYS_OF_SHAPE = {
    "invalid_payload",
    "invalid_award_type",
    "missing_member_id",
    "program_required",
    "reason_required",
}
# What is looked for before some of those, so that they may be there or not.
KEYS_BEFORE = {"zero_points", "invalid_source"}
# What only a programme can tell of a body.
RULES_OF_PROGRAMMES = ("reactor", "the programme")

OTHER_VALUES: tuple[object, ...] = (
    7, -1, 0, 1.5, -1.5, True, False, "x", "", "12.50", "-3", "1e3", "2090-05-30", "30.05.2090",
    "REGULAR", "bill_regular", [], ["x"], {}, {"points": 1}, "a\nb", 10**15, 10**9, "x" * 300,
)  # fmt: skip


def ids(vector: Vector) -> str:
    return f"{vector.dialect}: {vector.name}"


@cache
def validator(name: str) -> Any:
    return Draft202012Validator(json_schema(name))


def has_shape(dialect: str, body: object) -> bool:
    return bool(validator(dialect).is_valid(body))


def is_taken(vector: Vector, body: object) -> bool | None:
    """Tell whether the dialect takes a body as far as its shape goes, None if that is not told."""
    dialect = DIALECTS[vector.dialect]
    try:
        inbound = dialect.read(arrive(body), vector.headers, "r")
        dialect.translate(inbound, program_of(vector.programme))
    except Undeliverable as fault:
        return fault.key not in KEYS_OF_SHAPE
    except Refused as refusal:
        rejection = refusal.rejection
        if rejection.key in KEYS_BEFORE:
            return None
        rules = [detail["rule"] for detail in rejection.details]
        if rules and all(any(told in rule for told in RULES_OF_PROGRAMMES) for rule in rules):
            return True
        return rejection.key not in KEYS_OF_SHAPE
    return True


def variations(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the body with each field left out, or something else in its place, and one more."""
    found = [body, {**body, "pionts": 1}]
    for name in body:
        found.append({key: value for key, value in body.items() if key != name})
        found += [{**body, name: value} for value in OTHER_VALUES]
    return found


def test_every_dialect_has_its_schemas() -> None:
    assert dialects.DIALECTS.keys() == DIALECTS.keys()


@pytest.mark.parametrize("vector", STORED, ids=ids)
def test_a_schema_takes_the_bodies_that_its_dialect_takes(vector: Vector) -> None:
    vector = vector.for_member(MEMBER_ID)
    body = vector.body
    assert isinstance(body, dict)
    both = [
        (one, is_taken(vector, one), has_shape(vector.dialect, one)) for one in variations(body)
    ]
    other = [one for one, taken, shape in both if taken not in {None, shape}]
    assert other == []


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_every_reply_has_the_shape_of_its_schema(vector: Vector) -> None:
    vector = vector.for_member(MEMBER_ID)
    reply: Any = vector.reply
    if vector.letter is None:
        counter = Counter(vector.program_id, MEMBER_ID, program_of(vector.programme))
        for fields in vector.setup:
            counter.ask(fields)
        reply = counter.send(vector.dialect, vector.body, vector.headers)
    else:
        reply = DIALECTS[vector.dialect].error(vector.letter, "a sentence", {})
    faults = list(validator(f"{vector.dialect}.reply").iter_errors(reply))
    assert faults == []


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_the_headers_of_every_vector_are_those_of_its_schema(vector: Vector) -> None:
    schema = dialects.DIALECTS[vector.dialect].headers
    if vector.letter != "missing_member_id":
        assert Draft202012Validator(schema).is_valid(vector.headers)
    assert vector.headers.keys() <= {*schema["properties"], "member-id"}


def test_a_reply_of_another_shape_is_told() -> None:
    for name in DIALECTS:
        assert not validator(f"{name}.reply").is_valid({"points": "many", "more": 1})
        assert not validator(f"{name}.reply").is_valid([])


def test_an_encrypted_body_has_the_shape_of_its_schema() -> None:
    token = ".".join(["eyJ-_0"] * 5)
    assert has_shape(dialects.MASTERCARD, {"encryptedData": token})
    assert not has_shape(dialects.MASTERCARD, {"encryptedData": token + "."})
    assert not has_shape(dialects.MASTERCARD, {"encryptedData": token, "adjustedBy": "x"})
