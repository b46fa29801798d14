"""What the worker sends, held to the models of the contract."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest

from schemas.errors import ZERO_POINTS as ZERO
from schemas.event import Event
from schemas.names import EVENT_TYPES, LOTS_LISTED_MAX
from schemas.outcome import Outcome as OutcomeModel
from schemas.topology import bucket_key
from tests.inside import delivered, request
from worker.domain.outcome import Outcome, Rejection
from worker.domain.program import Currency, ExpiryRule
from worker.domain.wallet import Label, LotChange
from worker.envelope import writing
from worker.envelope.reading import Letter, Reader
from worker.store.keys import RequestKey

NOW = datetime(2030, 6, 15, 12, 30, tzinfo=UTC)
KEY = RequestKey("acme", "Zoë-🙂", "r-1")
COINS = Currency("coins", 3, ExpiryRule())


def applied(**fields: Any) -> Outcome:
    """Return a credit of 1.500 coins."""
    reading = Reader(10_000, "worker").read(delivered(request("r-1", "1.5")), lambda _: True)
    given: dict[str, Any] = {
        "request_id": "r-1",
        "operation": "ADJUST",
        "status": "APPLIED",
        "event_type": "POINTS_ADJUSTED",
        "sequence": 7,
        "recorded_at": NOW,
        "request": reading.request,
        "currency": COINS,
        "category": "REGULAR",
        "points": 1_500,
        "balance": 2_000,
        "available": 2_000,
        "total": 2_500,
        "version": 3,
        "lots": [LotChange(7, 1_500, None)],
        **fields,
    }
    return Outcome(**given)


def document(outcome: Outcome) -> dict[str, Any]:
    body = writing.outcome_bytes(outcome, KEY.program_id, KEY.member_id)
    OutcomeModel.model_validate_json(body)
    found: dict[str, Any] = json.loads(body)
    return found


def test_an_outcome_has_every_field_of_the_model_in_its_order() -> None:
    assert list(document(applied())) == list(OutcomeModel.model_fields)


def test_amounts_are_strings_with_the_decimals_of_their_currency() -> None:
    written = document(applied(points=-1, balance=-2_000, available=0))
    assert (written["points"], written["balance"]) == ("-0.001", "-2.000")
    assert (written["requested"], written["forfeited"]) == ("1.500", "0.000")
    assert written["total"] == "2.500"


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOW, "2030-06-15T12:30:00Z"),
        (NOW.replace(microsecond=1), "2030-06-15T12:30:00.000001Z"),
        (NOW + timedelta(days=300), "2031-04-11T12:30:00Z"),
    ],
)
def test_times_are_rfc_3339_in_utc(moment: datetime, text: str) -> None:
    assert document(applied(recorded_at=moment))["recorded_at"] == text


@pytest.mark.parametrize("count", [LOTS_LISTED_MAX, LOTS_LISTED_MAX + 1])
def test_at_most_a_hundred_lots_are_listed_and_a_warning_says_so(count: int) -> None:
    written = document(applied(lots=[LotChange(n, 1, NOW) for n in range(count)]))
    assert len(written["lots"]) == LOTS_LISTED_MAX
    assert written["warnings"] == (["lots_truncated"] if count > LOTS_LISTED_MAX else [])


def test_the_lots_stand_beside_an_outcome_that_cannot_tell_them_all() -> None:
    told = [LotChange(n, -1, NOW, Label("a", None, "p")) for n in range(LOTS_LISTED_MAX)]
    assert writing.entry_of(applied(lots=told), KEY, 0, None).lots is None
    assert document(applied(lots=told))["lots"][3] == {
        "lot_id": "3",
        "points": "-0.001",
        "expires_at": "2030-06-15T12:30:00Z",
        "award_id": "a",
        "promotion_id": "p",
    }
    many = writing.entry_of(applied(lots=[*told, LotChange(500, 7, None)]), KEY, 0, None).lots
    assert many is not None
    assert len(many) == LOTS_LISTED_MAX + 1
    assert many[-2:] == [
        [LOTS_LISTED_MAX - 1, -1, "2030-06-15T12:30:00Z", "a", None, "p"],
        [500, 7, None, None, None, None],
    ]
    typed = LotChange(1, 2, None, Label("a", "bill_regular"))
    assert writing.entry_of(applied(lots=[typed]), KEY, 0, None).lots == [
        [1, 2, None, "a", "bill_regular", None]
    ]
    assert "award_type" not in document(applied(lots=[typed]))["lots"][0]


def test_what_a_cap_cut_off_and_every_warning_is_told() -> None:
    lots = [LotChange(n, 1, NOW) for n in range(LOTS_LISTED_MAX + 1)]
    written = document(applied(forfeited=250, warnings=["balance_cap"], lots=lots))
    assert written["forfeited"] == "0.250"
    assert written["warnings"] == ["balance_cap", "lots_truncated"]


def test_a_dry_run_and_what_changed_nothing_are_outcomes_like_others() -> None:
    assert document(applied(status="SIMULATED", event_type=None))["status"] == "SIMULATED"
    nothing = applied(status="NO_CHANGE", event_type=None, points=0, lots=[])
    assert document(nothing)["status"] == "NO_CHANGE"


def test_a_rejection_names_code_key_message_and_details() -> None:
    details = [{"field": "points", "rule": "must be a number", "got": "a string"}]
    rejection = Rejection("invalid_payload", "points must be a number.", details)
    written = document(applied(status="REJECTED", points=0, lots=[], rejection=rejection))
    assert written["error"] == {
        "code": 400,
        "key": "invalid_payload",
        "message": "points must be a number.",
        "details": details,
    }


def test_an_outcome_without_a_wallet_or_a_readable_request_is_still_valid() -> None:
    bare = applied(
        **dict.fromkeys(("request", "currency", "category", "operation")),
        **dict.fromkeys(("balance", "available", "total", "version")),
        status="REJECTED",
        event_type="ADJUSTMENT_REJECTED",
        points=0,
        lots=[],
        rejection=Rejection("too_large", "Too large."),
    )
    assert document(bare)["operation"] is None


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_an_event_is_its_outcome_in_an_envelope(event_type: str) -> None:
    refused = {"status": "REJECTED", "points": 0, "lots": [], "rejection": Rejection(ZERO, "0.")}
    fields = refused if event_type == "ADJUSTMENT_REJECTED" else {}
    entry = writing.entry_of(applied(event_type=event_type, **fields), KEY, 0, None)
    event = writing.event(entry, "pfx", "00-aa-bb-01")
    Event.model_validate_json(event.body)
    written = json.loads(event.body)
    assert written["data"] == json.loads(entry.outcome)
    assert written["sequence"] == f"{7:019d}"
    assert written["subject"] == written["partitionkey"] == KEY.member_id
    assert (event.exchange, event.routing_key) == ("pfx.events", f"acme.{event_type}")
    assert event.headers == {
        "member-id": KEY.member_id,
        "bucket": bucket_key(KEY.member_id),
        "traceparent": "00-aa-bb-01",
    }
    assert event.must_be_taken


def test_an_event_id_is_the_uuid_of_what_happened_and_of_nothing_else() -> None:
    namespace = UUID(bytes=writing._EVENT_NAMESPACE)
    parts = ("acme", "Zoë-🙂", "r-1", "POINTS_ADJUSTED", "coins", "REGULAR")
    entry = writing.entry_of(applied(), KEY, 0, b"f")
    assert writing.event_id_of(entry) == str(uuid5(namespace, "\x1f".join(parts)))
    later = writing.entry_of(applied(sequence=8, recorded_at=NOW, points=3), KEY, 4, None)
    assert writing.event_id_of(later) == writing.event_id_of(entry)


def test_what_belongs_to_a_released_request_or_lapsed_hold_has_an_event_id_of_its_own() -> None:
    namespace = UUID(bytes=writing._EVENT_NAMESPACE)
    parts = ("acme", "Zoë-🙂", "r-1", "POINTS_ADJUSTED", "coins", "REGULAR", "early")
    entry = writing.entry_of(applied(), KEY, 3, None, "early")
    assert (entry.subject, entry.request_id) == ("early", "r-1")
    assert writing.event_id_of(entry) == str(uuid5(namespace, "\x1f".join(parts)))


@pytest.mark.parametrize(
    "other",
    [
        {"key": RequestKey("acme2", "Zoë-🙂", "r-1")},
        {"key": RequestKey("acme", "Zoë", "r-1")},
        {"key": RequestKey("acme", "Zoë-🙂", "r-2")},
        {"event_type": "POINTS_EXPIRED"},
        {"category": "PROMISED"},
        {"currency": Currency("gold", 3, ExpiryRule())},
    ],
    ids=["programme", "member", "request", "type", "category", "currency"],
)
def test_what_happened_to_another_has_another_event_id(other: dict[str, Any]) -> None:
    key = other.pop("key", KEY)
    first = writing.event_id_of(writing.entry_of(applied(), KEY, 0, None))
    assert writing.event_id_of(writing.entry_of(applied(**other), key, 0, None)) != first


@pytest.mark.parametrize("traceparent", [None, 7, b"x"])
def test_a_traceparent_that_is_no_text_is_left_out(traceparent: object) -> None:
    entry = writing.entry_of(applied(), KEY, 0, None)
    assert "traceparent" not in (writing.event(entry, "p", traceparent).headers or {})


@pytest.mark.parametrize(
    ("user_id", "claimed", "named"),
    [
        (None, None, ""),
        ("till", None, "till"),
        ("till", "boss", "till"),
        (None, "boss", ""),
        ("worker", "till", "till"),
        ("worker", None, None),
    ],
)
def test_only_the_workers_own_user_is_believed_about_the_first_publisher(
    user_id: str | None, claimed: str | None, named: str | None
) -> None:
    headers = {"mine": 1, **({"x-original-user-id": claimed} if claimed else {})}
    delivery = delivered(request("r", 1), user_id=user_id, headers=headers)
    passed = writing.passed_on_headers(delivery, "worker")
    assert passed.get("x-original-user-id") == named
    assert passed["mine"] == 1


@pytest.mark.parametrize(("user_id", "kept"), [("worker", True), ("till", False), (None, False)])
def test_what_only_the_worker_may_say_is_passed_on_of_nobody_else(
    user_id: str | None, *, kept: bool
) -> None:
    """A letter that is replayed goes out as the worker's own."""
    claims = {"x-dialect": "{}", "x-content-digest": "00", "x-refusal": "{}"}
    delivery = delivered(request("r", 1), user_id=user_id, headers=claims)
    assert (claims.items() <= writing.passed_on_headers(delivery, "worker").items()) == kept


def test_what_the_broker_counts_or_copies_by_is_not_passed_on() -> None:
    headers = dict.fromkeys(("x-delivery-count", "x-acquired-count", "CC", "BCC", "kept"), 1)
    delivery = delivered(request("r", 1), headers=headers)
    assert writing.passed_on_headers(delivery, "worker") == {"kept": 1, "x-original-user-id": ""}


def test_a_dead_letter_is_the_message_unchanged_with_its_reason() -> None:
    delivery = delivered(b"\xff", user_id="till", content_type="x/y", message_id="m", priority=3)
    letter = writing.dead_letter(delivery, Letter("not_utf8", "byte 0"), "pfx", "worker")
    assert (letter.body, letter.content_type, letter.message_id) == (b"\xff", "x/y", "m")
    assert (letter.exchange, letter.routing_key) == ("pfx.dead", "not_utf8")
    headers = letter.headers or {}
    assert headers["x-error-key"] == "not_utf8"
    assert headers["x-error-message"] == "byte 0"
    assert headers["x-original-queue"] == "desk.partition.1.000"
    assert headers["x-original-exchange"] == "desk.adjustments"
    assert headers["x-original-routing-key"] == "bucket.000"
    assert headers["x-original-user-id"] == "till"
    assert letter.must_be_taken
