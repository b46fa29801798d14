"""The topology as data: which bucket a member has, and which lane a bucket has."""

from __future__ import annotations

from collections import Counter

import pytest

from schemas.topology import BUCKETS, bucket_key, bucket_of, partition_queue
from worker.broker.topology import Topology, consumer_priority


def test_a_member_s_bucket_is_the_one_that_the_contract_gives_as_its_example() -> None:
    assert bucket_key("123456789") == "bucket.038"
    assert bucket_of("123456789") == 38


def test_a_bucket_is_made_of_the_id_s_utf_8_bytes() -> None:
    assert bucket_of("Ünïcode-\N{SNOWMAN}") == bucket_of("Ünïcode-☃")
    with pytest.raises(UnicodeEncodeError):
        bucket_of("\ud800")


@pytest.mark.parametrize("partitions", [1, 3, 8, 256])
def test_every_bucket_is_bound_to_exactly_one_partition(partitions: int) -> None:
    topology = Topology("points", 2, partitions)
    buckets = [b for b in topology.bindings if b.exchange == "points.adjustments"]

    assert [b.routing_key for b in buckets] == [f"bucket.{b:03d}" for b in range(BUCKETS)]
    assert [b.queue for b in buckets] == [topology.queue_of(b) for b in range(BUCKETS)]
    assert {b.queue for b in buckets} == set(topology.partition_queues)


def test_partition_queues_are_named_by_generation_and_number() -> None:
    assert partition_queue("points", 1, 7) == "points.partition.1.007"


def test_every_queue_has_an_explicit_high_delivery_limit_and_no_length_limit() -> None:
    for queue in Topology("points", 1, 8).queues:
        assert queue.arguments["x-queue-type"] == "quorum"
        assert queue.arguments["x-delivery-limit"] == 1_000_000
        assert not any("max-length" in name for name in queue.arguments)


@pytest.mark.parametrize(("generation", "partitions"), [(1, 0), (1, 257), (0, 8)])
def test_a_topology_that_cannot_be_is_refused(generation: int, partitions: int) -> None:
    with pytest.raises(ValueError, match=r"partitions|Generations"):
        Topology("points", generation, partitions)


def test_queues_spread_evenly_over_workers_and_only_a_leaver_s_move() -> None:
    queues = [partition_queue("points", 1, n) for n in range(256)]

    def owners(workers: list[str]) -> dict[str, str]:
        return {q: max(workers, key=lambda w: consumer_priority(w, q)) for q in queues}

    before = owners(["a", "b", "c", "d"])
    after = owners(["a", "b", "d"])

    assert all(40 <= count <= 90 for count in Counter(before.values()).values())
    assert all(after[q] == before[q] for q in queues if before[q] != "c")


def test_priorities_fit_what_every_broker_takes() -> None:
    assert all(0 <= consumer_priority(f"w{n}", "q") < 2**31 for n in range(1_000))
