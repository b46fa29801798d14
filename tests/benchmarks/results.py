"""What was measured, reduced to medians with their spread."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.benchmarks.throughput import RELAY_CASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.throughput import Case, Drained

PARTS = ("worker", "postgres", "rabbitmq")


class Spread(NamedTuple):
    """The median of a few runs, the least and the most."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float | None]) -> Spread | None:
    """Return the spread of what was measured; None where nothing could be."""
    known = [value for value in values if value is not None]
    return Spread(statistics.median(known), min(known), max(known)) if known else None


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


@dataclass(slots=True)
class Row:
    """The runs of one case."""

    case: Case
    runs: list[Drained] = field(default_factory=list)

    @property
    def rate(self) -> Spread:
        """Requests per second."""
        found = spread([run.rate for run in self.runs])
        assert found is not None, "a row has runs"
        return found

    def microseconds(self, part: str) -> Spread | None:
        """CPU microseconds of a part for each request."""
        return spread([run.microseconds(part) for run in self.runs])

    @property
    def other_cores(self) -> Spread | None:
        """How many cores everything else used meanwhile, the measuring included."""
        return spread([run.used.others / run.seconds for run in self.runs])


@dataclass(slots=True)
class Results:
    """Everything that was measured."""

    requests: int
    runs: int
    versions: dict[str, str] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    latencies: list[list[float]] = field(default_factory=list)
    commit_rates: list[float] = field(default_factory=list)
    speed_indexes: list[float] = field(default_factory=list)

    def add(self, case: Case, drained: Drained) -> None:
        """Take note of one run."""
        self.rows.setdefault(case.name, Row(case)).runs.append(drained)

    @property
    def latency_ms(self) -> dict[str, Spread | None]:
        """Median and 95th percentile of a lone request's milliseconds, over the runs."""
        return {
            name: spread([percentile(run, share) * 1000 for run in self.latencies])
            for name, share in (("median", 0.5), ("p95", 0.95))
        }

    def ratio_to_relay(self, row: Row) -> float | None:
        """How much of the rate without reading, rules and database is left with them."""
        relay = self.rows.get(RELAY_CASE.name)
        return None if relay is None else row.rate.median / relay.rate.median

    def document(self) -> dict[str, Any]:
        """Return all figures for JSON: spreads as [median, least, most]."""
        return {
            "requests": self.requests,
            "runs": self.runs,
            "cores": os.cpu_count(),
            "versions": self.versions,
            "drains": {
                name: {
                    "requests": row.runs[0].requests,
                    "requests_per_second": row.rate,
                    "ratio_to_relay": self.ratio_to_relay(row),
                    "cpu_microseconds": {part: row.microseconds(part) for part in PARTS},
                    "other_cores": row.other_cores,
                }
                for name, row in self.rows.items()
            },
            "latency_milliseconds": self.latency_ms,
            "commits_per_second": spread(self.commit_rates),
            "speed_index": spread(self.speed_indexes),
        }
