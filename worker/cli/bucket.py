"""`bucket`: where a member's requests go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.topology import bucket_key, bucket_of, partition_of, partition_queue
from worker.cli.command import Json, Member, carry_out, ending
from worker.cli.showing import console, facts, write_json
from worker.exits import EXIT_OK
from worker.readiness import agreed

if TYPE_CHECKING:
    from worker.settings import Settings


def bucket(member: Member, *, as_json: Json = False) -> None:
    """Show a member's bucket key, the routing key for requests, and the lane that takes them.

    The key is a matter of arithmetic and always shown; which lane takes it stands in Postgres.

    JSON: member_id, bucket, bucket_key, partition, queue.

    Example: points-worker bucket 123456789
    """
    number = bucket_of(member)
    shown: dict[str, object] = {
        "member_id": member,
        "bucket": number,
        "bucket_key": bucket_key(member),
        "partition": None,
        "queue": None,
    }

    async def work(settings: Settings) -> int:
        agreement = await agreed(settings)
        partition = partition_of(number, agreement.partitions)
        queue = partition_queue(agreement.prefix, agreement.generation, partition)
        shown.update(partition=partition, queue=queue)
        return EXIT_OK

    with ending():
        try:
            carry_out(work, unused="AMQP_URL")
        finally:
            if as_json:
                write_json(shown)
            else:
                console().print(facts(shown))
