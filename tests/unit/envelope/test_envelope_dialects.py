"""Whom a lane believes about a vendor's message, and who can read the reply to it."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.inside import delivered
from worker.dialects.jwe import Keyring, UnknownKid
from worker.envelope import replies
from worker.envelope.reading import Letter, Reader
from worker.envelope.replies import Address, address_of

USER = "worker"
MASTERCARD = "mastercard.points_adjustment"
THEIRS = rsa.generate_private_key(65_537, 2_048)
RING = Keyring({"bank": THEIRS}, {"bank": THEIRS.public_key()})

IDS = {"request_id": "r", "member_id": "m"}
DIGEST = sha256(b"what was asked").hexdigest()
REFUSAL: dict[str, Any] = {"key": "zero_points", "message": "Points are zero.", "details": []}
SAID = {
    "x-dialect": json.dumps({"name": "beans.balance", "key": "ä"}),
    "x-content-digest": DIGEST,
    "x-refusal": json.dumps(REFUSAL),
    "x-original-user-id": "till",
}

OUTCOME = json.dumps({"points": "100", "error": None}).encode()


def test_what_the_door_says_of_a_message_is_believed() -> None:
    delivery = delivered(IDS, user_id=USER, headers=SAID)
    reading = Reader(10_000, USER).read(delivery, lambda _: True)
    assert reading.address.dialect == {"name": "beans.balance", "key": "ä"}
    assert reading.fingerprint == b"\x02" + bytes.fromhex(DIGEST)
    assert reading.refusal is not None
    assert (reading.refusal.key, reading.refusal.message) == ("zero_points", "Points are zero.")
    assert (reading.publisher, reading.is_trusted) == ("till", False)


@pytest.mark.parametrize("user_id", [None, "", "till"])
def test_nobody_else_is_believed_about_it(user_id: str | None) -> None:
    delivery = delivered({**IDS, "points": 1}, user_id=user_id, headers=SAID)
    reading = Reader(10_000, USER).read(delivery, lambda _: True)
    assert reading.address.dialect is None
    assert reading.fingerprint[:1] == b"\x01"
    assert reading.refusal is None
    assert (reading.publisher, reading.is_trusted) == (user_id or None, False)


@pytest.mark.parametrize(
    "said",
    [
        {"x-dialect": "{", "x-content-digest": "00", "x-refusal": "[]"},
        {"x-dialect": '{"name": "nobodys"}', "x-content-digest": "z" * 64, "x-refusal": "{}"},
        {"x-dialect": 7, "x-content-digest": 7, "x-refusal": 7},
        {"x-refusal": '{"key": "no key", "message": "", "details": []}'},
    ],
)
def test_headers_that_say_nothing_change_nothing(said: dict[str, object]) -> None:
    delivery = delivered({**IDS, "points": 1}, user_id=USER, headers=said)
    reading = Reader(10_000, USER).read(delivery, lambda _: True)
    assert reading.address.dialect is None
    assert reading.fingerprint[:1] == b"\x01"
    assert reading.refusal is None


def opened(body: bytes) -> Any:
    document = json.loads(body)
    assert document.keys() == {"encryptedData"}
    return json.loads(RING.decrypt(document))


def bank(kid: str | None) -> Address:
    dialect = {"name": MASTERCARD} | ({} if kid is None else {"reply-kid": kid})
    return Address("answers", "c", None, dialect)


def test_an_answer_is_encrypted_for_who_asks_for_it_and_plain_for_others() -> None:
    plain = replies.reply(OUTCOME, bank(None), None, RING)
    secret = replies.reply(OUTCOME, bank("bank"), None, RING)
    assert json.loads(plain.body) == {"pointsAdjusted": 100}
    assert opened(secret.body) == {"pointsAdjusted": 100}
    assert (plain.type, secret.type) == (MASTERCARD, MASTERCARD)
    letter = Letter("decryption_failed", "the body could not be decrypted")
    for kid, read in ((None, json.loads), ("nobodys", json.loads), ("bank", opened)):
        body = replies.error_reply(bank(kid), letter, RING).body
        assert read(body)["Errors"]["Error"][0]["ReasonCode"] == "decryption_failed"


def test_an_answer_for_a_key_that_is_gone_is_given_to_nobody() -> None:
    with pytest.raises(UnknownKid):
        replies.reply(OUTCOME, bank("gone"), None, RING)


def test_a_key_is_the_affair_of_the_dialect_that_has_one() -> None:
    """A canonical request that names one in a header is answered as ever."""
    delivery = delivered(IDS, user_id=USER, headers={"reply-kid": "bank"})
    reply = replies.reply(OUTCOME, address_of(delivery, USER), None, RING)
    assert reply.body == OUTCOME
