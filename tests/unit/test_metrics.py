"""Figures of the running process."""

from datetime import UTC, datetime, timedelta

import pytest

from app.figures import Figures
from app.metrics import RING_LENGTH, Metrics
from app.results import Prediction, Timing


class FakeNow:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def prediction(label: str = "apple", total: float = 1.0) -> Prediction:
    return Prediction(label, ((label, 1.0),), "v0001", Timing(0.25, 0.5, 0.25, total), "id")


def test_snapshot_counts_answers_refusals_and_errors_since_the_start() -> None:
    now = FakeNow()
    metrics = Metrics(now)
    for label in ("apple", "apple", "mango"):
        metrics.predicted(prediction(label))
    metrics.refused("InvalidImage")
    metrics.failed()
    now.now += timedelta(seconds=90)

    snapshot = metrics.snapshot()

    assert snapshot["predictions"] == {"total": 3, "by_label": {"apple": 2, "mango": 1}}
    assert snapshot["refusals"] == {"total": 1, "by_type": {"InvalidImage": 1}}
    assert (snapshot["errors"], snapshot["uptime_s"]) == (1, 90.0)
    assert snapshot["started_at"] == "2026-01-02T03:04:05+00:00"
    assert snapshot["memory_bytes"] > 1_000_000


def test_what_could_not_be_kept_is_handed_over_with_the_next() -> None:
    metrics = Metrics(FakeNow())
    metrics.predicted(prediction())
    kept: list[int] = []

    def full(since: datetime, figures: Figures) -> None:
        metrics.refused("InvalidImage")  # meanwhile
        assert metrics.since_start().predictions == 1
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        metrics.hand_over(full)
    metrics.hand_over(lambda since, figures: kept.append(figures.requests))
    metrics.hand_over(lambda since, figures: kept.append(figures.requests))

    assert kept == [2, 0]
    assert metrics.since_start().requests == 2


def test_percentiles_are_of_the_last_predictions_only() -> None:
    metrics = Metrics()
    for total in range(RING_LENGTH + 100):
        metrics.predicted(prediction(total=float(total)))

    total = metrics.snapshot()["latency_ms"]["total"]

    assert total == {"count": 1000, "last": 1099.0, "p50": 600.0, "p95": 1050.0, "p99": 1090.0}


def test_latencies_before_the_first_prediction_are_empty() -> None:
    decode = Metrics().snapshot()["latency_ms"]["decode"]

    assert decode == {"count": 0, "last": None, "p50": None, "p95": None, "p99": None}
