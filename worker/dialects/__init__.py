"""The dialects: what vendors' systems send, made canonical, and the answers in their own words.

Pure translation, chosen by the AMQP type; only the keys of encrypted bodies are read from their
folders, once, by `jwe`. Nothing behind the door knows which dialect a request came in, but the
rendering of its reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from worker.dialects.beans import Beans
from worker.dialects.capillary import IDENTIFIER_NAMES as _CAPILLARY
from worker.dialects.capillary import Capillary
from worker.dialects.mastercard import ACCOUNT, Mastercard
from worker.dialects.voucherify import Voucherify
from worker.dialects.wll import WhiteLabelLoyalty

if TYPE_CHECKING:
    from worker.dialects.dialect import Dialect

_ALL: Final[tuple[Dialect, ...]] = (
    Beans(),
    Capillary(),
    Mastercard(),
    Voucherify(),
    WhiteLabelLoyalty(),
)

DIALECTS: Final[dict[str, Dialect]] = {dialect.name: dialect for dialect in _ALL}
"""Every dialect by its name, the AMQP type of its messages."""

IDENTIFIER_NAMES: Final[tuple[str, ...]] = (*_CAPILLARY, ACCOUNT)
"""Every name by which a dialect looks an identifier up: by others nobody is ever found."""
