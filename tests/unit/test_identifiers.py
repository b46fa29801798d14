"""An identifier is stored as a fingerprint that only the holder of the key can make."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.identifiers import fingerprint, is_name, is_value, key_digest

KEY = b"0123456789abcdef"
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1)
NAMES = TEXTS.filter(is_name)
VALUES = TEXTS.filter(is_value)


def test_a_fingerprint_is_the_documented_hmac() -> None:
    expected = hmac.new(KEY, b"mobile\x00+49 170 1234567", hashlib.sha256).digest()
    assert fingerprint(KEY, "mobile", "+49 170 1234567") == expected


@given(NAMES, VALUES, NAMES, VALUES)
def test_two_fingerprints_are_equal_only_for_the_same_identifier(
    name: str, value: str, other_name: str, other_value: str
) -> None:
    same = (name, value) == (other_name, other_value)
    assert (fingerprint(KEY, name, value) == fingerprint(KEY, other_name, other_value)) is same


@given(NAMES, VALUES)
def test_another_key_makes_another_fingerprint(name: str, value: str) -> None:
    assert fingerprint(KEY, name, value) != fingerprint(KEY[::-1], name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "secret"), ("mobile", ""), ("mob\0ile", "secret"), ("mobile", "secret\n"),
     ("mobile", "secret\ud800"), ("m" * 65, "secret"), ("mobile", "secret" * 50)],
)  # fmt: skip
def test_what_is_no_identifier_is_refused_without_showing_it(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="needs a name and a value") as caught:
        fingerprint(KEY, name, value)
    assert "secret" not in str(caught.value)


@given(NAMES, VALUES, st.binary(min_size=16, max_size=40))
def test_a_digest_tells_keys_apart_and_is_the_fingerprint_of_nothing(
    name: str, value: str, other: bytes
) -> None:
    assert (key_digest(other) == key_digest(KEY)) is (other == KEY)
    assert key_digest(KEY) != fingerprint(KEY, name, value)


def test_a_digest_is_the_documented_hmac() -> None:
    expected = hmac.new(KEY, b"\x00the key of identifiers", hashlib.sha256).digest()
    assert key_digest(KEY) == expected
