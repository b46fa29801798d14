"""What a missing binding turns away is held as long as it is missing, and no longer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from schemas.topology import bucket_key
from tests.crew import Crew, data_of, ids_of
from tests.inside import request
from tests.proxy import Proxy
from tests.waiting import until
from worker.broker import Session, open_connection
from worker.broker.client import temporary_queue
from worker.readiness import declare_topology

if TYPE_CHECKING:
    import pytest

    from tests.traffic import Received

MEMBER, OTHER = "m", "n"


async def unbind(crew: Crew, member: str = MEMBER) -> str:
    """Take the binding of a member's bucket away; return its key."""
    key = bucket_key(member)
    await crew.channel.queue_unbind(lane_of(crew, key), crew.name("adjustments"), key)
    return key


def lane_of(crew: Crew, key: str) -> str:
    return crew.name(f"partition.1.00{int(key[-3:]) % 2}")


def holds(crew: Crew, key: str = "") -> bool:
    return any(f.condition == "door" and key in f.reason for f in crew.status.faults())


async def declare_when_held(crew: Crew) -> None:
    """Declare the topology once the door holds what was turned away."""
    await until(lambda: holds(crew), what="the door says so")
    await declare_topology(crew.settings)


async def taken(crew: Crew, count: int, request_ids: str = "") -> list[Received]:
    """Take so many different events, each once: what the door tried may come again.

    Those about requests whose ids begin otherwise are left out.
    """

    def firsts(found: list[Received]) -> list[Received]:
        first: dict[str | None, Received] = {}
        for event in found:
            if data_of(event)["request_id"].startswith(request_ids):
                first.setdefault(event.properties.message_id, event)
        return list(first.values())

    return firsts(await crew.taken(crew.events, lambda found: len(firsts(found)) >= count))


async def all_acknowledged(crew: Crew) -> None:
    await until(lambda: crew.counted("in_hand") == 0, what="everything is acknowledged")
    assert await crew.depth(crew.name("door")) == 0


async def test_a_missing_binding_holds_the_door_until_it_is_declared_again(crew: Crew) -> None:
    """Sent on, such messages would come back, and go round for ever."""
    key = await unbind(crew)
    async with crew.running():
        await crew.send(request("before", 1, "x"), routing_key="anything")
        assert ids_of(await crew.taken(crew.events, 1)) == ["before"]
        await crew.send(*(request(f"r{n}", 1) for n in range(5)))
        await crew.send(request("behind", 1, "x"), routing_key="anything")
        await until(lambda: holds(crew), what="the door says so")
        (fault,) = crew.status.faults()
        assert key in fault.reason
        assert "topology declare" in fault.reason
        # The seventh is the copy that was tried.
        await until(lambda: crew.counted("in_hand") == 7, what="the door holds them")
        assert await crew.depth(crew.name("door")) == 0
        assert await crew.depth(crew.name("dead")) == 0
        forwarded = crew.counted("publications_total", kind="forward")
        # Other members, by their bucket keys, wait for nobody.
        await crew.send(request("free", 1, "x"))
        assert ids_of(await crew.taken(crew.events, 1)) == ["free"]
        assert crew.counted("publications_total", kind="forward") == forwarded
        await declare_topology(crew.settings)
        events = await taken(crew, 6)
        await all_acknowledged(crew)
        assert not crew.status.faults()
    own = [data_of(event) for event in events if data_of(event)["member_id"] == MEMBER]
    assert [item["request_id"] for item in own] == [f"r{n}" for n in range(5)]
    assert [item["sequence"] for item in own] == [1, 2, 3, 4, 5]


async def test_while_postgres_is_away_a_door_that_holds_says_so(
    amqp_url: str, database_url: str, prefix: str
) -> None:
    async with Proxy(database_url) as proxy, Crew(amqp_url, proxy.url, prefix) as crew:
        await unbind(crew)
        async with crew.running():
            await crew.send(request("r", 1))
            await until(lambda: holds(crew), what="the door says that it holds")
            proxy.hold()

            def is_told() -> bool:
                proxy.cut()
                return any(
                    fault.condition == "postgres" and fault.reason.startswith("door: ")
                    for fault in crew.status.faults()
                )

            await until(is_told, what="the door says that Postgres is away")
            proxy.release()
            await until(
                lambda: [fault.condition for fault in crew.status.faults()] == ["door"],
                what="the door says that Postgres is back",
            )
            await declare_topology(crew.settings)
            assert ids_of(await taken(crew, 1)) == ["r"]
            await all_acknowledged(crew)


async def test_what_was_turned_away_goes_on_where_the_binding_is_back_already(crew: Crew) -> None:
    """It was declared again before the door came to the message, and nobody declares it twice."""
    await unbind(crew)
    await crew.send(*(request(f"r{n}", 1) for n in range(5)))
    await declare_topology(crew.settings)
    async with crew.running():
        assert ids_of(await crew.taken(crew.events, 5)) == [f"r{n}" for n in range(5)]
        await all_acknowledged(crew)
        assert not crew.status.faults()
        # One was tried, and was the forward itself; nothing came twice.
        assert crew.counted("publications_total", kind="forward") == 5


async def test_a_bucket_that_is_bound_again_says_nothing_of_another(crew: Crew) -> None:
    back, missing = await unbind(crew), await unbind(crew, OTHER)
    await crew.send(request("back", 1), request("missing", 1, OTHER), request("behind", 1))
    await crew.channel.queue_bind(lane_of(crew, back), crew.name("adjustments"), back)
    async with crew.running():
        assert ids_of(await crew.taken(crew.events, 1)) == ["back"]
        await until(lambda: holds(crew, missing), what="the door says so")
        await declare_topology(crew.settings)
        assert set(ids_of(await taken(crew, 2))) == {"missing", "behind"}


async def test_a_binding_that_goes_missing_again_holds_the_door_again(crew: Crew) -> None:
    async with crew.running():
        for n in range(2):
            await unbind(crew)
            await crew.send(*(request(f"r{n}{m}", 1) for m in range(3)))
            await declare_when_held(crew)
            assert ids_of(await taken(crew, 3, f"r{n}")) == [f"r{n}{m}" for m in range(3)]
            await all_acknowledged(crew)


async def test_more_held_messages_than_the_door_has_in_hand_need_one_declaration(
    amqp_url: str, database_url: str, prefix: str
) -> None:
    async with Crew(amqp_url, database_url, prefix, prefetch=5, batch_max=2) as crew:
        await unbind(crew)
        await crew.send(*(request(f"r{n}", 1) for n in range(30)))
        async with crew.running():
            await declare_when_held(crew)
            assert ids_of(await taken(crew, 30)) == [f"r{n}" for n in range(30)]
            await all_acknowledged(crew)


async def test_what_comes_before_a_held_message_is_sent_on_before(crew: Crew) -> None:
    await unbind(crew)
    for n in range(3):
        await crew.send(request(f"free{n}", 1, "x"), routing_key="anything")
    await crew.send(request("held", 1))
    async with crew.running():
        assert ids_of(await crew.taken(crew.events, 3)) == ["free0", "free1", "free2"]
        await until(lambda: holds(crew), what="the door says so")


async def test_a_door_that_stops_while_it_holds_leaves_all_to_its_successor(crew: Crew) -> None:
    await unbind(crew)
    await crew.send(*(request(f"r{n}", 1) for n in range(5)))
    async with crew.running():
        await until(lambda: holds(crew), what="the door says so")

    async def are_back() -> bool:
        return await crew.depth(crew.name("door")) == 6

    await until(are_back, what="the return of what was held, and of the copy that was tried")
    async with crew.running():
        await declare_when_held(crew)
        assert ids_of(await taken(crew, 5)) == [f"r{n}" for n in range(5)]
        await all_acknowledged(crew)


async def test_a_door_that_may_make_no_queue_waits_for_the_declaration_alone(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it cannot try whether the binding is back, it tries nothing."""
    closed = await open_connection(crew.amqp_url, name="test", heartbeat_seconds=10)
    await closed.shut()
    monkeypatch.setattr(Session, "watch", lambda _, exchange: temporary_queue(closed, exchange))
    key = await unbind(crew)
    await crew.send(*(request(f"r{n}", 1) for n in range(3)))
    async with crew.running():
        await until(lambda: holds(crew), what="the door says so")
        assert crew.counted("publications_total", kind="forward") == 0
        await crew.channel.queue_bind(lane_of(crew, key), crew.name("adjustments"), key)
        await declare_topology(crew.settings)
        await until(lambda: not holds(crew), what="the door goes on")
        await taken(crew, 3)
        await all_acknowledged(crew)
        assert len(crew.sessions) == 1


async def test_a_vendors_message_that_is_turned_away_is_still_answered_in_its_words(
    crew: Crew,
) -> None:
    """It comes back as the request that the door has made of it, with all that is said of it."""
    await unbind(crew)
    whose: dict[str, Any] = {"message_type": "beans.balance", "headers": {"member-id": MEMBER}}
    credit, wrong = b'{"type": "credit", "points": 5}', b'{"type": "credit"}'
    await crew.send(credit, routing_key="x", **whose | {"message_id": "r1"})
    await crew.send(wrong, routing_key="x", **whose | {"message_id": "r2", "priority": 9})
    async with crew.running():
        await declare_when_held(crew)
        events = await taken(crew, 2)
        replies = await crew.taken(crew.replies, 2)
        await all_acknowledged(crew)
    # From version 4 on, RabbitMQ lets the priority overtake: that is what it is refused for.
    came = {data_of(event)["request_id"]: data_of(event)["status"] for event in events}
    assert came == {"r1": "APPLIED", "r2": "REJECTED"}
    told = {reply.properties.correlation_id: json.loads(reply.body) for reply in replies}
    assert told["r1"]["status"] == "committed"
    assert told["r2"]["error"]["details"][0]["field"] == "points"
    assert {reply.properties.message_type for reply in replies} == {"beans.balance"}
