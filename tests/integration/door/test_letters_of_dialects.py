"""What the sender of a vendor's message is told when it becomes a dead letter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from schemas.dialects import CAPILLARY, MASTERCARD
from tests.dialect_vectors.mastercard import ASKED
from tests.integration.door.forwarding import KEY, MOBILE, Forwarding
from worker.dialects.jwe import Keyring

if TYPE_CHECKING:
    from tests.crew import Crew
    from worker.store.pool import Pool


@pytest.mark.parametrize("kid", ["42", 42], ids=repr)
async def test_the_error_is_encrypted_for_the_key_asked_for_however_the_header_writes_its_name(
    crew: Crew, pool: Pool, kid: object
) -> None:
    theirs = rsa.generate_private_key(65_537, 2_048)
    keyring = Keyring(public={"42": theirs.public_key()})
    forwarding = Forwarding(crew, pool, key=KEY, keyring=keyring)
    await forwarding.forwarded(
        b"{", count=0, message_type=MASTERCARD, message_id="r-1", headers={"reply-kid": kid}
    )
    (reply,) = await crew.taken(crew.replies, 1)
    body = json.loads(reply.body)
    assert body.keys() == {"encryptedData"}
    (error,) = json.loads(Keyring({"42": theirs}).decrypt(body))["Errors"]["Error"]
    assert error["ReasonCode"] == "malformed_json"


@pytest.mark.parametrize(
    ("dialect", "body", "headers"),
    [
        (CAPILLARY, {}, {"identifier-name": "mobile", "identifier-value": MOBILE}),
        (MASTERCARD, {**ASKED, "bankAccountNumber": "5555000011112222"}, {}),
    ],
    ids=["capillary", "mastercard"],
)
async def test_who_names_nobody_is_told_in_which_programme_so_that_a_misspelt_one_is_found(
    crew: Crew, pool: Pool, dialect: str, body: dict[str, object], headers: dict[str, object]
) -> None:
    forwarding = Forwarding(crew, pool, key=KEY)
    given = {**headers, "program-id": "defualt"}
    await forwarding.forwarded(
        json.dumps(body).encode(), count=0, message_type=dialect, message_id="r-1", headers=given
    )
    (letter,) = await crew.taken(crew.name("dead"), 1)
    assert letter.headers["x-error-key"] == "member_not_found"
    assert (
        letter.headers["x-error-message"]
        == "the identifier belongs to no member of programme defualt"
    )
