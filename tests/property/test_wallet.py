"""What holds of a wallet however many lots it has and however few of them were read."""

from __future__ import annotations

import copy
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from worker.domain.wallet import Lot, LotChange, Wallet

if TYPE_CHECKING:
    from collections.abc import Iterator

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


class Naive:
    """A wallet's lots as an obvious model has them: by lot id, what is left and when it expires."""

    def __init__(self, wallet: Wallet) -> None:
        self.lots: dict[int, list[Any]] = {
            lot.lot_id: [lot.remaining, lot.expires_at] for lot in wallet.lots
        }

    def taken(self, lots: list[Lot], points: int) -> list[tuple[int, int]]:
        changes = []
        for lot_id in [lot.lot_id for lot in lots]:
            part = min(self.lots[lot_id][0], points)
            self.lots[lot_id][0] -= part
            points -= part
            if part:
                changes.append((lot_id, -part))
        self.lots = {lot_id: lot for lot_id, lot in self.lots.items() if lot[0]}
        return changes

    def put_back(self, parts: list[LotChange]) -> None:
        for part in parts:
            lot = self.lots.setdefault(part.lot_id, [0, part.expires_at])
            lot[0] += part.points


@given(st.integers(0, 20), st.integers(0, 2**32))
def test_whatever_is_taken_and_put_back_the_lots_stay_in_the_order_of_use(
    lots: int, seed: int
) -> None:
    chance = random.Random(seed)
    wallet = stored_wallet(chance, lots)
    naive = Naive(wallet)
    gone: list[LotChange] = []
    for number in range(15):
        back = [one._replace(points=-one.points) for one in gone]
        points = chance.randint(0, max(wallet.balance, 0))
        match chance.choice(["debit", "aimed", "own", "back"]):
            case "debit":
                expected = naive.taken(wallet.lots, points)
                changes = wallet.debit(points)
            case "aimed":
                aimed = [lot for lot in wallet.lots if lot.lot_id % 3]
                points = min(points, sum(lot.remaining for lot in aimed))
                expected = naive.taken(aimed, points)
                changes = wallet.debit(points, lambda lot: bool(lot.lot_id % 3))
            case "own":
                made = [LotChange(lot.lot_id, 1, lot.expires_at) for lot in wallet.touched.values()]
                made = chance.sample(made, min(len(made), 2))
                own = {change.lot_id for change in made}
                in_order = sorted(wallet.lots, key=lambda lot: lot.lot_id not in own)
                expected = naive.taken(in_order, points)
                changes = wallet.take_from(wallet.own_first(made), points)
            case _:
                naive.put_back(back)
                wallet.restore(back, 0, 1_000 + number, None)
                gone, changes, expected = [], [], []
        gone += changes
        assert [change[:2] for change in changes] == expected
        assert wallet.lots == sorted(wallet.lots, key=Lot.order)
        held = {lot.lot_id: [lot.remaining, lot.expires_at] for lot in wallet.lots}
        assert held == naive.lots
        assert wallet.balance == sum(lot.remaining for lot in wallet.lots)


class Watched(list[Lot]):
    """Lots that count how often one of them is looked at."""

    looked = 0

    def __getitem__(self, at: Any) -> Any:
        self.looked += 1
        return super().__getitem__(at)

    def __iter__(self) -> Iterator[Lot]:
        for lot in super().__iter__():
            self.looked += 1
            yield lot


def test_what_is_undone_of_many_lots_looks_at_few_of_them() -> None:
    lots = Watched(Lot(lot_id, 10, 10, None, 10) for lot_id in range(1, 10_001))
    wallet = Wallet("points", "REGULAR", 100_000, lots=lots)
    wallet.take_from(wallet.own_first([LotChange(5_000, 10, None)]), 10)
    wallet.take_from(wallet.own_first([LotChange(6_000, 10, None)]), 25)
    wallet.restore([LotChange(5_000, 10, None), LotChange(7_000, 5, None)], 3, 20_000, None)
    wallet.debit(30)
    assert wallet.lots is lots
    assert 0 < lots.looked < 500
