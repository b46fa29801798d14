"""Requests that ask for the same have the same canonical form, and others another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.reading import read_json
from schemas.request import AdjustmentRequest, canonical


def form(body: str) -> bytes:
    return canonical(AdjustmentRequest.model_validate(read_json(body.encode())))


@pytest.mark.parametrize(
    "body",
    [
        '{"member_id":"m","points":10,"reason":"x"}',
        '{"reason":"x","points":10.00,"member_id":"other","request_id":"r","program_id":"acme"}',
        '{"member_id":"m","points":"10.0","reason":"x","operation":"ADJUST","dry_run":false}',
        '{"member_id":"m","points":"010","reason":"x","category":"REGULAR","comment":null}',
    ],
)
def test_the_same_request_has_one_form_however_it_is_spelled(body: str) -> None:
    assert form(body) == b'{"points":"10","reason":"x"}'


@pytest.mark.parametrize(
    "change",
    [
        {"points": -10},
        {"points": 10.5},
        {"reason": ""},
        {"comment": "x"},
        {"dry_run": True},
        {"category": "PROMISED"},
        {"metadata": {}},
        {"ordinal": 1},
        {"currency": "points"},
        {"expiration_type": "NON_EXPIRING"},
    ],
)
def test_another_request_has_another_form(change: dict[str, Any]) -> None:
    request = {"member_id": "m", "points": 10, "reason": "x"}

    assert form(json.dumps(request)) != form(json.dumps({**request, **change}))


def test_the_order_of_names_makes_no_difference_at_any_depth() -> None:
    one = form('{"member_id":"m","points":1,"metadata":{"a":{"c":1.50,"d":2},"b":[]}}')
    other = form('{"metadata":{"b":[],"a":{"d":2,"c":1.50}},"points":1,"member_id":"m"}')

    assert one == other == b'{"metadata":{"a":{"c":1.50,"d":2},"b":[]},"points":"1"}'


def test_a_moment_is_the_same_in_every_zone() -> None:
    one = form('{"member_id":"m","points":1,"occurred_at":"2026-11-20T09:15:00Z"}')
    other = form('{"member_id":"m","points":1,"occurred_at":"2026-11-20T10:15:00.000+01:00"}')

    assert one == other


def test_a_day_is_not_the_moment_at_which_it_begins() -> None:
    custom = '{"member_id":"m","points":1,"expiration_type":"CUSTOM_DATE","expiration_date":"%s"}'

    assert form(custom % "2030-12-31") != form(custom % "2030-12-31T00:00:00")
