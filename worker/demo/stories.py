"""What the five vendors' documents show, as requests, and what must come of them.

Most are canonical: a story says what an adjustment is about, in the fields that every adjustment
has. One is a message in the vendor's own words, as a system made for that vendor sends it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from schemas import dialects, errors

if TYPE_CHECKING:
    from datetime import date


@dataclass(frozen=True, slots=True)
class Before:
    """In a step's fields: the id of the request so many steps before it."""

    steps: int


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a story.

    `says` tells in the document's terms what it is, `fields` is the request without its ids.
    `balance` is the wallet's afterwards, `error` the key of the refusal. `takes_soonest`: the
    points must come out of the lot that expires. Where `dialect` is the AMQP type of a vendor's
    messages, `fields` is the body of such a one, and `reply` what its answer must hold.
    """

    says: str
    fields: dict[str, Any]
    balance: int | None
    error: str | None = None
    total: int | None = None
    takes_soonest: bool = False
    dialect: str | None = None
    reply: dict[str, Any] = field(default_factory=dict)

    def numbered(self, number: int) -> Step:
        """Return the step with request ids for what stands before it; its own is `number`'s."""
        fields = {
            name: request_id(number - value.steps) if isinstance(value, Before) else value
            for name, value in self.fields.items()
        }
        return replace(self, fields=fields)


def request_id(number: int) -> str:
    """Return the request id of the step of this number, counted over all stories from 1."""
    return f"s-{number:03d}"


@dataclass(frozen=True, slots=True)
class Story:
    """What one page shows, in its order, for a member of its own.

    `by_door`: as a system publishes that knows no buckets, or speaks a vendor's dialect.
    """

    vendor: str
    page: str
    member: str
    steps: tuple[Step, ...] = field(default_factory=tuple)
    by_door: bool = False


def stories(today: date) -> list[Story]:
    """Return the stories; points that expire some day expire a year after `today`."""
    return [_white_label(), _capillary(), _beans(), _mastercard(), _voucherify(today), _refusals()]


def _white_label() -> Story:
    comment = "Goodwill after a late delivery"
    return Story(
        "White Label Loyalty",
        "Adjust a User's Points Balance",
        "wll-user-7",
        (
            Step("award 20 points, with a comment", {"points": 20, "comment": comment}, 20),
            Step("deduct 20; lifetime earn is never reduced", {"points": -20}, 0, total=20),
        ),
    )


def _capillary() -> Story:
    reason = "Extra points were issued"
    return Story(
        "Capillary",
        "Deduct points and alternate currencies",
        "capillary-98662653",
        (
            Step("the 770 that its figures begin with", {"points": "770.00"}, 770),
            Step(
                "deduct 100.00 for a reason; leaves 670",
                {
                    "points": "-100.00",
                    "category": "REGULAR",
                    "reason": reason,
                    "source": "INSTORE",
                },
                670,
            ),
        ),
    )


def _beans() -> Story:
    return Story(
        "Beans",
        "Adjust a member's balance",
        "beans-member-3",
        (
            Step("refund an order in points", {"points": 250, "reason": "Refund in points"}, 250),
            Step(
                "redeem for an order that is not completed yet",
                {"operation": "HOLD", "points": 200, "source_id": "order-1042"},
                250,
            ),
            Step(
                "another redemption meanwhile: these points are set aside",
                {"points": -100, "source_id": "order-1043"},
                250,
                errors.INSUFFICIENT_POINTS,
            ),
            Step("the order is completed", {"operation": "CAPTURE", "hold": Before(2)}, 50),
        ),
    )


def _mastercard() -> Story:
    return Story(
        "Mastercard",
        "Points Activity Service: Points Adjustments",
        "mastercard-account-1",
        (
            Step(
                "satisfy a cardholder; who and why are mandatory",
                {"points": 500, "reason": "Customer satisfaction", "adjusted_by": "agent-19"},
                500,
            ),
            Step(
                "it was the wrong account: undone, and seen as what it is",
                {
                    "operation": "REVERSE",
                    "reverses": Before(1),
                    "reason": "Wrong account",
                    "adjusted_by": "agent-19",
                },
                0,
                total=500,
            ),
        ),
    )


def _voucherify(today: date) -> Story:
    # The year after has no 29 February.
    next_year = today.replace(year=today.year + 1, day=min(today.day, 28)).isoformat()
    expiring = {"points": 100, "expiration_type": "CUSTOM_DATE"}
    return Story(
        "Voucherify",
        "Adjust Loyalty Card Balance",
        "MmFAzfDe",
        (
            Step("points that never expire", {"points": 300}, 300),
            Step(
                "add 100 until 2023-05-30, its example: past today",
                expiring | {"expiration_date": "2023-05-30"},
                None,
                errors.INVALID_EXPIRATION_DATE,
            ),
            Step(
                f"add 100 until {next_year}",
                expiring | {"expiration_date": next_year},
                400,
            ),
            Step(
                "subtract 100: those that expire soonest",
                {"points": -100, "reason": "Mistake"},
                300,
                takes_soonest=True,
            ),
            Step(
                "a message of its own form, as its clients send it, and its own answer",
                {"points": 88, "reason": "Regular customer"},
                388,
                total=488,
                dialect=dialects.VOUCHERIFY,
                reply={"points": 88, "type": "loyalty_card", "object": "balance"},
            ),
        ),
        by_door=True,
    )


def _refusals() -> Story:
    return Story(
        "What must be refused",
        "Capillary's 8907, 8888 and 8906; a misspelt field",
        "capillary-40008",
        (
            Step("points to begin with", {"points": 100}, 100),
            Step("more than there is", {"points": -101}, 100, errors.INSUFFICIENT_POINTS),
            Step("zero", {"points": "0"}, None, errors.ZERO_POINTS),
            Step(
                "a decimal more than the programme has",
                {"points": "-10.5"},
                None,
                errors.DECIMAL_PLACES_EXCEEDED,
            ),
            Step("an unknown field", {"pionts": 10}, None, errors.INVALID_PAYLOAD),
        ),
    )
