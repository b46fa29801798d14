"""The page that tells publishers of the dialects."""

from __future__ import annotations

import json
import tomllib

import pytest

from tests.dialect_vectors import VECTORS
from tests.readmes import ROOT, blocks, named
from worker.dialects import DIALECTS, IDENTIFIER_NAMES
from worker.domain.document import from_document
from worker.domain.program import MastercardDialect

README = ROOT / "worker" / "dialects" / "README.md"
EXAMPLES = [json.loads(block) for block in blocks(README, "json")]


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_is_a_vector(number: int) -> None:
    assert any(EXAMPLES[number] in (vector.body, vector.reply) for vector in VECTORS)


def test_what_it_shows_of_a_programme_can_be_applied() -> None:
    [shown] = blocks(README, "toml")
    document = tomllib.loads(f'[[currencies]]\ncode = "points"\n{shown}')
    program = from_document("acme", 1, document)
    assert program.mastercard.adjustment_types == {"CR": "credit", "DR": "debit"}
    assert program.mastercard.response_field == MastercardDialect().response_field


def test_every_dialect_is_told_of() -> None:
    assert set(DIALECTS) <= set(named(README))


def test_every_name_of_an_identifier_is_told_of() -> None:
    assert set(IDENTIFIER_NAMES) <= set(named(README))


def test_every_module_is_there() -> None:
    modules = {name for name in named(README) if name.endswith(".py") and "/" not in name}
    assert modules
    assert all((README.parent / name).is_file() for name in modules)
