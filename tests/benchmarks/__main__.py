"""`python -m tests.benchmarks`: measure on private servers, or on those that the URLs name."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from typing import TYPE_CHECKING

from rich.console import Console

from tests.benchmarks import report
from tests.benchmarks.cpu import speed_index
from tests.benchmarks.ground import ground
from tests.benchmarks.results import Results
from tests.benchmarks.single import commits_per_second, latencies
from tests.benchmarks.throughput import CAREFUL_CASES, RELAY_CASE, WORKER_CASES, drain

if TYPE_CHECKING:
    from collections.abc import Sequence

LATENCY_REQUESTS_MAX = 300


async def measure(requests: int, runs: int, only: Sequence[str], console: Console) -> Results:
    """Measure everything, or what `only` names, `runs` times.

    The runs go round all that is measured, so that an hour in which the machine is slow is slow
    for all of it.
    """
    results = Results(requests, runs)
    cases = [
        case
        for group, members in (
            ("worker", WORKER_CASES),
            ("relay", (RELAY_CASE,)),
            ("careful", CAREFUL_CASES),
        )
        if not only or group in only
        for case in members
    ]
    with console.status("Starting servers …") as status:

        def say(text: str) -> None:
            console.print(f"[dim]{text}[/dim]", highlight=False)

        async with ground(os.environ.get("AMQP_URL"), os.environ.get("DATABASE_URL"), say) as place:
            results.versions = {
                "rabbitmq": place.rabbitmq_version,
                "postgres": place.postgres_version,
            }
            for run in range(runs):
                status.update(f"Run {run + 1} of {runs}: the machine alone …")
                results.speed_indexes.append(speed_index())
                if not only or "fsync" in only:
                    results.commit_rates.append(await commits_per_second(place))
                for case in cases:
                    status.update(f"Run {run + 1} of {runs}: {case.name} …")
                    results.add(case, await drain(place, case, requests, seed=run))
                if not only or "latency" in only:
                    status.update(f"Run {run + 1} of {runs}: one request at a time …")
                    count = min(requests, LATENCY_REQUESTS_MAX)
                    results.latencies.append(await latencies(place, count, seed=run))
    return results


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, help="per run (20,000)")
    parser.add_argument("--runs", type=int, default=3, help="of each measurement (3)")
    parser.add_argument(
        "--only",
        action="append",
        choices=["worker", "relay", "careful", "latency", "fsync"],
        default=[],
        help="measure only this; may be given several times",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    talk = Console(stderr=True)
    results = asyncio.run(measure(arguments.requests, arguments.runs, arguments.only, talk))
    if arguments.json:
        print(json.dumps(results.document(), indent=2))  # noqa: T201 - the output.
    else:
        report.show(results, Console(width=max(report.WIDTH_MIN, Console().width)))


if __name__ == "__main__":
    main()
