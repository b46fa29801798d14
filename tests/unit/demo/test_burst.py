"""The demo's burst, and the replay that it is compared with."""

from __future__ import annotations

from datetime import date

import pytest
from pydantic import ValidationError

from schemas.reading import read_json
from schemas.request import AdjustmentRequest
from schemas.topology import bucket_key
from worker.demo.burst import burst, message
from worker.demo.replay import replay
from worker.demo.stories import request_id, stories


def test_the_same_seed_gives_the_same_burst() -> None:
    assert burst(200, 5, run="beef") == burst(200, 5, run="beef")


def test_a_burst_has_repeats_overdrafts_and_members_who_use_the_door() -> None:
    messages = burst(2_000, 8, run="beef")
    accounts = replay(messages)
    distinct = sum(len(account.request_ids) for account in accounts.values())

    assert 50 < 2_000 - distinct < 200
    assert sum(account.applied for account in accounts.values()) < distinct
    ways = {item.member_id: item.routing_key for item in messages}
    assert sum(way == member for member, way in ways.items()) == 2
    assert all(way in {member, bucket_key(member)} for member, way in ways.items())


def test_a_member_keeps_to_one_way() -> None:
    ways: dict[str, set[str]] = {}
    for item in burst(500, 8, run="beef"):
        ways.setdefault(item.member_id, set()).add(item.routing_key)

    assert all(len(used) == 1 for used in ways.values())


def test_request_ids_of_a_member_count_up_in_the_order_of_publishing() -> None:
    for account in replay(burst(500, 3, run="beef")).values():
        ids = list(account.request_ids)
        assert ids == sorted(ids)


@pytest.mark.parametrize(
    ("fields", "balance", "total"),
    [
        ({"points": 20}, 120, 120),
        ({"points": "-100.00"}, 0, 100),
        ({"points": -101}, 100, 100),
        ({"points": "-10.5"}, 100, 100),
        ({"pionts": 10}, 100, 100),
        (
            {"points": 5, "expiration_type": "CUSTOM_DATE", "expiration_date": "2023-05-30"},
            100,
            100,
        ),
    ],
)
def test_the_replay_knows_the_rules(fields: dict[str, object], balance: int, total: int) -> None:
    messages = [message("m", "1", {"points": 100}), message("m", "2", fields)]

    account = replay([*messages, *messages])["m"]

    assert (account.balance, account.total) == (balance, total)


def test_the_stories_come_from_all_five_vendors_and_only_one_step_is_no_valid_request() -> None:
    told = stories(date(2028, 2, 29))
    invalid = []
    steps = [(story, step) for story in told for step in story.steps]
    for number, (story, step) in enumerate(steps, 1):
        if step.dialect is None:
            document = read_json(message(story.member, "1", step.numbered(number).fields).body)
            try:
                AdjustmentRequest.model_validate(document)
            except ValidationError:
                invalid.append(step.error)

    assert [story.vendor for story in told[:5]] == [
        "White Label Loyalty",
        "Capillary",
        "Beans",
        "Mastercard",
        "Voucherify",
    ]
    assert invalid == ["invalid_payload"]


def test_the_replay_comes_to_the_balances_that_the_stories_tell() -> None:
    told = [(story, step) for story in stories(date(2028, 2, 29)) for step in story.steps]
    messages = [
        message(story.member, request_id(number), step.numbered(number).fields)
        for number, (story, step) in enumerate(told, 1)
    ]
    accounts = replay(messages)
    balances: dict[str, int] = {}
    for story, step in told:
        if step.balance is not None:
            balances[story.member] = step.balance

    assert {name: account.balance for name, account in accounts.items()} == balances
    assert sum(account.applied for account in accounts.values()) == sum(
        step.error is None for _, step in told
    )
    assert accounts["mastercard-account-1"].total == 500
