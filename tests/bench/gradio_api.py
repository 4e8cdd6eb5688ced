"""Calls a second of Gradio's own API, ours beside a plain ``gr.Interface``. Run by hand.

    python -m tests.bench.gradio_api --rounds 3 --seconds 10 --clients 16

A call is what a Gradio client does: upload the photo, start the event, read the stream until the
answer. Both servers run the same model on the same drawn photos and are measured in turn. Each
photo is sent once, as people do: what follows a JPEG's end differs. The clients are threads with a
kept connection of the standard library's each, on the same two cores, and the same for both.
"""

import argparse
import http.client
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.throughput import draw_photos, our_server, peer
from tests.fuzz.wire import BOUNDARY, form

FORM = f"multipart/form-data; boundary={BOUNDARY}"


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
                load(url, more, photos, 1, 1.0)  # both have met a call
            for _ in range(options.rounds):
                for name, (url, more) in calls.items():
                    rates[name].append(load(url, more, photos, options.clients, options.seconds))
    plain_rate = statistics.median(rates["gr.Interface"])
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print("| | calls/s | least to most | times plain |\n|---|---|---|---|")
    for name, found in rates.items():
        rate = statistics.median(found)
        print(
            f"| {name} | {rate:.1f} | {min(found):.1f} to {max(found):.1f} "
            f"| {rate / plain_rate:.2f} |"
        )


def load(
    url: str, more: Sequence[object], photos: list[bytes], clients: int, seconds: float
) -> float:
    """Return the calls a second that so many clients get answered."""
    deadline = time.perf_counter() + seconds
    numbers = itertools.count()
    with ThreadPoolExecutor(clients) as pool:
        counts = [
            pool.submit(one_client, url, more, photos, numbers, deadline) for _ in range(clients)
        ]
    return sum(count.result() for count in counts) / seconds


def one_client(
    url: str, more: Sequence[object], photos: list[bytes], numbers: Iterator[int], deadline: float
) -> int:
    """Call again and again until the deadline, and return how often an answer came."""
    client, done = GradioClient(url), 0
    while time.perf_counter() < deadline:
        number = next(numbers)
        client.predict(photos[number % len(photos)] + number.to_bytes(8, "big"), more)
        done += 1
    client.close()
    return done


class GradioClient:
    """Calls what a Gradio server offers, over one kept connection.

    Args:
        url: of the server.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

    def predict(self, photo: bytes, more: Sequence[object]) -> bytes:
        """Upload the photo, call ``predict`` with it, and return the stream of the answer."""
        body = form([("files", "photo.jpg", photo)])
        (path,) = json.loads(self._exchange("POST", "upload", body, FORM))
        return self.call("predict", [{"path": path, "meta": {"_type": "gradio.FileData"}}, *more])

    def call(self, name: str, data: list[object]) -> bytes:
        """Start a call, and return the stream of its answer."""
        body = json.dumps({"data": data}).encode()
        started = json.loads(self._exchange("POST", f"call/{name}", body, "application/json"))
        answer = self._exchange("GET", f"call/{name}/{started['event_id']}")
        if b"event: complete" not in answer:
            raise SystemExit(f"{self._url} answered: {answer[:300]!r}")
        return answer

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _exchange(self, method: str, path: str, body: bytes = b"", kind: str = "") -> bytes:
        headers = {"Content-Type": kind} if kind else {}
        self._connection.request(method, f"/gradio_api/{path}", body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{self._url} answered {answer.status}: {content[:300]!r}")
        return content


if __name__ == "__main__":
    main()
