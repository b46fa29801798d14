"""Metrics are counted where they are looked for, and their number is bounded."""

from __future__ import annotations

from prometheus_client import REGISTRY, generate_latest

from worker.observe.metrics import LABEL_SETS_MAX, Metrics


def test_every_metric_of_ours_carries_the_prefix() -> None:
    metrics = Metrics("1.2.3")
    names = {metric.name for metric in metrics.registry.collect()}

    assert names
    assert all(name.startswith(("points_", "process_")) for name in names)


def test_what_is_recorded_is_what_the_registry_shows() -> None:
    metrics = Metrics("1.2.3")
    metrics.requests("APPLIED", "ADJUST", "").inc(499)
    metrics.requests("REJECTED", "ADJUST", "zero_points").inc()
    metrics.duplicates.inc(3)
    metrics.lane_batches("points.partition.1.007").inc()
    metrics.batch_size.observe(500)
    metrics.batch_seconds("transaction").observe(0.03)
    metrics.in_hand.set(12)
    metrics.publications("event").inc(500)
    metrics.replies_given_up.inc()
    metrics.publish_refusals.inc(2)
    metrics.publish_waiting.inc()
    metrics.dead_letters("malformed_json").inc()
    metrics.retries("deadlock").inc()
    metrics.sessions.inc()
    metrics.session_up.set(1)

    shown = set(generate_latest(metrics.registry).decode().splitlines())
    assert shown >= {
        'points_requests_total{key="",operation="ADJUST",outcome="APPLIED"} 499.0',
        'points_requests_total{key="zero_points",operation="ADJUST",outcome="REJECTED"} 1.0',
        "points_duplicates_total 3.0",
        'points_lane_batches_total{lane="points.partition.1.007"} 1.0',
        'points_batch_size_bucket{le="200.0"} 0.0',
        'points_batch_size_bucket{le="500.0"} 1.0',
        'points_batch_seconds_bucket{le="0.05",stage="transaction"} 1.0',
        "points_in_hand 12.0",
        'points_publications_total{kind="event"} 500.0',
        "points_replies_given_up_total 1.0",
        "points_publish_refused_total 2.0",
        "points_publish_waiting 1.0",
        'points_dead_letters_total{key="malformed_json"} 1.0',
        'points_retries_total{cause="deadlock"} 1.0',
        "points_sessions_total 1.0",
        "points_session_up 1.0",
        'points_build_info{version="1.2.3"} 1.0',
    }


def test_the_same_labels_give_the_same_metric() -> None:
    metrics = Metrics("1.2.3")

    assert metrics.retries("deadlock") is metrics.retries("deadlock")


def test_combinations_of_labels_beyond_the_bound_are_counted_together() -> None:
    metrics = Metrics("1.2.3")
    for number in range(LABEL_SETS_MAX + 10):
        metrics.requests("REJECTED", "ADJUST", f"key_{number}").inc()

    samples = [
        sample
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "points_requests_total"
    ]
    assert len(samples) == LABEL_SETS_MAX + 1
    [other] = [sample for sample in samples if sample.labels["key"] == "other"]
    assert other.value == 10


def test_two_workers_in_one_process_share_nothing() -> None:
    before = generate_latest(REGISTRY)
    first, second = Metrics("1"), Metrics("2")
    first.duplicates.inc()

    assert second.registry.get_sample_value("points_duplicates_total") == 0
    assert b"points_" not in before + generate_latest(REGISTRY)
