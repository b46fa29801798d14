"""Who may ask for what, whose points may change, which reasons and sources a programme takes."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from schemas.names import Operation
from tests.unit.domain.desk import Desk, custom, programme
from worker.domain.outcome import Rejection

TILL = "till-service"


def listing(*may: str, **document: Any) -> Desk:
    """A desk where the till service, which may do so much, is the only listed publisher."""
    desk = Desk(programme(publishers=[{"user_id": TILL, "may": list(may)}], **document))
    desk.publisher = TILL
    return desk


REQUESTS: dict[str, dict[str, Any]] = {
    "ADJUST": {"points": 1},
    "SET_BALANCE": {"points": 1},
    "REVERSE": {"reverses": "r9"},
    "HOLD": {"points": 1},
    "CAPTURE": {"hold": "r9"},
    "RELEASE": {"hold": "r9"},
    "CONVERT": {"category": "PROMISED"},
}
PERMISSIONS = {
    "ADJUST": "adjust",
    "SET_BALANCE": "set_balance",
    "REVERSE": "reverse",
    "HOLD": "hold",
    "CAPTURE": "hold",
    "RELEASE": "hold",
    "CONVERT": "convert",
}
ALL = sorted(set(PERMISSIONS.values()))


class TestPublishers:
    def test_every_operation_but_expire_has_a_permission(self) -> None:
        assert {*PERMISSIONS, "EXPIRE"} == set(get_args(Operation))

    @pytest.mark.parametrize("operation", REQUESTS)
    def test_a_listed_publisher_may_do_what_is_listed_and_nothing_else(
        self, operation: str
    ) -> None:
        fields = {"operation": operation, **REQUESTS[operation]}
        needed = PERMISSIONS[operation]
        assert listing(needed).refusal(**fields) != "not_permitted"
        others = [permission for permission in ALL if permission != needed]
        assert listing(*others).refusal(**fields) == "not_permitted"

    @pytest.mark.parametrize("flag", ["bypass_caps", "allow_negative"])
    def test_a_flag_that_is_set_needs_a_permission_of_its_own(self, flag: str) -> None:
        assert listing("adjust").refusal(1, **{flag: True}) == "not_permitted"
        assert listing("adjust").refusal(1, **{flag: False}) is None
        assert listing("adjust", flag).refusal(1, **{flag: True}) is None
        assert listing(flag).refusal(1, **{flag: True}) == "not_permitted"

    @pytest.mark.parametrize("publisher", [None, "", "Till-Service", "other"])
    def test_who_is_not_listed_may_do_nothing(self, publisher: str | None) -> None:
        desk = listing(*ALL)
        desk.publisher = publisher
        assert desk.refusal(1) == "not_permitted"
        assert desk.refusal(operation="EXPIRE") == "not_permitted"

    @pytest.mark.parametrize(
        ("publisher", "told"), [("other", "does not list"), (None, "user_id"), ("", "user_id")]
    )
    def test_who_names_no_publisher_is_told_how(self, publisher: str | None, told: str) -> None:
        desk = listing(*ALL)
        desk.publisher = publisher
        rejection = desk.ask(1).rejection
        assert rejection is not None
        assert told in rejection.message

    def test_who_is_listed_may_ask_for_what_is_due(self) -> None:
        assert listing().refusal(operation="EXPIRE") is None

    def test_the_worker_itself_may_do_anything(self) -> None:
        desk = listing()
        desk.publisher = None
        assert desk.refusal(1, is_trusted=True, bypass_caps=True, allow_negative=True) is None

    def test_where_no_publishers_are_listed_everybody_may_do_everything(self) -> None:
        desk = Desk()
        assert desk.refusal(1, bypass_caps=True, allow_negative=True) is None
        desk.publisher = "other"
        assert desk.refusal(1, bypass_caps=True, allow_negative=True) is None


class TestMembers:
    def test_a_member_has_to_be_enrolled_where_that_is_required(self) -> None:
        desk = Desk(programme(enrolment="required"))
        assert desk.refusal(1) == "member_not_found"
        desk.member.is_known_elsewhere = True
        assert desk.refusal(1) == "not_enrolled"
        desk.member.is_enrolled = True
        assert desk.refusal(1) is None

    def test_a_member_is_enrolled_by_the_first_request_where_that_is_automatic(self) -> None:
        assert Desk().refusal(1) is None

    @pytest.mark.parametrize("status", ["blocked", "erased"])
    def test_nothing_changes_for_a_member_who_is_not_active(self, status: Any) -> None:
        desk = Desk()
        desk.adjust(5)
        desk.member.status = status
        rejection = desk.adjust(1).rejection
        assert rejection == Rejection("member_inactive", f"The member is {status}.")
        assert desk.wallet.balance == 5


class TestReasons:
    def test_a_required_reason_may_be_a_text_or_a_code(self) -> None:
        desk = Desk(programme(reason="required"))
        assert desk.refusal(1) == "reason_required"
        assert desk.refusal(1, reason="") == "reason_required"
        assert desk.refusal(1, reason="", reason_code="") == "reason_required"
        assert desk.refusal(1, comment="as agreed") == "reason_required"
        assert desk.refusal(1, reason="Goodwill") is None
        assert desk.refusal(1, reason_code="GOODWILL") is None

    def test_a_reason_may_be_as_long_as_the_programme_says_in_characters(self) -> None:
        desk = Desk(programme(reason_max_length=3))
        assert desk.refusal(1, reason="äöü") is None
        rejection = desk.adjust(1, reason="abcd").rejection
        assert rejection is not None
        assert rejection.key == "invalid_payload"
        assert rejection.details == [
            {"field": "reason", "rule": "must be at most 3 characters long", "got": "a value"}
        ]

    def test_a_reason_code_has_to_be_in_the_catalogue_if_there_is_one(self) -> None:
        desk = Desk(programme(reason_codes=[{"code": "GOODWILL"}]))
        assert desk.refusal(1, reason_code="GOODWILL") is None
        assert desk.refusal(1, reason_code="goodwill") == "invalid_reason_code"
        assert desk.refusal(1, reason_code="") == "invalid_reason_code"
        assert desk.refusal(1) is None

    def test_a_reason_code_may_be_for_one_direction_only(self) -> None:
        codes = [{"code": "GIFT", "sign": "credit"}, {"code": "FEE", "sign": "debit"}]
        desk = Desk(programme(reason_codes=codes))
        desk.adjust(50)
        assert desk.refusal(1, reason_code="FEE") == "invalid_reason_code"
        assert desk.refusal(-1, reason_code="GIFT") == "invalid_reason_code"
        assert desk.refusal(1, reason_code="GIFT") is None
        assert desk.refusal(-1, reason_code="FEE") is None

    def test_a_target_has_the_direction_of_the_change_that_it_makes(self) -> None:
        desk = Desk(programme(reason_codes=[{"code": "GIFT", "sign": "credit"}]))
        desk.adjust(50)
        gift = {"operation": "SET_BALANCE", "reason_code": "GIFT"}
        assert desk.refusal(49, **gift) == "invalid_reason_code"
        assert desk.refusal(49, expected_version=9, **gift) == "invalid_reason_code"
        assert desk.refusal(51, expected_version=9, **gift) == "version_mismatch"
        assert desk.refusal(51, **gift) is None
        assert desk.ask(51, **gift).status == "NO_CHANGE"

    def test_a_reversal_has_the_direction_opposite_to_that_of_its_original(self) -> None:
        desk = Desk(programme(reason_codes=[{"code": "GIFT", "sign": "credit"}]))
        desk.adjust(50)
        desk.adjust(-20)
        gift = {"operation": "REVERSE", "reason_code": "GIFT"}
        assert desk.refusal(reverses="r1", **gift) == "invalid_reason_code"
        assert desk.refusal(reverses="r2", **gift) is None

    def test_a_capture_is_a_debit_and_a_hold_is_neither(self) -> None:
        desk = Desk(programme(reason_codes=[{"code": "GIFT", "sign": "credit"}]))
        desk.adjust(50)
        assert desk.refusal(5, operation="HOLD", reason_code="GIFT") is None
        capture = {"operation": "CAPTURE", "hold": "r2"}
        assert desk.refusal(reason_code="GIFT", **capture) == "invalid_reason_code"
        assert desk.refusal(**capture) is None

    @pytest.mark.parametrize(
        ("points", "fields", "told"),
        [
            (1, {"reason_code": "OTHER"}, 'Programme acme has no reason code "OTHER".'),
            (1, {"reason_code": ""}, 'Programme acme has no reason code "".'),
            (-1, {"reason_code": "GIFT"}, "Reason code GIFT is for credits only."),
            (8, {"reason_code": "GIFT"}, "With reason code GIFT 7 points may move at most."),
            (1, {"source": "line"}, 'Programme acme has no source "line".'),
        ],
    )
    def test_what_is_not_in_a_list_is_told_by_its_name(
        self, points: int, fields: dict[str, Any], told: str
    ) -> None:
        codes = [{"code": "GIFT", "sign": "credit", "max": "7"}]
        rejection = Desk(programme(reason_codes=codes, sources=["LINE"])).ask(points, **fields)
        assert rejection.rejection is not None
        assert rejection.rejection.message == told

    def test_a_source_has_to_be_one_of_the_programmes_if_it_lists_any(self) -> None:
        desk = Desk(programme(sources=["INSTORE", "LINE"]))
        assert desk.refusal(1, source="LINE") is None
        assert desk.refusal(1, source="line") == "invalid_source"
        assert desk.refusal(1, source="") == "invalid_source"
        assert desk.refusal(1) is None
        assert Desk().refusal(1, source="anything") is None


@pytest.mark.parametrize(
    "operation", ["REVERSE", "HOLD", "CAPTURE", "RELEASE", "CONVERT", "EXPIRE"]
)
@pytest.mark.parametrize(
    "fields",
    [
        {"award_id": "a"},
        {"award_id": "a", "award_type": "bill_regular"},
        {"promotion_id": "p"},
        {"promotion_identifier": "p"},
    ],
)
def test_an_award_or_promotion_is_never_ignored(operation: str, fields: dict[str, Any]) -> None:
    rejection = Desk().ask(operation=operation, **REQUESTS.get(operation, {}), **fields).rejection
    assert rejection is not None
    assert rejection.key == "invalid_payload"
    assert rejection.details[0]["field"] == next(iter(fields))


class TestTheWalletOfAnEarlierRequest:
    @pytest.mark.parametrize("operation", ["REVERSE", "CAPTURE", "RELEASE"])
    @pytest.mark.parametrize(
        ("fields", "named"),
        [({"currency": "points"}, "currency"), ({"category": "REGULAR"}, "category")],
    )
    def test_another_wallet_than_its_own_is_a_fault_of_the_payload(
        self, operation: str, fields: dict[str, str], named: str
    ) -> None:
        desk = Desk(programme(currencies=[{"code": "points"}, {"code": "coins"}]))
        place = {"currency": "coins", "category": "PROMISED"}
        desk.adjust(50, **place)
        desk.ask(5, operation="HOLD", **place)
        earlier: dict[str, Any] = {"hold": "r2"}
        if operation == "REVERSE":
            earlier = {"reverses": "r1", "points": 45}
        rejection = desk.ask(operation=operation, **earlier, **fields).rejection
        assert rejection is not None
        assert (rejection.key, rejection.details[0]["field"]) == ("invalid_payload", named)
        outcome = desk.ask(operation=operation, **earlier, **place)
        assert outcome.rejection is None
        assert outcome.currency is not None
        assert (outcome.currency.code, outcome.category) == ("coins", "PROMISED")

    def test_decimals_are_those_of_its_currency(self) -> None:
        desk = Desk(programme(currencies=[{"code": "points"}, {"code": "coins", "decimals": 1}]))
        desk.adjust("5.0", currency="coins")
        reverse = {"operation": "REVERSE", "reverses": "r1"}
        assert desk.refusal("0.25", **reverse) == "decimal_places_exceeded"
        assert desk.ask("0.5", **reverse).points == -5


class TestPointsOfWhoMayNotAdjust:
    @pytest.mark.parametrize(
        "document",
        [{"status": "inactive"}, {"enrolment": "required"}, {"reason": "required"}],
    )
    def test_fall_due_all_the_same(self, document: dict[str, Any]) -> None:
        desk = Desk()
        desk.adjust(5, **custom("2026-01-15"))
        desk.now = desk.now.replace(day=16)
        desk.program = programme(**document)
        assert desk.refusal(1) is not None
        assert desk.ask(operation="EXPIRE").status == "APPLIED"
        assert desk.wallet.balance == 0
