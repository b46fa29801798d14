"""Caps and limits, for the model: what a credit keeps, and what may not move at all."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

    from tests.property.ledger_operations import Work


class Refused(Exception):
    """Why an operation cannot be."""


def granted(work: Work, points: int) -> tuple[int, tuple[str, ...]]:
    """What the caps leave of a credit, and which of them cut it."""
    if work.document.get("bypass_caps"):
        return points, ()
    rooms = []
    for cap in work.currency.get("earn_caps", ()):
        so_far = sum(n for day, n in work.purse.earned.items() if in_period(work, day, cap))
        rooms.append((f"earn_{cap_name(cap)}", work.units(cap["points"]) - so_far))
    if "balance_cap" in work.currency:
        cap = work.units(work.currency["balance_cap"])
        rooms.append(("balance_cap", cap - work.purse.balance))
    cuts = [(name, room) for name, room in rooms if room < points]
    least = min([points] + [room for _, room in cuts])
    return max(least, 0), tuple(name for name, _ in cuts)


def spend(work: Work, points: int) -> None:
    """Refuse what a program asks for beyond a cap."""
    if work.document.get("bypass_caps") or work.document.get("operation_type") != "AUTOMATIC":
        return
    for cap in work.currency.get("spend_caps", ()):
        so_far = sum(n for day, n in work.purse.spent.items() if in_period(work, day, cap))
        if so_far + points > work.units(cap["points"]):
            raise Refused("limit_exceeded")


def in_period(work: Work, day: date, cap: dict[str, Any]) -> bool:
    """Whether a cap looks at a day today."""
    if "rolling_days" in cap:
        return (work.today - day) < timedelta(days=cap["rolling_days"])
    if cap["per"] == "day":
        return day == work.today
    if cap["per"] == "week":
        return day.isocalendar()[:2] == work.today.isocalendar()[:2]
    if cap["per"] == "month":
        return (day.year, day.month) == (work.today.year, work.today.month)
    if cap["per"] == "quarter":
        return (day.year, (day.month + 2) // 3) == (
            work.today.year,
            (work.today.month + 2) // 3,
        )
    return day.year == work.today.year


def limit(work: Work, asked: int, moved: int | None = None) -> None:
    """Refuse what is beyond the limits of request, reason and operator."""
    program, document = work.ledger.program, work.document
    limits = program.get("limits", {})
    most = limits.get("points_per_request")
    is_limited = work.ask.operation in {"ADJUST", "SET_BALANCE", "HOLD", "CONVERT"}
    if most and is_limited and asked > work.units(most):
        raise Refused("limit_exceeded")
    catalogue = {one["code"]: one.get("max") for one in program.get("reason_codes", ())}
    of_reason = catalogue.get(document.get("reason_code"))
    if of_reason and asked > work.units(of_reason):
        raise Refused("limit_exceeded")
    most = limits.get("points_per_operator_per_day")
    operator = document.get("adjusted_by")
    if most and operator and work.ask.operation != "HOLD":
        so_far = work.ledger.operators[operator, work.place[0], work.today]
        moving = asked if moved is None else moved
        if moving and so_far + moving > work.units(most):
            raise Refused("limit_exceeded")


def cap_name(cap: dict[str, Any]) -> str:
    """What a warning calls a cap."""
    return f"cap_{cap['per']}" if "per" in cap else f"cap_{cap['rolling_days']}_days"
