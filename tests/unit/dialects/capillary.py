"""Capillary's dialect alone, for its tests: a body in, a request or a reply out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.dialect_vectors.capillary import ACME
from tests.unit.dialects.counter import Json, arrive, program_of
from worker.dialects.capillary import Capillary
from worker.dialects.dialect import Inbound, Refused, Undeliverable

if TYPE_CHECKING:
    from worker.domain.outcome import Rejection

CAPILLARY = Capillary()
PROGRAM = program_of(ACME)
BODY: Json = {"pointsToBeAdjusted": "10", "reasonOfReturn": "Extra points were issued"}
USER: dict[str, object] = {"user-id": "1"}

SOURCES = [
    "INSTORE", "MARTJACK", "WECHAT", "FACEBOOK", "WEB_ENGAGE", "TMALL",
    "TAOBAO", "JD", "ECOMMERCE", "WEBSITE", "LINE", "ALL",
]  # fmt: skip


def read(headers: dict[str, object] | None = None, body: object = None, **changes: Any) -> Inbound:
    document = body if body is not None else BODY | changes
    return CAPILLARY.read(arrive(document), USER if headers is None else headers, "r1")


def translate(headers: dict[str, object] | None = None, **changes: Any) -> Json:
    return CAPILLARY.translate(read(headers, **changes), PROGRAM)


def refused(headers: dict[str, object] | None = None, **changes: Any) -> Rejection:
    with pytest.raises(Refused) as caught:
        translate(headers, **changes)
    return caught.value.rejection


def letter(headers: dict[str, object], **changes: Any) -> str:
    with pytest.raises(Undeliverable) as caught:
        read(headers, **changes)
    return caught.value.key


def outcome(**fields: Any) -> Json:
    known: Json = {"program_id": "973", "available": "670.00", "error": None, "warnings": []}
    return known | fields


def rejected(key: str, code: int = 400, details: list[Json] | None = None) -> Json:
    error = {"code": code, "key": key, "message": "What the worker says.", "details": details or []}
    return outcome(error=error, available=None)


def reply(outcome: Json, inbound: Inbound | None = None) -> Json:
    return CAPILLARY.reply(outcome, (inbound or read()).context, PROGRAM)
