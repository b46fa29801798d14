"""The names of the contract's topology, and which bucket a member belongs to.

Only the standard library is used, so that publishers in other services may import it as it is.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from schemas.names import (
    ADJUSTMENTS_SUFFIX,
    DEAD_SUFFIX,
    DOOR_SUFFIX,
    EVENTS_SUFFIX,
    PARTITION_INFIX,
)

BUCKETS: Final = 256


def bucket_of(member_id: str) -> int:
    """Return the member's bucket, 0 to 255: CRC-32 of the id's UTF-8 bytes, modulo 256.

    Raises UnicodeEncodeError for an id with a lone surrogate, which no valid member id has.
    """
    return crc32(member_id.encode()) % BUCKETS


def partition_of(bucket: int, partitions: int) -> int:
    """Return the partition, counted from 0, that a bucket leads to in a generation of so many."""
    return bucket % partitions


def bucket_key_of(bucket: int) -> str:
    """Return the routing key of a bucket, 0 to 255: `bucket.` and three digits."""
    return f"bucket.{bucket:03d}"


def bucket_key(member_id: str) -> str:
    """Return the routing key under which a member's requests are published."""
    return bucket_key_of(bucket_of(member_id))


def adjustments_exchange(prefix: str) -> str:
    """Return the direct exchange to which requests are published."""
    return prefix + ADJUSTMENTS_SUFFIX


def door(prefix: str) -> str:
    """Return the name of the door: a fanout exchange and its queue."""
    return prefix + DOOR_SUFFIX


def dead(prefix: str) -> str:
    """Return the name of the dead letters' topic exchange and its queue."""
    return prefix + DEAD_SUFFIX


def events_exchange(prefix: str) -> str:
    """Return the topic exchange to which every event is published."""
    return prefix + EVENTS_SUFFIX


def partition_queue(prefix: str, generation: int, partition: int) -> str:
    """Return the queue of one lane; partitions count from 0, generations from 1."""
    return f"{prefix}{PARTITION_INFIX}{generation}.{partition:03d}"
