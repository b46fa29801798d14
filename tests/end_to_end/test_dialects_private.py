"""What a vendor's message must not tell: whose number it names, and an answer meant for a key."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import pytest_asyncio

from tests.conftest import own_database
from tests.dialect_vectors.capillary import ACME, CAPILLARY
from tests.dialect_vectors.mastercard import ASKED, BANK, MASTERCARD
from tests.end_to_end.vendors import IDENTIFIER_KEY, Vendors
from tests.scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.workers import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

OF_THE_BANK = {"program-id": "mastercard"}
DEDUCTION = {"pointsToBeAdjusted": "100.00", "reasonOfReturn": "Extra points were issued"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def counter(
    amqp_url: str, database_server_url: str, migrated_template: str
) -> AsyncIterator[tuple[Vendors, WorkerProcess]]:
    """A conversation with a worker that has no keys for replies and tells all in its log."""
    env = {"POINTS_IDENTIFIER_KEY": IDENTIFIER_KEY, "LOG_LEVEL": "debug"}
    async with own_database(database_server_url, migrated_template) as url:
        scene = Scene(amqp_url, url, f"t{secrets.token_hex(4)}", env)
        try:
            async with scene.worker() as worker:
                await worker.ready()
                async with Vendors(scene) as vendors:
                    await vendors.apply(ACME)
                    await vendors.apply(BANK)
                    yield vendors, worker
        finally:
            await scene.delete_topology()


async def is_in_the_journal(database_url: str, text: str) -> bool:
    connection = await asyncpg.connect(database_url)
    try:
        query = "SELECT count(*) FROM points.journal AS line WHERE line::text LIKE $1"
        return bool(await connection.fetchval(query, f"%{text.encode().hex()}%"))
    finally:
        await connection.close()


async def test_a_repeat_that_asks_for_an_unknown_key_is_not_told_the_first_answer_in_plain(
    counter: tuple[Vendors, WorkerProcess],
) -> None:
    vendors, _ = counter
    member_id, account = vendors.new_member(), "5555000099998888"
    await vendors.know("mastercard", member_id, "bankAccountNumber", account)
    body = {**ASKED, "bankAccountNumber": account}
    for_nobody = {**OF_THE_BANK, "reply-kid": "nobodys"}

    async def refused(body: dict[str, Any], message_id: str) -> bool:
        reply = await vendors.say(MASTERCARD, body, for_nobody, message_id)
        (error,) = reply["Errors"]["Error"]
        return bool(error["Details"] == "header reply-kid" and error["ReasonCode"] == "BAD_INPUT")

    assert await vendors.say(MASTERCARD, body, OF_THE_BANK, "one") == {"adjusted": 100}
    assert await refused(body, "one")
    # That this id stands for something else is told to nobody else either.
    assert await refused({**body, "pointsToAdjust": 7}, "one")
    assert await vendors.say(MASTERCARD, body, OF_THE_BANK, "one") == {"adjusted": 100}
    assert len(await vendors.events(member_id, 1)) == 1


async def test_an_account_number_in_the_place_of_a_fields_name_is_shown_nowhere(
    counter: tuple[Vendors, WorkerProcess],
) -> None:
    vendors, worker = counter
    member_id, account = vendors.new_member(), "DE89370400440532013000"
    await vendors.know("mastercard", member_id, "bankAccountNumber", account)
    body = {**ASKED, "bankAccountNumber": account, account: 1, "adjustedOn": "today"}
    reply = await vendors.say(MASTERCARD, body, OF_THE_BANK)
    assert [error["Details"] for error in reply["Errors"]["Error"]] == [
        "a name with digits",
        "adjustedOn",
    ]
    (event,) = await vendors.events(member_id, 1)
    # A request is logged after its answer, and before the next one's.
    await vendors.settle(member_id)
    assert account not in f"{reply} {event.body!r} {worker.log()}"
    database_url = vendors.scene.database_url
    assert await is_in_the_journal(database_url, "adjustedOn")
    assert not await is_in_the_journal(database_url, account)


async def test_an_email_address_of_any_length_leads_to_its_member_and_stands_nowhere(
    counter: tuple[Vendors, WorkerProcess],
) -> None:
    vendors, worker = counter
    member_id = vendors.new_member()
    address = f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 59}.eu"
    assert len(address) == 255
    await vendors.know("973", member_id, "email", address)
    await vendors.ask(
        {"request_id": "r0", "member_id": member_id, "program_id": "973", "points": 770}
    )
    whose = {"identifier-name": "email", "identifier-value": address, "program-id": "973"}
    reply = await vendors.say(CAPILLARY, DEDUCTION, whose)
    assert reply["pointsAvailable"] == "670.000"
    unknown = await vendors.say(CAPILLARY, DEDUCTION, {**whose, "identifier-value": address[1:]})
    assert unknown["errors"][0]["code"] == 8015
    # One longer than any that can be told leads nowhere.
    longer = await vendors.say(CAPILLARY, DEDUCTION, {**whose, "identifier-value": address + "x"})
    assert longer["errors"][0]["code"] == 400
    events = await vendors.events(member_id, 2)
    await vendors.settle(member_id)
    told = f"{reply} {unknown} {longer} {[event.body for event in events]} {worker.log()}"
    assert address[1:] not in told
    assert not await is_in_the_journal(vendors.scene.database_url, address[1:])
