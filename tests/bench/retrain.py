"""A quick retraining end to end, where its time goes, and what it costs predictions beside it.

    python -m tests.bench.retrain --photos 500

Starts the app over an empty state, uploads so many drawn photos in zips of a folder per class,
presses Retrain and follows the job: first on a quiet server, then while wrk keeps the server busy
from the same cores, for as long as the job runs. The load alone is measured just before. Drawn
photos teach nothing, so the gate's verdict means nothing; times do not depend on it.
"""

import argparse
import io
import os
import platform
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from data.drawings import EXAMPLE_LABELS
from tests.bench.swap import photo
from tests.bench.throughput import draw_photos, load, our_server

LOOK_S = 0.2
SLICE_S = 5.0


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--connections", type=int, default=50)
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        photos = draw_photos(Path(folder))
        with our_server(Path(folder) / "state") as url, httpx.Client(base_url=url) as client:
            upload(client, range(options.photos))
            stages, job = follow(client)
            for stage, seconds in stages.items():
                print(f"{seconds:7.1f} s  {stage}")
            print(f"{sum(stages.values()):7.1f} s  in all: {job['state']}, {job['message']}")

            alone = slices(url, photos, options.connections, 4)
            upload(client, range(options.photos, options.photos + 16))
            beside: list[dict[str, Any]] = []
            with ThreadPoolExecutor(1) as pool:
                retraining = pool.submit(follow, client)
                while not retraining.done():
                    beside += slices(url, photos, options.connections, 1)
                retraining.result()
    report("alone", alone)
    report("beside a quick retraining", beside)
    print(f"throughput {rate(beside) / rate(alone):.2f} times, p99 {p99(beside) / p99(alone):.2f}")


def upload(client: httpx.Client, numbers: range) -> None:
    """Upload drawn photos of 480 px, a zip of up to 100 at a time, and print how long it takes."""
    zips = [zipped(numbers[start : start + 100]) for start in range(0, len(numbers), 100)]
    begun = time.perf_counter()
    added = 0
    for content in zips:
        answer = client.post(
            "/api/upload_retrain_data", files={"file": ("photos.zip", content)}, timeout=300
        )
        added += answer.raise_for_status().json()["counts"]["added"]
    took = time.perf_counter() - begun
    print(f"{took:7.1f} s  upload of {len(numbers)} photos, {added} of them added")


def zipped(numbers: range) -> bytes:
    """Return a zip of drawn photos, a folder for each class."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in numbers:
            label = EXAMPLE_LABELS[number % len(EXAMPLE_LABELS)]
            archive.writestr(f"{label}/{number}.jpg", photo(label, 1000 + number))
    return buffer.getvalue()


def follow(client: httpx.Client) -> tuple[dict[str, float], dict[str, Any]]:
    """Start a quick retraining; return the seconds of each of its stages, and how it ended."""
    job_id = client.post("/api/retrain", json={"mode": "quick"}).raise_for_status().json()["job_id"]
    stages: dict[str, float] = {}
    looked_at = time.perf_counter()
    while True:
        job: dict[str, Any] = client.get(f"/api/jobs/{job_id}", timeout=60).json()
        now = time.perf_counter()
        stage = (job["progress"]["stages"] or [job["state"]])[-1]
        stages[stage] = stages.get(stage, 0.0) + now - looked_at
        looked_at = now
        if job["state"] not in ("queued", "running"):
            return stages, job
        time.sleep(LOOK_S)


def slices(url: str, photos: list[Path], connections: int, count: int) -> list[dict[str, Any]]:
    """Return what wrk found in so many slices of a few seconds."""
    return [load(f"{url}/api/predict", photos, connections, SLICE_S) for _ in range(count)]


def rate(found: list[dict[str, Any]]) -> float:
    """Return the requests a second over all slices."""
    requests = sum(part["requests"] for part in found)
    return float(requests / sum(part["seconds"] for part in found))


def p99(found: list[dict[str, Any]]) -> float:
    """Return the mean over the slices of their 99th percentile, in ms."""
    return float(sum(part["p99_ms"] for part in found) / len(found))


def report(name: str, found: list[dict[str, Any]]) -> None:
    """Print one line."""
    failed = sum(part["failed"] for part in found)
    print(f"{name}: {rate(found):.0f} requests/s, p99 {p99(found):.0f} ms, {failed} failed")


if __name__ == "__main__":
    main()
