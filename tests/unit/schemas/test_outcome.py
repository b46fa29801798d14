"""What the worker sends reads back as it was sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

import schemas
from schemas.errors import ERRORS
from schemas.event import Event
from schemas.outcome import Error, Outcome
from schemas.times import parse_utc, utc_text

EXAMPLES = Path(schemas.__file__).parent / "examples"


@pytest.mark.parametrize(
    "file", sorted(EXAMPLES.glob("outcome/valid/*.json")), ids=lambda f: f.stem
)
def test_an_outcome_reads_back_as_it_was_written(file: Path) -> None:
    body = file.read_bytes()

    outcome = Outcome.model_validate_json(body)

    assert json.loads(body) == json.loads(outcome.model_dump_json(exclude_unset=True))


def test_times_are_datetimes_and_amounts_are_text() -> None:
    body = (EXAMPLES / "event/valid/points_adjusted.json").read_bytes()

    event = Event.model_validate_json(body)

    assert datetime(2026, 11, 20, 9, 15, 0, 123456, tzinfo=UTC) == event.time
    assert event.data.points == "100"


@pytest.mark.parametrize("key", ERRORS)
def test_every_error_of_the_catalogue_can_be_sent_with_its_code(key: str) -> None:
    error = {"code": ERRORS[key], "key": key, "message": "Why.", "details": []}

    assert Error.model_validate(error).key == key


@pytest.mark.parametrize("text", ["2026-11-20T09:15:00Z", "2026-11-20T09:15:00.000001Z"])
def test_a_utc_time_is_written_as_it_was_read(text: str) -> None:
    assert text == utc_text(parse_utc(text))


@pytest.mark.parametrize(
    "text", ["2026-11-20T09:15:00+00:00", "2026-11-20T09:15:00", "2026-13-01T00:00:00Z", 5]
)
def test_a_time_that_is_not_in_utc_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"must be|month"):
        parse_utc(text)
