"""The schema of programme documents says what `program apply` holds them to."""

from __future__ import annotations

import copy
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from schemas import program as told
from schemas.export import json_schema
from schemas.identity import is_program_id
from tests.readmes import ROOT
from worker.dialects import jwe
from worker.domain import document as reader
from worker.domain.document import BadDocument, from_document

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = ROOT / "schemas" / "examples" / "program.toml"
DOCUMENT = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(json_schema("program"))

# What JSON Schema cannot tell: it compares no fields, counts no decimals and knows no zones.
BEYOND_JSON_SCHEMA = ("must be given once", "decimals", "must be a zone")

OTHER_VALUES: tuple[object, ...] = (
    7, -1, 0, 367, 1.5, True, False, "x", "", "0", "-0.00", "12.5", "-3", "1e3", "12.1234567",
    "month", "credit", "required", "adjust", "never", "after", "end_of", "a\nb", "x" * 300,
    [], ["x"], [7], [{}], {}, {"x": 1}, {"rule": "never"}, {"rule": "after", "years": 1},
    {"rule": "end_of", "period": "quarter"}, {"rule": "end_of", "period": "week"},
    {"points": "5"}, [{"points": "5", "per": "week"}], [{"points": "5", "per": "week", "x": 1}],
    [{"code": "A"}], [{"id": "A"}], "POINTS_ADJUSTED", " ", "Errors", "encryptedData",
    2**31 - 1, 2**31, {"rule": "after", "days": 2**31}, {" ": "credit"}, {"C R": "credit"},
)  # fmt: skip

Path = tuple[str | int, ...]


def paths(value: object, path: Path = ()) -> Iterator[Path]:
    """Yield the place of every value below a document."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, item in items:
        yield (*path, key)
        yield from paths(item, (*path, key))


def changed(path: Path, value: object = None, *, more: bool = False) -> dict[str, Any]:
    """Return the document with a value replaced, left out, or with one more beside it."""
    document = copy.deepcopy(DOCUMENT)
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    if more:
        place["one_more"] = 1
    elif value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return document


def rules_broken(document: dict[str, Any]) -> list[str]:
    try:
        from_document(str(document.get("program_id")), 1, document)
    except BadDocument as refusal:
        return [fault.rule for fault in refusal.faults]
    return []


def test_the_example_is_valid() -> None:
    assert list(VALIDATOR.iter_errors(DOCUMENT)) == []
    assert rules_broken(DOCUMENT) == []


@pytest.mark.parametrize("path", list(paths(DOCUMENT)), ids=lambda path: ".".join(map(str, path)))
def test_the_schema_takes_the_documents_that_are_taken(path: Path) -> None:
    documents = [changed(path), *(changed(path, value) for value in OTHER_VALUES)]
    if isinstance(path[-1], str):
        documents.append(changed(path, more=True))
    other = []
    for document in documents:
        rules = rules_broken(document)
        beyond = [rule for rule in rules if any(part in rule for part in BEYOND_JSON_SCHEMA)]
        if len(beyond) < len(rules) or not rules:
            # The command looks at the id before it reads the document.
            is_sound = not rules and is_program_id(document.get("program_id"))
            if VALIDATOR.is_valid(document) != is_sound:
                other.append((document, rules))
    assert other == []


def test_the_lists_of_the_schema_are_those_of_the_rules() -> None:
    assert set(told.INTRINSIC_EVENT_TYPES) == reader.INTRINSIC_EVENT_TYPES
    assert set(told.TAKEN_FIELDS) == reader.TAKEN_FIELDS
    assert jwe.FIELD in reader.TAKEN_FIELDS
