"""A request is taken as a whole, or every fault of it is told, and none of its values."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from pydantic import ValidationError

from schemas import names, rules
from schemas.export import json_schema
from schemas.faults import faults
from schemas.numbers import Amount, NumberText
from schemas.reading import read_json
from schemas.request import AdjustmentRequest

ID = {"request_id": "r", "member_id": "m"}


def validate(**fields: Any) -> AdjustmentRequest:
    return AdjustmentRequest.model_validate({**ID, **fields})


def refuse(document: object) -> list[dict[str, Any]]:
    with pytest.raises(ValidationError) as caught:
        AdjustmentRequest.model_validate(document)
    return faults(caught.value)


# Values that JSON Schema can tell apart as well as the model can.
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "operation": st.sampled_from([*get_args(names.Operation), "ADD", 1]),
    "points": st.sampled_from([5, 0, -5, "5", "0.0", "-5.5", "-0", "1e3", "", True, []]),
    "category": st.sampled_from([*get_args(names.Category), "OTHER"]),
    "expiration_type": st.sampled_from([*get_args(names.ExpirationType), "NEVER"]),
    "expiration_date": st.sampled_from(["2030-12-31", "2030-12-31T00:00:00Z", "tomorrow", 5]),
    "award_id": st.sampled_from(["a", "", 1]),
    "award_type": st.sampled_from([*get_args(names.AwardType), "bill"]),
    "promotion_id": st.sampled_from(["p", ""]),
    "promotion_identifier": st.sampled_from(["p", "\n"]),
    "reverses": st.sampled_from(["r", {}]),
    "hold": st.sampled_from(["h", False]),
    "ttl_seconds": st.sampled_from([1, 0, 172_800, True, "5"]),
    "ordinal": st.sampled_from([1, 0, 10**18]),
    "ordinal_stream": st.sampled_from(["s", ""]),
    "dry_run": st.sampled_from([True, False, 1]),
    "misspelt": st.just(1),
}
DOCUMENTS = st.fixed_dictionaries(
    {"member_id": st.just("m")},
    optional={name: st.none() | values for name, values in FIELDS.items()},
)


@given(DOCUMENTS)
def test_the_model_and_the_json_schema_take_the_same_requests(document: dict[str, Any]) -> None:
    try:
        AdjustmentRequest.model_validate(document)
        taken = True
    except ValidationError:
        taken = False

    assert taken is SCHEMA.is_valid(document)


SCHEMA = Draft202012Validator(json_schema("request"))


@given(DOCUMENTS)
def test_a_null_field_counts_as_absent(document: dict[str, Any]) -> None:
    present = {n: v for n, v in document.items() if v is not None or n == "misspelt"}

    assert told(document) == told(present)


@given(DOCUMENTS)
def test_no_rule_between_fields_is_skipped_for_speed(document: dict[str, Any]) -> None:
    try:
        request = AdjustmentRequest.model_validate(document)
    except ValidationError:
        return
    assert not any(rule.broken(request) for rule in rules.RULES)


def told(document: dict[str, Any]) -> object:
    try:
        return AdjustmentRequest.model_validate(document)
    except ValidationError as error:
        return sorted(faults(error), key=str)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["\ud800", "\x00", NumberText("1.5"), NumberText("9" * 40)]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.text(st.characters(), max_size=5), children, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from([*AdjustmentRequest.model_fields, "misspelt", "\ud800", "a b", ""]),
        JSON,
        max_size=6,
    )
)
def test_any_object_is_taken_or_its_faults_are_told(document: dict[str, Any]) -> None:
    outcome = told(document)

    if isinstance(outcome, list):
        assert outcome
        for fault in outcome:
            assert fault.keys() == {"field", "rule", "got"}
            assert all(type(text) is str and text for text in fault.values())
            json.dumps(fault).encode()
            "".join(fault.values()).encode()


def test_every_fault_is_told_at_once_also_those_between_fields() -> None:
    found = refuse(
        {
            "member_id": "m" * 129,
            "pionts": 3,
            "operation": "HOLD",
            "hold": "x",
            "promotion_id": "1",
            "promotion_identifier": "2",
            "dry_run": 1,
        }
    )

    assert {"member_id", "pionts", "points", "hold", "promotion_id", "dry_run"} == {
        fault["field"] for fault in found
    }


def test_a_rule_is_not_held_against_a_field_that_cannot_be_read() -> None:
    found = refuse({**ID, "operation": "ADD", "reverses": "r"})

    assert [fault["field"] for fault in found] == ["operation"]


def test_a_fault_names_field_rule_and_shape_but_never_the_value() -> None:
    found = refuse({**ID, "points": "4111 1111", "comment": ["4111"], "adjusted_by": "4111\n"})

    assert found == [
        {
            "field": "points",
            "rule": "must be an integer or a decimal of at most 15 digits before and 6 after the "
            "point, without an exponent",
            "got": "a string of 9 characters",
        },
        {
            "field": "comment",
            "rule": "must be a string of at most 2000 bytes of UTF-8 without control characters",
            "got": "an array of 1 item",
        },
        {
            "field": "adjusted_by",
            "rule": "must be a string of at most 128 bytes of UTF-8 without control characters",
            "got": "a string of 5 characters with a control character",
        },
    ]


@pytest.mark.parametrize(
    ("fields", "rule", "got"),
    [
        ({"ordinal": 0}, "must be at least 1", "an integer below that"),
        ({"expected_version": -3}, "must be at least 0", "an integer below that"),
        ({"ordinal": 10**18}, f"must be at most {10**18 - 1}", "an integer above that"),
        ({"ordinal": "1"}, "must be an integer", "a string of 1 character"),
        ({"ordinal": True}, "must be an integer", "a boolean"),
        ({"dry_run": 1}, "must be true or false", "an integer"),
        ({"category": 5}, "must be 'REGULAR', 'PROMISED' or 'EXTERNAL_TRIGGER_BASED'",
         "an integer"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_number_flag_or_choice_is_told_so_that_it_helps(
    fields: dict[str, object], rule: str, got: str
) -> None:
    [field] = fields
    assert refuse({**ID, "points": 1, **fields}) == [{"field": field, "rule": rule, "got": got}]


def test_a_missing_field_got_nothing() -> None:
    assert refuse({"points": 1}) == [
        {"field": "member_id", "rule": "is required", "got": "nothing"}
    ]
    assert refuse(ID)[0]["got"] == "nothing"


def test_a_field_with_no_name_to_show_is_told_by_its_size() -> None:
    assert refuse({**ID, "points": 1, "x" * 300: 1})[0]["field"] == "a name of 300 characters"


def test_a_name_that_is_no_unicode_hides_no_other_fault() -> None:
    found = refuse({"\ud800": 1, "member_id": 5, "points": 1})

    assert [fault["field"] for fault in found] == ["body", "member_id"]


def test_thousands_of_faults_are_told_by_the_first_fifty_and_a_count() -> None:
    found = refuse({**ID, "points": 1, **{f"field_{n}": 1 for n in range(5000)}})

    assert len(found) == 51
    assert found[-1]["rule"] == "has 4950 more faults"


def test_what_is_no_object_is_refused() -> None:
    assert [fault["field"] for fault in refuse([1])] == ["body"]


@pytest.mark.parametrize("field", ["operation", "category", "reason", "hold", "currency"])
def test_a_json_number_is_never_taken_for_a_string(field: str) -> None:
    document = read_json(b'{"member_id":"m","points":1,"%s":1.5}' % field.encode())

    assert field in [fault["field"] for fault in refuse(document)]


@pytest.mark.parametrize("points", [b"10", b'"10"', b'"10.0"', b"10.00"])
def test_equal_amounts_are_equal_however_they_are_spelled(points: bytes) -> None:
    request = AdjustmentRequest.model_validate(
        read_json(b'{"member_id":"m","points":' + points + b"}")
    )

    assert Amount(10, 0) == request.points


def test_dates_are_dates_and_moments_are_utc_but_for_those_in_the_programmes_zone() -> None:
    def expiring(text: str) -> object:
        request = validate(points=1, expiration_type="CUSTOM_DATE", expiration_date=text)
        return request.expiration_date

    assert date(2030, 12, 31) == expiring("2030-12-31")
    assert type(expiring("2030-12-31")) is date
    assert datetime(2030, 12, 31, 23, tzinfo=UTC) == expiring("2031-01-01t00:00:00+01:00")
    assert datetime(2030, 12, 31, 23) == expiring("2030-12-31T23:00:00")  # noqa: DTZ001
    occurred_at = validate(points=1, occurred_at="2026-11-20T09:15:00.123456789+01:00").occurred_at
    assert occurred_at is not None
    assert occurred_at.isoformat() == "2026-11-20T08:15:00.123456+00:00"


@pytest.mark.parametrize(
    "text",
    ["2026-11-20 09:15:00Z", "2026-11-20T09:15Z", "20261120T091500Z", "2026-11-20T24:00:00Z",
     "2026-11-20T09:15:00+25:00", "2026-11-20T09:15:60Z", "0001-01-01T00:00:00+14:00",
     "9999-12-31T23:59:59-01:00", "2026-W47-5T09:15:00Z", "٢٠٢٦-11-20T09:15:00Z", 1763629200, ""],
)  # fmt: skip
def test_what_merely_resembles_a_time_is_refused(text: object) -> None:
    found = refuse({**ID, "points": 1, "occurred_at": text})

    assert [fault["field"] for fault in found] == ["occurred_at"]


def test_a_zero_adjustment_is_left_for_its_own_rejection() -> None:
    assert Amount(0, 0) == validate(points="0.00", expiration_type="NON_EXPIRING").points


def test_metadata_is_measured_as_compact_json_and_kept_as_it_is() -> None:
    fits = {"n": "é" * 2044}
    assert fits == validate(points=1, metadata=fits).metadata
    assert refuse({**ID, "points": 1, "metadata": {"n": "é" * 2045}})[0]["field"] == "metadata"


@pytest.mark.parametrize("metadata", [{"a\n": 1}, {"a": ["\x7f"]}, {"a": {"\ud800": 1}}, [], "{}"])
def test_metadata_holds_no_invisible_characters_anywhere(metadata: object) -> None:
    assert refuse({**ID, "points": 1, "metadata": metadata})[0]["field"] == "metadata"
