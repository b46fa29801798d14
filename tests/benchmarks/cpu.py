"""Who used how much CPU: read from /proc, so that measuring costs next to nothing."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_LISTENING = "0A"
_SPEED_ROUNDS = 5
_SPEED_STEPS = 40_000


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds used so far, and the time at which that was read.

    `by_part` has the named processes with all their descendants, None for one that does not run
    on this machine; `machine` is everything that runs on it.
    """

    at_seconds: float
    by_part: Mapping[str, float | None]
    machine: float

    def since(self, start: Usage) -> Usage:
        """Return what was used from `start` until now."""
        return Usage(
            self.at_seconds - start.at_seconds,
            {
                part: None if used is None or before is None else used - before
                for (part, used), before in zip(
                    self.by_part.items(), start.by_part.values(), strict=True
                )
            },
            self.machine - start.machine,
        )

    @property
    def others(self) -> float:
        """What neither of the parts used: the measuring itself, and everybody else."""
        # The two are not counted at the same instant, nor with the same grain.
        return max(0, self.machine - sum(used or 0 for used in self.by_part.values()))


def usage(parts: Mapping[str, int | None]) -> Usage:
    """Read what the processes with these ids, and the machine, have used."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and (fields := _stat(folder)):
            pid = int(folder.name)
            parents[pid] = int(fields[1])
            # With what ended children used, which is only added when they have been waited for.
            used[pid] = sum(map(int, fields[11:15])) / _TICKS_PER_SECOND
    return Usage(
        time.perf_counter(),
        {
            part: None if root is None else sum(used[pid] for pid in _tree(root, parents))
            for part, root in parts.items()
        },
        _machine_seconds(),
    )


def listener(url: str) -> int | None:
    """Return the id of the local process that listens at the URL's port; None if there is none."""
    address = urlsplit(url)
    inodes = {
        f"socket:[{line.split()[9]}]"
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
        if line.split()[3] == _LISTENING
        and int(line.split()[1].rpartition(":")[2], 16) == (address.port or 0)
    }
    holders = (
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdecimal() and inodes & _open_files(folder)
    )
    # A child that inherited the socket is younger than the server.
    return min(holders, default=None)


def speed_index() -> float:
    """Return how fast this machine runs a fixed piece of Python: steps per microsecond.

    The best of a few rounds, so that figures of different machines and hours can be compared.
    """
    best = 0.0
    for _ in range(_SPEED_ROUNDS):
        started = time.perf_counter()
        digest, table = b"", {}
        for number in range(_SPEED_STEPS):
            digest = sha256(digest + b"%d" % number).digest()
            table[number % 97] = digest
        best = max(best, _SPEED_STEPS / (time.perf_counter() - started) / 1e6)
    return best


def _tree(root: int, parents: Mapping[int, int]) -> set[int]:
    """Return a process and all its descendants."""
    tree = {root} & parents.keys()
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in tree} - tree
        tree |= more
        grown = bool(more)
    return tree


def _stat(folder: Path) -> list[str]:
    """Return the fields of a process from its state on; nothing where it has just ended."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _open_files(folder: Path) -> set[str]:
    try:
        return {str(descriptor.readlink()) for descriptor in (folder / "fd").iterdir()}
    except OSError:
        return set()


def _machine_seconds() -> float:
    """Return the CPU seconds of the whole machine, idle and waiting for disks left out."""
    first = Path("/proc/stat").read_text().splitlines()[0]
    user, nice, system, _, _, irq, softirq, steal = map(int, first.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_SECOND
