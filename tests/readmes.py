"""The READMEs as tests see them: their programs, their tables, and what they name in code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CONTRACT_README = ROOT / "schemas" / "README.md"
READMES = (README, *sorted(ROOT.glob("[!.]*/**/README.md")))

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def blocks(readme: Path, language: str) -> list[str]:
    """The fenced blocks of a language, as they stand."""
    return [block for name, block in _BLOCK.findall(_text(readme)) if name == language]


def spans(markdown: str) -> list[str]:
    """What stands between backticks within lines."""
    return _SPAN.findall(_BLOCK.sub("", markdown))


def named(readme: Path) -> list[str]:
    """What a README names in its lines as code."""
    return spans(_text(readme))


def links(readme: Path) -> list[str]:
    """Where its links lead that do not leave the project."""
    return [link for link in _LINK.findall(_BLOCK.sub("", _text(readme))) if "://" not in link]


def shell_lines(readme: Path) -> list[str]:
    """Every line for a shell, without its prompt and its comment."""
    text = "".join(blocks(readme, "sh") + blocks(readme, "console"))
    lines = (line.removeprefix("$ ").partition(" #")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def table(readme: Path, first_heading: str) -> list[tuple[str, ...]]:
    """The rows of the one table whose first column has this heading."""
    lines = _BLOCK.sub("", _text(readme)).splitlines()
    [start] = [at for at, line in enumerate(lines) if line.startswith(f"| {first_heading} |")]
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(tuple(cell.strip() for cell in line.removesuffix("|").split("|")[1:]))
    return rows


def _text(readme: Path) -> str:
    return readme.read_text(encoding="utf-8")
