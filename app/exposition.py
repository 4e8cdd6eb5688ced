"""The figures as Prometheus reads them: ``GET /metrics``.

Counters begin at zero when the process starts, as Prometheus expects; it adds up restarts itself.
Every label has few values: routes are templates, and of classes only the first so many have a name.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from app.figures import LATENCY_EDGES_MS, STAGES, Figures
from app.monitoring import MonitoringService
from app.service import PredictionService

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
MAX_LABELS: Final = 100
_OTHER: Final = "other_classes"
# Of the bins that are counted; for answers of a few milliseconds and for overload.
_BUCKETS_MS: Final = (
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0,
)  # fmt: skip
_LAST_BINS: Final = tuple(LATENCY_EDGES_MS.index(edge) for edge in _BUCKETS_MS)


class Exposition:
    """Writes the figures in Prometheus's text format.

    Args:
        service: whose counts they are.
        monitoring: knows disk, jobs, drift and alerts.
    """

    def __init__(self, service: PredictionService, monitoring: MonitoringService) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Figures(service, monitoring))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Return every figure of now."""
        return generate_latest(self._registry)


class _Figures(Collector):
    def __init__(self, service: PredictionService, monitoring: MonitoringService) -> None:
        self._service = service
        self._monitoring = monitoring

    def collect(self) -> Iterable[Metric]:
        figures = self._service.metrics.since_start()
        yield from self._counters(figures)
        yield from _latencies(figures)
        yield from self._gauges()

    def _counters(self, figures: Figures) -> Iterator[Metric]:
        answers = CounterMetricFamily(
            "fruit_predictions", "Images that were answered, by the answer.", labels=["label"]
        )
        for label, count in _bounded(figures):
            answers.add_metric([label], count)
        yield answers
        refusals = CounterMetricFamily(
            "fruit_refusals", "Requests that were refused, by the kind of error.", labels=["kind"]
        )
        for kind, count in figures.refusals.items():
            refusals.add_metric([kind], count)
        yield refusals
        yield CounterMetricFamily(
            "fruit_errors", "Predictions that failed by the server's fault.", value=figures.errors
        )
        yield CounterMetricFamily(
            "fruit_confidence", "Sum of the answers' probabilities.", value=figures.confidence
        )
        requests = CounterMetricFamily(
            "fruit_http_requests", "Answers of the REST routes.",
            labels=["method", "route", "status"],
        )  # fmt: skip
        for (method, route, status), count in self._service.metrics.requests().items():
            requests.add_metric([method, route, str(status)], count)
        yield requests

    def _gauges(self) -> Iterator[Metric]:
        status = self._monitoring.status()
        health, model = self._service.health(), status["model"]
        yield _gauge("fruit_ready", "1 where predictions are answered.", float(health["ready"]))
        yield _gauge("fruit_pending", "Requests that wait or are answered.", status["pending"])
        yield _gauge("fruit_alerts", "Alerts that nobody acknowledged.", len(status["alerts"]))
        if model:
            since = datetime.fromisoformat(model["since"]).astimezone(UTC).timestamp()
            yield InfoMetricFamily(
                "fruit_model", "The version that answers.", value={"version": model["version"]}
            )
            yield _gauge("fruit_model_since_seconds", "Since when, in Unix time.", since)
        for name, size in status["disk"].items():
            yield _gauge(f"fruit_disk_{name}", f"Disk: {name.replace('_', ' ')}.", size)
        yield _gauge("fruit_jobs_queued", "Jobs that wait.", status["jobs"]["queued"])
        running = status["jobs"]["running"] is not None
        yield _gauge("fruit_jobs_running", "Jobs that run.", float(running))
        drift = status["drift"]
        distances = GaugeMetricFamily(
            "fruit_drift_distance",
            "Kolmogorov-Smirnov distance of what was sent from what the version was tested on.",
            labels=["feature"],
        )
        for feature in drift["features"]:
            distances.add_metric([feature["name"]], feature["distance"])
        yield distances
        yield _gauge(
            "fruit_drifted", "1 where it is another kind of photo.",
            float(drift["state"] == "drifted"),
        )  # fmt: skip


def _latencies(figures: Figures) -> Iterator[Metric]:
    family = HistogramMetricFamily(
        "fruit_stage_seconds", "Where the time of a prediction went.", labels=["stage"]
    )
    for stage in STAGES:
        counts = figures.latencies[stage]
        buckets = [
            (str(edge / 1000), sum(count for place, count in counts.items() if place <= last))
            for edge, last in zip(_BUCKETS_MS, _LAST_BINS, strict=True)
        ]
        family.add_metric(
            [stage], [*buckets, ("+Inf", counts.total())], figures.latency_ms[stage] / 1000
        )
    yield family


def _bounded(figures: Figures) -> list[tuple[str, int]]:
    """Return the commonest answers, and all others as one."""
    common = figures.labels.most_common(MAX_LABELS)
    rest = figures.predictions - sum(count for _, count in common)
    return [*common, (_OTHER, rest)] if rest else common


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_, value=value)
