"""The worker's metrics, in a registry of their own, all named ``points_…``.

Recording is meant for once per batch: ``metrics.requests("APPLIED", "ADJUST", "").inc(n)``. Labels
come from closed sets only (never a member, a request id or a text), and each metric bounds how many
combinations it will ever keep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Enough for every (outcome, operation, error key) that the contract knows to occur together, and
# for 256 lanes; beyond it something is wrong, and the rest is counted under "other".
LABEL_SETS_MAX = 512

_BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)


class Labelled(Generic[_Metric]):
    """A metric with labels: called with their values, it gives the one to record on.

    The first `LABEL_SETS_MAX` combinations are kept, later ones are recorded as "other".
    """

    def __init__(self, metric: _Metric) -> None:
        self._metric: _Metric = metric
        self._children: dict[tuple[str, ...], _Metric] = {}

    def __call__(self, *values: str) -> _Metric:
        """Give the metric to record on for these label values, in the order of its labels."""
        child = self._children.get(values)
        if child is None:
            if len(self._children) >= LABEL_SETS_MAX:
                return self._metric.labels(*("other" for _ in values))
            child = self._children[values] = self._metric.labels(*values)
        return child


class Metrics:
    """Every metric of one worker process; `registry` is what /metrics shows."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        # CPU, memory and open files, under the names that every dashboard knows.
        ProcessCollector(registry=self.registry)

        self.requests = Labelled(
            self._counter(
                "requests",
                "Requests answered, by status, operation and error key (empty: none).",
                ("outcome", "operation", "key"),
            )
        )
        self.duplicates = self._counter("duplicates", "Requests that were found done before.")
        self.lane_batches = Labelled(
            self._counter("lane_batches", "Batches applied and acknowledged, by lane.", ("lane",))
        )
        self.batch_size = self._histogram("batch_size", "Requests in one batch.", _BATCH_SIZES)
        self.batch_seconds = Labelled(
            self._histogram(
                "batch_seconds",
                "Seconds that a batch took, by stage (transaction, publish).",
                _SECONDS,
                ("stage",),
            )
        )
        self.in_hand = self._gauge("in_hand", "Messages received and not yet acknowledged.")
        self.publications = Labelled(
            self._counter(
                "publications",
                "Messages published and confirmed, by kind (event, reply, dead_letter, forward).",
                ("kind",),
            )
        )
        self.replies_given_up = self._counter("replies_given_up", "Replies that nobody took.")
        self.publish_refusals = self._counter(
            "publish_refused", "Publications that the broker refused and that were tried again."
        )
        # Not "publish_refused": that is the name the counter's samples come under.
        self.publish_waiting = self._gauge(
            "publish_waiting", "Publishers that wait because the broker refuses or blocks them."
        )
        self.dead_letters = Labelled(
            self._counter("dead_letters", "Messages that were dead-lettered, by key.", ("key",))
        )
        self.retries = Labelled(
            self._counter("retries", "Batches tried again, by cause.", ("cause",))
        )
        self.sessions = self._counter("sessions", "Sessions with the broker that were begun.")
        self.session_up = self._gauge("session_up", "1 while there is a session with the broker.")
        Info("points_build", "What this worker was built from.", registry=self.registry).info(
            {"version": version}
        )

    def count_published(self, kinds: Mapping[str, int], given_up: int, refusals: int) -> None:
        """Count what was published by kind, the replies given up not included, and refusals."""
        for kind, count in kinds.items():
            self.publications(kind).inc(count - given_up if kind == "reply" else count)
        self.replies_given_up.inc(given_up)
        self.publish_refusals.inc(refusals)

    def _counter(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(f"points_{name}", documentation, labels, registry=self.registry)

    def _gauge(self, name: str, documentation: str) -> Gauge:
        return Gauge(f"points_{name}", documentation, registry=self.registry)

    def _histogram(
        self, name: str, documentation: str, buckets: Sequence[float], labels: Sequence[str] = ()
    ) -> Histogram:
        return Histogram(
            f"points_{name}", documentation, labels, buckets=buckets, registry=self.registry
        )
