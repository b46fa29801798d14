"""`decide`: what comes of one request.

The faults are looked for in the order of `schemas.errors`. Whatever is due in the wallets that a
request works on happens first, as outcomes of their own that the request caused; the requests that
waited for it come after it. An operation has a module of its own and one line in `_OPERATIONS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from schemas import errors, names
from worker.domain import (
    adjust,
    caps,
    checks,
    convert,
    expire,
    hold,
    limits,
    ordinals,
    reverse,
    set_balance,
)
from worker.domain.case import Case
from worker.domain.member import REVERSIBLE, Original
from worker.domain.outcome import Decision, Outcome, Rejection, Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from worker.domain.member import Arrival, Member
    from worker.domain.ordinals import Parking
    from worker.domain.program import Program
    from worker.domain.request import Request
    from worker.domain.wallet import Wallet

_OPERATIONS: Final[dict[str, Callable[[Case], Rejection | None]]] = {
    names.ADJUST: adjust.adjust,
    names.SET_BALANCE: set_balance.set_balance,
    names.REVERSE: reverse.reverse,
    names.HOLD: hold.hold,
    names.CAPTURE: hold.capture,
    names.RELEASE: hold.release,
    names.CONVERT: convert.convert,
    names.EXPIRE: expire.expire,
}


def decide(
    program: Program | None, member: Member, arrival: Arrival, now: datetime, parking: Parking
) -> Decision:
    """Carry a request out on the member's state, and return what came of it, step by step.

    What was due comes first, then what happened to another wallet with the request, then its own
    outcome; then the same for each request that had waited for it. An early request is parked. A
    dry run tells what would be stored, and changes nothing. `now` is not before the member's last
    time. Never raises for a business fact.
    """
    request = arrival.request
    if arrival.is_dry_run or (request is not None and request.dry_run):
        return _rehearse(program, member, arrival, now, parking)
    decision = Decision()
    sitting = _Sitting(program, member, now, arrival.request_id, decision, parking)
    if arrival.ordinal is None:
        sitting.take(arrival)
    else:
        is_early = ordinals.turn_of(member, arrival.ordinal) == "early"
        # In a programme that does not exist nothing waits: no `EXPIRE` could end it.
        if is_early and program is not None and checks.payload(program, arrival) is None:
            decision.parked = ordinals.park(member, arrival, now, parking)
            if decision.parked:
                return decision
        sitting.take(arrival)
        for waiting in ordinals.released(member, arrival.ordinal[0]):
            decision.ended.append(waiting)
            sitting.take(_unless_erased(member, waiting.arrival))
    if member.has_due(now) and member.knows_next:
        member.settle_due_at()
    return decision


def refuse(member: Member, arrival: Arrival, now: datetime) -> Decision:
    """Store a request's refusal, and look at nothing else: not even at its number or what is due.

    For a request over which workers have died: nobody knows which of the rules it was.
    """
    assert arrival.refusal is not None, "there is nothing to refuse it for"
    outcome = _rejected(arrival, arrival.refusal, now)
    outcome.sequence = member.next_number(now)
    return Decision([Step(outcome, arrival)])


def conflict(member: Member, arrival: Arrival, now: datetime) -> Decision:
    """Return the answer to a request whose id another content has used up; nothing is stored."""
    rejection = Rejection(
        errors.REQUEST_ID_CONFLICT,
        "This request id was used before with other content; a corrected request needs a new id.",
    )
    outcome = _rejected(arrival, rejection, now)
    outcome.event_type = None
    outcome.sequence = member.sequence
    return Decision([Step(outcome, arrival)], is_stored=False)


def _rehearse(
    program: Program | None, member: Member, arrival: Arrival, now: datetime, parking: Parking
) -> Decision:
    """Return the outcome that a dry run would have; it bears the figures that would be stored."""
    decision = Decision()
    _Sitting(program, member.mirrored(), now, arrival.request_id, decision, parking).take(arrival)
    own = decision.own
    own.event_type = None
    if own.status == names.APPLIED:
        own.status = names.SIMULATED
    return Decision([Step(own, arrival)], is_stored=False)


@dataclass(slots=True)
class _Sitting:
    """Decides one request, and those released with it, one after the other."""

    program: Program | None
    member: Member
    now: datetime
    decided_id: str
    decision: Decision
    parking: Parking

    def take(self, arrival: Arrival) -> None:
        """Decide a request, add its steps and use up its number."""
        member = self.member
        turn: ordinals.Turn | None = None
        rejection = checks.before_wallet(self.program, member, arrival, self.now)
        if arrival.ordinal is not None:
            turn = ordinals.turn_of(member, arrival.ordinal)
            rejection = rejection or ordinals.refusal(turn)
        if rejection is None:
            steps = self._carry_out(arrival)
        else:
            steps = [Step(self._store(_rejected(arrival, rejection, self.now)), arrival)]
        if arrival.request_id != self.decided_id:
            steps[-1].outcome.caused_by = self.decided_id
            for step in steps:
                step.subject = step.subject or arrival.request_id
        self.decision.steps += steps
        is_missing = rejection is not None and rejection.key == errors.ORDINAL_GAP
        if arrival.ordinal is None or turn == "used" or is_missing:
            return
        if turn == "next" or ordinals.has_room(member, arrival.ordinal, self.parking):
            ordinals.use_up(member, arrival.ordinal)

    def _carry_out(self, arrival: Arrival) -> list[Step]:
        """Let happen what is due, then the request; return the steps, its own one last."""
        program, request = self.program, arrival.request
        assert program is not None, "an unknown programme was refused"
        assert request is not None, "what could not be read was refused"
        earlier = checks.named(self.member, request)
        currency = program.currency(earlier.currency if earlier else request.currency)
        assert currency is not None, "an unknown currency was refused"
        category = earlier.category if earlier else request.category
        wallet = self.member.wallet(currency.code, category)
        steps = self._due(program, request, arrival.request_id, wallet)
        now, event_type, sequence = self.now, None, 0
        outcome = Outcome(
            arrival.request_id, request.operation, names.APPLIED, event_type, sequence, now, request
        )
        case = Case(program, currency, self.member, wallet, arrival, request, now, outcome)
        case.has_fallen_due = bool(steps)
        outcome = self._operate(case)
        if request.operation != names.EXPIRE or outcome.rejection is not None:
            outcome.show_wallet(wallet, currency)
        steps += map(Step, case.beside)
        steps.append(Step(outcome, arrival))
        return steps

    def _operate(self, case: Case) -> Outcome:
        """Carry out the case's operation; return its outcome, numbered, or its rejection."""
        rejection = (
            set_balance.wrong_way(case)
            or _wrong_version(case)
            or _OPERATIONS[case.request.operation](case)
        )
        if rejection is not None:
            return self._store(_rejected(case.arrival, rejection, self.now))
        outcome = case.outcome
        caps.count(case)
        limits.count(case)
        _remember(case)
        return self._store(outcome)

    def _store(self, outcome: Outcome) -> Outcome:
        """Give an outcome the member's next sequence, or the current one if it changed nothing."""
        member = self.member
        if outcome.status == names.NO_CHANGE:
            outcome.event_type = None
            outcome.sequence, member.last_recorded_at = member.sequence, self.now
        else:
            outcome.sequence = member.next_number(self.now)
        return outcome

    def _due(
        self, program: Program, request: Request, request_id: str, wallet: Wallet
    ) -> list[Step]:
        """Let happen what is due in the wallets that a request works on, or all with `EXPIRE`."""
        member, now = self.member, self.now
        if request.operation != names.EXPIRE:
            wallets = [wallet]
            original = member.originals.get(request.reverses) if request.reverses else None
            if request.operation == names.CONVERT or (
                original is not None and original.operation == names.CONVERT
            ):
                wallets.append(member.wallet(wallet.currency, names.REGULAR))
            return expire.due(program, member, wallets, request_id, now)
        steps = expire.due(program, member, expire.wallets_of(program, member), request_id, now)
        for waiting, rejection in expire.out_of_time(member, now):
            outcome = self._store(_rejected(waiting.arrival, rejection, now))
            outcome.caused_by = request_id
            steps.append(Step(outcome, waiting.arrival, subject=waiting.arrival.request_id))
            self.decision.ended.append(waiting)
        return steps


def _unless_erased(member: Member, arrival: Arrival) -> Arrival:
    """Return a request that waited, refused for that where erasing its member took its content."""
    if member.status != "erased" or arrival.request is not None:
        return arrival
    return arrival._replace(refusal=checks.MEMBER_ERASED)


def _wrong_version(case: Case) -> Rejection | None:
    expected, version = case.request.expected_version, case.wallet.version
    if expected is None or expected == version:
        return None
    return Rejection(
        errors.VERSION_MISMATCH, f"The wallet is at version {version}, not at {expected}."
    )


def _remember(case: Case) -> None:
    """Keep what a `REVERSE` in the same batch would have to know; it has its member read whole."""
    outcome = case.outcome
    if not case.member.is_whole or outcome.operation not in REVERSIBLE:
        return
    if outcome.status != names.APPLIED:
        return
    case.member.originals[case.arrival.request_id] = Original(
        case.arrival.request_id,
        outcome.operation,
        case.currency.code,
        case.wallet.category,
        outcome.points,
        outcome.lots,
        [change for beside in case.beside for change in beside.lots],
    )


def _rejected(arrival: Arrival, rejection: Rejection, now: datetime) -> Outcome:
    """Return the rejection of a request, which may not even have been readable; not numbered."""
    return Outcome(
        request_id=arrival.request_id,
        operation=arrival.request.operation if arrival.request else None,
        status=names.REJECTED,
        event_type=names.ADJUSTMENT_REJECTED,
        sequence=0,
        recorded_at=now,
        request=arrival.request,
        rejection=rejection,
    )
