"""The worker's metrics, in a registry of their own, all named ``points_…``.

Recording is meant for once per batch. Labels come from closed sets only (never a member, a request
id or a text), which bounds what is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

_BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class _Registry(CollectorRegistry):
    """Shows each metric without the time of its creation, which would double the samples."""

    def collect(self) -> Iterable[Metric]:
        for metric in super().collect():
            metric.samples = [
                sample for sample in metric.samples if not sample.name.endswith("_created")
            ]
            yield metric


class Metrics:
    """Every metric of one worker process; `registry` is what /metrics shows."""

    def __init__(self, version: str) -> None:
        self.registry = _Registry()
        # CPU, memory and open files, under the names that every dashboard knows.
        ProcessCollector(registry=self.registry)

        self.requests = self._counter(
            "requests",
            "Requests answered, by status, operation and error key (empty: none).",
            ("status", "operation", "error"),
        )
        self.duplicates = self._counter("duplicates", "Requests that were found done before.")
        self.parked = self._counter(
            "parked", "Requests that came early and were set aside for their predecessors."
        )
        self.lane_batches = self._counter(
            "lane_batches", "Batches applied and acknowledged, by lane.", ("lane",)
        )
        self.batch_size = self._histogram("batch_size", "Requests in one batch.", _BATCH_SIZES)
        self.batch_seconds = self._histogram(
            "batch_seconds",
            "Seconds that a batch took, by stage (transaction, publish).",
            _SECONDS,
            ("stage",),
        )
        self.in_hand = self._gauge("in_hand", "Messages received and not yet acknowledged.")
        self.publications = self._counter(
            "publications",
            "Messages published and confirmed, by kind (event, reply, dead_letter, forward).",
            ("kind",),
        )
        self.replies_given_up = self._counter(
            "replies_given_up", "Replies that nobody took, or that could not be encrypted."
        )
        self.publish_refusals = self._counter(
            "publish_refused", "Publications that the broker refused and that were tried again."
        )
        # Not "publish_refused": that is the name the counter's samples come under.
        self.publish_waiting = self._gauge(
            "publish_waiting",
            "Conditions that keep publishers waiting: refusals, and an alarm at the broker.",
        )
        self.dead_letters = self._counter(
            "dead_letters", "Messages that were dead-lettered, by key.", ("key",)
        )
        self.retries = self._counter("retries", "Batches tried again, by cause.", ("cause",))
        self.sweeps = self._counter(
            "sweeps", "Members for whom this worker asked that what is due be done."
        )
        self.due_age = self._gauge(
            "due_age_seconds", "Seconds since when the longest due has waited, as last looked at."
        )
        self.sessions = self._counter("sessions", "Sessions with the broker that were begun.")
        self.session_up = self._gauge("session_up", "1 while there is a session with the broker.")
        Info("points_build", "What this worker was built from.", registry=self.registry).info(
            {"version": version}
        )

    def count_published(self, kinds: Mapping[str, int], given_up: int, refusals: int) -> None:
        """Count what was published by kind, the replies given up not included, and refusals."""
        for kind, count in kinds.items():
            self.publications.labels(kind).inc(count - given_up if kind == "reply" else count)
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
