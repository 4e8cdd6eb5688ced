"""What watching costs: per prediction, per look at the Status tab, and on disk. Run by hand.

    python -m tests.bench.monitoring

The baseline beside it is the prediction itself: decode and inference of one drawn photo on one
thread. The year is that of a server that is used in every minute.
"""

import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.exposition import Exposition
from app.figures import Figures
from app.history import History
from app.metrics import Metrics
from app.monitoring import MonitoringService
from app.service import PredictionService
from app.tabs.status_html import now_html, over_time_html
from data.images import load_model_input
from data.state import monitoring_dir
from models.examination import picture_statistics
from models.registry import open_registry
from tests.conftest import encode

ROUNDS = 200
LABELS = ("apple", "banana", "orange", "mango", "onion", "none_of_these")


def main() -> None:
    """Print every cost."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        year_bytes = fill(state)
        registry = open_registry(state)
        service = PredictionService(registry, metrics=Metrics())
        service.load()
        monitoring = MonitoringService(service, registry, state)
        exposition = Exposition(service, monitoring)
        photo = encode("apple", "JPEG", 640)
        answer = service.predict(photo)
        side_px = service.served.manifest.input.side_px
        pixels = load_model_input(photo, side_px)
        metrics = Metrics()
        whole = median_ms(lambda: service.predict(photo), 50)
        print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
        print(f"one prediction: {whole:.2f} ms")
        parts: dict[str, Callable[[], object]] = {
            "statistics of the picture": lambda: picture_statistics(pixels),
            "counting an answer": lambda: metrics.predicted(answer),
        }
        for name, work in parts.items():
            cost = median_ms(work, ROUNDS)
            print(f"  of that, {name}: {cost:.3f} ms, {cost / whole:.1%}")
        looks: dict[str, Callable[[], object]] = {
            "tiles, every 3 s": lambda: now_html(monitoring.status()),
            "charts of an hour, every 15 s": lambda: charts(monitoring, "hour"),
            "charts of a day": lambda: charts(monitoring, "day"),
            "charts of a month": lambda: charts(monitoring, "month"),
            "GET /metrics": exposition.text,
            "keeping the figures, every 5 s": lambda: keep(service, monitoring, photo),
        }
        for name, work in looks.items():
            print(f"{name}: {median_ms(work, 20):.1f} ms")
        print(f"a year on disk: {year_bytes / 1e6:.1f} MB")
        monitoring.close()
        service.close()


def charts(monitoring: MonitoringService, span: str) -> str:
    """Return the charts as the tab draws them."""
    return over_time_html(span, monitoring.over_time(span), monitoring.swaps())


def keep(service: PredictionService, monitoring: MonitoringService, photo: bytes) -> None:
    """Answer one photo and keep the figures; the answer's time is part of it."""
    service.metrics.predicted(service.opinion(photo))  # type: ignore[arg-type]
    monitoring.keep()


def fill(state: Path) -> int:
    """Write a month of history, and return the bytes of a year's."""
    rng, now = random.Random(1), datetime.now(UTC)
    history = History(monitoring_dir(state) / "figures.db")
    for half_hour in range(30 * 48, 48, -1):
        history.add(now - timedelta(minutes=30 * half_hour), some(rng, 60))
    for minute in range(24 * 60, 0, -1):
        history.add(now - timedelta(minutes=minute), some(rng, 5))
    history.close()
    size = sum(path.stat().st_size for path in monitoring_dir(state).iterdir())
    # What a longer history adds: a row for each half day beyond the month.
    return size + 2 * 335 * len(some(rng, 1400).to_bytes())


def some(rng: random.Random, count: int) -> Figures:
    """Return the figures of so many predictions that differ as real ones do."""
    figures = Figures()
    for _ in range(count):
        wait, decode, inference = rng.expovariate(2), rng.gauss(2, 0.4), rng.gauss(8, 0.6)
        timing = {"wait": wait, "decode": decode, "inference": inference}
        figures.add_prediction(
            rng.choice(LABELS), rng.betavariate(12, 1), timing | {"total": sum(timing.values())},
            [rng.random() for _ in range(5)],
        )  # fmt: skip
    return figures


def median_ms(work: Callable[[], object], rounds: int) -> float:
    """Return the median time of the work."""
    times = []
    for _ in range(rounds):
        begun_at = time.perf_counter()
        work()
        times.append((time.perf_counter() - begun_at) * 1000)
    return statistics.median(times)


if __name__ == "__main__":
    main()
