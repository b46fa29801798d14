"""`bucket`: where a member's requests go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.topology import bucket_key, bucket_of, partition_queue
from worker.cli.command import Json, Member, carry_out, end_of
from worker.cli.showing import console, facts, talk, write_json
from worker.cli.topology import read_agreement
from worker.exits import EXIT_OK

if TYPE_CHECKING:
    from worker.settings import Settings


def bucket(member: Member, *, as_json: Json = False) -> None:
    """Show a member's bucket key, the routing key for requests, and the lane that takes them.

    The key is a matter of arithmetic and is always shown; which lane takes it stands in Postgres.

    Example: points-worker bucket 123456789
    """

    async def work(settings: Settings) -> int:
        number = bucket_of(member)
        shown: dict[str, object] = {
            "member_id": member,
            "bucket": number,
            "bucket_key": bucket_key(member),
            "partition": None,
            "queue": None,
        }
        code = EXIT_OK
        try:
            agreed = await read_agreement(settings)
        except Exception as error:
            ended = end_of(error)
            if ended is None:
                raise
            talk(str(ended))
            code = ended.exit_code
        else:
            partition = number % agreed.partitions
            queue = partition_queue(agreed.prefix, agreed.generation, partition)
            shown |= {"partition": partition, "queue": queue}
        if as_json:
            write_json(shown)
        else:
            console().print(facts(shown))
        return code

    carry_out(work)
