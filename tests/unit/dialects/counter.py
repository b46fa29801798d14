"""A counter at which a test hands in a vendor's message, and gets the reply to it.

Between the dialect's reading and its reply stand the rules themselves, without broker or books.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from schemas import errors
from schemas.faults import faults
from schemas.reading import read_json, write_json
from schemas.request import AdjustmentRequest
from worker.dialects import DIALECTS
from worker.dialects.dialect import Refused
from worker.domain.decide import decide
from worker.domain.document import from_document
from worker.domain.member import Arrival, Member
from worker.domain.ordinals import Parking
from worker.domain.outcome import Rejection
from worker.envelope.writing import outcome_bytes

if TYPE_CHECKING:
    from worker.domain.outcome import Outcome
    from worker.domain.program import Program

Json = dict[str, Any]

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


def program_of(document: Json | None) -> Program | None:
    """Read a programme document, if there is one."""
    return from_document(document["program_id"], 1, document) if document else None


def arrive(document: object) -> object:
    """Return a body as the worker reads it from JSON: numbers with a fraction as their text."""
    try:
        body = write_json(document)
    except TypeError:  # A lone surrogate, which can be sent as an escape.
        body = json.dumps(document).encode()
    return read_json(body)


class Counter:
    """One member of a programme, who is whole and enrolled nowhere."""

    def __init__(self, program_id: str, member_id: str, program: Program | None) -> None:
        self.program = program
        self.member = Member(program_id, member_id, is_whole=True)
        self.asked = 0

    def ask(self, fields: Json, refusal: Rejection | None = None) -> Outcome:
        """Hand in a canonical request without its ids, but for its request id where it has one."""
        self.asked += 1
        request_id = str(fields.get("request_id", f"r{self.asked}"))
        ids = {"program_id": self.member.program_id, "member_id": self.member.member_id}
        request = None
        if refusal is None:
            try:
                request = AdjustmentRequest.model_validate(arrive({**ids, **fields}))
            except ValidationError as error:
                details = faults(error)
                refusal = Rejection(errors.INVALID_PAYLOAD, "invalid", details)
        arrival = Arrival(request_id, request, b"", refusal, is_trusted=True)
        return decide(self.program, self.member, arrival, NOW, Parking()).own

    def send(
        self,
        dialect_name: str,
        body: object,
        headers: Json,
        *,
        message_id: str = "r-of-the-vendor",
    ) -> Json:
        """Hand in a vendor's message, and return the body of the reply."""
        dialect = DIALECTS[dialect_name]
        inbound = dialect.read(arrive(body), headers, message_id)
        refusal, fields = None, {}
        try:
            fields = dialect.translate(inbound, self.program)
        except Refused as refused:
            refusal = refused.rejection
        outcome = self.ask({**fields, "request_id": message_id}, refusal)
        stored = outcome_bytes(outcome, self.member.program_id, self.member.member_id)
        reply = dialect.reply(cast("Json", read_json(stored)), inbound.context, self.program)
        return cast("Json", json.loads(write_json(reply)))
