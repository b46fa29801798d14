"""JSON is read strictly, and numbers keep the characters that were sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.errors import MALFORMED_JSON, NOT_UTF8
from schemas.numbers import NumberText
from schemas.reading import DEPTH_MAX, Unreadable, read_json, write_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17) + 1, 10**17) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children),
    max_leaves=12,
)


@given(st.binary(max_size=200))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"9" * 100_000)
@example(b"-")
@example(b"1e")
@example(b'"\\ud800"')
@example(b'"\\u')
@example(b"\xef\xbb\xbf{}")
def test_any_bytes_are_read_or_unreadable(body: bytes) -> None:
    key = None
    try:
        read_json(body)
    except Unreadable as error:
        key = error.key

    assert key in (None, MALFORMED_JSON, NOT_UTF8)


@given(VALUES, st.integers(0, 200))
def test_a_truncated_object_is_malformed(value: Any, cut: int) -> None:
    body = json.dumps({"value": value}).encode()

    with pytest.raises(Unreadable, match=MALFORMED_JSON):
        read_json(body[: min(cut, len(body) - 1)])


@given(VALUES)
def test_what_is_written_reads_the_same(value: Any) -> None:
    assert value == read_json(json.dumps(value).encode()) == read_json(write_json(value))


@pytest.mark.parametrize("text", ["10", "-7", "999999999999999999"])
def test_an_integer_is_an_int(text: str) -> None:
    value = read_json(text.encode())

    assert type(value) is int
    assert int(text) == value


@pytest.mark.parametrize("text", ["1.0", "1.50", "-0.1", "1e400", "1E+2", "1234567890123456789"])
def test_any_other_number_keeps_its_characters_also_when_written_again(text: str) -> None:
    value = read_json(text.encode())

    assert type(value) is NumberText
    assert text == value
    assert text.encode() == write_json(value)


def test_numbers_deep_inside_are_written_as_they_were_sent() -> None:
    body = b'{"a":[1.50,{"b":123456789012345678901234567890}],"c":"1.50"}'

    assert body == write_json(read_json(body))


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "a value is missing at character 0"),
        (b" \n", "a value is missing"),
        (b'{"a":1', "delimiter"),
        (b'  {"a":}', "a value is missing at character 7"),
        (b'{"a":1,}', "property name"),
        (b"NaN", "NaN is not a number"),
        (b'{"a":-Infinity}', "-Infinity is not a number"),
        (b'{"a":1,"b":2,"a":1}', "a field is given twice"),
        (b'{"x":{"a":1,"\\u0061":2}}', "a field is given twice"),
        (b"{} {}", "more follows"),
        (b"01", "more follows"),
        (b'"\n"', "control character"),
        (b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1), "more than 32 levels"),
        (b"[" * 50_000, "more than 32 levels"),
        (b'{"a":\xc2\xa01}', "a value is missing"),
        (b"'a'", "a value is missing"),
    ],
)
def test_malformed_json_is_told_by_what_is_wrong(body: bytes, what: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_json(body)

    assert caught.value.key == MALFORMED_JSON
    assert what in caught.value.message


def test_the_deepest_value_allowed_is_read_beside_many_shallow_ones() -> None:
    deepest = b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1)

    read_json(b"[" + deepest + b",{}" * 100 + b"]")


@pytest.mark.parametrize("body", [b"\xff", b'{"a":"\xe9"}', b'"\xed\xa0\x80"', b"\x00\xd8"])
def test_bytes_that_are_no_utf8_are_told_apart_from_malformed_json(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read_json(body)

    assert caught.value.key == NOT_UTF8


def test_an_escaped_surrogate_alone_is_read_for_the_rules_to_refuse() -> None:
    assert read_json(b'"\\ud800"') == "\ud800"
    assert read_json(b'"\\ud83d\\ude42"') == "🙂"


def test_an_unreadable_body_is_told_without_any_of_it() -> None:
    for body in (
        b'{"secret":"4111","secret":1}',
        b'{"secret" "4111"}',
        b"4111 secret",
        b"\xffsecret",
    ):
        with pytest.raises(Unreadable) as caught:
            read_json(body)
        assert "secret" not in caught.value.message
        assert "4111" not in caught.value.message


def test_what_is_no_json_is_not_written() -> None:
    with pytest.raises(TypeError):
        write_json({"a": object()})
