"""Each value of a TOML text is found on its line, whatever the text looks like."""

from __future__ import annotations

import json
import random
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.cli import toml_text
from worker.cli.toml_text import Lines, NotToml

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parents[3] / "schemas" / "examples" / "program.toml"

ODD = """\
# [not.a.table]
a = 1.5 # = 2
"b = [" = "]"   # a quoted key
c.d."e.f" = 1979-05-27 07:32:00.5
c.g = [ # a list
  1, [2,
  3], { x = 'y, }', z = { } },
]
long = \"\"\"
[x]
q = "\\"\"\"\"\"
raw = '''
it's ''''
[t]
k = true
[t.u]
k = -inf

[[l]]
k = 0xf
[l.m]
k = 0
[[l]]
k = 1
[[l.n]]
k = 2
[[l.n]]
k = 3
"""


def found(lines: Lines) -> set[tuple[str | int, ...]]:
    return set(lines._found)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(item, (*path, key))


def test_every_value_is_found_on_its_own_line() -> None:
    lines = Lines(ODD)
    assert found(lines) == set(paths(toml_text.read(ODD)))
    places = {
        ("a",): "a = ",
        ("b = [",): '"b',
        ("c", "d", "e.f"): "c.d",
        ("c", "g"): "c.g",
        ("c", "g", 0): "  1, [2",
        ("c", "g", 1, 1): "  3]",
        ("c", "g", 2, "z"): "  3]",
        ("long",): "long",
        ("raw",): "raw",
        ("t", "u"): "[t.u]",
        ("l", 0, "m", "k"): "k = 0",
        ("l", 1): "[[l]]",
        ("l", 1, "n", 1, "k"): "k = 3",
    }
    for path, beginning in places.items():
        assert ODD.splitlines()[lines.of(path) - 1].startswith(beginning), path


def test_what_is_missing_is_looked_for_on_the_line_of_the_table_around_it() -> None:
    lines = Lines("a = 1\n[b]\nc = [\n{ d = 1 }]\n")
    assert [lines.of(path) for path in [("x",), ("b", "x"), ("b", "c", 0, "x", 1)]] == [1, 2, 4]


def test_every_value_of_the_example_is_found() -> None:
    text = EXAMPLE.read_text()
    assert found(Lines(text)) == set(paths(tomllib.loads(text)))


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = 1\nb 2\n", 2), ("a = 1\n\na = 2", 3), ("a = [1,\n", 2), ("a = " + "[" * 9999, 1)],
)
def test_what_is_no_toml_is_told_with_its_line(text: str, line: int) -> None:
    with pytest.raises(NotToml) as caught:
        toml_text.read(text)
    assert caught.value.line == line
    assert "(at" not in str(caught.value)


VALUES = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(codec="utf-8")),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), VALUES, max_size=5)


@given(DOCUMENTS)
def test_what_is_written_is_read_again_and_every_value_of_it_found(
    document: dict[str, Any],
) -> None:
    text = toml_text.write(document)
    assert toml_text.read(text) == document
    assert found(Lines(text)) == set(paths(document))


SPELLINGS = (
    "7",
    "0x1F",
    "1_000",
    "1.5e-3",
    "-inf",
    "true",
    "1979-05-27",
    "1979-05-27 07:32:00.5",
    "1979-05-27T07:32:00-08:00",
    "07:32:00",
    '""',
    "''",
    '"a#b"',
    r'"\"]\\"',
    "'}#,='",
    '"""x\n"y" ""\n"""',
    "'''a\n'b'''''",
    '""""q"""""',
    '"""\\\n  z"""',
)
BREAKS = ("", " ", " # a, [b] = {c}\n", "\n\n  ")  # fmt: skip


class Writer:
    """Writes random texts that are TOML, in every way in which TOML can be written."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._names = 0

    def text(self) -> str:
        """A document: pairs, then tables and lists of tables under their headings."""
        lines = self._pairs()
        for _ in range(self._chance.randint(0, 4)):
            name = self._key()
            for _ in range(self._chance.choice((1, 1, 3))) if self._chance.random() < 0.5 else ():
                lines += [f"[[ {name} ]] # list", *self._pairs()]
                if self._chance.random() < 0.5:
                    inner = f"{name} . {self._key()}"
                    lines += [f"  [{inner}]", *self._pairs(), f"[[{name}.{self._key()}]]"]
            lines += [
                f"[{self._key()} . {self._key()}]",
                *self._pairs(),
                "[" + self._key() + "]",
            ]
        newline = self._chance.choice(("\n", "\r\n"))
        return "\n".join(lines).replace("\n", newline) + self._chance.choice(("", newline))

    def _pairs(self) -> list[str]:
        pairs = []
        for _ in range(self._chance.randint(0, 4)):
            key = ".".join(self._key() for _ in range(self._chance.choice((1, 1, 2))))
            pairs.append(f"{key} = {self._value(3)}{self._chance.choice(('', ' # x = 1'))}")
        return pairs

    def _key(self) -> str:
        self._names += 1
        form = self._chance.choice(("k{}", "{}", "k-{}_", '"[k {}] = #"', "'.{}'", r'"\"{}"'))
        return form.format(self._names)

    def _value(self, depth: int) -> str:
        kind = self._chance.random()
        if kind < 0.6 or not depth:
            return self._chance.choice(SPELLINGS)
        count = self._chance.randint(0, 3)
        if kind < 0.8:
            pairs = (f"{self._key()} = {self._value(0)}" for _ in range(count))
            return "{ " + " , ".join(pairs) + " }"
        items = "".join(
            self._break() + self._value(depth - 1) + self._break() + "," for _ in range(count)
        )
        return "[" + (items if self._chance.random() < 0.5 else items[:-1]) + self._break() + "]"

    def _break(self) -> str:
        return self._chance.choice(BREAKS)


@given(st.integers(0, 2**32))
def test_however_a_text_is_laid_out_its_values_are_found(seed: int) -> None:
    text = Writer(seed).text()
    assert found(Lines(text)) == set(paths(toml_text.read(text)))


def test_a_document_is_written_as_people_write_it() -> None:
    document = {
        "program_id": "acme",
        "currencies": [{"code": "points", "expiry": {"rule": "never"}}],
        "limits": {"points_per_request": "5"},
        "sources": [],
    }
    assert toml_text.write(document) == (
        'program_id = "acme"\nsources = []\n\n[[currencies]]\ncode = "points"\n'
        'expiry = { rule = "never" }\n\n[limits]\npoints_per_request = "5"\n'
    )
    assert json.loads(json.dumps(toml_text.read(toml_text.write(document)))) == document
