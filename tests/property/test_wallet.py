"""What holds of a wallet however many lots it has and however few of them were read."""

from __future__ import annotations

import copy
import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from worker.domain.wallet import Lot, LotChange, Wallet

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def stored_wallet(chance: random.Random, lots: int) -> Wallet:
    """A wallet as the books may hold it, with lots that are due, will be, and never are."""
    made = []
    for lot_id in range(1, lots + 1):
        points = chance.randint(1, 50)
        days = chance.choice([None, -2, 0, 1, 1, 2, 30])
        expires_at = None if days is None else NOW + timedelta(days=days)
        made.append(Lot(lot_id, points, chance.randint(1, points), expires_at))
    made.sort(key=lambda lot: (lot.expires_at is None, lot.expires_at or NOW, lot.lot_id))
    balance = sum(lot.remaining for lot in made)
    return Wallet("points", "REGULAR", balance, 0, balance, lots, lots, lots=made)


def changes_for(chance: random.Random, count: int) -> list[tuple[int, datetime | None]]:
    """Credits and debits: (points, when a credit expires)."""
    return [
        (
            chance.choice([1, -1, -1]) * chance.randint(1, 80),
            chance.choice([None, NOW + timedelta(days=chance.randint(1, 40))]),
        )
        for _ in range(count)
    ]


def as_read(wallet: Wallet, cover: int) -> tuple[Wallet, list[Lot]]:
    """The wallet with all due lots and no more of the others than cover so much; and the rest."""
    read = copy.deepcopy(wallet)
    covered = count = 0
    for count, lot in enumerate(read.lots):  # noqa: B007 (the count goes on being used)
        is_due = lot.expires_at is not None and lot.expires_at <= NOW
        if not is_due and covered >= cover:
            break
        covered += 0 if is_due else lot.remaining
    else:
        count = len(read.lots)
    rest = read.lots[count:]
    del read.lots[count:]
    return read, rest


def carry_out(
    wallet: Wallet, changes: list[tuple[int, datetime | None]]
) -> list[tuple[int, list[LotChange]]]:
    told = [(wallet.balance, wallet.expire_due(NOW))]
    for number, (points, expires_at) in enumerate(changes, start=1):
        if points > 0:
            moved = wallet.credit(points, 1_000 + number, expires_at)
        else:
            moved = wallet.debit(-points)
        told.append((wallet.balance, moved))
    return told


@given(st.integers(0, 30), st.integers(0, 12), st.integers(0, 2**32))
def test_lots_beyond_those_that_cover_a_batchs_debits_never_matter(
    lots: int, count: int, seed: int
) -> None:
    chance = random.Random(seed)
    whole = stored_wallet(chance, lots)
    changes = changes_for(chance, count)
    part, rest = as_read(whole, sum(-points for points, _ in changes if points < 0))
    assert carry_out(part, changes) == carry_out(whole, changes)
    together = sorted([*part.lots, *rest], key=Lot.order)
    assert together == whole.lots
    assert part.touched == whole.touched
    assert (part.balance, part.deficit, part.total) == (whole.balance, whole.deficit, whole.total)


@given(st.integers(0, 30), st.integers(0, 2**32))
def test_a_debit_never_passes_over_a_lot_that_expires_sooner_or_is_older(
    lots: int, seed: int
) -> None:
    chance = random.Random(seed)
    wallet = stored_wallet(chance, lots)
    before = copy.deepcopy(wallet.lots)
    points = chance.randint(1, 400)
    changes = wallet.debit(points)
    taken = {change.lot_id: -change.points for change in changes}
    assert [change.lot_id for change in changes] == [lot.lot_id for lot in before][: len(changes)]
    for lot in before[: len(changes) - 1]:
        assert taken[lot.lot_id] == lot.remaining
    assert sum(taken.values()) + wallet.deficit == points
