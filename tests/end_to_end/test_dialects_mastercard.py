"""Mastercard's encrypted messages, made and read by its own client, through a real worker.

Nothing of a token, an account number or a payload may stand in the worker's log, whatever comes.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import client_encryption.jwe_encryption as mastercard  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conftest import own_database
from tests.dialect_vectors.mastercard import ASKED, BANK, MASTERCARD
from tests.end_to_end.vendors import IDENTIFIER_KEY, Said, Vendors
from tests.mastercard_client import client_of, private_pem, public_pem
from tests.scene import Scene
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from client_encryption.jwe_encryption_config import (  # type: ignore[import-untyped]
        JweEncryptionConfig,
    )

    from tests.workers import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROGRAM = {"program-id": "mastercard"}
KID = "bank"
OURS = rsa.generate_private_key(65_537, 2_048)
THEIRS = rsa.generate_private_key(65_537, 2_048)


@dataclass
class Bank:
    """An issuer that talks to a running worker, in Mastercard's words and by its client."""

    vendors: Vendors
    worker: WorkerProcess
    client: JweEncryptionConfig
    accounts: int = 0

    async def open_account(self) -> tuple[str, str]:
        """Return a new member and the account number that leads to them."""
        member_id = self.vendors.new_member()
        account = f"5555{secrets.randbelow(10**12):012}"
        await self.vendors.know("mastercard", member_id, "bankAccountNumber", account)
        return member_id, account

    def encrypted(self, **fields: object) -> dict[str, Any]:
        """Return a request as the vendor's client encrypts it."""
        sealed = mastercard.encrypt_payload({**ASKED, **fields}, self.client)
        assert sealed.keys() == {"encryptedData"}
        return dict(sealed)

    def opened(self, body: dict[str, Any]) -> Any:
        """Return a reply as the vendor's client decrypts it."""
        assert body.keys() == {"encryptedData"}
        return mastercard.decrypt_payload(dict(body), self.client)

    async def say(self, body: object, message_id: str | None = None, **headers: object) -> Any:
        """Send a message and return the parsed reply; `reply_kid` asks for an encrypted one."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.vendors.say(MASTERCARD, body, {**PROGRAM, **given}, message_id)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bank(
    amqp_url: str,
    database_server_url: str,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Bank]:
    """A bank in conversation with a worker that has keys, and tells everything in its log."""
    folder = tmp_path_factory.mktemp("keys")
    env = {
        "POINTS_IDENTIFIER_KEY": IDENTIFIER_KEY,
        "POINTS_JWE_PRIVATE_KEYS": str(folder / "private"),
        "POINTS_JWE_PUBLIC_KEYS": str(folder / "public"),
        "LOG_LEVEL": "debug",
    }
    client = make_keys(folder)
    async with own_database(database_server_url, migrated_template) as url:
        scene = Scene(amqp_url, url, f"t{secrets.token_hex(4)}", env)
        try:
            async with scene.worker() as worker:
                await worker.ready()
                async with Vendors(scene) as vendors:
                    await vendors.apply(BANK)
                    yield Bank(vendors, worker, client)
        finally:
            await scene.delete_topology()


def make_keys(folder: Path) -> JweEncryptionConfig:
    """Write our keys and the bank's into a folder, and return the client that uses them."""
    (folder / "private").mkdir()
    (folder / "public").mkdir()
    (folder / "private" / "2026-11.pem").write_bytes(private_pem(OURS))
    (folder / "public" / f"{KID}.pem").write_bytes(public_pem(THEIRS))
    return client_of(folder, OURS, THEIRS)


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def every_byte_changed(token: str) -> list[str]:
    """Return the token with each byte of each of its parts changed in turn."""
    parts = token.split(".")
    changed = []
    for which, part in enumerate(parts):
        content = decoded(part)
        for at in range(len(content)):
            other = bytearray(content)
            other[at] ^= 1
            again = base64.urlsafe_b64encode(other).rstrip(b"=").decode()
            changed.append(".".join([*parts[:which], again, *parts[which + 1 :]]))
    return changed


def error_of(reply: dict[str, Any]) -> dict[str, str]:
    """Return the one error of a reply."""
    (error,) = reply["Errors"]["Error"]
    return dict(error)


async def found_in_tables(database_url: str, text: str) -> list[str]:
    """Return the tables that hold a text, also as bytes."""
    connection = await asyncpg.connect(database_url)
    try:
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'points'"
        )
        assert len(tables) > 10
        found = []
        for (table,) in tables:
            query = f"SELECT count(*) FROM points.{table} AS line WHERE line::text LIKE ANY($1)"
            wanted = [f"%{text}%", f"%{text.encode().hex()}%"]
            if await connection.fetchval(query, wanted):
                found.append(str(table))
        return found
    finally:
        await connection.close()


async def settled(bank: Bank, message_id: str) -> None:
    """Wait until the door has told in the log that it is done with what came before."""
    batches = bank.worker.log().count("door_batch")
    await bank.say({}, message_id)
    await until(lambda: bank.worker.log().count("door_batch") > batches, what="the log's line")


async def test_what_the_vendors_client_encrypts_is_adjusted_and_answered(bank: Bank) -> None:
    member_id, account = await bank.open_account()
    body = bank.encrypted(bankAccountNumber=account, pointsToAdjust="12.50")
    assert await bank.say(body) == {"adjusted": 12.5}
    (event,) = await bank.vendors.events(member_id, 1)
    told = json.loads(event.body)["data"]
    assert (told["points"], told["adjusted_by"]) == ("12.50", ASKED["adjustedBy"])
    assert account not in str(told)
    # What is looked for below is found where it is.
    assert "journal" in await found_in_tables(bank.vendors.scene.database_url, member_id)


async def test_a_reply_that_was_asked_for_encrypted_is_read_by_the_vendors_client(
    bank: Bank,
) -> None:
    _, account = await bank.open_account()
    body = bank.encrypted(bankAccountNumber=account)
    first = await bank.say(body, "encrypted-1", reply_kid=KID)
    assert bank.opened(first) == {"adjusted": 100}
    # A repeat is another token of the same answer; so is the same request encrypted once more.
    again = await bank.say(body, "encrypted-1", reply_kid=KID)
    assert again != first
    assert bank.opened(again) == {"adjusted": 100}
    other = bank.encrypted(bankAccountNumber=account)
    assert other != body
    assert bank.opened(await bank.say(other, "encrypted-1", reply_kid=KID)) == {"adjusted": 100}
    # A rejection is encrypted as well, and so is the error of what became a dead letter.
    debit = bank.encrypted(bankAccountNumber=account, pointsToAdjust=101, adjustmentTypeCode="DR")
    rejected = bank.opened(await bank.say(debit, reply_kid=KID))
    assert error_of(rejected)["ReasonCode"] == "NOT_ENOUGH"
    nobodys = bank.opened(await bank.say(bank.encrypted(), reply_kid=KID))
    assert error_of(nobodys)["ReasonCode"] == "member_not_found"
    unreadable = bank.opened(await bank.say({"encryptedData": "x"}, reply_kid=KID))
    assert error_of(unreadable)["ReasonCode"] == "decryption_failed"


async def test_a_reply_for_a_key_that_is_not_known_is_refused_before_anything_is_done(
    bank: Bank,
) -> None:
    member_id, account = await bank.open_account()
    reply = await bank.say(bank.encrypted(bankAccountNumber=account), reply_kid="nobodys")
    assert error_of(reply)["ReasonCode"] == "BAD_INPUT"
    assert "reply-kid" in error_of(reply)["Description"]
    (event,) = await bank.vendors.events(member_id, 1)
    assert json.loads(event.body)["data"]["status"] == "REJECTED"


async def test_plain_and_encrypted_are_one_request(bank: Bank) -> None:
    member_id, account = await bank.open_account()
    body = {**ASKED, "bankAccountNumber": account}
    assert await bank.say(body, "one") == {"adjusted": 100}
    assert await bank.say(bank.encrypted(bankAccountNumber=account), "one") == {"adjusted": 100}
    other = await bank.say({**body, "pointsToAdjust": 101}, "one")
    assert error_of(other)["ReasonCode"] == "request_id_conflict"
    assert len(await bank.vendors.events(member_id, 1)) == 1


async def test_any_byte_of_a_token_changed_makes_a_dead_letter_and_no_part_of_it_is_logged(
    bank: Bank,
) -> None:
    member_id, account = await bank.open_account()
    token = bank.encrypted(bankAccountNumber=account)["encryptedData"]
    changed = every_byte_changed(token)
    assert len(changed) > 400
    await bank.vendors.send_all(
        Said(MASTERCARD, f"t{n}", PROGRAM, json.dumps({"encryptedData": one}).encode())
        for n, one in enumerate(changed)
    )
    replies = [json.loads((await bank.vendors.reply(f"t{n}")).body) for n in range(len(changed))]
    assert {error_of(reply)["ReasonCode"] for reply in replies} == {"decryption_failed"}
    # Nothing in an answer tells how far a token got.
    assert len({json.dumps(reply) for reply in replies}) == 1
    for n, one in enumerate(changed):
        letter = await bank.vendors.letter_of(f"t{n}")
        assert letter.headers["x-error-key"] == "decryption_failed"
        assert json.loads(letter.body) == {"encryptedData": one}
    assert bank.vendors.events_of(member_id) == []
    # The one that nobody changed is opened.
    assert await bank.say({"encryptedData": token}) == {"adjusted": 100}
    await settled(bank, "after the changed ones")
    log = bank.worker.log()
    assert log.count('"the token does not verify"') > 300
    assert account not in log
    for part in token.split("."):
        assert all(part[at : at + 16] not in log for at in range(0, len(part) - 15, 4))


async def test_nothing_that_identifies_anybody_stands_in_log_books_or_what_goes_out(
    bank: Bank,
) -> None:
    _, account = await bank.open_account()
    asked = {**ASKED, "bankAccountNumber": account, "adjustmentReason": "A very private reason"}
    await bank.say(asked)
    await bank.say({**asked, "pointsToAdjust": "no number"})
    await bank.say({**asked, "unknown": 1})
    await bank.say({**asked, "adjustmentTypeCode": "XX"})
    await bank.say({**asked, "bankAccountNumber": account + "0"})
    await bank.say({**asked, "bankAccountNumber": [account]})
    await bank.say(json.dumps(asked).encode()[:-1])
    await bank.say(json.dumps(asked).encode(), "x" * 129)
    await settled(bank, "after the private ones")
    everything = [bank.worker.log()]
    everything += [str(reply.body) for reply in bank.vendors.downstream.replies]
    everything += [str(event.body) for event in bank.vendors.downstream.events]
    assert all(account not in text for text in everything)
    assert "A very private reason" not in bank.worker.log()
    assert await found_in_tables(bank.vendors.scene.database_url, account) == []
