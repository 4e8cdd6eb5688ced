"""Figures that add up: what was answered, refused and how fast, in any span of time.

Everything is a count, so that the figures of two spans are added by adding counts, and percentiles
of a month come from the same bins as those of a minute.
"""

import json
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from models.examination import STATISTICS

# The preferred numbers of ISO 3, R20: twenty steps of 12 % a decade, 1, 2 and 5 among them.
_R20: Final = (
    1.0, 1.12, 1.25, 1.4, 1.6, 1.8, 2.0, 2.24, 2.5, 2.8,
    3.15, 3.55, 4.0, 4.5, 5.0, 5.6, 6.3, 7.1, 8.0, 9.0,
)  # fmt: skip
LATENCY_EDGES_MS: Final = tuple(
    round(step * 10.0**decade, 4) for decade in range(-1, 5) for step in _R20
)
STAGES: Final = ("wait", "decode", "inference", "total")
CONFIDENCE: Final = "confidence"
# Narrow towards 1, where most answers lie.
CONFIDENCE_EDGES: Final = (
    0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 1.0,
)  # fmt: skip
STATISTIC_EDGES: Final = tuple(round(0.05 * step, 2) for step in range(1, 21))
# What is compared with the photos that a version was tested on.
FEATURES: Final = {CONFIDENCE: CONFIDENCE_EDGES} | dict.fromkeys(STATISTICS, STATISTIC_EDGES)


@dataclass
class Figures:
    """Counts of one span of time.

    Attributes:
        labels: answers by label.
        refusals: requests that were refused, by the name of the error.
        errors: requests that failed by the server's own fault.
        confidence: sum of the answers' probabilities.
        latencies: by stage, how many predictions ended in each bin of ``LATENCY_EDGES_MS``; the
            last bin, one past them, is for what took longer.
        latency_ms: by stage, the sum.
        features: by name of ``FEATURES``, how many pictures fell in each of its bins.
    """

    labels: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    errors: int = 0
    confidence: float = 0.0
    latencies: dict[str, Counter[int]] = field(
        default_factory=lambda: {stage: Counter() for stage in STAGES}
    )
    latency_ms: Counter[str] = field(default_factory=Counter)
    features: dict[str, Counter[int]] = field(
        default_factory=lambda: {name: Counter() for name in FEATURES}
    )

    @property
    def predictions(self) -> int:
        """How many images were answered."""
        return self.labels.total()

    @property
    def requests(self) -> int:
        """How many images were answered, refused or failed."""
        return self.predictions + self.refusals.total() + self.errors

    def add_prediction(
        self,
        label: str,
        confidence: float,
        timing_ms: Mapping[str, float],
        statistics: Iterable[float],
    ) -> None:
        """Count one answer.

        Args:
            label: the answer.
            confidence: its probability.
            timing_ms: of each stage.
            statistics: of the picture, in the order of ``STATISTICS``; may be empty.
        """
        self.labels[label] += 1
        self.confidence += confidence
        for stage, value in timing_ms.items():
            self.latencies[stage][bisect_left(LATENCY_EDGES_MS, value)] += 1
            self.latency_ms[stage] += value  # type: ignore[assignment]  # a Counter of floats
        self.features[CONFIDENCE][feature_bin(CONFIDENCE, confidence)] += 1
        for name, value in zip(STATISTICS, statistics, strict=False):
            self.features[name][feature_bin(name, value)] += 1

    def add(self, other: "Figures") -> "Figures":
        """Add another span's counts to these, and return these."""
        self.labels.update(other.labels)
        self.refusals.update(other.refusals)
        self.errors += other.errors
        self.confidence += other.confidence
        self.latency_ms.update(other.latency_ms)
        for mine, theirs in ((self.latencies, other.latencies), (self.features, other.features)):
            for name, counts in theirs.items():
                mine[name].update(counts)
        return self

    def percentile_ms(self, stage: str, share: float) -> float | None:
        """Return how long that share of the predictions took at most; None without any.

        It is exact to a bin, 12 %: within the bin they are taken to be spread evenly.
        """
        counts = self.latencies[stage]
        wanted, below = share * counts.total(), 0
        for place in sorted(counts):
            if below + counts[place] >= wanted:
                low = LATENCY_EDGES_MS[place - 1] if place else 0.0
                high = LATENCY_EDGES_MS[min(place, len(LATENCY_EDGES_MS) - 1)]
                return low + max(0.0, high - low) * (wanted - below) / counts[place]
            below += counts[place]
        return None

    def to_bytes(self) -> bytes:
        """Return the figures as they are stored."""
        known = {
            "labels": self.labels,
            "refusals": self.refusals,
            "errors": self.errors,
            "confidence": round(self.confidence, 4),
            "latencies": self.latencies,
            "latency_ms": {stage: round(value, 2) for stage, value in self.latency_ms.items()},
            "features": self.features,
        }
        return zlib.compress(json.dumps(known, separators=(",", ":")).encode(), 9)

    @classmethod
    def of_bytes(cls, content: bytes) -> "Figures":
        """Return the figures that were stored; of what is no longer known, nothing."""
        known: dict[str, Any] = json.loads(zlib.decompress(content))

        def binned(name: str, names: Iterable[str]) -> dict[str, Counter[int]]:
            there: dict[str, dict[str, int]] = known[name]
            return {n: Counter({int(b): c for b, c in there.get(n, {}).items()}) for n in names}

        return cls(
            labels=Counter(known["labels"]),
            refusals=Counter(known["refusals"]),
            errors=known["errors"],
            confidence=known["confidence"],
            latencies=binned("latencies", STAGES),
            latency_ms=Counter(known["latency_ms"]),
            features=binned("features", FEATURES),
        )


def feature_bin(name: str, value: float) -> int:
    """Return the bin of a value of one of the ``FEATURES``."""
    edges = FEATURES[name]
    return min(bisect_left(edges, value), len(edges) - 1)


def total(spans: Iterable[Figures]) -> Figures:
    """Return the figures of several spans together."""
    found = Figures()
    for span in spans:
        found.add(span)
    return found
