"""Whether everything that came back is what the model says, and how it is said.

Every function returns what is wrong in sentences, at most a few of each kind; an empty list is the
verdict that all is well, so that tests read `assert verdict(...) == []`.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import asyncpg
from pydantic import ValidationError

from schemas.event import Event
from schemas.outcome import Outcome
from tests.load import bucket_key
from tests.model import Expected, Model
from tests.traffic import take_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.load import Message
    from tests.traffic import Downstream, Received

FAULTS_SHOWN_MAX = 10
LOTS_SHOWN_MAX = 100


async def verdict(
    downstream: Downstream,
    database_url: str,
    messages: Sequence[Message],
    *,
    killers: Sequence[Message] = (),
) -> list[str]:
    """Judge replies, events, dead letters and books against the model in publish order."""
    model = Model({killer.request_id for killer in killers})
    expected = [model.expect(message.body) for message in messages]
    letters = await take_all(downstream.amqp_url, f"{downstream.prefix}.dead")
    judgements: tuple[Iterable[str], ...] = (
        reply_faults(downstream.replies, messages, expected),
        event_faults(downstream.events, downstream.replies, expected),
        letter_faults(letters, killers),
        await book_faults(database_url, model),
    )
    return [
        fault for judgement in judgements for fault in itertools.islice(judgement, FAULTS_SHOWN_MAX)
    ]


def letter_faults(letters: Sequence[Received], killers: Sequence[Message]) -> Iterator[str]:
    """Nothing is set aside but what kills the worker."""
    for killer in killers:
        if killer.body not in {letter.body for letter in letters}:
            yield f"no dead letter for {killer}"
    for letter in letters:
        if letter.headers["x-error-key"] != "killed_the_worker":
            yield f"a dead letter: {letter.headers}"
        elif letter.body not in {killer.body for killer in killers}:
            yield f"killed by an innocent message: {letter.body!r}"


def seen(outcome: dict[str, Any], *, stored: bool) -> Expected:
    """Reduce an outcome to what the model predicts of it."""
    error = outcome["error"]
    return Expected(
        program_id=outcome["program_id"],
        member_id=outcome["member_id"],
        request_id=outcome["request_id"],
        status=outcome["status"],
        error=error and error["key"],
        points=int(outcome["points"]),
        **{
            name: None if outcome[name] is None else int(outcome[name])
            for name in ("balance", "available", "total", "version")
        },
        sequence=int(outcome["sequence"]) if stored else None,
        lots=tuple(
            (int(lot["points"]), lot["expires_at"] and datetime.fromisoformat(lot["expires_at"]))
            for lot in outcome["lots"]
        ),
        stored=stored,
    )


def reply_faults(
    replies: Sequence[Received], messages: Sequence[Message], expected: Sequence[Expected]
) -> Iterator[str]:
    """Every message is answered, with what the model says, and a repeat byte for byte (I2, I3)."""
    bodies: dict[str, set[bytes]] = defaultdict(set)
    for reply in replies:
        bodies[reply.properties.correlation_id or ""].add(reply.body)
    yield from (f"a reply to nothing: {name}" for name in bodies.keys() - _names(messages))
    first_answers: dict[Any, bytes] = {}
    for message, expectation in zip(messages, expected, strict=True):
        answers = bodies.get(message.correlation_id)
        if not answers:
            yield f"no reply to {message}"
            continue
        if not expectation.stored:
            answers = {min(answers)}
        body = first_answers.setdefault(
            (message.member_id, message.request_id, expectation.stored), min(answers)
        )
        if expectation.stored and answers != {body}:
            yield f"answers that differ to {message}: {answers | {body}}"
            continue
        yield from _outcome_faults(min(answers), message, expectation)


def _names(messages: Iterable[Message]) -> set[str]:
    return {message.correlation_id for message in messages}


def _outcome_faults(body: bytes, message: Message, expectation: Expected) -> Iterator[str]:
    try:
        Outcome.model_validate_json(body)
    except ValidationError as error:
        yield f"not an outcome by the schema: {body!r}: {error}"
        return
    outcome = json.loads(body)
    lots = expectation.lots[:LOTS_SHOWN_MAX]
    if vars(seen(outcome, stored=expectation.stored)) != {**vars(expectation), "lots": lots}:
        yield f"{message} came to {seen(outcome, stored=expectation.stored)}, not {expectation}"
    if ("lots_truncated" in outcome["warnings"]) != (len(expectation.lots) > LOTS_SHOWN_MAX):
        yield f"lots are shown in part without a warning, or the other way round: {message}"


def event_faults(
    events: Sequence[Received], replies: Sequence[Received], expected: Sequence[Expected]
) -> Iterator[str]:
    """Per member, what is left after dropping repeats by id is gapless and in order (I1, I3).

    The events are exactly the stored outcomes that changed or refused something, each with the
    same object as the reply.
    """
    first_bodies: dict[str, bytes] = {}
    for event in events:
        body = first_bodies.setdefault(event.properties.message_id or "", event.body)
        if body is event.body:
            yield from _envelope_faults(event)
        elif body != event.body:
            yield f"an event repeated with other content: {event.body!r}"
    told = [json.loads(body)["data"] for body in first_bodies.values()]
    yield from _sequence_faults(told, expected)
    answered = {_place(outcome): outcome for outcome in _outcomes(replies)}
    for outcome in told:
        if answered.get(_place(outcome)) != outcome:
            yield f"an event that differs from the reply: {outcome}"


def _sequence_faults(told: list[dict[str, Any]], expected: Sequence[Expected]) -> Iterator[str]:
    sequences: dict[str, int] = defaultdict(int)
    for outcome in told:
        sequences[outcome["member_id"]] += 1
        if sequences[outcome["member_id"]] != outcome["sequence"]:
            yield f"event {sequences[outcome['member_id']]} of a member is out of place: {outcome}"
            sequences[outcome["member_id"]] = outcome["sequence"]
    last: dict[str, int] = {}
    for one in expected:
        last[one.member_id] = max(last.get(one.member_id, 0), one.sequence or 0)
    for member_id, sequence in last.items():
        if sequences[member_id] != sequence:
            yield f"{sequences[member_id]} events of {member_id}, not {sequence}"


def _outcomes(replies: Iterable[Received]) -> Iterator[dict[str, Any]]:
    """The stored outcomes among the replies: a conflict is an answer that no event tells of."""
    for body in {reply.body for reply in replies}:
        outcome = json.loads(body)
        if not outcome["error"] or outcome["error"]["key"] != "request_id_conflict":
            yield outcome


def _place(outcome: dict[str, Any]) -> tuple[object, ...]:
    return outcome["program_id"], outcome["member_id"], outcome["sequence"]


def _envelope_faults(event: Received) -> Iterator[str]:
    """What `schemas.event` and the AsyncAPI document say of an event."""
    try:
        Event.model_validate_json(event.body)
    except ValidationError as error:
        yield f"not an event by the schema: {event.body!r}: {error}"
        return
    envelope = json.loads(event.body)
    data = envelope["data"]
    kind = "POINTS_ADJUSTED" if data["status"] == "APPLIED" else "ADJUSTMENT_REJECTED"
    facts = {
        "type": (envelope["type"], kind),
        "source": (envelope["source"], f"/points/{data['program_id']}"),
        "subject": (envelope["subject"], data["member_id"]),
        "partition key": (envelope["partitionkey"], data["member_id"]),
        "sequence": (envelope["sequence"], f"{data['sequence']:019d}"),
        "routing key": (event.routing_key, f"{data['program_id']}.{kind}"),
        "message id": (event.properties.message_id, envelope["id"]),
        "AMQP type": (event.properties.message_type, kind),
        "content type": (event.properties.content_type, "application/cloudevents+json"),
        "delivery mode": (event.properties.delivery_mode, 2),
        "member id header": (event.headers.get("member-id"), data["member_id"]),
        "bucket header": (event.headers.get("bucket"), bucket_key(data["member_id"])),
    }
    for name, (got, wanted) in facts.items():
        if got != wanted:
            yield f"the {name} of an event is {got!r}, not {wanted!r}"


async def book_faults(database_url: str, model: Model) -> list[str]:
    """The books hold one outcome for each request, and the wallets that the model has (I2, I4)."""
    connection = await asyncpg.connect(database_url)
    try:
        faults = [f"{row['fault']}: {row['place']}" for row in await connection.fetch(_BOOK_FAULTS)]
        requests = await connection.fetch(
            "SELECT program_id, member_id, request_id FROM points.journal "
            "WHERE fingerprint IS NOT NULL"
        )
        wallets = await connection.fetch(
            "SELECT program_id, member_id, category, balance, total, version FROM points.wallets"
        )
    finally:
        await connection.close()
    answered = {
        (*place, request_id)
        for place, member in model.members.items()
        for request_id in member.answers
    }
    kept = {
        (*place, category, wallet.balance, wallet.total, wallet.version)
        for place, member in model.members.items()
        for category, wallet in member.wallets.items()
        if wallet.version
    }
    faults += [f"requests = outcomes, but for {x}" for x in answered ^ {tuple(r) for r in requests}]
    faults += [f"wallets are the model's, but for {x}" for x in kept ^ {tuple(r) for r in wallets}]
    return faults


_BOOK_FAULTS = """
SELECT 'balance = journal = lots - deficit fails' AS fault, wallet::text AS place
FROM points.wallets AS wallet
WHERE balance <> (
    SELECT coalesce(sum(points), 0) FROM points.journal
    WHERE (program_id, member_id, currency, category)
    = (wallet.program_id, wallet.member_id, wallet.currency, wallet.category)
) OR balance + deficit <> (
    SELECT coalesce(sum(remaining), 0) FROM points.lots
    WHERE (program_id, member_id, currency, category)
    = (wallet.program_id, wallet.member_id, wallet.currency, wallet.category)
)
UNION ALL
SELECT 'versions are gapless fails', wallet::text
FROM points.wallets AS wallet
WHERE version <> (
    SELECT count(*) FROM points.journal
    WHERE (program_id, member_id, currency, category)
    = (wallet.program_id, wallet.member_id, wallet.currency, wallet.category)
    AND points <> 0
)
UNION ALL
SELECT 'sequences are gapless fails', member::text
FROM points.members AS member
WHERE sequence <> (
    SELECT count(*) FROM points.journal
    WHERE (program_id, member_id) = (member.program_id, member.member_id)
    AND event_type IS NOT NULL
) OR sequence <> (
    SELECT coalesce(max(sequence), 0) FROM points.journal
    WHERE (program_id, member_id) = (member.program_id, member.member_id)
)
"""
