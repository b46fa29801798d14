"""Writes what the worker sends: outcomes, their events, and dead letters.

Outcomes and events are written by hand and not by their models: these bytes are stored, repeated
and published for every request. Tests hold them to the models of `schemas`.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import orjson

from schemas import errors, names
from schemas.reading import write_json
from schemas.times import utc_text
from schemas.topology import bucket_key, dead, events_exchange
from worker.broker import Publication, passed_on
from worker.domain.money import to_text
from worker.store.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from worker.broker import Delivery
    from worker.domain.outcome import Outcome
    from worker.domain.wallet import LotChange
    from worker.envelope.reading import Letter
    from worker.store.keys import RequestKey

_EVENT_NAMESPACE: Final = UUID("6f0c1e0e-6a0a-5d0b-9a3b-6d1f9a8f2c11").bytes

_VARIANTS: Final = "89ab"


class _Unread:
    """Stands for a request that could not be read: no field of it is known."""

    def __getattr__(self, _name: str) -> None:
        return None


_UNREAD: Final = _Unread()

# What the broker counts for itself, and what would have it route the message elsewhere as well.
_NOT_PASSED_ON: Final = frozenset(
    {names.DELIVERY_COUNT_HEADER, names.ACQUIRED_COUNT_HEADER, "CC", "BCC"}
)


def entry_of(
    outcome: Outcome,
    key: RequestKey,
    step: int,
    fingerprint: bytes | None,
    subject: str | None = None,
) -> Entry:
    """Return the journal's entry for an outcome; `key` is the request that caused it.

    `subject` is the released request or lapsed hold that it belongs to, None for the request
    itself. The changes of lots stand beside the answer where it does not tell them whole.
    """
    # By position, in the order of the columns: names would double what an entry costs to make.
    return Entry(
        *key,
        step,
        outcome.sequence,
        outcome.status,
        outcome.event_type,
        outcome.rejection.key if outcome.rejection else None,
        outcome.currency.code if outcome.currency else None,
        outcome.category,
        outcome.points,
        outcome.balance,
        outcome.total,
        outcome.version,
        fingerprint,
        outcome.recorded_at,
        outcome_bytes(outcome, key.program_id, key.member_id),
        subject,
        _untold(outcome.lots),
    )


def outcome_bytes(outcome: Outcome, program_id: str, member_id: str) -> bytes:
    """Write an outcome as `schemas.outcome` has it, with every field present."""
    request, currency = outcome.request or _UNREAD, outcome.currency
    decimals = currency.decimals if currency else 0
    document: dict[str, Any] = {
        "request_id": outcome.request_id,
        "program_id": program_id,
        "member_id": member_id,
        "operation": outcome.operation,
        "status": outcome.status,
        "currency": currency.code if currency else request.currency,
        "category": outcome.category or request.category,
        "requested": _requested(request.points, decimals),
        "points": to_text(outcome.points, decimals),
        "forfeited": to_text(outcome.forfeited, decimals),
        "balance": _amount(outcome.balance, decimals),
        "available": _amount(outcome.available, decimals),
        "total": _amount(outcome.total, decimals),
        "version": outcome.version,
        "sequence": outcome.sequence,
        "lots": [_lot(lot, decimals) for lot in outcome.lots[: names.LOTS_LISTED_MAX]],
        "expires_at": _time(outcome.expires_at),
        "reason": request.reason,
        "reason_code": request.reason_code,
        "comment": request.comment,
        "adjusted_by": request.adjusted_by,
        "source": request.source,
        "source_id": request.source_id,
        "operation_type": request.operation_type,
        "reverses": request.reverses,
        "hold": request.hold,
        "metadata": None,
        "occurred_at": _time(request.occurred_at),
        "recorded_at": utc_text(outcome.recorded_at),
        "caused_by": outcome.caused_by,
        "error": None,
        "warnings": _warnings(outcome),
    }
    if request.metadata is not None:
        document["metadata"] = orjson.Fragment(write_json(request.metadata))
    if rejection := outcome.rejection:
        document["error"] = {
            "code": errors.ERRORS[rejection.key],
            "key": rejection.key,
            "message": rejection.message,
            "details": rejection.details,
        }
    return orjson.dumps(document)


def event(entry: Entry, prefix: str, traceparent: object) -> Publication:
    """Return the CloudEvent of a journal entry that makes one; the same entry, the same event."""
    assert entry.event_type is not None, "an outcome without an event was asked for its event"
    event_id = event_id_of(entry)
    member = orjson.dumps(entry.member_id).decode()
    head = (
        f'{{"specversion":"1.0","id":"{event_id}"'
        f',"source":"{names.SOURCE_PREFIX}{entry.program_id}","type":"{entry.event_type}"'
        f',"subject":{member},"time":"{utc_text(entry.recorded_at)}"'
        f',"datacontenttype":"application/json","dataschema":"{names.OUTCOME_SCHEMA}"'
        f',"partitionkey":{member},"sequence":"{entry.sequence:0{names.SEQUENCE_DIGITS}d}"'
        ',"data":'
    )
    headers: dict[str, object] = {
        names.MEMBER_ID_HEADER: entry.member_id,
        names.BUCKET_HEADER: bucket_key(entry.member_id),
    }
    if isinstance(traceparent, str):
        headers[names.TRACEPARENT_HEADER] = traceparent
    return Publication(
        exchange=events_exchange(prefix),
        routing_key=f"{entry.program_id}.{entry.event_type}",
        body=b"".join((head.encode(), entry.outcome, b"}")),
        must_be_taken=True,
        content_type=names.EVENT_CONTENT_TYPE,
        type=entry.event_type,
        message_id=event_id,
        headers=headers,
    )


def event_id_of(entry: Entry) -> str:
    """Return the event's id: a UUIDv5 of what happened to whom and why, never of its sequence.

    No string of the contract holds a control character, so U+001F keeps the parts apart.
    """
    parts = [
        entry.program_id,
        entry.member_id,
        entry.request_id,
        entry.event_type or "",
        entry.currency or "",
        entry.category or "",
    ]
    if entry.subject is not None:
        parts.append(entry.subject)
    name = "\x1f".join(parts)
    digest = sha1(_EVENT_NAMESPACE + name.encode(), usedforsecurity=False).hexdigest()
    # As `str(UUID(bytes=digest[:16], version=5))` writes it, in half the time.
    variant = _VARIANTS[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def passed_on_headers(delivery: Delivery, user: str) -> dict[str, object]:
    """Return the headers with which a message of another publisher goes on.

    They name the user whom the broker checked when it was first published, "" where there was
    none: what goes on as the worker's own would be trusted otherwise. What only the worker may
    say is left out of anybody else's.
    """
    headers = {
        name: value for name, value in delivery.headers.items() if name not in _NOT_PASSED_ON
    }
    if delivery.user_id != user:
        for name in names.WORKERS_HEADERS:
            headers.pop(name, None)
        headers[names.ORIGINAL_USER_ID_HEADER] = delivery.user_id or ""
    return headers


def dead_letter(delivery: Delivery, letter: Letter, prefix: str, user: str) -> Publication:
    """Return the delivery as a dead letter: body and properties unchanged, the reason in headers.

    `user` is the worker's own user: what it passed on names its first publisher in a header.
    """
    headers = passed_on_headers(delivery, user) | {
        names.ERROR_KEY_HEADER: letter.key,
        names.ERROR_MESSAGE_HEADER: letter.message,
        names.ORIGINAL_EXCHANGE_HEADER: delivery.exchange,
        names.ORIGINAL_ROUTING_KEY_HEADER: delivery.routing_key,
        names.ORIGINAL_QUEUE_HEADER: delivery.queue,
        names.DIED_AT_HEADER: utc_text(datetime.now(UTC)),
    }
    if delivery.were_headers_cut:
        # What is replayed without them is not what was sent.
        headers[names.REFUSED_PROPERTY_HEADER] = "headers"
    # A replay believes the header about the first publisher only in letters of the worker's user.
    return passed_on(delivery, dead(prefix), letter.key, user=user, headers=headers)


def kinds(publications: Iterable[Publication]) -> Counter[str]:
    """Count what is published by kind: event, reply, dead_letter, forward."""
    return Counter(_kind(publication.exchange) for publication in publications)


def _kind(exchange: str) -> str:
    if not exchange:
        return "reply"
    if exchange.endswith(names.EVENTS_SUFFIX):
        return "event"
    return "dead_letter" if exchange.endswith(names.DEAD_SUFFIX) else "forward"


def _requested(points: tuple[int, int] | None, decimals: int) -> str | None:
    if points is None:
        return None
    digits, scale = points
    if scale <= decimals:
        return to_text(digits * 10 ** (decimals - scale), decimals)
    return to_text(digits, scale)


def _amount(minor_units: int | None, decimals: int) -> str | None:
    return None if minor_units is None else to_text(minor_units, decimals)


def _lot(change: LotChange, decimals: int) -> dict[str, Any]:
    lot = {
        "lot_id": str(change.lot_id),
        "points": to_text(change.points, decimals),
        "expires_at": _time(change.expires_at),
    }
    if change.label.award_id is not None:
        lot["award_id"] = change.label.award_id
    if change.label.promotion_id is not None:
        lot["promotion_id"] = change.label.promotion_id
    return lot


def _warnings(outcome: Outcome) -> list[str]:
    if len(outcome.lots) <= names.LOTS_LISTED_MAX:
        return outcome.warnings
    return [*outcome.warnings, names.LOTS_TRUNCATED]


def _untold(lots: Sequence[LotChange]) -> list[list[Any]] | None:
    """Return all changes of lots where the answer leaves some out or cannot say all of them."""
    if len(lots) <= names.LOTS_LISTED_MAX and all(lot.label.award_type is None for lot in lots):
        return None
    return [[lot.lot_id, lot.points, _time(lot.expires_at), *lot.label] for lot in lots]


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else utc_text(moment)
