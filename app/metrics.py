"""Counters and latencies of the running process. Knows nothing of how they are shown."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import psutil

from app.results import Prediction, Timing

RING_LENGTH: Final = 1000  # latencies kept: enough for a p99, small enough to sort for every look
STAGES: Final = ("decode", "inference", "total")


class Metrics:
    """Counts since the start and the latencies of the last predictions.

    Args:
        now: aware UTC time.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._process = psutil.Process()
        self._lock = threading.Lock()
        self._started_at = now()
        self._labels: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()
        self._errors = 0
        self._timings: deque[Timing] = deque(maxlen=RING_LENGTH)

    def predicted(self, prediction: Prediction) -> None:
        """Count one answer."""
        with self._lock:
            self._labels[prediction.label] += 1
            self._timings.append(prediction.timing_ms)

    def refused(self, kind: str) -> None:
        """Count one refusal, by the name of its error."""
        with self._lock:
            self._refusals[kind] += 1

    def failed(self) -> None:
        """Count one error that was not the caller's."""
        with self._lock:
            self._errors += 1

    def snapshot(self) -> dict[str, Any]:
        """Return all figures, ready for JSON; latencies in ms, memory in bytes."""
        with self._lock:
            labels, refusals, errors = dict(self._labels), dict(self._refusals), self._errors
            timings = list(self._timings)
        return {
            "started_at": self._started_at.isoformat(timespec="seconds"),
            "uptime_s": round((self._now() - self._started_at).total_seconds(), 1),
            "predictions": {"total": sum(labels.values()), "by_label": labels},
            "refusals": {"total": sum(refusals.values()), "by_type": refusals},
            "errors": errors,
            "latency_ms": {
                stage: _summary([getattr(t, stage) for t in timings]) for stage in STAGES
            },
            "memory_bytes": self._process.memory_info().rss,
        }


def _summary(values: Sequence[float]) -> dict[str, float | int | None]:
    """Return the last value and percentiles (nearest rank) of ``values``, oldest first."""
    if not values:
        return {"count": 0, "last": None, "p50": None, "p95": None, "p99": None}
    ordered = sorted(values)
    percentiles = {
        f"p{p}": ordered[min(len(ordered) - 1, len(ordered) * p // 100)] for p in (50, 95, 99)
    }
    return {"count": len(values), "last": values[-1], **percentiles}
