"""`HOLD`, `CAPTURE`, `RELEASE`, and holds that lapse."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.domain.desk import NOW, Desk, custom, in_currency, programme
from worker.domain.hold import OPEN_MAX
from worker.domain.member import Hold

HOURS = timedelta(hours=1)
TWO_CURRENCIES = programme(currencies=[{"code": "points"}, {"code": "coins", "decimals": 2}])


def held(points: int = 30, *, of: int = 100, **fields: object) -> Desk:
    """A desk at which r1 put points in and r2 holds some of them."""
    desk = Desk()
    desk.adjust(of)
    assert desk.ask(points, operation="HOLD", **fields).status == "APPLIED"
    return desk


def test_a_hold_sets_points_aside_and_leaves_the_balance_as_it_is() -> None:
    desk = held(30)
    desk.asked = 8
    outcome = desk.ask(20, operation="HOLD", ttl_seconds=60)
    assert (outcome.points, outcome.balance, outcome.available, outcome.total) == (0, 100, 50, 100)
    assert (outcome.event_type, outcome.version, outcome.sequence) == ("POINTS_HELD", 3, 3)
    assert (outcome.lots, outcome.expires_at) == ([], NOW + timedelta(seconds=60))
    assert desk.member.holds["r9"] == Hold(
        "r9", "points", "REGULAR", 20, NOW + timedelta(seconds=60)
    )


def test_a_hold_lasts_for_48_hours_where_it_does_not_say_how_long() -> None:
    assert held().member.due_at == NOW + 48 * HOURS


def test_held_points_cannot_be_spent_or_held_again() -> None:
    desk = held(30)
    assert desk.refusal(-71) == "insufficient_points"
    assert desk.refusal(71, operation="HOLD") == "insufficient_points"
    assert desk.refusal(69, operation="SET_BALANCE") is None
    assert desk.refusal(29, operation="SET_BALANCE") == "insufficient_points"


def test_all_that_is_available_can_be_held_and_nothing_more() -> None:
    assert Desk().refusal(1, operation="HOLD") == "insufficient_points"
    desk = held(100)
    assert desk.wallet.available == 0
    assert desk.refusal(1, operation="HOLD") == "insufficient_points"


def test_only_so_many_holds_of_a_member_are_open_at_once_for_all_may_lapse_with_one_request() -> (
    None
):
    desk = Desk(TWO_CURRENCIES)
    desk.adjust(5000)
    desk.adjust(5000, currency="coins")
    for number in range(OPEN_MAX):
        currency = "coins" if number % 2 else "points"
        assert desk.refusal(1, operation="HOLD", currency=currency) is None
    assert desk.refusal(1, operation="HOLD") == "limit_exceeded"
    assert desk.wallet.held == OPEN_MAX // 2
    assert desk.refusal(operation="RELEASE", hold="r3") is None
    assert desk.refusal(1, operation="HOLD") is None


@pytest.mark.parametrize("who", ["request", "programme"])
def test_more_than_is_available_is_held_only_where_a_negative_balance_is_allowed(who: str) -> None:
    desk = Desk(programme(allow_negative=who == "programme"))
    outcome = desk.ask(30, operation="HOLD", allow_negative=who == "request")
    assert (outcome.status, outcome.balance, outcome.available) == ("APPLIED", 0, -30)


def test_a_capture_takes_all_held_points_where_it_names_no_amount() -> None:
    desk = held(30)
    outcome = desk.ask(operation="CAPTURE", hold="r2")
    assert (outcome.points, outcome.balance, outcome.available, outcome.total) == (-30, 70, 70, 100)
    assert (outcome.event_type, outcome.version) == ("POINTS_ADJUSTED", 3)
    assert [(lot.lot_id, lot.points) for lot in outcome.lots] == [(1, -30)]
    assert (desk.member.holds, desk.wallet.held) == ({}, 0)


def test_a_partial_capture_releases_the_rest() -> None:
    desk = held(30)
    outcome = desk.ask(10, operation="CAPTURE", hold="r2")
    assert (outcome.points, outcome.balance, outcome.available) == (-10, 90, 90)
    assert desk.refusal(1, operation="CAPTURE", hold="r2") == "hold_ended"


def test_no_more_is_captured_than_is_held_whatever_else_there_is() -> None:
    desk = held(30)
    assert desk.refusal(31, operation="CAPTURE", hold="r2") == "insufficient_points"
    more = {"operation": "CAPTURE", "hold": "r2", "allow_negative": True}
    assert desk.refusal(31, **more) == "insufficient_points"
    assert (desk.wallet.held, desk.wallet.balance, desk.wallet.version) == (30, 100, 2)
    assert desk.refusal(30, operation="CAPTURE", hold="r2") is None


def test_a_capture_takes_the_lots_that_expire_soonest() -> None:
    desk = Desk()
    desk.adjust(10)
    desk.adjust(10, **custom("2026-02-01"))
    desk.ask(15, operation="HOLD")
    outcome = desk.ask(operation="CAPTURE", hold="r3")
    assert [(lot.lot_id, lot.points) for lot in outcome.lots] == [(2, -10), (1, -5)]


def test_held_points_expire_and_what_is_left_of_them_can_still_be_captured() -> None:
    desk = Desk()
    desk.adjust(20)
    desk.adjust(80, **custom("2026-01-15"))
    desk.ask(50, operation="HOLD")
    desk.now += 12 * HOURS
    expired, own = desk.outcomes(operation="CAPTURE", hold="r3")
    assert (expired.points, expired.balance, expired.available) == (-80, 20, -30)
    assert own.rejection is not None
    assert own.rejection.key == "insufficient_points"
    assert desk.refusal(21, operation="CAPTURE", hold="r3") == "insufficient_points"
    outcome = desk.ask(20, operation="CAPTURE", hold="r3")
    assert (outcome.points, outcome.balance, outcome.available) == (-20, 0, 0)


@pytest.mark.parametrize("who", ["request", "programme"])
def test_a_capture_that_may_owe_takes_what_was_held_also_where_the_points_have_expired(
    who: str,
) -> None:
    desk = Desk(programme(allow_negative=who == "programme"))
    desk.adjust(20)
    desk.adjust(80, **custom("2026-01-15"))
    desk.ask(50, operation="HOLD")
    desk.now += 12 * HOURS
    owing = {"operation": "CAPTURE", "hold": "r3", "allow_negative": who == "request"}
    assert desk.refusal(51, **owing) == "insufficient_points"
    outcome = desk.ask(**owing)
    assert (outcome.points, outcome.balance, outcome.available) == (-50, -30, -30)
    assert [(lot.lot_id, lot.points) for lot in outcome.lots] == [(1, -20)]
    assert (desk.wallet.deficit, desk.open_lots, desk.wallet.held) == (30, [], 0)


def test_a_hold_of_points_that_a_member_may_owe_can_be_captured() -> None:
    desk = Desk(programme(allow_negative=True))
    desk.adjust(10)
    desk.ask(30, operation="HOLD")
    outcome = desk.ask(operation="CAPTURE", hold="r2")
    assert (outcome.points, outcome.balance, outcome.available) == (-30, -20, -20)
    undone = desk.ask(operation="REVERSE", reverses="r3")
    assert (undone.points, undone.balance, desk.open_lots) == (30, 10, [(1, 10)])


def test_a_hold_does_not_let_a_capture_owe_that_may_not_owe_itself() -> None:
    desk = Desk()
    desk.adjust(10)
    assert desk.refusal(30, operation="HOLD", allow_negative=True) is None
    assert desk.refusal(operation="CAPTURE", hold="r2") == "insufficient_points"
    assert desk.refusal(operation="CAPTURE", hold="r2", allow_negative=True) is None


def test_whoever_captures_more_than_is_left_needs_the_right_to_allow_a_negative_balance() -> None:
    desk = Desk(programme(publishers=[{"user_id": "till", "may": ["adjust", "hold"]}]))
    desk.publisher = "till"
    desk.adjust(10)
    desk.ask(10, operation="HOLD")
    owing = {"operation": "CAPTURE", "hold": "r2", "allow_negative": True}
    assert desk.refusal(**owing) == "not_permitted"


def test_a_release_lets_all_held_points_go() -> None:
    desk = held(30)
    outcome = desk.ask(operation="RELEASE", hold="r2")
    assert (outcome.points, outcome.balance, outcome.available, outcome.lots) == (0, 100, 100, [])
    assert (outcome.event_type, outcome.version, outcome.sequence) == ("POINTS_RELEASED", 3, 3)
    assert desk.member.holds == {}


@pytest.mark.parametrize("ending", ["CAPTURE", "RELEASE"])
@pytest.mark.parametrize("after", ["CAPTURE", "RELEASE"])
def test_a_hold_ends_once(ending: str, after: str) -> None:
    desk = held()
    desk.ask(operation=ending, hold="r2")
    assert desk.refusal(operation=after, hold="r2") == "hold_ended"
    assert desk.wallet.held == 0


@pytest.mark.parametrize("operation", ["CAPTURE", "RELEASE"])
def test_only_a_hold_can_be_captured_or_released(operation: str) -> None:
    desk = held()
    assert desk.refusal(operation=operation, hold="r1") == "unknown_hold"
    assert desk.refusal(operation=operation, hold="nobody's") == "unknown_hold"
    desk.ask(200, operation="HOLD")
    assert desk.refusal(operation=operation, hold="r5") == "unknown_hold"


@pytest.mark.parametrize("operation", ["CAPTURE", "RELEASE"])
def test_the_wallet_is_that_of_the_hold(operation: str) -> None:
    desk = Desk(TWO_CURRENCIES)
    desk.adjust("7.00", currency="coins", category="PROMISED")
    desk.ask("2.50", operation="HOLD", currency="coins", category="PROMISED")
    assert desk.refusal(operation=operation, hold="r2", currency="points") == "invalid_payload"
    assert desk.refusal(operation=operation, hold="r2", category="REGULAR") == "invalid_payload"
    outcome = desk.ask(operation=operation, hold="r2", currency="coins", category="PROMISED")
    assert (outcome.status, outcome.category) == ("APPLIED", "PROMISED")
    assert outcome.currency is not None
    assert outcome.currency.code == "coins"


def test_the_amount_of_a_capture_is_one_of_the_holds_currency() -> None:
    desk = Desk(TWO_CURRENCIES)
    desk.adjust("7.00", currency="coins")
    desk.ask("2.50", operation="HOLD", currency="coins")
    assert desk.refusal("1.255", operation="CAPTURE", hold="r2") == "decimal_places_exceeded"
    assert desk.ask("1.25", operation="CAPTURE", hold="r2").points == -125


def test_a_hold_lapses_at_its_time_with_the_next_request_and_before_it() -> None:
    desk = held(30, ttl_seconds=3600)
    desk.now += HOURS - timedelta(microseconds=1)
    assert desk.refusal(-71) == "insufficient_points"
    desk.now += timedelta(microseconds=1)
    lapsed, own = desk.outcomes(-71)
    assert (lapsed.request_id, lapsed.operation, lapsed.caused_by) == ("r2", "RELEASE", "r4")
    assert (lapsed.status, lapsed.event_type) == ("APPLIED", "POINTS_RELEASED")
    assert (lapsed.points, lapsed.balance, lapsed.available) == (0, 100, 100)
    assert (lapsed.version, lapsed.sequence) == (3, 4)
    assert (own.status, own.version, own.sequence) == ("APPLIED", 4, 5)


def test_the_step_of_a_lapse_names_its_hold() -> None:
    desk = held(ttl_seconds=3600)
    desk.now += HOURS
    assert [step.subject for step in desk.decide(1).steps] == ["r2", None]


@pytest.mark.parametrize("operation", ["CAPTURE", "RELEASE"])
def test_a_hold_that_has_lapsed_has_ended(operation: str) -> None:
    desk = held(ttl_seconds=3600)
    desk.now += HOURS
    lapsed, own = desk.outcomes(operation=operation, hold="r2")
    assert lapsed.request_id == "r2"
    assert own.rejection is not None
    assert own.rejection.key == "hold_ended"
    assert own.caused_by is None


def test_holds_lapse_in_the_order_of_their_times() -> None:
    desk = held(10, ttl_seconds=3600)
    desk.ask(20, operation="HOLD", ttl_seconds=60)
    desk.ask(30, operation="HOLD", ttl_seconds=7200)
    desk.now += HOURS
    outcomes = desk.outcomes(1)
    assert [outcome.request_id for outcome in outcomes] == ["r3", "r2", "r5"]
    assert [outcome.available for outcome in outcomes] == [60, 70, 71]
    assert desk.member.holds.keys() == {"r4"}


def test_a_hold_of_another_wallet_lapses_with_that_wallet_or_with_expire() -> None:
    desk = Desk(TWO_CURRENCIES)
    desk.adjust(5, currency="coins")
    desk.ask(5, operation="HOLD", currency="coins", ttl_seconds=60)
    desk.now += HOURS
    assert len(desk.outcomes(1)) == 1
    assert [outcome.request_id for outcome in desk.outcomes(operation="EXPIRE")] == ["r2", "r4"]


def test_a_hold_or_capture_that_nobody_could_write_down_is_refused() -> None:
    desk = Desk(in_currency(decimals=6))
    desk.adjust("900000000000")
    most = {"operation": "HOLD", "allow_negative": True}
    for _ in range(10):
        assert desk.refusal("900000000000", **most) is None
    assert desk.refusal("8100000000000", **most) == "limit_exceeded"
    far = Desk(now=NOW.replace(year=9999, month=12, day=31))
    far.adjust(1)
    assert far.refusal(1, operation="HOLD") == "limit_exceeded"


def test_limits_hold_for_holds_and_captures() -> None:
    limits = {"points_per_request": "50", "points_per_operator_per_day": "60"}
    desk = Desk(programme(limits=limits))
    desk.adjust(50)
    assert desk.refusal(51, operation="HOLD", allow_negative=True) == "limit_exceeded"
    for _ in range(2):
        assert desk.refusal(35, operation="HOLD", allow_negative=True, adjusted_by="op") is None
    desk.adjust(50)
    assert desk.refusal(operation="CAPTURE", hold="r3", adjusted_by="op") is None
    assert desk.refusal(operation="CAPTURE", hold="r4", adjusted_by="op") == "limit_exceeded"
    assert desk.refusal(25, operation="CAPTURE", hold="r4", adjusted_by="op") is None


def test_captures_count_against_spend_caps_and_an_automatic_one_beyond_is_refused() -> None:
    caps = [{"per": "day", "points": "40"}]
    desk = Desk(programme(currencies=[{"code": "points", "spend_caps": caps}]))
    desk.adjust(100)
    desk.ask(45, operation="HOLD")
    automatic = {"operation": "CAPTURE", "hold": "r2", "operation_type": "AUTOMATIC"}
    assert desk.refusal(**automatic) == "limit_exceeded"
    assert desk.refusal(30, **automatic) is None
    assert desk.refusal(-11, operation_type="AUTOMATIC") == "limit_exceeded"
    assert desk.refusal(-10, operation_type="AUTOMATIC") is None


def test_neither_a_hold_nor_its_release_counts_as_spent() -> None:
    caps = [{"per": "day", "points": "40"}]
    desk = Desk(programme(currencies=[{"code": "points", "spend_caps": caps}]))
    desk.adjust(100)
    desk.ask(90, operation="HOLD", operation_type="AUTOMATIC")
    desk.ask(operation="RELEASE", hold="r2")
    assert desk.refusal(-40, operation_type="AUTOMATIC") is None
