"""The generated documents are the committed ones, and are what they claim to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

import schemas
from schemas import export, names, topology
from schemas.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(schemas.__file__).parent


def test_every_committed_document_is_what_the_models_generate() -> None:
    committed = {
        file.relative_to(FOLDER).as_posix(): file.read_text(encoding="utf-8")
        for file in (*FOLDER.glob("json/*"), FOLDER / "asyncapi.json")
    }

    assert export.documents() == committed, "run `python -m schemas.export` and commit"


def test_writing_puts_every_document_below_the_folder(tmp_path: Path) -> None:
    files = export.write(tmp_path / "new")

    written = {
        file.relative_to(tmp_path / "new").as_posix(): file.read_text(encoding="utf-8")
        for file in files
    }
    assert export.documents() == written


@pytest.mark.parametrize("name", [*export.MODELS, *export.OTHERS])
def test_every_schema_is_valid_and_knows_its_own_name(name: str) -> None:
    schema = export.json_schema(name)

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:points-worker:schema:{name}:v1"


def test_events_name_the_schema_of_their_data() -> None:
    data_schema = export.json_schema("event")["properties"]["dataschema"]["const"]

    assert names.OUTCOME_SCHEMA == data_schema == export.json_schema("outcome")["$id"]


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = export.asyncapi()

    references = set(_references(document))
    assert references
    for reference in references:
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def test_the_asyncapi_document_names_the_exchanges_of_the_topology() -> None:
    channels = export.asyncapi()["channels"].values()

    exchanges = {
        channel["bindings"]["amqp"]["exchange"]["name"]: channel["bindings"]["amqp"]["exchange"]
        for channel in channels
        if "bindings" in channel
    }
    assert {
        topology.adjustments_exchange("points"): "direct",
        topology.events_exchange("points"): "topic",
        topology.dead("points"): "topic",
    } == {name: exchange["type"] for name, exchange in exchanges.items()}
    assert all(exchange["durable"] for exchange in exchanges.values())


def test_the_asyncapi_document_has_a_message_for_every_amqp_type() -> None:
    messages = export.asyncapi()["components"]["messages"].values()

    assert {names.REQUEST_TYPE, names.RESULT_TYPE, names.ERROR_TYPE, *DIALECTS} == {
        message["name"] for message in messages if "name" in message
    }


def test_a_document_reads_the_same_after_a_round_trip() -> None:
    for text in export.documents().values():
        assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)
