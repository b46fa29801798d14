"""What a new version of a programme's document changes is told by the names of things."""

from __future__ import annotations

from typing import Any

from worker.cli.changes import changes, line_of


def document(**keys: Any) -> dict[str, Any]:
    return {"currencies": [{"code": "points"}]} | keys


def told(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [line_of(change) for change in changes(old, new)]


def test_of_a_list_of_values_only_what_came_and_went_is_told() -> None:
    before = document(
        sources=["till", "web"], publishers=[{"user_id": "till", "may": ["adjust", "hold"]}]
    )
    after = document(
        sources=["call-centre", "web", "till"],
        publishers=[{"user_id": "till", "may": ["reverse", "adjust"]}],
    )
    assert told(before, after) == [
        '+ sources[] = "call-centre"',
        '+ publishers[till].may[] = "reverse"',
        '- publishers[till].may[] = "hold"',
    ]


def test_a_table_that_moves_is_no_change_whatever_it_is_of() -> None:
    caps = [{"per": "month", "points": "9"}, {"rolling_days": 7, "points": "4"}]
    lists: dict[str, list[dict[str, Any]]] = {
        "publishers": [{"user_id": "a", "may": []}, {"user_id": "b", "may": []}],
        "promotions": [{"id": "1"}, {"id": "2"}],
        "reason_codes": [{"code": "A"}, {"code": "B"}],
        "reactors": [{"event_type": "X", "property": "p"}, {"event_type": "Y", "property": "p"}],
        "currencies": [{"code": "points", "earn_caps": caps, "spend_caps": caps}],
    }
    turned = {name: tables[::-1] for name, tables in lists.items()}
    turned["currencies"] = [{"code": "points", "earn_caps": caps[::-1], "spend_caps": caps[::-1]}]
    assert changes(lists, turned) == []


def test_a_cap_is_named_by_its_period() -> None:
    before = document(currencies=[{"code": "p", "earn_caps": [{"per": "day", "points": "1"}]}])
    after = document(currencies=[{"code": "p", "earn_caps": [
        {"rolling_days": 7, "points": "4"}, {"per": "day", "points": "2"},
    ]}])  # fmt: skip
    assert told(before, after) == [
        "+ currencies[p].earn_caps[7 days].rolling_days = 7",
        '+ currencies[p].earn_caps[7 days].points = "4"',
        '  currencies[p].earn_caps[day].points: "1" → "2"',
    ]


def test_tables_that_nothing_tells_apart_are_told_by_their_numbers() -> None:
    twice = [{"event_type": "X", "property": "p"}, {"event_type": "X", "property": "q"}]
    assert told(document(), document(reactors=twice))[0] == '+ reactors[0].event_type = "X"'
    assert len(changes(document(), document(reactors=twice))) == 4
