"""The reckoning after a hostile load: each message ended as one outcome or as one dead letter."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from pamqp.commands import Basic
from pydantic import ValidationError

from schemas.errors import ERRORS
from schemas.outcome import Outcome
from tests.brokers import session_at
from tests.hostile import NAME_LENGTH
from tests.hostile_values import SECRET
from tests.traffic import connected
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import asyncpg

    from tests.hostile import Hostile
    from worker.broker import Delivery, Session

PREFETCH: Final = 5_000
Key = tuple[str, str, str]
"""Programme, member and request id."""
Stored = dict[Key, list[str | None]]
"""The error key, None for none, of each outcome that is stored for a request: of one, if well."""

_FIELD_AND_RULE = re.compile(r"[\w.-]+( \S+)* (must|is|has|excludes|differ)\b")
_LAST_LETTER: Final = "the last"
_STORED: Final = frozenset({"APPLIED", "REJECTED", "NO_CHANGE"})


@dataclass
class Reckoning:
    """`async with Reckoning(…)`: takes replies, dead letters and events as they come.

    It reads with the worker's own client: no other in Python reads all that a broker lets through.
    """

    amqp_url: str
    prefix: str
    replies: dict[str, list[Delivery]] = field(default_factory=dict)
    letters: dict[str, list[Delivery]] = field(default_factory=dict)
    event_ids: set[str] = field(default_factory=set)
    _session: Session | None = None
    _readers: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def reply_to(self) -> str:
        """The queue that messages name as their reply address."""
        return f"{self.prefix}.test.answers"

    @property
    def events_queue(self) -> str:
        """A subscriber's queue, bound to every event."""
        return f"{self.prefix}.test.events"

    async def __aenter__(self) -> Self:
        async with connected(self.amqp_url) as connection:
            channel = await connection.channel()
            await channel.queue_declare(self.reply_to, durable=True)
            await channel.queue_declare(self.events_queue, durable=True)
            await channel.queue_bind(self.events_queue, f"{self.prefix}.events", "#")
        self._session = session = await session_at(self.amqp_url, "reckoning")
        for queue, keep in (
            (self.reply_to, partial(_keep, self.replies)),
            (f"{self.prefix}.dead", partial(_keep, self.letters)),
            (self.events_queue, self._keep_event),
        ):
            self._readers.append(asyncio.create_task(_read(session, queue, keep)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        assert self._session is not None
        await self._session.close()
        async with connected(self.amqp_url) as connection:
            channel = await connection.channel()
            await channel.queue_delete(self.reply_to)
            await channel.queue_delete(self.events_queue)

    def _keep_event(self, delivery: Delivery) -> None:
        self.event_ids.add(delivery.message_id or "")

    async def settled(self, owner: asyncpg.Connection) -> None:
        """Wait until every letter that has come was read, and an event of each stored outcome."""
        async with connected(self.amqp_url) as connection:
            channel = await connection.channel()
            last = Basic.Properties(message_id=_LAST_LETTER)
            await channel.basic_publish(b"", routing_key=f"{self.prefix}.dead", properties=last)
        await until(lambda: _LAST_LETTER in self.letters, what="every letter is read")
        outcomes = 0

        async def each_is_told() -> bool:
            # Holds go on to lapse meanwhile. Every stored outcome takes a sequence, but for
            # `NO_CHANGE`, of which no event tells.
            nonlocal outcomes
            outcomes = await owner.fetchval("SELECT sum(sequence) FROM points.members")
            return bool(len(self.event_ids) == outcomes)

        await until(each_is_told, what=lambda: f"{outcomes} events; {len(self.event_ids)} came")

    def faults(self, sent: Sequence[Hostile], stored: Stored) -> Iterator[str]:
        """Say what is wrong; `stored` are the requests in the books, sweeps left out."""
        ends: dict[str, list[str | None]] = defaultdict(list)
        for (*_, request_id), errors in stored.items():
            ends[request_id[:NAME_LENGTH]] += errors
        known: set[Key] = set()
        # Of messages with the same body, one is carried out and the others get its outcome,
        # whatever is wrong with their own properties.
        bodies = Counter(message.body for message in sent)
        for message in sent:
            replies = self.replies.get(message.name, [])
            letters = self.letters.get(message.name, [])
            if len(letters) > 1 or len(_answers(replies)) != message.is_answered:
                yield f"{len(replies)} replies and {len(letters)} letters: {message}"
                continue
            for letter in letters:
                yield from (f"{fault}: {message}" for fault in _letter_faults(letter, message))
            if not replies or message.is_dialect:
                # A letter may stand beside an outcome that refuses the request for its reason.
                came = {letter.headers["x-error-key"] for letter in letters}
                came.update(ends[message.name])
                is_once = len(came) == 1 and len(ends[message.name]) < 2
                if not is_once and not (came and bodies[message.body] > 1):
                    yield f"it came to {came}: {message}"
                continue
            for reply in replies:
                faults = _reply_faults(
                    message, reply, letters, stored, known.add, is_alone=bodies[message.body] == 1
                )
                yield from (f"{fault}: {message}" for fault in faults)
        untold = {message.name for message in sent if message.is_dialect or not message.is_answered}
        for key in stored.keys() - known:
            if key[2][:NAME_LENGTH] not in untold and not key[2].startswith("e-"):
                yield f"stored and told to nobody: {key}"


async def _read(session: Session, queue: str, keep: Callable[[Delivery], None]) -> None:
    intake = await session.intake(queue, prefetch=PREFETCH)
    while deliveries := await intake.take(PREFETCH):
        for delivery in deliveries:
            keep(delivery)
        intake.ack_through(deliveries[-1].tag)


def _keep(kept: dict[str, list[Delivery]], delivery: Delivery) -> None:
    """Keep a reply or a letter under the name of the message that it belongs to."""
    name = delivery.correlation_id or delivery.message_id or ""
    kept.setdefault(name[:NAME_LENGTH], []).append(delivery)


def _answers(replies: list[Delivery]) -> list[bytes]:
    """Return the bodies of replies, told again but once.

    What another request brought with it is told again whenever that request is repeated.
    """
    bodies = [reply.body for reply in replies]
    is_beside = len(bodies) > 1 and json.loads(bodies[0]).get("caused_by") is not None
    return list(set(bodies)) if is_beside else bodies


def _letter_faults(letter: Delivery, message: Hostile) -> Iterator[str]:
    key, text = letter.headers.get("x-error-key"), letter.headers.get("x-error-message")
    if letter.body != message.body:
        yield "the body of a letter was changed"
    if key not in ERRORS or letter.routing_key != key:
        yield f"a letter with the key {key!r}"
    # Only a programme's id is shown as it came.
    if not isinstance(text, str) or not text or SECRET in text.replace(f"programme {SECRET}", ""):
        yield f"a letter with the message {text!r}"
    elif key == "invalid_payload" and not _FIELD_AND_RULE.match(text):
        yield f"a letter that names no field and rule: {text}"


def _reply_faults(
    message: Hostile,
    reply: Delivery,
    letters: list[Delivery],
    stored: Stored,
    knows: Callable[[Key], None],
    *,
    is_alone: bool,
) -> Iterator[str]:
    document: dict[str, Any] = json.loads(reply.body)
    error = document.get("error")
    keys = {letter.headers["x-error-key"] for letter in letters}
    if reply.type == "adjustment.error.v1":
        if keys != {error and error["key"]}:
            yield f"an error reply {error}, and letters for {keys}"
        return
    try:
        Outcome.model_validate_json(reply.body)
    except ValidationError as fault:
        yield f"no outcome by the schema: {reply.body!r}: {fault}"
        return
    if error and error["key"] == "invalid_payload":
        details = error["details"]
        if not details or not all(detail["field"] and detail["rule"] for detail in details):
            yield f"a fault without field and rule: {error}"
    key = (document["program_id"], document["member_id"], document["request_id"])
    if document["status"] in _STORED:
        knows(key)
        # A dry run that is refused is stored only if it could not be read as one.
        count = len(stored.get(key, ()))
        if count != 1 and not (b'"dry_run": true' in message.body and not count):
            yield f"{count} stored outcomes, not one"
    if keys and is_alone and (error is None or error["key"] not in keys):
        yield f"a letter for {keys}, and an outcome with {error}"


async def stored_requests(owner: asyncpg.Connection) -> Stored:
    """Return the error keys of the requests in the books; the worker's own left out."""
    rows = await owner.fetch(
        "SELECT program_id, member_id, request_id, error_key FROM points.journal"
        " WHERE fingerprint IS NOT NULL AND request_id NOT LIKE 'sweep-%'"
        " UNION ALL"
        " SELECT program_id, member_id, early.request_id, told.error_key"
        " FROM points.early_requests AS early JOIN points.journal AS told"
        " USING (program_id, member_id)"
        " WHERE (told.request_id, told.step) = (early.ended_by, early.ended_step)"
    )
    stored: Stored = {}
    for *key, error_key in rows:
        stored.setdefault((key[0], key[1], key[2]), []).append(error_key)
    return stored
