"""Mastercard: five fields, an account number that goes nowhere, and errors one by one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import client_encryption.jwe_encryption as client  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from schemas import errors
from schemas.numbers import NumberText
from schemas.outcome import Outcome as StoredOutcome
from schemas.reading import read_json, write_json
from tests.dialect_vectors.mastercard import ASKED, BANK, MASTERCARD
from tests.mastercard_client import client_of
from tests.unit.dialects.counter import Counter, arrive, program_of
from worker.dialects.dialect import Inbound, Refused, Undeliverable
from worker.dialects.jwe import Keyring
from worker.dialects.mastercard import REPLY_KID, Mastercard

if TYPE_CHECKING:
    from pathlib import Path

    from worker.domain.outcome import Rejection

DIALECT = Mastercard()
PROGRAM = program_of(BANK)
HEADERS: dict[str, object] = {"program-id": "mastercard"}
ACCOUNT = "5555000011112222"
BODY = {**ASKED, "bankAccountNumber": ACCOUNT}


def read(body: object = BODY, **headers: object) -> Inbound:
    return DIALECT.read(arrive(body), {**HEADERS, **headers}, "r")


def translated(**changes: object) -> dict[str, Any]:
    return DIALECT.translate(read({**BODY, **changes}), PROGRAM)


def refused(**changes: object) -> Rejection:
    with pytest.raises(Refused) as refusal:
        translated(**changes)
    return refusal.value.rejection


def undeliverable(body: object, **headers: object) -> Undeliverable:
    with pytest.raises(Undeliverable) as fault:
        read(body, **headers)
    return fault.value


def blamed(details: Any) -> list[str]:
    return [detail["field"] for detail in details]


def outcome(error_key: str | None = None, **fields: object) -> dict[str, Any]:
    """Return a stored outcome as far as the dialect looks at it."""
    error = error_key and {
        "code": errors.ERRORS[error_key],
        "key": error_key,
        "message": "A sentence.",
        "details": [],
    }
    return {"points": "0", "error": error, **fields}


def items(reply: dict[str, Any]) -> list[dict[str, Any]]:
    assert reply.keys() == {"Errors"}
    assert reply["Errors"].keys() == {"Error"}
    found: list[dict[str, Any]] = reply["Errors"]["Error"]
    return found


def test_what_the_dialect_looks_at_is_what_an_outcome_has() -> None:
    assert outcome().keys() <= StoredOutcome.model_fields.keys()


def test_the_five_fields_become_an_adjustment() -> None:
    assert translated() == {
        "operation": "ADJUST",
        "points": "100",
        "reason": "Courtesy of the service centre",
        "adjusted_by": "agent-7",
        "metadata": {"adjustmentTypeCode": "CR"},
    }


@pytest.mark.parametrize(
    ("sent", "points"),
    [(100, "100"), ("100", "100"), ("100.00", "100"), (12.5, "12.5"), ("0.010", "0.01")],
    ids=repr,
)
def test_the_type_code_gives_a_magnitude_its_sign(sent: object, points: str) -> None:
    assert translated(pointsToAdjust=sent)["points"] == points
    assert translated(pointsToAdjust=sent, adjustmentTypeCode="DR")["points"] == f"-{points}"


def test_the_account_leads_to_the_member() -> None:
    inbound = read()

    assert inbound.member_id is None
    assert inbound.identifier is not None
    assert (inbound.identifier.name, inbound.identifier.value) == ("bankAccountNumber", ACCOUNT)


@given(
    # Of characters that the rest of the message has not, so that only a copy is found.
    st.text(st.characters(min_codepoint=0x2600, max_codepoint=0x26FF), min_size=1, max_size=80),
    st.sampled_from(["CR", "DR", "XX", None]),
)
def test_an_account_number_stands_in_nothing_that_goes_further(
    account: str, code: str | None
) -> None:
    inbound = read({**BODY, "bankAccountNumber": account, "adjustmentTypeCode": code})
    try:
        fields = DIALECT.translate(inbound, PROGRAM)
    except Refused as refusal:
        fields = {"message": refusal.rejection.message, "details": refusal.rejection.details}

    for what in (inbound.content.decode(), repr(inbound), repr(fields), repr(inbound.context)):
        assert not any(character in what for character in account)


@pytest.mark.parametrize("account", ["1" * 256, "12\n34", 5555000011112222, ["1"], {"a": 1}])
def test_an_account_number_that_is_none_is_told_with_all_other_faults_and_not_shown(
    account: object,
) -> None:
    fault = undeliverable({"bankAccountNumber": account, "pointsToAdjust": -1, "more": 1})

    assert fault.key == "invalid_payload"
    assert sorted(blamed(fault.details)) == [
        "adjustedBy",
        "adjustmentReason",
        "adjustmentTypeCode",
        "bankAccountNumber",
        "more",
        "pointsToAdjust",
    ]
    assert "1111" not in repr((fault.args, fault.details))


@pytest.mark.parametrize("missing", [None, "", " "], ids=repr)
def test_what_is_null_or_blank_is_missing(missing: object) -> None:
    for field in ASKED:
        body = {**BODY, field: missing}
        if field == "bankAccountNumber":
            fault = undeliverable(body)
            assert (fault.key, blamed(fault.details)) == ("missing_member_id", [field])
        else:
            rejection = refused(**{field: missing})
            assert (rejection.key, blamed(rejection.details)) == ("invalid_payload", [field])
            assert rejection.details[0]["rule"] == "is required"


@pytest.mark.parametrize("body", [None, 1, "text", [], [BODY]], ids=repr)
def test_a_body_is_an_object(body: object) -> None:
    fault = undeliverable(body)

    assert fault.key == "invalid_payload"
    assert ACCOUNT not in repr(fault.args)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pointsToAdjust", -1),
        ("pointsToAdjust", "1e2"),
        ("pointsToAdjust", True),
        ("pointsToAdjust", "1.0000001"),
        ("adjustmentTypeCode", "XX"),
        ("adjustmentTypeCode", "credit"),
        ("adjustmentTypeCode", 1),
        ("adjustmentTypeCode", ["CR"]),
        ("adjustmentTypeCode", {}),
        ("adjustmentReason", "ä" * 128),
        ("adjustmentReason", 1),
        ("adjustedBy", "a" * 129),
        ("adjustedBy", False),
        ("adjustedOn", "2026-01-01"),
    ],
    ids=repr,
)
def test_a_field_that_is_wrong_is_named(field: str, value: object) -> None:
    rejection = refused(**{field: value})

    assert rejection.key == "invalid_payload"
    assert blamed(rejection.details) == [field]


def test_zero_points_are_refused_for_what_they_are() -> None:
    assert refused(pointsToAdjust=0).key == "zero_points"
    assert refused(pointsToAdjust="0.00").key == "zero_points"


def test_without_a_programme_no_type_code_is_known_but_every_other_fault() -> None:
    with pytest.raises(Refused) as unknown:
        DIALECT.translate(read(), None)
    with pytest.raises(Refused) as invalid:
        DIALECT.translate(read({**BODY, "adjustedBy": None}), None)

    assert unknown.value.rejection.key == "unknown_program"
    assert blamed(invalid.value.rejection.details) == ["adjustedBy"]


def test_no_more_faults_are_told_than_an_answer_can_hold() -> None:
    fault = undeliverable({f"field{number}": 1 for number in range(1000)})

    assert len(fault.details) == 51
    assert blamed(fault.details)[:5] == list(ASKED)


@pytest.mark.parametrize("key", errors.ERRORS)
def test_every_error_is_in_the_vendors_form(key: str) -> None:
    for reply in (
        DIALECT.reply(outcome(key), {}, PROGRAM),
        DIALECT.reply(outcome(key), {}, None),
        DIALECT.error(key, "a sentence", {}),
    ):
        [item] = items(reply)
        assert list(item) == ["Source", "ReasonCode", "Description", "Recoverable", "Details"]
        assert all(type(value) is str and value for value in item.values())
        assert item["Recoverable"] in {"true", "false"}
        assert item["Details"] == "null"


def test_a_reason_code_is_the_programmes_or_else_the_workers_own_key() -> None:
    def told(key: str) -> str:
        return str(items(DIALECT.reply(outcome(key), {}, PROGRAM))[0]["ReasonCode"])

    assert told("insufficient_points") == "NOT_ENOUGH"
    assert told("limit_exceeded") == "limit_exceeded"


def test_a_fault_that_the_rules_found_bears_the_vendors_name_of_the_field() -> None:
    short = {**BANK, "reason_max_length": 5}
    counter = Counter("mastercard", "m", program_of(short))

    [item] = items(counter.send(MASTERCARD, BODY, HEADERS))

    assert item["Details"] == "adjustmentReason"
    assert item["Description"].startswith("adjustmentReason must be at most 5 characters")


@pytest.mark.parametrize(
    ("points", "written"),
    [
        ("100", "100"),
        ("-100", "100"),
        ("0", "0"),
        ("100.00", "100"),
        ("-12.50", "12.5"),
        ("0.000001", "0.000001"),
        ("999999999999999.999999", "999999999999999.999999"),
    ],
)
def test_the_number_of_points_adjusted_is_a_json_number_to_the_last_digit(
    points: str, written: str
) -> None:
    reply = DIALECT.reply(outcome(points=points), {}, PROGRAM)

    assert write_json(reply) == f'{{"adjusted":{written}}}'.encode()
    assert type(reply["adjusted"]) is (NumberText if "." in written else int)


def test_the_field_of_the_reply_has_a_name_of_ours_where_none_is_configured() -> None:
    assert DIALECT.reply(outcome(points="5"), {}, None) == {"pointsAdjusted": 5}


def test_what_a_cap_left_of_a_credit_is_told() -> None:
    capped = {**BANK, "currencies": [{"code": "points", "decimals": 2, "balance_cap": "99.50"}]}
    counter = Counter("mastercard", "m", program_of(capped))

    assert counter.send(MASTERCARD, BODY, HEADERS) == {"adjusted": 99.5}


def test_the_key_for_the_reply_is_remembered() -> None:
    assert read().context == {}
    assert read(**{"reply-kid": "bank-1"}).context == {REPLY_KID: "bank-1"}


@pytest.mark.parametrize("kid", ["k" * 129, "a\nb", ["k"], b"k"], ids=repr)
def test_a_key_for_the_reply_that_is_none_is_refused(kid: object) -> None:
    assert undeliverable(BODY, **{"reply-kid": kid}).key == "invalid_payload"


def test_the_same_is_asked_however_it_is_written_and_from_whichever_account() -> None:
    asked = read().content

    assert read({**BODY, "pointsToAdjust": "100.0"}).content == asked
    assert read({**BODY, "bankAccountNumber": "1"}).content == asked
    assert read(**{"reply-kid": "bank-1"}).content == asked
    assert read({**BODY, "pointsToAdjust": 101}).content != asked
    assert read({**BODY, "adjustmentTypeCode": "DR"}).content != asked


def test_the_vendors_client_asks_and_understands_the_answer(tmp_path: Path) -> None:
    """The whole way of an encrypted request, with the client's own configuration and keys."""
    ours, theirs = (rsa.generate_private_key(65_537, 2_048) for _ in range(2))
    config = client_of(tmp_path, ours, theirs)
    ring = Keyring({"2026": ours}, {"bank-1": theirs.public_key()})
    counter = Counter("mastercard", "m", PROGRAM)

    sent = client.encrypt_payload(BODY, config)
    assert ACCOUNT not in json.dumps(sent)
    reply = counter.send(MASTERCARD, read_json(ring.decrypt(sent)), HEADERS)
    answer = ring.encrypt(write_json(reply), "bank-1")

    assert client.decrypt_payload(answer, config) == {"adjusted": 100}
    assert counter.member.wallet("points", "REGULAR").balance == 10_000
