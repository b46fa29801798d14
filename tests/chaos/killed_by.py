"""Run the worker so that one request kills it: `python -m tests.chaos.killed_by REQUEST_ID`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from worker.domain import decide


def main() -> None:
    """Replace the decision before anything imports it, then run the real worker."""
    killer = sys.argv[1]
    decided = decide.decide

    def decide_or_die(program: Any, member: Any, arrival: Any, *rest: Any) -> Any:
        if arrival.request_id == killer:
            os.kill(os.getpid(), signal.SIGKILL)
        return decided(program, member, arrival, *rest)

    decide.decide = decide_or_die  # type: ignore[assignment]
    sys.argv[1:] = ["run", "--setup"]
    from worker import cli  # noqa: PLC0415 (the lane must find the decision replaced)

    cli.main()


if __name__ == "__main__":
    main()
