"""What tests of undoing share: the request for it, and how lots stand before and after."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.unit.domain.desk import NOW, Desk, custom

if TYPE_CHECKING:
    from worker.domain.outcome import Outcome
    from worker.domain.wallet import Wallet

DAY = timedelta(days=1)
SOON = NOW.replace(day=18, hour=0)
LATER = NOW.replace(day=21, hour=0)


def undo(desk: Desk, reverses: str, points: object = None, **fields: Any) -> Outcome:
    outcome = desk.ask(points, operation="REVERSE", reverses=reverses, **fields)
    assert outcome.status == "APPLIED"
    return outcome


def refusal(desk: Desk, reverses: str, points: object = None, **fields: Any) -> str | None:
    return desk.refusal(points, operation="REVERSE", reverses=reverses, **fields)


def three_lots() -> Desk:
    """r1 to r3 put in 10 points each: for good, until LATER and until SOON."""
    desk = Desk()
    desk.adjust(10)
    desk.adjust(10, **custom("2026-01-20"))
    desk.adjust(10, **custom("2026-01-17"))
    return desk


def lots(wallet: Wallet) -> list[tuple[int, int]]:
    return [(lot.lot_id, lot.remaining) for lot in wallet.lots]
