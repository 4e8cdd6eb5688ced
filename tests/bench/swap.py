"""Predictions at a steady rate: alone, then while a retraining runs and the version is swapped.

    python -m tests.bench.swap

Starts the app over an empty state directory, sends photos at fixed moments whether or not earlier
ones were answered, and prints latencies and failures of both parts. Photos are drawn, 640 x 480.
"""

import argparse
import asyncio
import io
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np

from data.drawings import draw_fruit

ROOT = Path(__file__).parents[2]
SWAPS = 10


def photo(label: str, seed: int, size_px: int = 480) -> bytes:
    """Return a drawn photo as JPEG."""
    buffer = io.BytesIO()
    draw_fruit(label, size_px, seed).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


async def steady(
    client: httpx.AsyncClient, rate: float, until: asyncio.Event
) -> tuple[list[float], int]:
    """Return the latencies in ms and the number of failures, until the event is set."""
    content, latencies, failures = photo("apple", 1), [], 0
    tasks: set[asyncio.Task[None]] = set()

    async def ask() -> None:
        nonlocal failures
        asked = time.perf_counter()
        try:
            answer = await client.post("/api/predict", content=content)
            failures += answer.status_code != 200
        except httpx.HTTPError:
            failures += 1
        latencies.append((time.perf_counter() - asked) * 1000)

    next_at = time.perf_counter()
    while not until.is_set():
        task = asyncio.create_task(ask())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        next_at += 1 / rate
        await asyncio.sleep(max(0.0, next_at - time.perf_counter()))
    await asyncio.gather(*tasks)
    return latencies, failures


async def alone(client: httpx.AsyncClient, rate: float, seconds: float) -> tuple[list[float], int]:
    """Return what a quiet server gives."""
    until = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, until.set)
    return await steady(client, rate, until)


async def with_retraining(client: httpx.AsyncClient, rate: float) -> tuple[list[float], int, float]:
    """Return what it gives beside a retraining and ten swaps, and how long those took in s."""
    # Drawn before: it takes most of a second, in which this client would answer nobody.
    files = [("file", (f"{seed}.jpg", photo("mango", seed, 200))) for seed in range(40)]
    until = asyncio.Event()
    load = asyncio.create_task(steady(client, rate, until))
    shipped = (await client.get("/api/health")).json()["version"]
    begun = time.perf_counter()
    await client.post("/api/upload_retrain_data", data={"class_name": "mango"}, files=files)
    job = (await client.post("/api/retrain", json={"mode": "quick"})).json()["job_id"]
    while (state := (await client.get(f"/api/jobs/{job}")).json())["state"] in (
        "queued",
        "running",
    ):
        await asyncio.sleep(0.5)
    print(f"the retraining {state['state']}: {state['message']}")
    published = state["version"]
    for number in range(SWAPS):
        version = shipped if number % 2 == 0 else published
        answer = await client.post(
            f"/api/models/{version}/activate", json={"override": True, "reason": "benchmark"}
        )
        assert answer.status_code == 200, answer.text
        await asyncio.sleep(1.0)
    took = time.perf_counter() - begun
    until.set()
    latencies, failures = await load
    return latencies, failures, took


async def measure(url: str, rate: float, seconds: float) -> None:
    """Print both parts."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        await alone(client, rate, 5)
        quiet, failed = await alone(client, rate, seconds)
        show("alone", quiet, failed)
        busy, failed_busy, took = await with_retraining(client, rate)
        show(f"retraining and {SWAPS} swaps, {took:.0f} s", busy, failed_busy)
        for p in (50, 99):
            print(f"p{p}: {np.percentile(busy, p) / np.percentile(quiet, p):.2f} times")


def show(name: str, latencies: list[float], failures: int) -> None:
    """Print one line."""
    p50, p99 = np.percentile(latencies, (50, 99))
    print(
        f"{name}: {len(latencies):,} requests, {failures} failed, p50 {p50:.1f} ms, "
        f"p99 {p99:.1f} ms, most {max(latencies):.1f} ms"
    )


def main() -> int:
    """Start the app, measure, end it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=20.0, help="requests/s")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the quiet part")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {options.rate}/s")
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "FRUIT_STATE_DIR": folder,
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": "0",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "app"], cwd=ROOT, env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            assert process.stdout
            url = process.stdout.readline().split()[2]
            httpx.get(url, timeout=60)  # the page is built after the routes
            asyncio.run(measure(url, options.rate, options.seconds))
        finally:
            process.terminate()
            process.wait(30)
    return 0


if __name__ == "__main__":
    sys.exit(main())
