"""The dialects: what vendors' systems send, made canonical, and the answers in their own words.

Pure translation, chosen by the AMQP type. Nothing behind the door knows which dialect a request
came in, but the rendering of its reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from worker.dialects.dialect import Dialect

DIALECTS: Final[dict[str, Dialect]] = {}
"""Every dialect by its name, the AMQP type of its messages."""
