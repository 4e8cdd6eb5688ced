"""Counts and latencies of the running process. Knows nothing of how they are shown or kept."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import psutil

from app.figures import STAGES, Figures
from app.results import Prediction

RING_LENGTH: Final = 1000  # latencies kept: enough for a p99, small enough to sort for every look
RATE_WINDOW_S: Final = 60.0


class Metrics:
    """Counts since the start and the latencies of the last predictions.

    Counting is a few dictionary updates under a lock, about 10 us; keeping them on disk is somebody
    else's work, who takes what is new with ``take``.

    Args:
        now: aware UTC time.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._clock = clock
        self._process = psutil.Process()
        self._lock = threading.Lock()
        self._started_at = now()
        self._taken = Figures()  # what was taken since the start
        self._leaving = Figures()  # what is being kept just now
        self._new = Figures()
        self._new_since = self._started_at
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._timings: deque[tuple[float, dict[str, float]]] = deque(maxlen=RING_LENGTH)

    def predicted(self, prediction: Prediction) -> None:
        """Count one answer."""
        timing = {stage: getattr(prediction.timing_ms, stage) for stage in STAGES}
        with self._lock:
            self._new.add_prediction(
                prediction.label, prediction.probability, timing, prediction.statistics
            )
            self._timings.append((self._clock(), timing))

    def refused(self, kind: str) -> None:
        """Count one refusal, by the name of its error."""
        with self._lock:
            self._new.refusals[kind] += 1

    def failed(self) -> None:
        """Count one error that was not the caller's."""
        with self._lock:
            self._new.errors += 1

    def responded(self, method: str, route: str, status: int) -> None:
        """Count one answer of a REST route.

        Args:
            method: of HTTP.
            route: the template, such as ``/api/jobs/{job_id}``; of these there are few.
            status: of HTTP.
        """
        with self._lock:
            self._requests[method, route, status] += 1

    def hand_over(self, keep: Callable[[datetime, Figures], None]) -> None:
        """Give away what is new since the last time, and since when; it stays counted here too.

        Args:
            keep: takes it; after an exception from it all is still new.
        """
        with self._lock:
            since, leaving = self._new_since, self._new
            self._new, self._new_since, self._leaving = Figures(), self._now(), leaving
        try:
            keep(since, leaving)
        except BaseException:
            with self._lock:
                self._new, self._new_since = leaving.add(self._new), since
                self._leaving = Figures()
            raise
        with self._lock:
            self._taken.add(leaving)
            self._leaving = Figures()

    def since_start(self) -> Figures:
        """Return the counts since the process started."""
        with self._lock:
            return Figures().add(self._taken).add(self._leaving).add(self._new)

    def new(self) -> Figures:
        """Return what was not taken yet."""
        with self._lock:
            return Figures().add(self._new)

    def requests(self) -> dict[tuple[str, str, int], int]:
        """Return how many REST answers there were, by method, route and status."""
        with self._lock:
            return dict(self._requests)

    def snapshot(self) -> dict[str, Any]:
        """Return all figures, ready for JSON; latencies in ms, memory in bytes."""
        figures = self.since_start()
        with self._lock:
            timings = list(self._timings)
        return {
            "started_at": self._started_at.isoformat(timespec="seconds"),
            "uptime_s": round((self._now() - self._started_at).total_seconds(), 1),
            "predictions": {"total": figures.predictions, "by_label": dict(figures.labels)},
            "refusals": {
                "total": figures.refusals.total(),
                "by_type": dict(figures.refusals),
            },
            "errors": figures.errors,
            "predictions_per_s": self._rate([moment for moment, _ in timings]),
            "latency_ms": {
                stage: _summary([timing[stage] for _, timing in timings]) for stage in STAGES
            },
            "memory_bytes": self._process.memory_info().rss,
        }

    def _rate(self, moments: Sequence[float]) -> float:
        """Return the predictions per second of the last minute, or of less where there are many."""
        now = self._clock()
        recent = [moment for moment in moments if now - moment <= RATE_WINDOW_S]
        full = len(recent) == RING_LENGTH
        window_s = max(now - recent[0], 1e-3) if full else RATE_WINDOW_S
        return round(len(recent) / window_s, 2)


def _summary(values: Sequence[float]) -> dict[str, float | int | None]:
    """Return the last value and percentiles (nearest rank) of ``values``, oldest first."""
    if not values:
        return {"count": 0, "last": None, "p50": None, "p95": None, "p99": None}
    ordered = sorted(values)
    percentiles = {
        f"p{p}": ordered[min(len(ordered) - 1, len(ordered) * p // 100)] for p in (50, 95, 99)
    }
    return {"count": len(values), "last": values[-1], **percentiles}
