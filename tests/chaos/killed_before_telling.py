"""Run the worker so that it dies between commit and publication of what one request caused.

`python -m tests.chaos.killed_before_telling REQUEST_ID`
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from worker.broker import Publisher

if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> None:
    """Replace the publication, then run the real worker."""
    request_id = f'"{sys.argv[1]}"'.encode()
    publish = Publisher.publish

    async def publish_or_die(publisher: Publisher, publications: Sequence[Any]) -> Any:
        if any(request_id in publication.body for publication in publications):
            os.kill(os.getpid(), signal.SIGKILL)
        return await publish(publisher, publications)

    Publisher.publish = publish_or_die  # type: ignore[assignment, method-assign]
    sys.argv[1:] = ["run", "--setup"]
    from worker import cli  # noqa: PLC0415 (as in `killed_by`)

    cli.main()


if __name__ == "__main__":
    main()
