"""What holds after any history of all operations, under any programme.

An independent model says what ought to come of each request (`ledger_model`).
"""

from __future__ import annotations

import copy
import random
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import errors, names
from tests.property.deciding import (
    Shelf,
    carry_out,
    decisions,
    lots_of,
    member_of,
    model_of,
    program_of,
    told,
    undoing,
)
from tests.property.histories import STARTS
from tests.property.ledger_model import Ask
from tests.property.operations import Past, past_of, pasts
from tests.property.tokens import FOREVER
from worker.domain import money
from worker.domain.wallet import Lot

if TYPE_CHECKING:
    from worker.domain.outcome import Outcome


@given(pasts())
@settings(max_examples=400)
def test_any_history_comes_to_what_an_obvious_model_says(past: Past) -> None:
    model = model_of(past)
    for member, ask, now, decision in decisions(past):
        assert [told(step) for step in decision.steps] == model.tell(ask, now)
        assert member.holds.keys() == model.holds.keys()
        assert member.waiting.keys() == model.late.keys()
        for place, purse in model.purses.items():
            wallet = member.wallet(*place)
            assert (wallet.balance, wallet.deficit) == (purse.balance, purse.owed)
            lots: Counter[Any] = Counter()
            for lot in wallet.lots:
                lots[lot.expires_at or FOREVER, lot.lot_id, *lot.label] = lot.remaining
            assert lots == Counter(purse.tokens)


@given(pasts())
def test_after_every_request_the_books_balance(past: Past) -> None:
    """Invariant I4."""
    changes: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    sequence = 0
    for member, _, _, decision in decisions(past):
        for step in decision.steps if decision.is_stored else []:
            one = step.outcome
            sequence += one.status != "NO_CHANGE"
            assert one.sequence == sequence
            if one.status == "APPLIED" and one.currency is not None:
                changes[one.currency.code, str(one.category)].append(one)
        assert member.sequence == sequence
        for place, wallet in member.wallets.items():
            outcomes = changes[place]
            assert wallet.balance == sum(one.points for one in outcomes)
            assert wallet.balance == sum(lot.remaining for lot in wallet.lots) - wallet.deficit
            assert not (wallet.lots and wallet.deficit)
            assert all(1 <= lot.remaining <= lot.points for lot in wallet.lots)
            assert wallet.lots == sorted(wallet.lots, key=Lot.order)
            assert [one.version for one in outcomes] == [*range(1, wallet.version + 1)]
            totals = [one.total or 0 for one in outcomes]
            assert totals == sorted(totals)
            holds = [one for one in member.holds.values() if (one.currency, one.category) == place]
            assert wallet.held == sum(one.points for one in holds)


@given(pasts())
def test_a_refused_request_changes_nothing_by_itself(past: Past) -> None:
    program, member = program_of(past), member_of(past)
    for ask, now in past.asked:
        before = copy.deepcopy(member)
        decision = carry_out(program, member, ask, now)
        if [step.outcome.status for step in decision.steps] != ["REJECTED"]:
            continue
        assert not decision.own.points
        assert not decision.own.lots
        for place, wallet in member.wallets.items():
            assert wallet == before.wallet(*place)
        for name in ("holds", "awards", "originals", "ended_holds", "waiting", "operators"):
            assert getattr(member, name) == getattr(before, name)


@given(pasts())
def test_nothing_falls_due_before_it_is_known_to(past: Past) -> None:
    for member, _, _, _ in decisions(past):
        known = member.due_at
        member.settle_due_at()
        assert member.due_at is None or (known is not None and known <= member.due_at)
        member.due_at = known


@given(pasts())
def test_a_debit_never_passes_over_a_lot_that_is_used_before(past: Past) -> None:
    program, member = program_of(past), member_of(past)
    for ask, now in past.asked:
        before = copy.deepcopy(member)
        decision = carry_out(program, member, ask, now)
        own = decision.steps[0].outcome if len(decision.steps) == 1 else None
        if own is None or own.points >= 0 or own.operation == "REVERSE" or own.currency is None:
            continue
        aims = {"award_id", "promotion_id", "promotion_identifier"}
        if own.status != "APPLIED" or aims & ask.document.keys():
            continue
        stood = before.wallet(own.currency.code, str(own.category)).lots
        assert [lot.lot_id for lot in own.lots] == [lot.lot_id for lot in stood[: len(own.lots)]]
        assert all(
            -taken.points == lot.remaining for taken, lot in zip(own.lots[:-1], stood, strict=False)
        )


@given(pasts(is_open=True))
def test_undoing_the_last_change_restores_every_lot_exactly(past: Past) -> None:
    program, member = program_of(past), member_of(past)
    for ask, now in past.asked:
        before = copy.deepcopy(member)
        decision = carry_out(program, member, ask, now)
        if ask.request_id not in member.originals or not decision.steps:
            continue
        own = decision.steps[-1].outcome
        if own.request_id != ask.request_id or not own.points or not decision.is_stored:
            continue
        if any(step.outcome.operation != own.operation for step in decision.steps):
            continue
        after = copy.deepcopy(member)
        undone = carry_out(program, after, Ask("undo", undoing(ask.request_id)), now)
        assert undone.own.status == "APPLIED", undone.own.rejection
        for place, wallet in after.wallets.items():
            known = before.wallet(*place)
            assert lots_of(wallet) == lots_of(known)
            assert (wallet.balance, wallet.deficit) == (known.balance, known.deficit)
            assert wallet.total == member.wallet(*place).total


@given(pasts(), st.integers(0, 2**32))
def test_undoing_in_parts_comes_to_the_same_as_undoing_at_once(past: Past, seed: int) -> None:
    chance = random.Random(seed)
    program, member = program_of(past), member_of(past)
    for ask, now in past.asked:
        carry_out(program, member, ask, now)
    free = replace(program, publishers=(), reason_required=False, points_per_request=None)
    for original in list(member.originals.values()):
        undo = undoing(original.request_id)
        at_once, in_parts = copy.deepcopy(member), copy.deepcopy(member)
        left = abs(original.points) - original.reversed
        currency = free.currency(original.currency)
        assert currency is not None
        carry_out(free, at_once, Ask("undo", undo), now)
        while left and chance.random() < 0.7:
            part = chance.randint(1, left)
            left -= part
            amount = {"points": money.to_text(part, currency.decimals)}
            carry_out(free, in_parts, Ask("undo", undo | amount), now)
        carry_out(free, in_parts, Ask("rest", undo), now)
        for place, wallet in at_once.wallets.items():
            other = in_parts.wallet(*place)
            assert (wallet.balance, wallet.deficit) == (other.balance, other.deficit)


@given(pasts())
def test_a_dry_run_changes_nothing_and_tells_exactly_what_then_happens(past: Past) -> None:
    program, member = program_of(past), member_of(past)
    for ask, now in past.asked:
        before = copy.deepcopy(member)
        dry = carry_out(
            program, member, ask._replace(document=ask.document | {"dry_run": True}), now
        )
        assert (member, dry.is_stored, len(dry.steps)) == (before, False, 1)
        decision = carry_out(program, member, ask, now)
        if decision.parked:
            assert dry.own.rejection is not None
            continue
        if not decision.is_stored:
            continue
        own = next(step for step in decision.steps if step.outcome is decision.own)
        simulated = "SIMULATED" if decision.own.status == "APPLIED" else decision.own.status
        expected = told(own)._replace(status=simulated, event=None)
        assert told(dry.steps[0]) == expected


@given(pasts(), st.integers(0, 2**32))
def test_batches_cut_anywhere_give_the_same_as_one(past: Past, seed: int) -> None:
    chance = random.Random(seed)
    program, member, shelf = program_of(past), member_of(past), Shelf()
    for other, ask, now, whole in decisions(past):
        if chance.random() < 0.5:
            member = shelf.store(member)
        decision = carry_out(program, member, ask, now)
        assert [told(step) for step in decision.steps] == [told(step) for step in whole.steps]
        for place, wallet in other.wallets.items():
            assert lots_of(member.wallet(*place)) == lots_of(wallet)


def test_the_histories_hold_something_of_everything() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(300):
        history = past_of(seed, STARTS[seed % len(STARTS)], 50, seed, is_open=False)
        for *_, decision in decisions(history):
            kinds["parked"] += decision.parked is not None
            for step in decision.steps:
                one = step.outcome
                key = one.rejection.key if one.rejection else f"{one.operation} {one.status}"
                kinds[key] += 1
                kinds["released"] += step.subject is not None and step.arrival is not None
                kinds["a lapse"] += step.subject is not None and one.request is None
                kinds["a deficit"] += (one.balance or 0) < 0
                kinds["several lots"] += len(one.lots) > 1
                kinds["forfeited"] += one.forfeited > 0
                kinds.update(warning.split(":")[0] for warning in one.warnings)
    for operation in get_args(names.Operation):
        assert kinds[f"{operation} APPLIED"] > 50
    unreachable = {"request_id_conflict", "unknown_program", "program_required", "not_enrolled"}
    unreachable |= {"invalid_identifier_type", *errors.DEAD_LETTER_KEYS} - {"invalid_payload"}
    others = {"parked", "released", "a lapse", "a deficit", "several lots", "forfeited"}
    others |= {"balance_cap", "expired_meanwhile", "earn_cap_week", "earn_cap_3_days"}
    others |= {"SET_BALANCE NO_CHANGE", "EXPIRE NO_CHANGE", "ADJUST SIMULATED"}
    rare = [(kinds[kind], kind) for kind in errors.ERRORS.keys() - unreachable | others]
    assert min(rare) >= (8, "")
