"""Requests a second of REST predict, against the bare limit and ordinary servers. Run by hand.

    python -m tests.bench.throughput --rounds 3 --seconds 10 [--peers fastapi litserve flask]

The bare limit is decode and run in a loop, one process a core, with nothing else; it is measured
between all others, which take turns, round after round, on the same drawn photos (640 x 480 px,
about 20 KB). The load comes from wrk, on the same cores; it must be installed, because clients
written in Python are slower than the servers. The photos and the model are the same for all.
"""

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.predictor import OnnxPredictor
from data.drawings import EXAMPLE_LABELS, draw_fruit
from data.images import load_model_input
from models.registry import open_registry

ROOT = Path(__file__).parents[2]
LUA = Path(__file__).with_name("predict.lua")


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, nargs="+", default=[50])
    parser.add_argument("--peers", nargs="*", default=["fastapi"])
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not installed (Debian: apt-get install wrk).")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        photos = draw_photos(Path(folder))
        urls = {"ours": servers.enter_context(our_server(Path(folder) / "state")) + "/api/predict"}
        for name in options.peers:
            urls[name] = servers.enter_context(peer(name)) + "/predict"
        limits = [bare_limit(photos, options.seconds)]
        found: dict[str, list[dict[str, Any]]] = {}
        for _ in range(options.rounds):
            for connections in options.connections:
                for name, url in urls.items():
                    loaded = load(url, photos, connections, options.seconds)
                    limits.append(bare_limit(photos, options.seconds))
                    # The machine's speed changes by the minute: compared is what stands beside.
                    loaded["limit"] = (limits[-2] + limits[-1]) / 2
                    found.setdefault(f"{name}, {connections} connections", []).append(loaded)
    report(limits, found)


def report(limits: list[float], found: dict[str, list[dict[str, Any]]]) -> None:
    """Print a row for each subject: medians and spread of the rate, and of its ratio to the limit.

    The ratio is that to the limit measured just before and just after.
    """
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print("| | requests/s | least to most | of the limit | least to most | p50 / p99 ms | failed |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| bare limit | {statistics.median(limits):.0f} | {min(limits):.0f} to {max(limits):.0f} "
        "| 1.00 | | | |"
    )
    for name, runs in found.items():
        rates = [run["requests"] / run["seconds"] for run in runs]
        ratios = [rate / run["limit"] for rate, run in zip(rates, runs, strict=True)]
        p50, p99 = (statistics.median(run[p] for run in runs) for p in ("p50_ms", "p99_ms"))
        print(
            f"| {name} | {statistics.median(rates):.0f} | {min(rates):.0f} to {max(rates):.0f} "
            f"| {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} "
            f"| {p50:.0f} / {p99:.0f} | {sum(run['failed'] for run in runs)} |"
        )


def draw_photos(folder: Path) -> list[Path]:
    """Return drawn photos of about 20 KB, one of each class."""
    paths = []
    for label in EXAMPLE_LABELS:
        path = folder / f"{label}.jpg"
        draw_fruit(label, 640).resize((640, 480)).save(path, quality=85)
        paths.append(path)
    return paths


def bare_limit(photos: list[Path], seconds: float) -> float:
    """Return the images a second of decode and run in a loop, one process a core."""
    cores = os.cpu_count() or 1
    # Spawned: a fork of this process would share its locks with the server's threads.
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        return sum(pool.starmap(_loop, [(photos, seconds)] * cores))


def _loop(photos: list[Path], seconds: float) -> float:
    version = open_registry(Path("/nonexistent")).active()
    predictor, side_px = OnnxPredictor.load(version), version.manifest.input.side_px
    contents = [path.read_bytes() for path in photos]
    predictor.warm_up()
    done, begun_at = 0, time.perf_counter()
    while time.perf_counter() - begun_at < seconds:
        predictor.run(load_model_input(contents[done % len(contents)], side_px)[None])
        done += 1
    return done / (time.perf_counter() - begun_at)


def load(url: str, photos: list[Path], connections: int, seconds: float) -> dict[str, Any]:
    """Return what wrk found: requests, seconds, latencies and failures."""
    command = [
        "wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "30s", "--latency",
        "-s", str(LUA), url, "--", *map(str, photos),
    ]  # fmt: skip
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


@contextmanager
def our_server(state_dir: Path, max_pending: int = 256, **settings: str) -> Iterator[str]:
    """Run the app over an empty state, with so much that may wait; yield its address."""
    environment = {"FRUIT_STATE_DIR": str(state_dir), "FRUIT_MAX_PENDING": str(max_pending)}
    environment |= settings
    # The page is built after the routes, and takes a core meanwhile.
    with _running([sys.executable, "-m", "app"], environment, "/") as url:
        yield url


@contextmanager
def peer(name: str) -> Iterator[str]:
    """Run another server of the same model; yield its address."""
    with _running([sys.executable, "-m", "tests.bench.peers", name], {}, "/") as url:
        yield url


@contextmanager
def _running(command: list[str], environment: dict[str, str], path: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if command[-1] != "app":
        command = [*command, str(port)]
    known = (
        os.environ | environment | {"GRADIO_SERVER_PORT": str(port), "TF_CPP_MIN_LOG_LEVEL": "2"}
    )
    process = subprocess.Popen(
        command, cwd=ROOT, env=known, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 90
    try:
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{' '.join(command)} did not start.")
            try:
                httpx.get(url + path, timeout=60)
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    main()
