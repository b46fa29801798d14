"""Amounts: exact decimals outside, integers in minor units inside."""

from __future__ import annotations

import pytest

from schemas.numbers import parse
from worker.domain.money import MINOR_UNITS_MAX, to_minor_units, to_text

BIGINT_MAX = 2**63 - 1


@pytest.mark.parametrize(
    ("amount", "decimals", "minor_units"),
    [
        ("10", 0, 10),
        ("10", 3, 10_000),
        ("-1.5", 1, -15),
        ("-1.5", 2, -150),
        ("0.000001", 6, 1),
        ("770.000", 0, 770),
        ("0", 6, 0),
        ("-0.00", 2, 0),
        ("999999999999999.999999", 6, 999_999_999_999_999_999_999),
    ],
)
def test_an_amount_becomes_minor_units_exactly(
    amount: str, decimals: int, minor_units: int
) -> None:
    assert to_minor_units(*parse(amount), decimals) == minor_units


@pytest.mark.parametrize(("amount", "decimals"), [("0.5", 0), ("1.01", 1), ("-0.000001", 5)])
def test_an_amount_finer_than_its_currency_is_not_rounded_but_none(
    amount: str, decimals: int
) -> None:
    assert to_minor_units(*parse(amount), decimals) is None


@pytest.mark.parametrize(
    ("minor_units", "decimals", "text"),
    [
        (0, 0, "0"),
        (0, 2, "0.00"),
        (-5, 0, "-5"),
        (67_000, 2, "670.00"),
        (670_000, 3, "670.000"),
        (5, 2, "0.05"),
        (-5, 2, "-0.05"),
        (-100, 2, "-1.00"),
        (-101, 2, "-1.01"),
        (1, 6, "0.000001"),
        (MINOR_UNITS_MAX, 6, "9000000000000.000000"),
        (-MINOR_UNITS_MAX, 0, "-9000000000000000000"),
    ],
)
def test_an_amount_is_written_with_exactly_its_currencys_decimals(
    minor_units: int, decimals: int, text: str
) -> None:
    assert to_text(minor_units, decimals) == text


def test_every_amount_of_the_books_fits_a_64_bit_integer() -> None:
    assert MINOR_UNITS_MAX <= BIGINT_MAX
