"""Where an answer goes, also when the request that it answers had to wait."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inside import delivered, request
from worker.envelope import replies
from worker.envelope.reading import Letter
from worker.envelope.replies import Address, address_of

DIALECT = {"name": "beans.balance", "key": "ä"}


def wire_text(length_max: int = 30) -> st.SearchStrategy[str | None]:
    """Any short string of AMQP: any bytes at all."""
    return st.none() | st.binary(max_size=length_max).map(
        lambda raw: raw.decode("utf-8", "surrogateescape")
    )


def test_the_answer_goes_to_the_reply_address_under_the_requests_correlation_id() -> None:
    delivery = delivered(
        request("r", 1), correlation_id="c", message_id="m", headers={"traceparent": "00-1"}
    )
    reply = replies.reply(b"{}", address_of(delivery, "worker"), None, replies.NO_KEYS)
    assert (reply.exchange, reply.routing_key, reply.correlation_id) == ("", "answers", "c")
    assert (reply.mandatory, reply.must_be_taken) == (True, False)
    assert (reply.type, reply.headers) == ("adjustment.result.v1", {"traceparent": "00-1"})
    by_message_id = address_of(delivered(request("r", 1), message_id="m"), "worker")
    assert by_message_id.correlation_id == "m"


def test_a_message_that_was_not_understood_is_answered_with_its_reason() -> None:
    address = address_of(delivered(b"x", correlation_id="c"), "worker")
    reply = replies.error_reply(address, Letter("not_utf8", "at byte 0"))
    assert (reply.type, reply.correlation_id) == ("adjustment.error.v1", "c")
    error = {"code": 400, "key": "not_utf8", "message": "at byte 0", "details": []}
    assert json.loads(reply.body) == {"error": error}


@pytest.mark.parametrize("traceparent", [None, 7, b"x"])
def test_a_traceparent_that_is_no_text_is_left_out_of_a_reply(traceparent: object) -> None:
    delivery = delivered(request("r", 1), headers={"traceparent": traceparent})
    reply = replies.reply(b"{}", address_of(delivery, "worker"), None, replies.NO_KEYS)
    assert reply.headers is None


@given(wire_text(), wire_text(), wire_text(), st.none() | st.just(DIALECT))
def test_an_address_that_was_kept_is_the_same_and_postgres_can_hold_it(
    reply_to: str | None, correlation_id: str | None, traceparent: str | None, dialect: Any
) -> None:
    address = Address(reply_to, correlation_id, traceparent, dialect)
    kept = json.dumps(address.to_json())
    assert "\\u0000" not in kept
    assert "\\ud" not in kept
    assert Address.from_json(json.loads(kept)) == address


def test_nobody_waits_at_an_address_that_was_not_kept() -> None:
    assert Address.from_json(None) == Address()


@pytest.mark.parametrize(
    ("user_id", "header", "dialect"),
    [
        ("worker", json.dumps(DIALECT), DIALECT),
        ("till", json.dumps(DIALECT), None),
        (None, json.dumps(DIALECT), None),
        ("worker", '{"name": "unheard.of"}', None),
        ("worker", "no JSON", None),
        ("worker", "[]", None),
        ("worker", 7, None),
    ],
)
def test_only_the_workers_own_user_is_believed_about_a_dialect(
    user_id: str | None, header: object, dialect: dict[str, str] | None
) -> None:
    delivery = delivered(request("r", 1), user_id=user_id, headers={"x-dialect": header})
    assert address_of(delivery, "worker").dialect == dialect
