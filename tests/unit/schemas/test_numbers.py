"""Amounts are read exactly, or not at all."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.numbers import Amount, NumberText, is_decimal_text, parse

WHOLE = st.from_regex(r"-?[0-9]{1,15}", fullmatch=True, alphabet="-0123456789")
SPELLING = st.from_regex(r"-?[0-9]{1,15}(\.[0-9]{1,6})?", fullmatch=True, alphabet="-.0123456789")


@given(SPELLING)
def test_an_amount_is_worth_exactly_what_was_written(text: str) -> None:
    digits, scale = parse(text)

    assert Fraction(text) == Fraction(digits, 10**scale)


@given(SPELLING)
def test_an_amount_has_no_decimals_that_it_does_not_need(text: str) -> None:
    digits, scale = parse(text)

    assert 0 <= scale <= 6
    assert scale == 0 or digits % 10 != 0


@given(SPELLING, SPELLING)
def test_amounts_are_equal_exactly_if_they_are_worth_the_same(one: str, other: str) -> None:
    assert (Decimal(one) == Decimal(other)) is (parse(one) == parse(other))


@given(WHOLE, st.text("0123456789", max_size=3), st.integers(0, 3))
def test_trailing_zeros_do_not_count(whole: str, decimals: str, zeros: int) -> None:
    plain = f"{whole}.{decimals}" if decimals else whole
    padded = f"{whole}.{decimals}{'0' * zeros}" if decimals or zeros else whole

    assert parse(plain) == parse(padded) == parse(NumberText(padded))


@given(SPELLING)
def test_an_amount_reads_its_own_spelling(text: str) -> None:
    amount = parse(text)

    assert amount == parse(str(amount))
    assert is_decimal_text(str(amount))


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_an_integer_is_its_own_amount(number: int) -> None:
    assert Amount(number, 0) == parse(number) == parse(str(number))


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("10", (10, 0)),
        ("10.00", (10, 0)),
        ("-1.50", (-15, 1)),
        ("0.000001", (1, 6)),
        ("-0", (0, 0)),
    ],
)
def test_amounts_are_read_as_documented(text: str, amount: tuple[int, int]) -> None:
    assert amount == parse(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [((-15, 1), "-1.5"), ((5, 3), "0.005"), ((-5, 6), "-0.000005"), ((0, 0), "0"), ((7, 0), "7")],
)
def test_amounts_are_spelled_without_an_exponent(amount: tuple[int, int], text: str) -> None:
    assert text == str(Amount(*amount))


@pytest.mark.parametrize(
    "value",
    [
        "", "-", "+1", "1.", ".5", "1e3", "1E3", "1,5", " 1", "1 ", "1\n", "0x10", "1_000", "NaN",
        "Infinity", "--1", "1.2345678", "1" * 16, "١٢", "\uff11", "1.1.1", NumberText("1e2"),
        NumberText("1" * 30), 10**15, -(10**15), True, False, None, 1.0, [], {}, b"1",
    ],
)  # fmt: skip
def test_nothing_else_is_an_amount(value: object) -> None:
    with pytest.raises(ValueError, match="must be an integer or a decimal"):
        parse(value)


@given(st.text(max_size=25))
def test_any_text_is_an_amount_of_that_worth_or_refused(text: str) -> None:
    try:
        digits, scale = parse(text)
    except ValueError:
        return
    assert Fraction(text) == Fraction(digits, 10**scale)
