"""What many calls of Gradio's API leave in memory. Run by hand, for a quarter of an hour.

    python -m tests.bench.gradio_memory --calls 50000 --kept-s 30

Uploads are kept for half a minute instead of an hour, so that the run is long compared with that,
as a server's life is.

Every second call is ``predict`` of a photo of its own (upload, call, stream), which the app answers
itself; the others are ``status``, which Gradio answers and opens a session for. Eight clients call
at once and take new connections now and then. Printed are the memory of the server's process and
what Gradio keeps of uploads on disk.
"""

import argparse
import itertools
import os
import platform
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.bench.gradio_api import GradioClient
from tests.bench.throughput import draw_photos, our_server

CLIENTS = 8
CALLS_A_CONNECTION = 50


def main() -> None:
    """Call, and print a row now and then."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--every", type=int, default=5_000, help="calls between two rows")
    parser.add_argument("--kept-s", default="3600", help="how long uploads are kept")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print("| calls | s | memory, MB | uploads on disk, MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        photos = [path.read_bytes() for path in draw_photos(Path(folder))]
        state = Path(folder) / "state"
        with our_server(state, FRUIT_UPLOAD_KEPT_S=options.kept_s) as url:
            server = psutil.Process(int((state / "app.pid").read_text()))
            numbers, begun = itertools.count(), time.perf_counter()
            for called in range(0, options.calls + 1, options.every):
                if called:
                    with ThreadPoolExecutor(CLIENTS) as pool:
                        share = options.every // CLIENTS
                        for done in [
                            pool.submit(call, url, photos, numbers, share) for _ in range(CLIENTS)
                        ]:
                            done.result()
                memory, seconds = server.memory_info().rss / 1e6, time.perf_counter() - begun
                kept = sum(p.stat().st_size for p in (state / "gradio").rglob("*") if p.is_file())
                print(
                    f"| {called:,} | {seconds:.0f} | {memory:.0f} | {kept / 1e6:.0f} |", flush=True
                )


def call(url: str, photos: list[bytes], numbers: "itertools.count[int]", count: int) -> None:
    """Make so many calls, each second one of another kind."""
    client = GradioClient(url)
    for turn in range(count):
        number = next(numbers)
        if turn % 2:
            client.call("status", [])
        else:
            photo = photos[number % len(photos)] + number.to_bytes(8, "big")
            client.predict(photo, [None, False])
        if turn % CALLS_A_CONNECTION == CALLS_A_CONNECTION - 1:
            client.close()
            client = GradioClient(url)
    client.close()


if __name__ == "__main__":
    main()
