"""Leaves nothing running behind a process that died without cleaning up after itself.

`Guard` starts this very file as a small process of its own and tells it, through a pipe, what
to undo. The pipe closes when the owner ends, however it ends (SIGKILL included), and then the
small process undoes whatever is still on its list, newest first.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUP_STOP_SECONDS = 5.0
REMOVE_SECONDS = 10.0
COMMAND_SECONDS = 60.0


class Guard:
    """The owner's end: a list of things to undo, kept by a process that outlives the owner."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            # Ctrl-C reaches the whole foreground group; the guard must live through it.
            start_new_session=True,
            text=True,
        )

    def stop_group(self, key: str, group: int, first_signal: signal.Signals) -> None:
        """Promise to stop a process group: `first_signal`, and SIGKILL if it is not enough."""
        self._tell(key, ["group", group, int(first_signal)])

    def run(self, key: str, *command: str) -> None:
        """Promise to run a command."""
        self._tell(key, ["run", *command])

    def remove_folder(self, key: str, folder: str) -> None:
        """Promise to remove a folder and all that is in it."""
        self._tell(key, ["remove", folder])

    def forget(self, key: str) -> None:
        """Take a promise back, because the owner did it itself."""
        self._tell(key, None)

    def close(self) -> None:
        """Let the guard undo what is left and wait until it has."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, key: str, action: Sequence[str | int] | None) -> None:
        stdin = self._process.stdin
        if stdin is None or stdin.closed:
            raise RuntimeError("the guard is closed")
        stdin.write(json.dumps([key, action]) + "\n")
        stdin.flush()


def watch(orders: TextIO) -> None:
    """Read orders until the owner is gone, then undo what is left of them."""
    promised: dict[str, list[str | int]] = {}
    for line in orders:
        key, action = json.loads(line)
        promised.pop(key, None)
        if action is not None:
            promised[key] = action
    for action in reversed(promised.values()):
        undo(action)


def undo(action: list[str | int]) -> None:
    """Carry out one promise; a thing that is gone already is as good as undone."""
    kind, *arguments = action
    if kind == "group":
        _stop_group(int(arguments[0]), signal.Signals(int(arguments[1])))
    elif kind == "run":
        subprocess.run(
            [str(argument) for argument in arguments],
            check=False,
            capture_output=True,
            timeout=COMMAND_SECONDS,
        )
    elif kind == "remove":
        _remove(str(arguments[0]))


def _remove(folder: str) -> None:
    # A program that was preparing the folder may still write into it for a moment.
    deadline = time.monotonic() + REMOVE_SECONDS
    while Path(folder).exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)


def _stop_group(group: int, first_signal: signal.Signals) -> None:
    deadline = time.monotonic() + GROUP_STOP_SECONDS
    try:
        os.killpg(group, first_signal)
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.05)
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    watch(sys.stdin)
