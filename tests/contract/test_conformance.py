"""The page that tells where each statement of the vendors is kept: complete, and of real tests."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.dialect_vectors import VECTORS
from tests.readmes import ROOT, links, spans

PAGE = ROOT / "worker" / "dialects" / "CONFORMANCE.md"


NOT_FOR_A_QUEUE = "Not for a queue: "


def numbered(letter: str, last: int) -> list[str]:
    return [f"{letter}{number}" for number in range(1, last + 1)]


# The vendors' statements, and what their examples and errors show, by the numbers of the page.
ROWS = [
    *numbered("W", 16),
    *numbered("WV", 7),
    *numbered("C", 26),
    *("8906", "8003", "8015", "8013", "8907", "8888", "8887", "8874", "8877", "9975", "8911"),
    *("8882", "1218", "400"),
    *numbered("CV", 25),
    "Envelope",
    *numbered("B", 5),
    *numbered("BV", 4),
    *numbered("M", 9),
    *("MV1", "MV2", "MV10"),
    *numbered("V", 19),
    *numbered("VV", 6),
    *("VV12", "VV13", "VV14", "VV15", "VV16"),
    *numbered("X", 11),
]


def rows() -> list[list[str]]:
    """Return the cells of every row of every table of the page."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("| ")]
    split = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return [cells for cells in split if cells[0] != "row" and set(cells[0]) != {"-"}]


@cache
def known(path: str) -> frozenset[str]:
    """Return the names of a file's tests, of those in a class as `Class::test`."""
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    found = _tests(body)
    found += [f"{one.name}::{name}" for one in classes for name in _tests(one.body)]
    return frozenset(found)


def _tests(body: list[ast.stmt]) -> list[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [node.name for node in body if isinstance(node, kinds)]
    return [name for name in functions if name.startswith("test_")]


def vector_names() -> set[str]:
    return {f"{vector.dialect.partition('.')[0]}-{vector.name}" for vector in VECTORS}


def test_every_row_is_there_once() -> None:
    assert [cells[0] for cells in rows()] == ROWS


@pytest.mark.parametrize("cells", rows(), ids=lambda cells: cells[0])
def test_every_row_is_held_by_tests_that_exist_or_says_why_by_none(cells: list[str]) -> None:
    assert len(cells) == (8 if cells[0].startswith("X") else 4)
    proofs = spans(cells[-1])
    if not proofs:
        assert cells[2].startswith(NOT_FOR_A_QUEUE)
    for proof in proofs:
        path, separator, name = proof.partition("::")
        if separator:
            assert name in known(path), proof
        else:
            assert proof in vector_names(), proof


def test_every_vector_is_named() -> None:
    named = {proof for cells in rows() for proof in spans(cells[-1])}
    assert vector_names() - named == set()


def test_every_file_of_the_page_exists() -> None:
    text = PAGE.read_text(encoding="utf-8")
    files = re.findall(r"`(tests/[\w/]+\.py)`", text)
    assert files
    assert [file for file in files if not (ROOT / file).is_file()] == []
    assert [link for link in links(PAGE) if not (PAGE.parent / link).exists()] == []
