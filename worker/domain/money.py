"""Amounts: exact decimals outside, integers in minor units inside. Nothing is ever rounded."""

from __future__ import annotations

from typing import Final

MINOR_UNITS_MAX: Final = 9 * 10**18
"""The most that an amount, a balance, a deficit or a lifetime total may reach, in minor units.

It is the largest round figure below what a 64-bit integer of the database holds.
"""


def to_minor_units(digits: int, scale: int, decimals: int) -> int | None:
    """Return `digits * 10**-scale` in units of `10**-decimals`, or None where that is inexact.

    `scale` holds no trailing zeros, so None means: more decimals than the currency has.
    """
    if scale == decimals:
        return digits
    if scale > decimals:
        return None
    return digits * int(10 ** (decimals - scale))


def to_text(minor_units: int, decimals: int) -> str:
    """Write an amount with exactly as many decimals as its currency has: `"670.00"`, `"-5"`."""
    if decimals == 0:
        return str(minor_units)
    sign = "-" if minor_units < 0 else ""
    whole, fraction = divmod(abs(minor_units), 10**decimals)
    return f"{sign}{whole}.{fraction:0{decimals}d}"
