"""Wallets and lots: how points come in, go out and fall due."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.unit.domain.desk import NOW
from worker.domain.wallet import Lot, LotChange, Wallet

if TYPE_CHECKING:
    from datetime import datetime

SOON = NOW + timedelta(days=1)
LATER = NOW + timedelta(days=2)


def wallet_of(*lots: tuple[int, int, datetime | None]) -> Wallet:
    """A wallet after these credits: (points, lot id, expires_at)."""
    wallet = Wallet("points", "REGULAR")
    for points, lot_id, expires_at in lots:
        wallet.credit(points, lot_id, expires_at)
    return wallet


def left(wallet: Wallet) -> list[tuple[int, int]]:
    return [(lot.lot_id, lot.remaining) for lot in wallet.lots]


def test_a_credit_makes_a_lot_and_raises_balance_total_and_version() -> None:
    wallet = Wallet("points", "REGULAR")
    assert wallet.credit(20, 1, SOON) == [LotChange(1, 20, SOON)]
    assert (wallet.balance, wallet.total, wallet.version) == (20, 20, 1)
    assert wallet.lots == [Lot(1, 20, 20, SOON)]


def test_a_debit_lowers_the_balance_and_never_the_total() -> None:
    wallet = wallet_of((20, 1, None))
    assert wallet.debit(15) == [LotChange(1, -15, None)]
    assert (wallet.balance, wallet.total, wallet.version) == (5, 20, 2)


def test_the_soonest_expiring_lot_goes_first_and_the_never_expiring_last() -> None:
    wallet = wallet_of((10, 1, None), (10, 2, LATER), (10, 3, SOON))
    assert wallet.debit(25) == [
        LotChange(3, -10, SOON),
        LotChange(2, -10, LATER),
        LotChange(1, -5, None),
    ]
    assert left(wallet) == [(1, 5)]


def test_the_oldest_goes_first_among_those_that_expire_together() -> None:
    wallet = wallet_of((10, 7, SOON), (10, 8, SOON), (10, 9, None), (10, 10, None))
    assert [change.lot_id for change in wallet.debit(35)] == [7, 8, 9, 10]


def test_age_is_the_order_of_the_credits_also_past_the_tenth() -> None:
    wallet = wallet_of(*((1, lot_id, None) for lot_id in range(1, 21)))
    assert [change.lot_id for change in wallet.debit(20)] == list(range(1, 21))


def test_a_lot_that_was_used_in_part_is_still_the_next_to_go() -> None:
    wallet = wallet_of((10, 1, SOON), (10, 2, LATER))
    wallet.debit(4)
    assert wallet.debit(7) == [LotChange(1, -6, SOON), LotChange(2, -1, LATER)]


def test_a_debit_that_ends_exactly_with_a_lot_leaves_the_next_one_alone() -> None:
    wallet = wallet_of((10, 1, SOON), (10, 2, LATER))
    assert wallet.debit(10) == [LotChange(1, -10, SOON)]
    assert left(wallet) == [(2, 10)]
    assert wallet.touched.keys() == {1, 2}


def test_what_the_lots_do_not_hold_becomes_a_deficit() -> None:
    wallet = wallet_of((10, 1, SOON))
    assert wallet.debit(15) == [LotChange(1, -10, SOON)]
    assert (wallet.balance, wallet.deficit, wallet.lots) == (-5, 5, [])
    assert wallet.debit(1) == []
    assert (wallet.balance, wallet.deficit) == (-6, 6)


def test_a_credit_pays_off_the_deficit_before_it_makes_a_lot() -> None:
    wallet = Wallet("points", "REGULAR")
    wallet.debit(10)
    assert wallet.credit(4, 2, SOON) == []
    assert (wallet.balance, wallet.deficit, wallet.total) == (-6, 6, 4)
    assert wallet.credit(6, 3, SOON) == []
    assert (wallet.balance, wallet.deficit, wallet.total, wallet.lots) == (0, 0, 10, [])
    wallet.debit(3)
    assert wallet.credit(10, 5, SOON) == [LotChange(5, 7, SOON)]
    assert (wallet.balance, wallet.deficit, wallet.total) == (7, 0, 20)


def test_points_are_usable_until_the_instant_at_which_they_expire_and_not_at_it() -> None:
    wallet = wallet_of((10, 1, SOON))
    assert wallet.expire_due(SOON - timedelta(microseconds=1)) == []
    assert wallet.version == 1
    assert wallet.expire_due(SOON) == [LotChange(1, -10, SOON)]
    assert (wallet.balance, wallet.total, wallet.version, wallet.lots) == (0, 10, 2, [])


def test_all_that_is_due_expires_as_one_change_of_the_wallet_and_only_once() -> None:
    wallet = wallet_of((5, 1, None), (10, 2, SOON), (20, 3, LATER), (40, 4, SOON))
    wallet.debit(3)
    assert wallet.expire_due(SOON) == [LotChange(2, -7, SOON), LotChange(4, -40, SOON)]
    assert (wallet.balance, wallet.version, left(wallet)) == (25, 6, [(3, 20), (1, 5)])
    assert wallet.expire_due(SOON) == []
    assert wallet.version == 6


def test_points_that_never_expire_are_never_due() -> None:
    wallet = wallet_of((5, 1, None))
    assert wallet.expire_due(NOW.replace(year=9999)) == []


def test_every_lot_that_changed_is_known_with_what_is_left_of_it() -> None:
    wallet = wallet_of((10, 1, SOON), (10, 2, LATER), (10, 3, None))
    wallet.touched.clear()
    wallet.expire_due(SOON)
    wallet.debit(4)
    assert {lot_id: lot.remaining for lot_id, lot in wallet.touched.items()} == {1: 0, 2: 6}


def test_all_of_a_wallets_balance_is_available() -> None:
    wallet = wallet_of((10, 1, None))
    assert wallet.available == 10
    wallet.debit(12)
    assert wallet.available == -2
