"""The model itself, held to a few cases worked out by hand."""

from __future__ import annotations

import json
from typing import Any

from tests.load import bucket_key, generate
from tests.model import Expected, Model


def answers(*requests: dict[str, Any]) -> list[Expected]:
    model = Model()
    return [
        model.expect(json.dumps({"request_id": f"r{number}", "member_id": "m", **request}).encode())
        for number, request in enumerate(requests)
    ]


def test_credits_and_debits_add_up_and_the_total_never_falls() -> None:
    steps = answers({"points": 100}, {"points": "-30.0"}, {"points": -71}, {"points": 1})
    assert [step.balance for step in steps] == [100, 70, 70, 71]
    assert [step.total for step in steps] == [100, 100, 100, 101]
    assert [step.version for step in steps] == [1, 2, 2, 3]
    assert [step.sequence for step in steps] == [1, 2, 3, 4]
    assert [step.error for step in steps] == [None, None, "insufficient_points", None]


def test_the_soonest_expiring_points_go_first() -> None:
    custom = {"points": 10, "expiration_type": "CUSTOM_DATE"}
    steps = answers(
        {"points": 10},
        {**custom, "expiration_date": "2099-01-31"},
        {**custom, "expiration_date": "2098-01-31"},
        {"points": -25},
    )
    taken = [(points, moment and moment.isoformat()[:10]) for points, moment in steps[-1].lots]
    assert taken == [(-10, "2098-02-01"), (-10, "2099-02-01"), (-5, None)]


def test_a_credit_pays_off_a_deficit_before_it_makes_a_lot() -> None:
    steps = answers(
        {"points": -5, "allow_negative": True}, {"points": 3}, {"points": 4}, {"points": -2}
    )
    assert [step.balance for step in steps] == [-5, -2, 2, 0]
    assert [step.lots for step in steps] == [(), (), ((2, None),), ((-2, None),)]


def test_a_repeat_is_the_same_answer_and_another_content_a_conflict() -> None:
    first, repeat, conflict, after = answers(
        {"request_id": "a", "points": 5},
        {"request_id": "a", "points": "5.00", "reason": None},
        {"request_id": "a", "points": 6},
        {"points": 1},
    )
    assert repeat is first
    assert (conflict.error, conflict.stored) == ("request_id_conflict", False)
    assert (after.balance, after.sequence) == (6, 2)


def test_the_contracts_example_of_a_bucket_key_holds() -> None:
    assert bucket_key("123456789") == "bucket.038"


def test_the_same_seed_gives_the_same_load_with_something_of_everything() -> None:
    load = generate(5_000, 50, seed=7)
    assert load == generate(5_000, 50, seed=7)
    model = Model()
    expected = [model.expect(message.body) for message in load]
    kinds = {(one.status, one.error) for one in expected}
    assert kinds == {
        ("APPLIED", None),
        *(
            ("REJECTED", key)
            for key in (
                "request_id_conflict",
                "invalid_payload",
                "invalid_expiration_date",
                "zero_points",
                "unknown_currency",
                "decimal_places_exceeded",
                "insufficient_points",
            )
        ),
    }
    ids = [(message.member_id, message.request_id) for message in load]
    assert 0.04 < 1 - len(set(ids)) / len(ids) < 0.07
    assert len({message.member_id for message in load}) == 50
    assert any(one.balance is not None and one.balance < 0 for one in expected)
    assert any(len(one.lots) > 5 for one in expected)
