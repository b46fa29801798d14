"""Installs a server's Debian package, without letting the packaged service start."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from worker.demo.servers.probe import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

UPDATE_SECONDS = 300.0
INSTALL_SECONDS = 900.0
POLICY = Path("/usr/sbin/policy-rc.d")

# Debian asks this program before it starts a packaged service; 101 forbids it. It forbids only
# while the process that put it there lives, so that it does no harm if it is ever left behind.
POLICY_TEXT = "#!/bin/sh\nif [ -d /proc/{pid} ]; then exit 101; fi\nexit 0\n"


def why_not() -> str | None:
    """Say why packages cannot be installed here, or None if they can."""
    if shutil.which("apt-get") is None:
        return "this is no Debian or Ubuntu (apt-get is missing)"
    if _as_root() is None:
        return "apt-get needs root, or sudo without a password"
    return None


def install(package: str, say: Callable[[str], None]) -> None:
    """Install a package; a service that comes with it is not started.

    A `policy-rc.d` that is there already is left to decide by itself.
    """
    prefix = _as_root()
    if prefix is None:
        raise ServerError(f"Cannot install {package}: {why_not()}")
    say(f"Installing the package {package} with apt-get (its own service is not started) …")
    guarded = not POLICY.exists()
    if guarded:
        with tempfile.NamedTemporaryFile("w") as policy:
            policy.write(POLICY_TEXT.format(pid=os.getpid()))
            policy.flush()
            _run([*prefix, "install", "-m", "755", policy.name, str(POLICY)], UPDATE_SECONDS)
    # apt-get waits for another one that is at work, rather than fail.
    get = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive",
           "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600"]  # fmt: skip
    try:
        _run([*get, "update"], UPDATE_SECONDS)
        _run([*get, "install", "--yes", "--no-install-recommends", package], INSTALL_SECONDS)
    finally:
        if guarded:
            _run([*prefix, "rm", "-f", str(POLICY)], UPDATE_SECONDS)


def _as_root() -> list[str] | None:
    """Return what to put before a command to run it as root, or None if that cannot be."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    asked = subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True, timeout=30)
    return ["sudo", "-n"] if asked.returncode == 0 else None


def _run(command: list[str], timeout_seconds: float) -> None:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=timeout_seconds
    )
    if done.returncode != 0:
        raise ServerError(f"`{' '.join(command)}` failed: {done.stderr.strip()[-2000:]}")
