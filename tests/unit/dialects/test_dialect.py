"""What holds for every dialect, whatever anybody sends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import errors
from schemas.faults import FAULTS_LISTED_MAX
from schemas.numbers import NumberText
from schemas.outcome import Error
from schemas.reading import write_json
from schemas.request import AdjustmentRequest
from tests.dialect_vectors import VECTORS
from tests.unit.dialects.counter import Json, arrive, program_of
from worker.dialects import DIALECTS
from worker.dialects.dialect import Faults, Refused, Undeliverable, header

if TYPE_CHECKING:
    from worker.domain.program import Program

DOCUMENTS = {item.programme["program_id"]: item.programme for item in VECTORS if item.programme}
PROGRAMS = [*map(program_of, DOCUMENTS.values()), None]

names = st.sampled_from(sorted(DIALECTS))
programs = st.sampled_from(PROGRAMS)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.text(max_size=12)
    | st.sampled_from(["1", "0", "-1", "10.50", "\ud800", "x" * 200, "REGULAR", "bill_regular"])
    | st.sampled_from(["10.50", "1e3", "-0.0", "9" * 19]).map(NumberText)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
HEADERS = (
    "member-id", "user-id", "program-id", "campaign-id", "identifier-name", "identifier-value",
    "source", "reply-kid",
)  # fmt: skip
headers: st.SearchStrategy[dict[str, object]] = st.dictionaries(st.sampled_from(HEADERS), leaves)


@st.composite
def messages(draw: st.DrawFn) -> tuple[str, Any, dict[str, object]]:
    """A vector's message of which something is changed, or anything at all."""
    if draw(st.booleans()):
        return draw(names), draw(values), draw(headers)
    vector = draw(st.sampled_from(VECTORS))
    body = vector.body
    if isinstance(body, dict):
        fields = st.sampled_from(sorted(body) or ["points"]) | st.text(max_size=5)
        body = body | draw(st.dictionaries(fields, values, max_size=2))
    return vector.dialect, body, vector.headers | draw(headers)


@given(messages(), programs)
@example(("wll.event", {"eventType": "MANUAL_ADJUSTMENT", "payload": {"\ud800": 1}}, {}), None)
def test_a_message_becomes_a_valid_request_a_refusal_or_a_letter(
    message: tuple[str, Any, dict[str, object]], program: Program | None
) -> None:
    name, body, sent = message
    dialect = DIALECTS[name]
    try:
        inbound = dialect.read(body, sent, "r1")
    except Undeliverable as fault:
        # It raises for a key that is none.
        write_json(dialect.error(fault.key, fault.message, {}, fault.details))
        return
    assert (inbound.member_id is None) != (inbound.identifier is None)
    assert isinstance(inbound.content, bytes)
    json.dumps(inbound.context)
    assert all(isinstance(text, str) for text in inbound.context.values())
    try:
        fields = dialect.translate(inbound, program)
    except Refused as refused:
        rejection = refused.rejection
        code = errors.ERRORS[rejection.key]
        Error(code=code, key=rejection.key, message=rejection.message, details=[])
        write_json(rejection.details)
        return
    ids = {"program_id": inbound.program_id, "member_id": inbound.member_id or "m"}
    AdjustmentRequest.model_validate(arrive({**ids, "request_id": "r1", **fields}))


@given(messages())
def test_reading_a_message_again_reads_the_same(
    message: tuple[str, Any, dict[str, object]],
) -> None:
    name, body, sent = message
    try:
        first = DIALECTS[name].read(body, sent, "r1")
    except Undeliverable:
        return
    assert DIALECTS[name].read(body, sent, "r1") == first


@pytest.mark.parametrize("name", sorted(DIALECTS))
@pytest.mark.parametrize("key", sorted(errors.ERRORS))
def test_every_error_can_be_told_in_every_dialect(name: str, key: str) -> None:
    dialect = DIALECTS[name]
    assert write_json(dialect.error(key, "a sentence", {}))
    error = {"code": errors.ERRORS[key], "key": key, "message": "A sentence.", "details": []}
    outcome: Json = dict.fromkeys(
        ("request_id", "program_id", "member_id", "operation", "currency", "requested"), "1"
    )
    outcome |= dict.fromkeys(("balance", "available", "total", "version", "metadata"))
    rejected: Json = outcome | {"status": "REJECTED", "error": error, "points": "0", "warnings": []}
    for program in PROGRAMS:
        assert write_json(dialect.reply(rejected, {}, program))


def test_the_same_body_in_another_dialect_is_another_request() -> None:
    sent: dict[str, object] = {"member-id": "m", "user-id": "m"}
    body = {"points": 1, "type": "credit", "bankAccountNumber": "1"}
    contents = {dialect.read(body, sent, "r1").content for dialect in DIALECTS.values()}
    assert len(contents) == len(DIALECTS)


class TestFaults:
    def test_a_thousand_faults_are_counted_and_not_listed(self) -> None:
        faults = Faults()
        faults.unknown({f"field{number}": 1 for number in range(1000)}, ())
        with pytest.raises(Refused) as caught:
            faults.refuse()
        details = caught.value.rejection.details
        assert len(details) == FAULTS_LISTED_MAX + 1
        assert details[-1]["rule"] == f"has {1000 - FAULTS_LISTED_MAX} more faults"

    def test_no_value_is_repeated(self) -> None:
        faults = Faults()
        faults.unknown({"a secret name": "a secret"}, ())
        faults.text("b", "another secret\n", 0, 5)
        faults.amount("c", "third secret")
        assert "secret" not in str(faults.details)

    def test_nothing_wrong_refuses_nothing(self) -> None:
        Faults().refuse()


@pytest.mark.parametrize(("value", "text"), [(None, None), ("", None), ("x", "x"), (7, "7")])
def test_a_header_is_a_text_or_a_whole_number(value: object, text: str | None) -> None:
    assert header({"h": value}, "h") == text


@pytest.mark.parametrize("value", [True, b"x", 1.5, ["x"], {"x": 1}])
def test_a_header_of_another_kind_is_refused_without_its_value(value: object) -> None:
    with pytest.raises(Undeliverable) as caught:
        header({"h": value}, "h")
    assert caught.value.message == "header h must be a string"
