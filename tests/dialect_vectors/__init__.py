"""What vendors' documents show of their messages, as a table: what comes in, and what the reply is.

Each vector is one member's. `MEMBER` stands for a member id of the test's choosing wherever it is
the whole of a string; `for_member` puts it in. Where a reply tells something in the worker's own
words, which no vendor has a claim on, it holds `ANY`.
"""

from __future__ import annotations

from typing import Final

from tests.dialect_vectors import beans, capillary, mastercard, voucherify, wll
from tests.dialect_vectors.vector import Vector

__all__ = ["VECTORS", "Vector"]

VECTORS: Final = (
    *capillary.VECTORS,
    *beans.VECTORS,
    *wll.VECTORS,
    *voucherify.VECTORS,
    *mastercard.VECTORS,
)
