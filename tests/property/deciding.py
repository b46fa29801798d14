"""Carries histories of all operations out on the worker's rules, and tells what came of them."""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from schemas.reading import read_json, write_json
from schemas.request import AdjustmentRequest
from tests.property.ledger_model import Ask, Ledger, Told
from tests.property.tokens import FOREVER
from worker.domain.decide import decide
from worker.domain.document import from_document
from worker.domain.member import Arrival, Member
from worker.domain.ordinals import Parking
from worker.domain.wallet import Lot, Wallet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tests.property.operations import Past
    from worker.domain.outcome import Decision, Step
    from worker.domain.program import Program

PARKING = Parking(wait_seconds=2 * 86_400, per_member_max=5)


def program_of(past: Past) -> Program:
    return from_document("acme", 1, past.document)


def member_of(past: Past) -> Member:
    return Member("acme", "m", status=past.status, is_enrolled=past.is_enrolled, is_whole=True)


def model_of(past: Past) -> Ledger:
    """The model of the history's member, before it."""
    wait = timedelta(seconds=PARKING.wait_seconds)
    return Ledger(past.document, past.status, past.is_enrolled, wait, PARKING.per_member_max)


def arrival_of(ask: Ask) -> Arrival:
    request = AdjustmentRequest.model_validate(read_json(write_json(ask.document)))
    number = ask.document.get("ordinal")
    ordinal = None if number is None else (ask.document.get("ordinal_stream", ""), number)
    return Arrival(ask.request_id, request, b"", ordinal=ordinal, publisher=ask.publisher)


def carry_out(program: Program, member: Member, ask: Ask, now: datetime) -> Decision:
    return decide(program, member, arrival_of(ask), now, PARKING)


def decisions(past: Past) -> Iterator[tuple[Member, Ask, datetime, Decision]]:
    """The member and what was decided, after each request of a history."""
    program, member = program_of(past), member_of(past)
    for ask, now in past.asked:
        yield member, ask, now, carry_out(program, member, ask, now)


def told(step: Step) -> Told:
    """What the model tells, too, about an outcome."""
    one = step.outcome
    assert one.operation is not None
    place = None if one.currency is None else (one.currency.code, str(one.category))
    moved = sorted((lot.expires_at or FOREVER, lot.lot_id, lot.points) for lot in one.lots)
    return Told(
        one.request_id,
        one.operation,
        one.status,
        one.event_type,
        one.rejection.key if one.rejection else None,
        one.caused_by,
        step.subject,
        one.sequence,
        place,
        one.points,
        one.forfeited,
        one.balance,
        one.available,
        one.total,
        one.version,
        tuple((lot, points, moment) for moment, lot, points in moved),
        one.expires_at,
        tuple(one.warnings),
    )


class Shelf:
    """What the books keep of a member between two batches; lots as the store would write them."""

    def __init__(self) -> None:
        self.lots: dict[tuple[str, str], dict[int, Lot]] = defaultdict(dict)

    def store(self, member: Member) -> Member:
        """Store a member and return it as the next batch would read it."""
        wallets = {
            place: self._wallet(wallet)
            for place, wallet in member.wallets.items()
            if wallet.version
        }
        again = Member(
            member.program_id,
            member.member_id,
            member.sequence,
            member.last_recorded_at,
            member.status,
            is_enrolled=member.is_enrolled,
            is_whole=True,
            due_at=member.due_at,
            has_streams=member.has_streams,
            wallets=wallets,
        )
        kept = ("holds", "awards", "originals", "ended_holds", "streams", "waiting", "operators")
        for name in kept:
            setattr(again, name, copy.deepcopy(getattr(member, name)))
        return again

    def _wallet(self, wallet: Wallet) -> Wallet:
        lots = self.lots[wallet.currency, wallet.category]
        for lot in wallet.touched.values():
            if lot.remaining == (lot.stored or 0):
                continue
            assert (lot.lot_id in lots) == (lot.stored is not None)
            assert 0 <= lot.remaining <= lot.points
            lots[lot.lot_id] = replace(lot, stored=lot.remaining)
            if not lot.remaining:
                del lots[lot.lot_id]
        return Wallet(
            wallet.currency,
            wallet.category,
            wallet.balance,
            wallet.deficit,
            wallet.total,
            wallet.version,
            wallet.version,
            wallet.held,
            sorted(map(replace, lots.values()), key=Lot.order),
            days={day: replace(sums) for day, sums in wallet.days.items()},
        )


def undoing(request_id: str) -> dict[str, Any]:
    """Undo all of a request, even where more is held than there is."""
    document = {"member_id": "m", "operation": "REVERSE", "reverses": request_id}
    return {**document, "allow_negative": True}


def lots_of(wallet: Wallet) -> list[tuple[Any, ...]]:
    return [(lot.lot_id, lot.remaining, lot.expires_at, lot.label) for lot in wallet.lots]
