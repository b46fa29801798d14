"""A file of requests is read row by row; what cannot be a request is named by line and field."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.request import AdjustmentRequest
from worker.cli import rejects, rows
from worker.cli.rows import Fault, File, Format, Planned, digest_of

if TYPE_CHECKING:
    from pathlib import Path


def plan(
    path: Path, content: bytes, format_: Format = "csv", *, opening: bool = False
) -> list[Planned | Fault]:
    path.write_bytes(content)
    return list(File(path, format_, "acme", opening, 2_000, digest_of(path)).plan())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows"


def documents(planned: list[Planned | Fault]) -> list[dict[str, Any]]:
    assert not [one for one in planned if isinstance(one, Fault)]
    rows = [one for one in planned if isinstance(one, Planned)]
    return [one for row in rows for one in (row.document, row.then) if one is not None]


def test_cells_become_the_fields_of_a_request(file: Path) -> None:
    content = (
        '\ufeffmember_id,points,dry_run,ordinal,metadata,reason,request_id,operation\n'
        'alice,12.50,True,7,"{""till"": 4.50}","two\nlines, no",r-1,\n'
        "\n"
        "bob,-3,,,,,,\n"
    ).replace("two\nlines", "one line")  # fmt: skip
    first, second = documents(plan(file, content.encode()))
    assert first == {
        "program_id": "acme",
        "member_id": "alice",
        "points": "12.50",
        "dry_run": True,
        "ordinal": 7,
        "metadata": {"till": "4.50"},
        "reason": "one line, no",
        "request_id": "r-1",
    }
    digest = digest_of(file)[:20]
    assert second == {
        "program_id": "acme",
        "member_id": "bob",
        "points": "-3",
        "request_id": f"import-{digest}-4",
    }


def test_json_lines_are_requests_as_they_stand(file: Path) -> None:
    content = (
        b'{"member_id": "alice", "points": 1.50, "comment": null}\n\n{"member_id":"b","points":2}'
    )
    first, second = documents(plan(file, content, "jsonl"))
    assert (first["points"], "comment" in first, first["request_id"][-2:]) == ("1.50", False, "-1")
    assert (second["points"], second["request_id"][-2:]) == (2, "-3")


@pytest.mark.parametrize("content", [b"member_id,points\na,1\n", b'{"member_id":"a","points":1}\n'])
def test_a_byte_order_mark_changes_no_row(file: Path, content: bytes) -> None:
    format_: Format = "jsonl" if content.startswith(b"{") else "csv"
    (row,) = documents(plan(file, b"\xef\xbb\xbf" + content, format_))
    assert (row["member_id"], str(row["points"])) == ("a", "1")


def test_the_same_content_makes_the_same_ids_and_another_makes_others(file: Path) -> None:
    content = b"member_id,points\nalice,1\n"
    once = documents(plan(file, content))
    assert documents(plan(file, content)) == once
    assert documents(plan(file, content + b"bob,1\n"))[0]["request_id"] != once[0]["request_id"]


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        (b"", [(1, "heading")]),
        (b"member_id,pionts\na,1\n", [(1, "column 2")]),
        (b"member_id,points,points\na,1,2\n", [(1, "points")]),
        (b"member_id,points\na,1\nb\nc,x\n", [(3, "row"), (4, "points")]),
        (b"member_id,points\n,1\na,\n", [(2, "member_id"), (3, "points")]),
        (b'member_id,points\n"a\nb",1\nc,1.1234567\n', [(2, "member_id"), (4, "points")]),
        (b'member_id,points\na,"1\n', [(2, "row")]),
        (b"member_id,points\n\xff,1\n", [(1, "row")]),
        (b"member_id;points\na;1\n", [(1, "heading")]),
        (b"member_id\tpoints\na\t1\n", [(1, "heading")]),
        (b"member_id,points,dry_run,ordinal,metadata\na,1,yes,0,{\n",
         [(2, "ordinal"), (2, "dry_run"), (2, "metadata")]),
        (b"member_id,points,request_id\na,1,x\nb,1,x\na,2,x\n", [(4, "request_id")]),
        (b"member_id,points,comment\na,1," + b"c" * 1999 + b"\n", [(2, "row")]),
    ],
)  # fmt: skip
def test_every_faulty_row_of_csv_is_named_by_line_and_field(
    file: Path, content: bytes, faults: list[tuple[int, str]]
) -> None:
    found = [one for one in plan(file, content) if isinstance(one, Fault)]
    assert [(fault.line, fault.field) for fault in found] == faults


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        (b'{"member_id": "a", "points": 1', [(1, "row")]),
        (b'[]\n{"member_id": "a", "points": true}\n', [(1, "row"), (2, "points")]),
        (b'{"member_id": "a", "points": 1, "pionts": 2}', [(1, "pionts")]),
        (b"\xff\n", [(1, "row")]),
        (b"[" * 1_100_000, [(1, "row")]),
    ],
)
def test_every_faulty_json_line_is_named(
    file: Path, content: bytes, faults: list[tuple[int, str]]
) -> None:
    found = [one for one in plan(file, content, "jsonl") if isinstance(one, Fault)]
    assert [(fault.line, fault.field) for fault in found] == faults


@pytest.mark.parametrize(
    ("content", "format_", "fault"),
    [
        (b"member_id,pionts\na,1\n", "csv", ("column 2", "points", "pionts")),
        (b"memberid,points\na,1\n", "csv", ("column 1", "member_id", "memberid")),
        (b'{"pionts": 1}\n', "jsonl", ("pionts", "points", "another name")),
    ],
)
def test_a_misspelt_column_is_named_with_the_one_that_may_have_been_meant(
    file: Path, content: bytes, format_: Format, fault: tuple[str, str, str]
) -> None:
    field, meant, got = fault
    rule = f"must be a column that there is (did you mean {meant}?)"
    assert plan(file, content, format_) == [Fault(1, field, rule, got)]


def test_columns_with_something_else_between_them_are_told_as_such(file: Path) -> None:
    (fault,) = plan(file, b"member_id;points\na;1\n")
    assert fault == Fault(1, "heading", "must have commas between its columns", "one column")


def test_no_fault_shows_what_was_in_the_file(file: Path) -> None:
    for content in (b"member_id,points\nsecret\x01,secret\n", b"secret\nx\n"):
        assert "secret" not in str(plan(file, content))


def test_a_file_has_an_end(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "ROWS_MAX", 3)
    content = b'{"member_id":"a","points":1}\n'
    assert len(documents(plan(file, content * 3, "jsonl"))) == 3
    last = plan(file, content * 9, "jsonl")[3:]
    assert [(one.line, isinstance(one, Fault)) for one in last] == [(4, True)]


@pytest.mark.parametrize(
    ("row", "requests"),
    [
        ("a,10,10", [("credit", "10", 0)]),
        ("a,10,", [("credit", "10", 0)]),
        ("a,10,25.5", [("credit", "25.5", 0), ("debit", "-15.5", 1)]),
        ("a,-4,6", [("credit", "6", 0), ("debit", "-10", 1)]),
        ("a,-4,", [("debit", "-4", 0)]),
        ("a,0,0", []),
        ("a,0,7", [("credit", "7", 0), ("debit", "-7", 1)]),
    ],
)
def test_an_opening_credits_all_that_was_earned_and_debits_what_is_gone(
    file: Path, row: str, requests: list[tuple[str, str, int]]
) -> None:
    content = f"member_id,balance,total,expiration_type\n{row},NON_EXPIRING\n".encode()
    planned = documents(plan(file, content, opening=True))
    kinds = [one["request_id"].rpartition("-")[2] for one in planned]
    made = [(one["points"], one["expected_version"]) for one in planned]
    assert [(kind, *rest) for kind, rest in zip(kinds, made, strict=True)] == requests
    for one in planned:
        assert (one["bypass_caps"], one["reason"]) == (True, "Opening balance")
        assert ("expiration_type" in one) is (not one["points"].startswith("-"))
        assert one.get("allow_negative", False) is (row.startswith("a,-") and "-" in one["points"])


AMOUNTS = st.decimals(-(10**9), 10**9, places=2).map(str)


@given(AMOUNTS, AMOUNTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_opening_comes_out_at_its_balance_and_total_or_is_refused(
    file: Path, balance: str, total: str
) -> None:
    content = f"member_id,balance,total\na,{balance},{total}\n".encode()
    planned = plan(file, content, opening=True)
    if Decimal(total) < 0 or Decimal(total) < Decimal(balance):
        assert [(one.line, one.field) for one in planned if isinstance(one, Fault)] == [
            (2, "total")
        ]
        return
    requests = [AdjustmentRequest.model_validate(one) for one in documents(planned)]
    changes = [Decimal(str(one.points)) for one in requests]
    assert sum(changes) == Decimal(balance)
    assert sum(change for change in changes if change > 0) == Decimal(total)


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        (b"member_id,balance\na,\n", [(2, "balance")]),
        (b"member_id,balance\na,1e3\n", [(2, "balance")]),
        (b"member_id,balance,total\na,5,x\n", [(2, "total")]),
        (b"member_id,balance\n,5\n", [(2, "member_id")]),
        (b"member_id,balance\na,5\nb,1\na,6\n", [(4, "member_id")]),
        (b"member_id,points\na,5\n", [(1, "column 2")]),
        (b"member_id,balance,category\na,5,GOLD\n", [(2, "category")]),
    ],
)
def test_a_faulty_opening_is_named_by_line_and_field(
    file: Path, content: bytes, faults: list[tuple[int, str]]
) -> None:
    found = [one for one in plan(file, content, opening=True) if isinstance(one, Fault)]
    assert [(fault.line, fault.field) for fault in found] == faults


@pytest.mark.parametrize(
    ("refused", "tried"),
    [
        ("import-0123456789abcdef0123-7", "import-0123456789abcdef0123-7-2"),
        ("import-0123456789abcdef0123-7-9", "import-0123456789abcdef0123-7-10"),
        ("import-0123456789abcdef0123-7-credit", "import-0123456789abcdef0123-7-credit-2"),
        ("import-0123456789abcdef0123-7-credit-2", "import-0123456789abcdef0123-7-credit-3"),
        ("import-of-may-7", "import-of-may-7"),
        ("order-4711", "order-4711"),
    ],
)
def test_a_rejected_request_that_is_tried_again_has_the_next_id_unless_it_is_its_own(
    file: Path, refused: str, tried: str
) -> None:
    request = {"request_id": refused, "member_id": "a", "points": "1"}
    for key, wanted in (("insufficient_points", tried), ("request_id_conflict", refused)):
        row = rejects.written(3, {"key": key}, request, None)
        assert [one["request_id"] for one in documents(plan(file, row, "jsonl"))] == [wanted]


@pytest.mark.parametrize(
    "row",
    [
        b'{"request": 5, "line": 1}',
        b'{"request": {"member_id": "a", "points": 1}, "unsent": 5}',
        b'{"request": {"member_id": "a", "points": 1}, "member_id": "b"}',
        b'{"request": {"member_id": "a", "points": 1, "line": 5}}',
        b'{"request": {"member_id": "a", "points": 1}, "unsent": {"pionts": 1}}',
    ],
)
def test_what_only_looks_like_a_rejected_request_is_refused(file: Path, row: bytes) -> None:
    assert any(isinstance(one, Fault) for one in plan(file, row, "jsonl"))
