"""Asks for what is due to be done, so that nothing has to wait for somebody's next request.

What falls due (points that expire, holds that lapse, requests that waited too long) happens with
the member's next request. For members without one, the sweeper publishes an `EXPIRE` request like
any other, under a fresh id, into the member's lane, where it takes its turn. It changes nothing
itself. An `EXPIRE` too many is harmless, and one that is lost is asked for again.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog

from schemas import names
from schemas.reading import write_json
from schemas.topology import bucket_key
from worker.broker import client
from worker.store.faults import PassingFault
from worker.store.sweep import due

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
"""So many times what one look asks for may be asked for and not done yet."""


class Sweeper:
    """Looks for due members every so many seconds, while this worker is the one that leads.

    `pause` waits, and raises where the session ends or the worker stops meanwhile; `user` is the
    worker's own user at the broker. `members_max` bounds for how many one look asks, and 20 times
    that, how many are remembered whose lanes have not come to them yet: past these, those of
    other lanes are still found.
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
        self._asked_at: dict[Due, float] = {}

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
        found: list[Due] = []
        limit = min(len(self._asked_at) + self._members_max, _UNDONE_TIMES * self._members_max)
        if await self._leadership.held():
            found = await due(self._pool, None, limit)
        age_seconds = (datetime.now(UTC) - found[0].due_at).total_seconds() if found else 0
        self._metrics.due_age.set(max(age_seconds, 0))
        asked = self._not_asked_lately(found)[: self._members_max]
        if asked:
            await self._ask(asked)
        return len(found) == limit

    def _not_asked_lately(self, found: Sequence[Due]) -> list[Due]:
        """Return the members to ask for; what is done, and so not found any more, is forgotten."""
        long_ago = time.monotonic() - _ASK_AGAIN_SECONDS
        known = ((one, self._asked_at.get(one)) for one in found)
        self._asked_at = {one: at for one, at in known if at is not None and at > long_ago}
        return [one for one in found if one not in self._asked_at]

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
