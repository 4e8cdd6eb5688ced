"""What one prediction costs, and what the server adds to it. Run by hand on an idle machine.

    python -m tests.bench.predict_latency

Three ways are measured in turn, round after round, so that a change of the machine's speed meets
them all alike: decode and run in a bare loop, the service as a Python API, and a REST request to a
real server on an idle machine over one kept-alive connection.
"""

import argparse
import http.client
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from app.predictor import OnnxPredictor
from app.service import PredictionService
from data.drawings import EXAMPLE_LABELS, draw_fruit
from data.images import load_model_input
from models.registry import open_registry

PHOTO_PX = 640


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--photos-per-round", type=int, default=50)
    options = parser.parse_args()
    photos = [_photo(label) for label in EXAMPLE_LABELS]
    with tempfile.TemporaryDirectory() as state, _server(Path(state)) as port:
        ways = _ways(Path(state), port)
        medians: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, predict in ways.items():
                medians[name].append(_median_ms(predict, photos, options.photos_per_round))
    _print_table(medians, options.rounds, options.photos_per_round)


def _ways(state: Path, port: int) -> dict[str, Callable[[bytes], object]]:
    version = open_registry(state).active()
    side_px = version.manifest.input.side_px
    predictor = OnnxPredictor.load(version)
    service = PredictionService(open_registry(state))
    service.load()
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def over_rest(photo: bytes) -> object:
        connection.request("POST", "/api/predict", photo, {"Content-Type": "image/jpeg"})
        return json.loads(connection.getresponse().read())["label"]

    return {
        "decode + run, bare loop": lambda p: predictor.run(load_model_input(p, side_px)[None]),
        "PredictionService.predict": service.predict,
        "POST /api/predict": over_rest,
    }


def _median_ms(predict: Callable[[bytes], object], photos: list[bytes], count: int) -> float:
    times = []
    for index in range(count):
        started = time.perf_counter()
        predict(photos[index % len(photos)])
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def _print_table(medians: dict[str, list[float]], rounds: int, count: int) -> None:
    base = medians["decode + run, bare loop"]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python ", end="")
    print(f"{platform.python_version()}; {rounds} rounds of {count} JPEGs of {PHOTO_PX} px square")
    print(f"{'':<28}{'median ms':>10}{'min':>8}{'max':>8}{'ratio':>8}")
    for name, values in medians.items():
        ratio = statistics.median(v / b for v, b in zip(values, base, strict=True))
        print(
            f"{name:<28}{statistics.median(values):>10.2f}{min(values):>8.2f}{max(values):>8.2f}"
            f"{ratio:>8.2f}"
        )


@contextmanager
def _server(state: Path) -> Iterator[int]:
    environment = {
        **os.environ,
        "FRUIT_STATE_DIR": str(state),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": "0",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "app"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        port = int(line.split("http://127.0.0.1:")[1].split()[0])
        httpx.get(f"http://127.0.0.1:{port}", timeout=60)  # the page is built after the routes
        yield port
    finally:
        process.terminate()
        process.wait()


def _photo(label: str) -> bytes:
    buffer = io.BytesIO()
    draw_fruit(label, PHOTO_PX).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
