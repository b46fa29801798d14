"""The exit codes of the command line (those above 63 are BSD's sysexits)."""

from __future__ import annotations

from typing import Final

EXIT_OK: Final = 0
EXIT_BUG: Final = 1
EXIT_USAGE: Final = 2
EXIT_FAULT_FOUND: Final = 3
EXIT_UNREACHABLE: Final = 69
EXIT_TRY_AGAIN: Final = 75
EXIT_BAD_CONFIGURATION: Final = 78
EXIT_INTERRUPTED: Final = 130
"""Ctrl-C; the shells' code for SIGINT, which Python's own handling of it ends with."""
EXIT_NOBODY_READS: Final = 141
"""Standard output was closed before everything was written; the shells' code for SIGPIPE."""
