"""Servers installed on this machine, started as private and unprivileged instances.

Each has its own data folder, its own free port on the loopback interface and its own password.
The system's own services, configuration and data are never touched. Here stands what all of them
need: finding a program, an account to run it as, a process that a guard watches.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from worker.demo.servers.guard import Guard

START_SECONDS = 90.0
STOP_SECONDS = 30.0
LOG_TAIL_LINES = 12


class Process:
    """One program in a process group of its own, under an unprivileged user, watched by a guard."""

    def __init__(self, guard: Guard, folder: Path, account: str | None) -> None:
        self._guard = guard
        self._account = account
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        *,
        abandoned: signal.Signals,
    ) -> None:
        """Start the program; its output goes to `output.log` in the folder.

        `abandoned` is the signal that the guard sends first if this process dies.
        """
        with (self.folder / "output.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=clean_environment(self.folder, environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **run_as(self._account),
            )
        self._guard.stop_group(str(self.folder), self._process.pid, abandoned)

    def fault(self) -> str | None:
        """Say why the program is not running, or None while it is."""
        if self._process is None:
            return "it was not started"
        # The exit is looked at without reaping: until it is reaped, the number of the process
        # cannot become another's, so that neither we nor the guard can hit a stranger.
        waited = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return None if waited is None else f"it ended\n{self._log_tail()}"

    def end(self, first_signal: signal.Signals) -> None:
        """Stop the program and wait for it; SIGKILL follows if the first signal is not enough."""
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            _signal_group(process.pid, first_signal)
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()
        self._guard.forget(str(self.folder))

    def _log_tail(self) -> str:
        lines = (self.folder / "output.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])


def clean_environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Pass on nothing of our own environment but the search path."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", **more}


def account_for(own: str) -> str | None:
    """Choose whom a server runs as: ourselves, or for root the package's own user or `nobody`."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return own if own in names else "nobody"


def run_as(account: str | None) -> dict[str, Any]:
    """Return the arguments that make `subprocess` drop to an account."""
    if account is None:
        return {}
    entry = pwd.getpwnam(account)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def hand_over(path: Path, account: str | None) -> None:
    """Hand a file or folder over to an account."""
    if account is not None:
        shutil.chown(path, account)


def write_private(path: Path, text: str, account: str | None) -> None:
    """Write a file that only the account can read."""
    path.touch(mode=0o600)
    path.write_text(text)
    hand_over(path, account)


def _signal_group(group: int, sent: signal.Signals) -> None:
    try:
        os.killpg(group, sent)
    except ProcessLookupError:
        return


def newest_with(patterns: Iterable[str], program: str) -> Path | None:
    """Return the folder of the newest version that has the program, if there is one."""
    found = [
        folder
        for pattern in patterns
        for folder in Path("/").glob(pattern.lstrip("/"))
        if os.access(folder / program, os.X_OK)
    ]
    return max(found, key=_version, default=None)


def _version(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(folder))]


def folder_on_path(program: str) -> Path | None:
    """Return the folder of a program on the search path."""
    found = shutil.which(program)
    return Path(found).resolve().parent if found else None
