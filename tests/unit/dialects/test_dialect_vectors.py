"""Every vector of the vendors' documents, through dialect and rules."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.dialect_vectors import VECTORS
from tests.unit.dialects.counter import Counter, arrive, program_of
from worker.dialects import DIALECTS, IDENTIFIER_NAMES
from worker.dialects.dialect import Undeliverable

if TYPE_CHECKING:
    from tests.dialect_vectors import Vector

MEMBER_ID = "10054321"


_STORED = [vector for vector in VECTORS if vector.letter is None]
_LETTERS = [vector for vector in VECTORS if vector.letter is not None]


def _names(vectors: list[Vector]) -> list[str]:
    return [f"{vector.dialect}: {vector.name}" for vector in vectors]


@pytest.mark.parametrize("vector", _STORED, ids=_names(_STORED))
def test_a_vendors_request_gets_the_vendors_reply(vector: Vector) -> None:
    vector = vector.for_member(MEMBER_ID)
    counter = Counter(vector.program_id, MEMBER_ID, program_of(vector.programme))
    for fields in vector.setup:
        assert counter.ask(fields).status == "APPLIED"
    reply = counter.send(vector.dialect, vector.body, vector.headers)
    assert reply == vector.reply


def test_every_name_of_a_members_identifier_is_one_that_members_can_be_given() -> None:
    """The names stand in two dialects; what `member identify` takes must be all of them."""
    capillary = DIALECTS["capillary.negative_points_adjustment"]
    looked_up = set()
    for name in ("id", "userId", "externalId", "mobile", "email", "cardNumber", "card"):
        with suppress(Undeliverable):
            given = {"identifier-name": name, "identifier-value": MEMBER_ID}
            inbound = capillary.read({}, given, "r-1")
            looked_up |= {inbound.identifier.name} if inbound.identifier else set()
    mastercard = [vector for vector in _STORED if vector.dialect.startswith("mastercard.")]
    for vector in mastercard:
        inbound = DIALECTS[vector.dialect].read(vector.body, vector.headers, "r-1")
        assert inbound.identifier is not None
        looked_up.add(inbound.identifier.name)
    assert looked_up == set(IDENTIFIER_NAMES)


@pytest.mark.parametrize("vector", _LETTERS, ids=_names(_LETTERS))
def test_a_message_of_nobody_gets_the_vendors_error(vector: Vector) -> None:
    dialect = DIALECTS[vector.dialect]
    try:
        inbound = dialect.read(arrive(vector.body), vector.headers, "r")
    except Undeliverable as fault:
        key, context, message, details = fault.key, {}, fault.message, fault.details
    else:
        assert inbound.member_id is None, "only an identifier can belong to nobody"
        key, context, message, details = "member_not_found", inbound.context, "of nobody", ()
    assert key == vector.letter
    assert dialect.error(key, message, context, details) == vector.reply


def test_names_are_unique() -> None:
    names = [(vector.dialect, vector.name) for vector in VECTORS]
    assert len(set(names)) == len(names)
