"""Every example is what its folder says, for the model and for JSON Schema alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from pydantic import ValidationError

import schemas
from schemas.export import MODELS, json_schema
from schemas.faults import faults
from schemas.reading import read_json
from schemas.request import AdjustmentRequest

if TYPE_CHECKING:
    from pydantic import BaseModel

EXAMPLES = Path(schemas.__file__).parent / "examples"

# JSON Schema counts characters and not bytes, knows numbers but not how they were written, and
# cannot compare two fields. Whoever validates with it alone will have these refused later.
BEYOND_JSON_SCHEMA = {
    "request/invalid/expiration_date.last_year_of_the_calendar.json",
    "request/invalid/expiration_date.no_such_day.json",
    "request/invalid/member_id.too_many_bytes.json",
    "request/invalid/metadata.control_character.json",
    "request/invalid/metadata.too_large.json",
    "request/invalid/ordinal.with_a_point.json",
    "request/invalid/points.exponent.json",
    "request/invalid/points.seven_decimals.json",
    "event/invalid/sequence.of_another_outcome.json",
    "event/invalid/source.of_another_programme.json",
    "event/invalid/subject.of_another_member.json",
    "event/invalid/time.another.json",
}


def _examples(validity: str, kind: str = "*") -> list[str]:
    return sorted(
        file.relative_to(EXAMPLES).as_posix() for file in EXAMPLES.glob(f"{kind}/{validity}/*.json")
    )


def _validate(example: str) -> BaseModel:
    kind = example.partition("/")[0]
    body = (EXAMPLES / example).read_bytes()
    if MODELS[kind] is AdjustmentRequest:
        return AdjustmentRequest.model_validate(read_json(body))
    return MODELS[kind].model_validate_json(body)


def _schema_faults(example: str) -> list[Any]:
    document = json.loads((EXAMPLES / example).read_bytes())
    return list(Draft202012Validator(json_schema(example.partition("/")[0])).iter_errors(document))


def test_every_message_has_valid_and_invalid_examples() -> None:
    for kind in MODELS:
        assert _examples("valid", kind)
        assert _examples("invalid", kind)
    assert len(list(EXAMPLES.rglob("*.json"))) == len(_examples("valid") + _examples("invalid"))


@pytest.mark.parametrize("example", _examples("valid"))
def test_a_valid_example_passes_the_model_and_the_schema(example: str) -> None:
    _validate(example)
    assert _schema_faults(example) == []


@pytest.mark.parametrize("example", _examples("invalid"))
def test_an_invalid_example_is_refused_by_the_model(example: str) -> None:
    with pytest.raises(ValidationError):
        _validate(example)


@pytest.mark.parametrize("example", _examples("invalid"))
def test_an_invalid_example_is_refused_by_the_schema_where_it_can_tell(example: str) -> None:
    assert bool(_schema_faults(example)) is (example not in BEYOND_JSON_SCHEMA)


@pytest.mark.parametrize("example", _examples("invalid", "request"))
def test_the_one_fault_of_an_invalid_request_is_told_by_its_field(example: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _validate(example)

    assert [Path(example).name.partition(".")[0]] == [
        fault["field"] for fault in faults(caught.value)
    ]
