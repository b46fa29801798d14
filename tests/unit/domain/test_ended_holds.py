"""A hold that has ended is still one of its wallet: what is told about it is told of that."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.domain.desk import Desk, programme

TWO_CURRENCIES = programme(currencies=[{"code": "points"}, {"code": "coins", "decimals": 2}])
PROMISED = {"currency": "coins", "category": "PROMISED"}


@pytest.fixture(params=["CAPTURE", "RELEASE", "lapse"])
def desk(request: pytest.FixtureRequest) -> Desk:
    """A desk where the hold r2 of promised coins has ended; the wallet holds 7.00 at version 3."""
    desk = Desk(TWO_CURRENCIES)
    desk.adjust("7.00", **PROMISED)
    desk.ask("2.50", operation="HOLD", ttl_seconds=60, **PROMISED)
    if request.param == "lapse":
        desk.now += timedelta(minutes=1)
        assert len(desk.outcomes(operation="EXPIRE")) == 2
    else:
        assert desk.ask(operation=request.param, hold="r2").status == "APPLIED"
    return desk


def test_a_capture_of_an_ended_hold_is_told_so_whatever_the_decimals_of_other_currencies(
    desk: Desk,
) -> None:
    assert desk.refusal("1.25", operation="CAPTURE", hold="r2") == "hold_ended"
    assert desk.refusal("1.255", operation="CAPTURE", hold="r2") == "decimal_places_exceeded"


@pytest.mark.parametrize("operation", ["CAPTURE", "RELEASE"])
def test_the_answer_about_an_ended_hold_shows_the_holds_wallet(desk: Desk, operation: str) -> None:
    own = desk.ask(operation=operation, hold="r2")
    assert own.rejection is not None
    assert own.currency is not None
    assert (own.rejection.key, own.currency.code, own.category) == (
        "hold_ended",
        *PROMISED.values(),
    )
    assert (own.version, own.balance) == (3, desk.member.wallet(*PROMISED.values()).balance)


@pytest.mark.parametrize("operation", ["CAPTURE", "RELEASE"])
def test_another_wallet_than_that_of_an_ended_hold_is_a_fault_of_the_payload(
    desk: Desk, operation: str
) -> None:
    for other in ({"currency": "points"}, {"category": "REGULAR"}):
        assert desk.refusal(operation=operation, hold="r2", **other) == "invalid_payload"
    assert desk.refusal(operation=operation, hold="r2", **PROMISED) == "hold_ended"


def test_an_expected_version_is_that_of_the_ended_holds_wallet(desk: Desk) -> None:
    for version, key in ((3, "hold_ended"), (0, "version_mismatch")):
        assert desk.refusal(operation="RELEASE", hold="r2", expected_version=version) == key


def test_what_is_due_falls_due_in_the_wallet_of_the_ended_hold(desk: Desk) -> None:
    day = {"expiration_type": "CUSTOM_DATE", "expiration_date": "2026-01-15"}
    desk.adjust("1.00", **PROMISED, **day)
    desk.adjust(1, **day)
    desk.now += timedelta(days=1)
    due, own = desk.outcomes(operation="RELEASE", hold="r2")
    assert (due.operation, due.category, own.category) == ("EXPIRE", "PROMISED", "PROMISED")
