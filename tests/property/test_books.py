"""What holds of the books after any history of requests, under any programme."""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from hypothesis import given, settings

from schemas.reading import read_json, write_json
from schemas.request import AdjustmentRequest
from tests.property.histories import STARTS, History, Request, histories, history
from tests.property.tokens import Tokens, Told
from worker.domain.decide import decide
from worker.domain.member import Arrival, Member
from worker.domain.ordinals import Parking
from worker.domain.wallet import Lot, Wallet

if TYPE_CHECKING:
    from worker.domain.outcome import Outcome
    from worker.domain.program import Program


def told(outcome: Outcome) -> Told:
    """What the model tells, too, about an outcome."""
    return Told(
        outcome.status,
        outcome.rejection.key if outcome.rejection else None,
        outcome.caused_by,
        outcome.sequence,
        outcome.points,
        outcome.balance,
        outcome.total,
        outcome.version,
        tuple((lot.lot_id, lot.points, lot.expires_at) for lot in outcome.lots),
    )


def carry_out(program: Program, member: Member, request: Request) -> list[Outcome]:
    document = read_json(write_json(request.document))
    read = AdjustmentRequest.model_validate(document)
    arrival = Arrival(request.request_id, read, b"")
    decision = decide(program, member, arrival, request.now, Parking())
    return [step.outcome for step in decision.steps]


def read_again(member: Member) -> Member:
    """The member as the next batch would read it from the books."""
    wallets = {
        place: Wallet(
            *place,
            wallet.balance,
            wallet.deficit,
            wallet.total,
            wallet.version,
            wallet.version,
            lots=[
                Lot(o.lot_id, o.points, o.remaining, o.expires_at, o.remaining) for o in wallet.lots
            ],
        )
        for place, wallet in member.wallets.items()
        if wallet.version
    }
    return Member(
        member.program_id,
        member.member_id,
        member.sequence,
        member.last_recorded_at,
        wallets=wallets,
    )


def figures(wallet: Wallet) -> tuple[int, int, int, int, list[Lot]]:
    lots = [Lot(o.lot_id, o.points, o.remaining, o.expires_at) for o in wallet.lots]
    return wallet.balance, wallet.deficit, wallet.total, wallet.version, lots


@given(histories())
def test_any_history_comes_to_what_an_obvious_model_says(history: History) -> None:
    member, model, program = Member("acme", "m"), Tokens(history.document), history.program
    for request in history.requests:
        outcomes = carry_out(program, member, request)
        expected = model.tell(request.request_id, request.document, request.now)
        assert [told(outcome) for outcome in outcomes] == expected
    for place, purse in model.purses.items():
        wallet = member.wallets[place]
        assert (wallet.balance, wallet.deficit) == (purse.balance, purse.owed)
        assert (wallet.total, wallet.version) == (purse.total, purse.version)
        assert [(o.lot_id, o.remaining, o.expires_at) for o in wallet.lots] == purse.lots()


@given(histories())
def test_after_every_request_the_books_balance(history: History) -> None:
    """Invariant I4."""
    member, program = Member("acme", "m"), history.program
    journal: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    sequence = 0
    for request in history.requests:
        for outcome in carry_out(program, member, request):
            sequence += 1
            assert outcome.sequence == sequence
            if outcome.currency is not None and outcome.category is not None:
                journal[outcome.currency.code, outcome.category].append(outcome)
        assert (member.sequence, member.last_recorded_at) == (sequence, request.now)
        for place, wallet in member.wallets.items():
            changes = [outcome for outcome in journal[place] if outcome.status == "APPLIED"]
            assert wallet.balance == sum(outcome.points for outcome in changes)
            assert wallet.balance == sum(lot.remaining for lot in wallet.lots) - wallet.deficit
            assert not (wallet.lots and wallet.deficit)
            assert all(1 <= lot.remaining <= lot.points for lot in wallet.lots)
            assert wallet.total == sum(max(outcome.points, 0) for outcome in changes)
            assert [outcome.version for outcome in changes] == [*range(1, len(changes) + 1)]
            assert wallet.version == len(changes)
    for outcomes in journal.values():
        totals = [outcome.total or 0 for outcome in outcomes]
        assert totals == sorted(totals)


@given(histories())
def test_a_refused_request_changes_nothing_but_sequence_clock_and_what_was_due(
    history: History,
) -> None:
    member, program = Member("acme", "m"), history.program
    for request in history.requests:
        before = copy.deepcopy(member.wallets)
        *expired, own = carry_out(program, member, request)
        if own.status == "APPLIED":
            continue
        assert (own.points, own.lots) == (0, [])
        if expired:
            assert own.currency is not None
            assert own.category is not None
            before[own.currency.code, own.category].expire_due(request.now)
        for place, wallet in member.wallets.items():
            known = before.get(place, Wallet(*place))
            assert figures(wallet) == figures(known)


@given(histories())
def test_the_lots_of_an_outcome_sum_to_its_points_but_for_what_paid_or_made_a_deficit(
    history: History,
) -> None:
    member, program = Member("acme", "m"), history.program
    for request in history.requests:
        owed = Counter({place: wallet.deficit for place, wallet in member.wallets.items()})
        for outcome in carry_out(program, member, request):
            moved = sum(change.points for change in outcome.lots)
            if outcome.currency is None or outcome.category is None:
                assert (moved, outcome.points) == (0, 0)
                continue
            place = (outcome.currency.code, outcome.category)
            is_last = outcome.request_id is not None
            owed_now = member.wallets[place].deficit if is_last else owed[place]
            assert outcome.points - moved == owed[place] - owed_now
            assert all(change.points * outcome.points > 0 for change in outcome.lots)


@given(histories())
def test_points_expire_once_when_they_are_due_and_before_anything_else(history: History) -> None:
    member, program = Member("acme", "m"), history.program
    ended: set[int] = set()
    for request in history.requests:
        *expired, own = carry_out(program, member, request)
        assert len(expired) <= 1
        for outcome in expired:
            assert (outcome.operation, outcome.caused_by) == ("EXPIRE", request.request_id)
            for change in outcome.lots:
                assert change.expires_at is not None
                assert change.expires_at <= request.now
                assert change.lot_id not in ended
                ended.add(change.lot_id)
        for change in own.lots:
            assert change.expires_at is None or change.expires_at > request.now
            assert change.lot_id not in ended
        if own.currency is not None and own.category is not None:
            wallet = member.wallets[own.currency.code, own.category]
            assert all(o.expires_at is None or o.expires_at > request.now for o in wallet.lots)


@given(histories())
@settings(max_examples=50)
def test_a_member_that_is_read_again_before_each_request_fares_no_differently(
    history: History,
) -> None:
    at_once, one_by_one = Member("acme", "m"), Member("acme", "m")
    for request in history.requests:
        one_by_one = read_again(one_by_one)
        together = carry_out(history.program, at_once, request)
        alone = carry_out(history.program, one_by_one, request)
        assert together == alone


def test_the_histories_hold_something_of_everything() -> None:
    kinds: Counter[str | None] = Counter()
    rules = [{"rule": "after", "days": 3}, {"rule": "never"}]
    currencies = [
        {"code": code, "decimals": decimals, "expiry": rule}
        for code, decimals, rule in zip(("points", "coins"), (0, 2), rules, strict=True)
    ]
    for seed in range(40):
        past = history({"currencies": currencies}, STARTS[seed % len(STARTS)], 40, seed)
        member = Member("acme", "m")
        for request in past.requests:
            *expired, own = carry_out(past.program, member, request)
            kinds[own.rejection.key if own.rejection else None] += 1
            kinds["points fell due"] += len(expired)
            kinds["several lots"] += len(own.lots) > 1
            kinds["a deficit"] += (own.balance or 0) < 0
    assert set(kinds) == {
        None,
        "a deficit",
        "decimal_places_exceeded",
        "insufficient_points",
        "invalid_expiration_date",
        "points fell due",
        "several lots",
        "unknown_currency",
        "version_mismatch",
        "zero_points",
    }
    assert min(kinds.values()) > 10
