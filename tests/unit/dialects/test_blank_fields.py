"""Where a vendor's mandatory text may not be blank, its schema says so as its dialect does."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from schemas.export import json_schema
from tests.dialect_vectors.capillary import ACME, CAPILLARY
from tests.dialect_vectors.mastercard import ASKED, BANK, MASTERCARD
from tests.unit.dialects.counter import Counter, Json, program_of

DEDUCTION: Json = {"pointsToBeAdjusted": "1", "reasonOfReturn": "Returned"}


@pytest.mark.parametrize("blank", [" ", "\u2003 "], ids=["blank", "em space"])
@pytest.mark.parametrize(
    ("dialect", "programme", "body", "field"),
    [
        (CAPILLARY, ACME, DEDUCTION, "reasonOfReturn"),
        (MASTERCARD, BANK, ASKED, "adjustmentTypeCode"),
        (MASTERCARD, BANK, ASKED, "adjustmentReason"),
        (MASTERCARD, BANK, ASKED, "adjustedBy"),
    ],
    ids=["reasonOfReturn", "adjustmentTypeCode", "adjustmentReason", "adjustedBy"],
)
def test_a_blank_text_is_missing_by_the_schema_as_by_the_dialect(
    dialect: str, programme: Json, body: Json, field: str, blank: str
) -> None:
    counter = Counter(programme["program_id"], "m", program_of(programme))
    schema = Draft202012Validator(json_schema(dialect))
    whose = {"user-id": "m", "program-id": programme["program_id"]}
    counter.ask({"points": "5"})

    reply = counter.send(dialect, {**body, field: blank}, whose)

    assert reply.keys() & {"errors", "Errors"}
    assert schema.is_valid(body)
    assert not schema.is_valid({**body, field: blank})


def test_an_account_number_is_not_blank_by_its_schema() -> None:
    schema = Draft202012Validator(json_schema(MASTERCARD))

    assert not schema.is_valid({**ASKED, "bankAccountNumber": " "})
