"""What the README of the contract shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import schemas
from schemas.topology import bucket_key

README = (Path(schemas.__file__).parent / "README.md").read_text(encoding="utf-8")


def test_the_bucket_key_is_the_one_shown() -> None:
    shown = re.search(r'bucket_key\("(\d+)"\)  # "([^"]+)"', README)

    assert shown is not None
    assert bucket_key(shown[1]) == shown[2]


def test_the_faults_are_the_ones_shown() -> None:
    program = next(
        block
        for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL)
        if "faults(" in block
    )

    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    shown = [line.removeprefix("# ") for line in program.splitlines() if line.startswith("# ")]
    assert done.stdout.splitlines() == shown
