"""Metrics are counted where they are looked for, under names that say what they are."""

from __future__ import annotations

from prometheus_client import REGISTRY, generate_latest

from worker.observe.metrics import Metrics


def test_every_metric_of_ours_carries_the_prefix() -> None:
    metrics = Metrics("1.2.3")
    names = {metric.name for metric in metrics.registry.collect()}

    assert names
    assert all(name.startswith(("points_", "process_")) for name in names)


def test_what_is_recorded_is_what_the_registry_shows() -> None:
    metrics = Metrics("1.2.3")
    metrics.requests.labels("APPLIED", "ADJUST", "").inc(499)
    metrics.requests.labels("REJECTED", "ADJUST", "zero_points").inc()
    metrics.duplicates.inc(3)
    metrics.lane_batches.labels("points.partition.1.007").inc()
    metrics.batch_size.observe(500)
    metrics.batch_seconds.labels("transaction").observe(0.03)
    metrics.in_hand.set(12)
    metrics.publications.labels("event").inc(500)
    metrics.replies_given_up.inc()
    metrics.publish_refusals.inc(2)
    metrics.publish_waiting.inc()
    metrics.dead_letters.labels("malformed_json").inc()
    metrics.retries.labels("deadlock").inc()
    metrics.sessions.inc()
    metrics.session_up.set(1)

    shown = set(generate_latest(metrics.registry).decode().splitlines())
    assert shown >= {
        'points_requests_total{error="",operation="ADJUST",status="APPLIED"} 499.0',
        'points_requests_total{error="zero_points",operation="ADJUST",status="REJECTED"} 1.0',
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


def test_no_metric_tells_when_it_was_made() -> None:
    metrics = Metrics("1.2.3")
    metrics.retries.labels("deadlock").inc()

    assert "_created" not in generate_latest(metrics.registry).decode()


def test_two_workers_in_one_process_share_nothing() -> None:
    before = generate_latest(REGISTRY)
    first, second = Metrics("1"), Metrics("2")
    first.duplicates.inc()

    assert second.registry.get_sample_value("points_duplicates_total") == 0
    assert b"points_" not in before + generate_latest(REGISTRY)
