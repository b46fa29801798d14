"""Every vector of every vendor, through the broker, a real worker and real books."""

from __future__ import annotations

import asyncio
import json
import secrets
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from schemas.topology import bucket_key
from tests.conftest import own_database
from tests.dialect_vectors import VECTORS
from tests.dialect_vectors.beans import BEANS, SHOP
from tests.dialect_vectors.capillary import ACME, CAPILLARY
from tests.dialect_vectors.voucherify import VOUCHERIFY
from tests.dialect_vectors.wll import REWARDS, WLL
from tests.end_to_end.vendors import IDENTIFIER_KEY, Said, Vendors, ids
from tests.scene import Scene
from worker.broker import open_connection
from worker.broker.dead_letters import read_letters, replay_letter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.dialect_vectors import Vector

pytestmark = pytest.mark.asyncio(loop_scope="module")

OF_CARDS = [vector for vector in VECTORS if vector.dialect == VOUCHERIFY]

# The vendor's client says of none of its names that they are for us, and types some of them.
CLIENT: Any = import_module("voucherify")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vendors(
    amqp_url: str, database_server_url: str, migrated_template: str
) -> AsyncIterator[Vendors]:
    """A conversation with one running worker."""
    async with own_database(database_server_url, migrated_template) as url:
        scene = Scene(
            amqp_url, url, f"t{secrets.token_hex(4)}", {"POINTS_IDENTIFIER_KEY": IDENTIFIER_KEY}
        )
        try:
            async with scene.worker() as worker:
                await worker.ready()
                async with Vendors(scene) as made:
                    yield made
        finally:
            await scene.delete_topology()


@pytest.mark.parametrize("template", VECTORS, ids=ids(VECTORS))
async def test_each_vector_is_answered_as_the_vendor_would(
    vendors: Vendors, template: Vector
) -> None:
    member_id = vendors.new_member()
    vector = template.for_member(member_id)
    await vendors.set_up(vector, member_id)
    body = json.dumps(vector.body).encode()
    request_id = f"of {member_id}"
    answered = await vendors.say(vector.dialect, body, vector.headers, request_id)
    assert answered == vector.reply
    # The same again is answered in the same words: from the books, or by another letter.
    again = await vendors.say(vector.dialect, body, vector.headers, request_id)
    assert again == answered
    if vector.letter is not None:
        letter = await vendors.letter_of(request_id)
        assert letter.body == body
        assert letter.headers["x-error-key"] == vector.letter
        assert letter.properties.message_type == vector.dialect
    else:
        before = len(vector.setup)
        (event,) = (await vendors.events(member_id, before + 1))[before:]
        told = json.loads(event.body)["data"]
        assert (told["request_id"], told["member_id"]) == (request_id, member_id)


@pytest.mark.parametrize("template", OF_CARDS, ids=ids(OF_CARDS))
async def test_voucherifys_own_client_reads_what_it_is_answered(
    vendors: Vendors, template: Vector
) -> None:
    member_id = vendors.new_member()
    vector = template.for_member(member_id)
    await vendors.set_up(vector, member_id)
    answered = await vendors.say(vector.dialect, vector.body, vector.headers)
    if "code" in answered:
        assert vector.reply["code"] == answered["code"]
        return
    read = CLIENT.LoyaltiesMembersBalanceUpdateResponseBody.from_dict(answered)
    assert (read.points, read.total, read.balance) == (
        answered["points"],
        answered["total"],
        answered["balance"],
    )


async def test_other_content_under_an_id_is_a_conflict_in_every_dialect(vendors: Vendors) -> None:
    member_id = vendors.new_member()
    await vendors.ask({"request_id": "r0", "member_id": member_id, "points": 100})
    whose = {"member-id": member_id}
    first = await vendors.say(BEANS, {"type": "debit", "points": 1}, whose, "one")
    other = await vendors.say(BEANS, {"type": "debit", "points": 2}, whose, "one")
    assert first["status"] == "committed"
    assert other["error"]["key"] == "request_id_conflict"
    # The same amount, written otherwise, is the same.
    same = await vendors.say(BEANS, {"type": "debit", "points": "1.00"}, whose, "one")
    assert same == first
    # What one vendor asked for is not what another one asks for.
    voucher = await vendors.say(VOUCHERIFY, {"points": -1}, whose, "one")
    assert (voucher["code"], voucher["key"]) == (409, "request_id_conflict")
    canonical = await vendors.ask({"request_id": "one", "member_id": member_id, "points": -1})
    assert canonical["error"]["key"] == "request_id_conflict"


async def test_the_event_of_a_vendors_message_is_the_canonical_one(vendors: Vendors) -> None:
    member_id = vendors.new_member()
    whose = {"member-id": member_id}
    await vendors.say(BEANS, {"type": "credit", "points": 5, "description": "Sorry"}, whose, "one")
    (event,) = await vendors.events(member_id, 1)
    told = json.loads(event.body)["data"]
    assert (told["request_id"], told["points"], told["reason"]) == ("one", "5", "Sorry")
    assert event.properties.message_type == "POINTS_ADJUSTED"


async def test_two_pending_debits_at_once_never_take_more_than_there_is(vendors: Vendors) -> None:
    member_id = vendors.new_member()
    await vendors.ask({"request_id": "r0", "member_id": member_id, "points": 100})
    await vendors.apply(SHOP)
    whose = {"member-id": member_id}
    body = {"type": "debit", "points": 60, "pending": True}
    answers = [
        vendors.say(BEANS, body, whose, "order-1"),
        vendors.say(BEANS, body, whose, "order-2"),
    ]
    first, second = await asyncio.gather(*answers)
    assert (first["status"], first["pending"]) == ("pending", "60")
    assert second["error"]["key"] == "insufficient_points"


async def test_messages_of_several_vendors_for_one_member_keep_their_order(
    vendors: Vendors,
) -> None:
    await vendors.apply(REWARDS)
    member_id = vendors.new_member()
    whose = {"member-id": member_id, "program-id": "wll"}
    body_of = {
        WLL: {"eventType": "MANUAL_ADJUSTMENT", "payload": {"points": 10}},
        BEANS: {"type": "credit", "points": 10},
        VOUCHERIFY: {"points": 10},
        CAPILLARY: {"pointsToBeAdjusted": 5, "reasonOfReturn": "One of many"},
    }
    dialects = [list(body_of)[n % 4] for n in range(80)]
    await vendors.send_all(
        Said(dialect, f"r{n}", whose, json.dumps(body_of[dialect]).encode())
        for n, dialect in enumerate(dialects)
    )
    events = await vendors.events(member_id, 80)
    told = [json.loads(event.body)["data"] for event in events]
    assert [item["request_id"] for item in told] == [f"r{n}" for n in range(80)]
    assert told[-1]["balance"] == str(20 * (10 + 10 + 10 - 5))


async def test_what_a_publisher_may_not_do_it_may_not_do_in_a_vendors_words(
    vendors: Vendors,
) -> None:
    """The door sends everything on as the worker's own user, who may do anything."""
    document = {**SHOP, "program_id": "guarded"}
    await vendors.apply(document | {"publishers": [{"user_id": "till", "may": ["adjust"]}]})
    whose = {"member-id": vendors.new_member(), "program-id": "guarded"}
    reply = await vendors.say(BEANS, {"type": "credit", "points": 1}, whose)
    assert reply["error"]["key"] == "not_permitted"


async def test_a_dialect_that_comes_by_a_bucket_key_is_of_no_type_that_a_lane_knows(
    vendors: Vendors,
) -> None:
    member_id = vendors.new_member()
    vendors.send(
        b'{"points": 1}',
        routing_key=bucket_key(member_id),
        message_type=VOUCHERIFY,
        message_id="by bucket",
        headers={"member-id": member_id},
    )
    letter = await vendors.letter_of("by bucket")
    assert letter.headers["x-error-key"] == "unknown_type"
    assert "goes through the door" in str(letter.headers["x-error-message"])


async def test_without_a_message_id_a_vendors_message_is_no_request(vendors: Vendors) -> None:
    body = json.dumps({"points": 1, "reason": "without an id"}).encode()
    whose = {"member-id": vendors.new_member()}
    number = vendors.send(body, routing_key="x", message_type=VOUCHERIFY, headers=whose)
    reply = json.loads((await vendors.reply(number)).body)
    assert (reply["code"], reply["key"]) == (400, "missing_request_id")
    letter = await vendors.letter(body)
    assert letter.headers["x-error-key"] == "missing_request_id"


async def test_a_letter_that_is_replayed_once_its_identifier_is_known_is_carried_out(
    vendors: Vendors,
) -> None:
    await vendors.apply(ACME)
    member_id, scene = vendors.new_member(), vendors.scene
    await vendors.ask(
        {"request_id": "r0", "member_id": member_id, "program_id": "973", "points": 770}
    )
    address = f"{member_id}@example.org"
    whose = {"identifier-name": "email", "identifier-value": address, "program-id": "973"}
    body = {"pointsToBeAdjusted": "100.00", "reasonOfReturn": "Extra points were issued"}
    unknown = await vendors.say(CAPILLARY, body, whose, "to be replayed")
    assert unknown["errors"][0]["code"] == 8015
    await vendors.know("973", member_id, "email", address)
    connection = await open_connection(scene.amqp_url, name="test", heartbeat_seconds=10)
    letters = await read_letters(connection, scene.prefix)
    (letter,) = (one for one in letters if one.delivery.message_id == "to be replayed")
    await replay_letter(connection, scene.prefix, letter.letter_id)
    await connection.shut()
    (_, event) = await vendors.events(member_id, 2)
    told = json.loads(event.body)["data"]
    assert (told["request_id"], told["balance"]) == ("to be replayed", "670.00")
    assert (await vendors.say(CAPILLARY, body, whose, "to be replayed"))["status"] == "success"
