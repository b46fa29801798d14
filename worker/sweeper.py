"""Asks for what is due to be done, so that nothing has to wait for somebody's next request.

What falls due (points that expire, holds that lapse, requests that waited too long) happens with
the member's next request. For members without one, the sweeper publishes an `EXPIRE` request like
any other, under a fresh id, into the member's lane, where it takes its turn. It changes nothing
itself. An `EXPIRE` too many is harmless, and one that is lost is asked for again.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog

from schemas import names
from schemas.reading import write_json
from schemas.topology import BUCKETS, bucket_key, bucket_of
from worker.broker import client
from worker.store.faults import PassingFault
from worker.store.sweep import due, due_age_seconds, still_due

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from worker.broker import Publication, Publisher
    from worker.observe.metrics import Metrics
    from worker.store.keys import MemberKey
    from worker.store.leadership import Leadership
    from worker.store.pool import Pool
    from worker.store.sweep import Due

_log = structlog.get_logger("worker.sweeper")

_SOON_SECONDS: Final = 0.5
_ASK_AGAIN_SECONDS: Final = 60.0
"""After this, a member whose lane has not come to it yet is asked for again."""

_UNDONE_TIMES: Final = 20
"""So many times what one look asks for may be asked for and not done yet, over all buckets."""


class Sweeper:
    """Looks for due members every so many seconds, while this worker is the one that leads.

    `pause` waits, and raises where the session ends or the worker stops meanwhile; `user` is the
    worker's own user at the broker. `members_max` bounds for how many one look asks, and 20 times
    that, in equal shares for the buckets, how many are asked for and not done yet. Each look goes
    on behind the last one's members, so that those of a lane that stands still hide nobody.
    """

    def __init__(
        self,
        leadership: Leadership,
        pool: Pool,
        publisher: Publisher,
        pause: Callable[[float], Awaitable[None]],
        metrics: Metrics,
        *,
        prefix: str,
        user: str,
        every_seconds: float,
        members_max: int,
    ) -> None:
        self._leadership = leadership
        self._pool = pool
        self._publisher = publisher
        self._pause = pause
        self._metrics = metrics
        self._prefix = prefix
        self._user = user
        self._every_seconds = every_seconds
        self._members_max = members_max
        self._bucket_max = math.ceil(_UNDONE_TIMES * members_max / BUCKETS)
        self._asked_at: dict[Due, float] = {}
        self._left_off: Due | None = None

    async def run(self) -> None:
        """Work until the worker stops. Raises SessionLost when the session ends before."""
        try:
            while True:
                is_full = False
                try:
                    is_full = await self._sweep()
                except PassingFault as fault:
                    _log.warning("sweep_waits", server="postgres", reason=str(fault))
                # Where there may be more, only the lanes are waited for.
                seconds = (
                    min(self._every_seconds, _SOON_SECONDS) if is_full else self._every_seconds
                )
                await self._pause(seconds)
        finally:
            self._metrics.due_age.set(0)
            await self._leadership.give_up()

    async def _sweep(self) -> bool:
        """Look once; return whether there may be more than were found due."""
        if not await self._leadership.held():
            self._metrics.due_age.set(0)
            self._asked_at, self._left_off = {}, None
            return False
        self._metrics.due_age.set(await due_age_seconds(self._pool))
        await self._forget()
        found = await due(self._pool, self._left_off, self._members_max)
        is_full = len(found) == self._members_max
        self._left_off = found[-1] if is_full else None
        asked = self._to_ask_for(found)
        if asked:
            await self._ask(asked)
        return is_full and len(self._asked_at) < BUCKETS * self._bucket_max

    async def _forget(self) -> None:
        """Forget for whom was asked long ago, and of whom what was due is done."""
        long_ago = time.monotonic() - _ASK_AGAIN_SECONDS
        lately = [one for one, at in self._asked_at.items() if at > long_ago]
        undone = await still_due(self._pool, lately) if lately else set()
        self._asked_at = {one: self._asked_at[one] for one in lately if one in undone}

    def _to_ask_for(self, found: Sequence[Due]) -> list[Due]:
        """Return who was not asked for lately, and has a bucket in which few others wait."""
        undone = Counter(bucket_of(one.member.member_id) for one in self._asked_at)
        wanted = []
        for one in found:
            bucket = bucket_of(one.member.member_id)
            if one not in self._asked_at and undone[bucket] < self._bucket_max:
                undone[bucket] += 1
                wanted.append(one)
        return wanted

    async def _ask(self, members: Sequence[Due]) -> None:
        report = await self._publisher.publish([self._request(one.member) for one in members])
        if report.replies_given_up:
            _log.warning("sweep_not_taken", members=report.replies_given_up)
            return
        now = time.monotonic()
        self._asked_at |= dict.fromkeys(members, now)
        self._metrics.sweeps.inc(len(members))
        _log.info("sweep", members=len(members))

    def _request(self, member: MemberKey) -> Publication:
        request_id = f"sweep-{uuid4()}"
        request = {
            "request_id": request_id,
            "program_id": member.program_id,
            "member_id": member.member_id,
            "operation": names.EXPIRE,
            "operation_type": names.AUTOMATIC,
        }
        publication = client.request(
            self._prefix, bucket_key(member.member_id), write_json(request), message_id=request_id
        )
        return replace(publication, user_id=self._user)
