"""Requests that came before their turn, as the books keep them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from worker.domain.member import Arrival
    from worker.store.entry import Entry
    from worker.store.keys import RequestKey

    ArrivalOf = Callable[["EarlyRow"], Arrival]


@dataclass(slots=True)
class EarlyRow:
    """A waiting request: what is needed to decide it later, and to answer it then.

    `body` is the request as it was sent, None where its member has been erased meanwhile.
    `address` says in plain JSON who waits for the answer; None for nobody.
    """

    key: RequestKey
    stream: str
    ordinal: int
    body: bytes | None
    fingerprint: bytes
    publisher: str | None
    is_trusted: bool
    address: dict[str, Any] | None
    deadline: datetime


class EarlyEnd(NamedTuple):
    """A waiting request was decided: with which request, and as which step of what that caused."""

    key: RequestKey
    ended_by: str
    ended_step: int


class Released(NamedTuple):
    """A request that another one released: the step of its own outcome, and who waits for it."""

    request_id: str
    step: int
    address: dict[str, Any] | None


@dataclass(slots=True)
class EndedEarly:
    """A request that once waited, and its own stored outcome."""

    fingerprint: bytes
    own: Entry


@dataclass(slots=True)
class Early:
    """What a batch has to know about early requests.

    `ended` are those requests of the batch that once waited and have been decided; `released`
    says, for requests of the batch that were carried out before, which others they released, in
    the order of their steps, those that ran out of time with them included.
    """

    ended: dict[RequestKey, EndedEarly] = field(default_factory=dict)
    released: dict[RequestKey, list[Released]] = field(default_factory=dict)
