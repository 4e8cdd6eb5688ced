"""Calls a second of Gradio's own API, ours beside a plain ``gr.Interface``. Run by hand.

    python -m tests.bench.gradio_api --rounds 3 --seconds 10 --clients 16

A call is what a Gradio client does: upload the photo, start the event, read the stream until the
answer. Both servers run the same model on the same drawn photos and are measured in turn. The
client is written in Python (httpx); it makes some 300 calls a second against an empty handler, and
is the same for both.
"""

import argparse
import asyncio
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from tests.bench.throughput import draw_photos, our_server, peer


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=16)
    options = parser.parse_args()
    rates: dict[str, list[float]] = {"ours": [], "gr.Interface": []}
    with tempfile.TemporaryDirectory() as folder:
        photos = [path.read_bytes() for path in draw_photos(Path(folder))]
        with our_server(Path(folder) / "state") as ours, peer("gradio") as plain:
            # What follows the photo is what each of them takes.
            calls = {"ours": (ours, [None, False]), "gr.Interface": (plain, [])}
            for url, more in calls.values():
                asyncio.run(load(url, more, photos, 1, 1.0))  # both have met a call
            for _ in range(options.rounds):
                for name, (url, more) in calls.items():
                    rates[name].append(
                        asyncio.run(load(url, more, photos, options.clients, options.seconds))
                    )
    plain_rate = statistics.median(rates["gr.Interface"])
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print("| | calls/s | least to most | times plain |\n|---|---|---|---|")
    for name, found in rates.items():
        rate = statistics.median(found)
        print(
            f"| {name} | {rate:.1f} | {min(found):.1f} to {max(found):.1f} "
            f"| {rate / plain_rate:.2f} |"
        )


async def load(
    url: str, more: list[object], photos: list[bytes], clients: int, seconds: float
) -> float:
    """Return the calls a second that so many clients get answered."""
    deadline = time.perf_counter() + seconds
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        counts = await asyncio.gather(
            *(one_client(client, more, photos, deadline) for _ in range(clients))
        )
    return sum(counts) / seconds


async def one_client(
    client: httpx.AsyncClient, more: list[object], photos: list[bytes], deadline: float
) -> int:
    """Call again and again until the deadline, and return how often an answer came."""
    done = 0
    while time.perf_counter() < deadline:
        files = {"files": ("photo.jpg", photos[done % len(photos)], "image/jpeg")}
        (path,) = (await client.post("/gradio_api/upload", files=files)).raise_for_status().json()
        data = [{"path": path, "meta": {"_type": "gradio.FileData"}}, *more]
        started = await client.post("/gradio_api/call/predict", json={"data": data})
        event = started.raise_for_status().json()["event_id"]
        answer = (await client.get(f"/gradio_api/call/predict/{event}")).text
        if "event: complete" not in answer:
            raise SystemExit(f"{client.base_url} answered: {answer[:300]}")
        done += 1
    return done


if __name__ == "__main__":
    main()
