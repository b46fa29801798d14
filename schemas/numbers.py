"""Amounts of points, exactly as they are written: nothing here ever passes through a float."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from schemas.names import DECIMALS_MAX

WHOLE_DIGITS_MAX: Final = 15

_WHOLE: Final = f"-?[0-9]{{1,{WHOLE_DIGITS_MAX}}}"
_FRACTION: Final = f"[0-9]{{1,{DECIMALS_MAX}}}"
AMOUNT_PATTERN: Final = rf"{_WHOLE}(\.{_FRACTION})?"
AMOUNT_RULE: Final = (
    f"must be an integer or a decimal of at most {WHOLE_DIGITS_MAX} digits before and"
    f" {DECIMALS_MAX} after the point, without an exponent"
)

# Amounts on output have as many decimals as their currency.
UNSIGNED_PATTERN: Final = r"[0-9]+(\.[0-9]+)?"
DECIMAL_PATTERN: Final = "-?" + UNSIGNED_PATTERN
DECIMAL_RULE: Final = "must be a string that holds a decimal"
UNSIGNED_RULE: Final = "must be a string that holds a decimal without a sign"

_DECIMAL = re.compile(DECIMAL_PATTERN)
_AMOUNT = re.compile(rf"({_WHOLE})(?:\.({_FRACTION}))?")
_WHOLE_LIMIT: Final = 10**WHOLE_DIGITS_MAX


class NumberText(str):
    """A JSON number that is no plain integer, kept as the characters that were sent.

    Numbers with a fraction or an exponent, and integers too long to be anything but carried
    through, arrive as this; so `10.10` stays `10.10` and is never rounded.
    """

    __slots__ = ()


class Amount(NamedTuple):
    """A signed decimal, `digits * 10**-scale`, in its one shortest form.

    The fraction has no trailing zeros, so equal amounts are equal tuples: 10, "10" and 10.00 all
    are `(10, 0)`, and "-1.50" is `(-15, 1)`. Build one with `parse`.
    """

    digits: int
    scale: int

    def __str__(self) -> str:
        if self.scale == 0:
            return str(self.digits)
        padded = str(abs(self.digits)).rjust(self.scale + 1, "0")
        sign = "-" if self.digits < 0 else ""
        return f"{sign}{padded[: -self.scale]}.{padded[-self.scale :]}"


def parse(value: object) -> Amount:
    """Read an amount from a JSON integer, a string, or a `NumberText`.

    Raises `ValueError` with the rule for anything else: booleans, exponents, signs other than a
    leading minus, more than 15 digits before or 6 after the point.
    """
    if type(value) is int:
        if -_WHOLE_LIMIT < value < _WHOLE_LIMIT:
            return Amount(value, 0)
    elif isinstance(value, str) and (match := _AMOUNT.fullmatch(value)) is not None:
        whole, fraction = match.groups()
        fraction = fraction.rstrip("0") if fraction else ""
        return Amount(int(whole + fraction), len(fraction))
    raise ValueError(AMOUNT_RULE)


def is_decimal_text(value: str) -> bool:
    """Whether `value` is an amount as outcomes have it."""
    return _DECIMAL.fullmatch(value) is not None
