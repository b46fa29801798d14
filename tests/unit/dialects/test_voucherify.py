"""Voucherify: what its own client sends is understood, and what it is answered it can read."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import errors
from schemas.outcome import Outcome as StoredOutcome
from schemas.text import text_rule
from tests.dialect_vectors.voucherify import CARDS, CARDS_WITH_CENTS, VOUCHERIFY
from tests.unit.dialects import counter as counter_module
from tests.unit.dialects.counter import Counter, arrive, program_of
from worker.dialects.dialect import Inbound, Refused, Undeliverable
from worker.dialects.voucherify import Voucherify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.domain.outcome import Rejection

# The vendor's client says of none of its names that they are for us, and types some of them.
CLIENT: Any = import_module("voucherify")

DIALECT = Voucherify()
CARD = "v_0aMj6Mdp0i3zuXrd9NnBKboc7746mlgF"
HEADERS = {"member-id": CARD, "program-id": "voucherify"}
CUSTOM = {"points": 100, "expiration_type": "CUSTOM_DATE"}


def read(body: object, headers: Mapping[str, object] = HEADERS, message_id: str = "r") -> Inbound:
    return DIALECT.read(arrive(body), headers, message_id)


def translated(body: object) -> dict[str, Any]:
    return DIALECT.translate(read(body), program_of(CARDS))


def refused(body: object) -> Rejection:
    with pytest.raises(Refused) as refusal:
        translated(body)
    return refusal.value.rejection


def details(body: object) -> str:
    """Return what the vendor's error object tells of a body that is invalid."""
    reply = Counter("voucherify", CARD, program_of(CARDS)).send(VOUCHERIFY, body, HEADERS)
    assert (reply["code"], reply["key"], reply["message"]) == (
        400,
        "invalid_payload",
        "Invalid payload",
    )
    return str(reply["details"])


def outcome(error_key: str | None = None, **fields: object) -> dict[str, Any]:
    """Return a stored outcome as far as the dialect looks at it."""
    error = error_key and {
        "code": errors.ERRORS[error_key],
        "key": error_key,
        "message": "A sentence.",
        "details": [],
    }
    return {
        "request_id": "r",
        "program_id": "voucherify",
        "member_id": CARD,
        "points": "0",
        "total": "0",
        "balance": "0",
        "operation_type": "MANUAL",
        "error": error,
        **fields,
    }


def as_the_client_sends(**fields: object) -> Any:
    """Return a body as the PyPI client puts it on the wire."""
    body = CLIENT.LoyaltiesMembersBalanceUpdateRequestBody(**fields)
    return json.loads(json.dumps(CLIENT.ApiClient().sanitize_for_serialization(body)))


def can_be_read_by_the_client(reply: dict[str, Any]) -> bool:
    is_error = "code" in reply
    model = CLIENT.Error if is_error else CLIENT.LoyaltiesMembersBalanceUpdateResponseBody
    return bool(model.model_validate(reply).to_dict() == reply)


def test_what_the_dialect_looks_at_is_what_an_outcome_has() -> None:
    assert outcome().keys() <= StoredOutcome.model_fields.keys()


def test_the_seeds_example_with_a_date_gives_a_lot_that_is_usable_on_that_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counter_module, "NOW", datetime(2023, 1, 1, tzinfo=UTC))
    counter = Counter("voucherify", CARD, program_of(CARDS))
    sent = as_the_client_sends(
        points=100, expiration_type="CUSTOM_DATE", expiration_date="2023-05-30"
    )
    assert sent["expiration_date"] == "2023-05-30T00:00:00"

    reply = counter.send(VOUCHERIFY, sent, HEADERS)

    assert reply["points"] == 100
    [lot] = counter.member.wallet("points", "REGULAR").lots
    assert lot.expires_at == datetime(2023, 5, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "fields",
    [
        {"points": -100},
        {"points": 100, "expiration_type": "PROGRAM_RULES"},
        {"points": 100, "expiration_type": "NON_EXPIRING"},
        {"points": 100, "expiration_type": "CUSTOM_DATE", "expiration_date": "2090-05-30"},
        {
            "points": 100,
            "expiration_type": "CUSTOM_DATE",
            "expiration_date": datetime(2090, 5, 30, 12, tzinfo=UTC),
        },
        {"points": 100, "reason": "Regular customer", "source_id": "Source_1"},
        {"points": 100, "reason": None, "source_id": None},
    ],
    ids=str,
)
def test_what_the_client_sends_is_applied_and_it_can_read_the_answer(
    fields: dict[str, object],
) -> None:
    counter = Counter("voucherify", CARD, program_of(CARDS))
    counter.ask({"points": 1000})

    reply = counter.send(VOUCHERIFY, as_the_client_sends(**fields), HEADERS)

    assert reply["points"] == fields["points"]
    assert can_be_read_by_the_client(reply)


AMOUNTS = st.integers(-(10**18), 10**18)


@given(AMOUNTS, AMOUNTS, st.integers(0, 10**18), st.integers(0, 6))
def test_the_client_can_read_every_balance_object(
    points: int, balance: int, total: int, decimals: int
) -> None:
    stored = outcome(
        points=amount(points, decimals),
        balance=amount(balance, decimals),
        total=amount(total, decimals),
    )

    reply = DIALECT.reply(stored, {}, None)

    assert can_be_read_by_the_client(reply)
    unit = 10**decimals
    assert (reply["points"], reply["balance"], reply["total"]) == (
        points // unit,
        max(0, balance // unit),
        total // unit,
    )


def amount(minor_units: int, decimals: int) -> str:
    sign, digits = "-" * (minor_units < 0), str(abs(minor_units)).rjust(decimals + 1, "0")
    whole, fraction = digits[: len(digits) - decimals], digits[len(digits) - decimals :]
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


@pytest.mark.parametrize("key", errors.ERRORS)
def test_the_client_can_read_every_error_object(key: str) -> None:
    for reply in (
        DIALECT.reply(outcome(key), {}, None),
        DIALECT.error(key, "a sentence", {}),
        DIALECT.error(key, "a sentence", {}, [{"field": "body", "rule": "is bad", "got": "x"}]),
    ):
        assert can_be_read_by_the_client(reply)
        assert reply["key"]
        assert 400 <= reply["code"] < 600


def test_an_errors_request_id_is_the_requests_and_always_the_same() -> None:
    def told(**fields: object) -> str:
        return str(DIALECT.reply(outcome("zero_points", **fields), {}, None)["request_id"])

    assert re.fullmatch(r"v-[0-9a-f]{18}", told())
    assert told() == told()
    others = {told(request_id="s"), told(member_id="n"), told(program_id="p")}
    assert len(others | {told()}) == 4


def test_a_member_who_is_blocked_is_non_active() -> None:
    reply = DIALECT.reply(outcome("member_inactive"), {}, None)

    assert (reply["code"], reply["key"]) == (423, "non_active_member")


def test_a_card_that_is_not_found_is_named_as_the_resource() -> None:
    for key in ("member_not_found", "not_enrolled"):
        reply = DIALECT.reply(outcome(key), {}, None)
        assert reply["details"] == f"Cannot find voucher with id {CARD}"
        assert (reply["resource_id"], reply["resource_type"]) == (CARD, "voucher")


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("2090-05-30", "2090-05-30"),
        ("2090-05-30T00:00:00", "2090-05-30"),
        ("2090-05-30T00:00:00.000", "2090-05-30"),
        ("2090-05-30T12:00:00", "2090-05-30T12:00:00"),
        ("2090-05-30T00:00:00Z", "2090-05-30T00:00:00Z"),
        ("2090-05-30T00:00:00.000Z", "2090-05-30T00:00:00.000Z"),
        ("2090-05-30T00:00:00+02:00", "2090-05-30T00:00:00+02:00"),
    ],
)
def test_a_date_is_a_day_and_a_date_time_but_local_midnight_an_instant(
    sent: str, meant: str
) -> None:
    assert translated(CUSTOM | {"expiration_date": sent}) == {
        "operation": "ADJUST",
        "points": 100,
        "expiration_type": "CUSTOM_DATE",
        "expiration_date": meant,
    }


@pytest.mark.parametrize(
    "sent",
    ["", "tomorrow", "30.05.2090", "2090-02-30", "2090-5-30", "2090-05-30 00:00:00", "20900530",
     "0001-01-01", 20900530, True, [], {}],
    ids=repr,
)  # fmt: skip
def test_what_is_no_date_is_told_in_the_vendors_words(sent: object) -> None:
    told = "Property .expiration_date cannot be recognized as a ISO-8601 compliant date"

    assert details(CUSTOM | {"expiration_date": sent}) == told
    # Also where it would have no effect.
    assert details({"points": -1, "expiration_date": sent}) == told


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (CUSTOM, "Payload must have required property 'expiration_date'"),
        (
            {"points": 100, "expiration_date": "2090-05-30"},
            "Property .expiration_date goes with expiration_type CUSTOM_DATE only",
        ),
        (
            {"points": 100, "expiration_type": "NON_EXPIRING", "expiration_date": "2090-05-30"},
            "Property .expiration_date goes with expiration_type CUSTOM_DATE only",
        ),
        (
            {"points": 100, "expiration_type": "SOMEDAY"},
            "Property .expiration_type must be one of PROGRAM_RULES, NON_EXPIRING, CUSTOM_DATE",
        ),
        (
            {"points": 100, "expiration_type": []},
            "Property .expiration_type must be one of PROGRAM_RULES, NON_EXPIRING, CUSTOM_DATE",
        ),
        ({"points": 100, "pionts": 1}, "Property .pionts is not a field of this message"),
        ({"points": 100, "reason": "ä" * 128}, f"Property .reason {text_rule(0, 255)}"),
        ({"points": 100, "source_id": 17}, f"Property .source_id {text_rule(0, 128)}"),
        ([], "Payload must be a JSON object"),
        (
            {"expiration_type": "CUSTOM_DATE"},
            "; ".join(
                f"Payload must have required property '{name}'"
                for name in ("points", "expiration_date")
            ),
        ),
    ],
)
def test_every_fault_of_a_body_is_told(body: object, told: str) -> None:
    assert details(body) == told


@pytest.mark.parametrize("points", ["100", "-100", 10.5, 10**15, True, [100], {}, "1e2"], ids=repr)
def test_points_are_integers(points: object) -> None:
    assert details({"points": points}) == (
        "Property .points must be an integer of at most 15 digits"
    )


def test_an_integer_may_be_written_with_zeros_behind_its_point() -> None:
    assert translated({"points": 100.0}) == translated({"points": 100})
    assert translated({"points": -(10**15) + 1})["points"] == -999_999_999_999_999


@pytest.mark.parametrize(
    "fields",
    [
        {"expiration_type": "PROGRAM_RULES"},
        {"expiration_type": "NON_EXPIRING"},
        {"expiration_type": "CUSTOM_DATE"},
        {"expiration_type": "CUSTOM_DATE", "expiration_date": "2023-05-30"},
        {"expiration_date": "2090-05-30"},
    ],
    ids=str,
)
def test_what_is_about_added_points_has_no_effect_on_a_removal(fields: dict[str, object]) -> None:
    assert translated({"points": -100, **fields}) == {"operation": "ADJUST", "points": -100}


def test_a_refusal_shows_nothing_of_what_was_sent() -> None:
    refusal = refused({"points": "hush", "reason": "hush" * 99, "expiration_date": "hush"})

    assert "hush" not in json.dumps([refusal.message, refusal.details])


def test_the_programme_is_that_of_the_header_and_else_the_campaign_and_else_the_default() -> None:
    member = {"member-id": CARD}
    assert read({}, {**member, "program-id": "p", "campaign-id": "camp_1"}).program_id == "p"
    assert read({}, {**member, "campaign-id": "camp_1"}).program_id == "camp_1"
    assert read({}, {**member, "program-id": "", "campaign-id": "camp_1"}).program_id == "camp_1"
    assert read({}, member).program_id == "default"


@pytest.mark.parametrize(
    ("headers", "message_id", "key", "named"),
    [
        ({}, "r", "missing_member_id", "member-id"),
        (HEADERS, "", "missing_request_id", "message_id"),
        (HEADERS, "r" * 129, "invalid_payload", "message_id"),
        ({"member-id": "\n"}, "r", "invalid_payload", "member-id"),
        ({"member-id": CARD, "campaign-id": "My campaign"}, "r", "invalid_payload", "campaign-id"),
    ],
    ids=["no member", "no request", "long request", "bad member", "bad campaign"],
)
def test_what_cannot_be_tied_to_a_member_and_a_request_is_undeliverable(
    headers: dict[str, object], message_id: str, key: str, named: str
) -> None:
    with pytest.raises(Undeliverable) as fault:
        read({"points": 1}, headers, message_id)

    assert fault.value.key == key
    assert named in fault.value.message


def test_the_same_is_asked_however_its_numbers_are_written_and_whoever_is_asked_about() -> None:
    asked = read({"points": 100, "reason": None}).content

    assert read({"points": 100.00}).content == asked
    assert read({"points": 100}, {"member-id": "another"}).content == asked
    assert CARD.encode() not in asked
    assert read({"points": 101}).content != asked
    assert read({"points": 100, "reason": "x"}).content != asked
    assert read({"points": 100, "expiration_type": "NON_EXPIRING"}).content != asked


def test_a_repeat_of_a_removal_is_told_apart_by_what_had_no_effect_too() -> None:
    assert read({"points": -1}).content != read({"points": -1, "source_id": "s"}).content


def test_debts_and_fractions_show_in_no_figure() -> None:
    counter = Counter("voucherify-cents", CARD, program_of(CARDS_WITH_CENTS))
    headers = {"member-id": CARD, "program-id": "voucherify-cents"}
    counter.ask({"points": "0.75"})

    reply = counter.send(VOUCHERIFY, {"points": -1}, headers)

    assert (reply["points"], reply["balance"], reply["total"]) == (-1, 0, 0)
    assert can_be_read_by_the_client(reply)
