"""What becomes of accepted requests while ten times as many arrive as can be answered. Run by hand.

    python -m tests.bench.overload --clients 100 1400 --seconds 20

Each client posts a drawn photo over a connection of its own, again and again; one that is refused
waits as long as `Retry-After` says. Fourteen hundred of them that come back after a second are ten
times what two cores answer. The client speaks HTTP by itself, because libraries are slower than the
server.
"""

import argparse
import asyncio
import os
import platform
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.throughput import draw_photos, our_server


@dataclass
class Found:
    """What so many clients saw."""

    accepted_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[100, 1400])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rounds: dict[int, list[Found]] = {count: [] for count in options.clients}
    with tempfile.TemporaryDirectory() as folder:
        photos = [path.read_bytes() for path in draw_photos(Path(folder))]
        # The default bound on what waits, unlike the throughput bench, in which nobody is refused.
        with our_server(Path(folder) / "state", max_pending=128) as url:
            asyncio.run(load(url, photos, 10, 3))  # the server is warm
            for _ in range(options.rounds):
                for count, found in rounds.items():
                    found.append(asyncio.run(load(url, photos, count, options.seconds)))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print("| clients | accepted/s | p50 / p99 ms | refused/s | p50 / p99 ms | anything else |")
    print("|---|---|---|---|---|---|")
    for count, found in rounds.items():
        others = sum((f.others for f in found), Counter())
        accepted = "| {:.0f} | {}".format(*row([f.accepted_s for f in found], options.seconds))
        refused = "| {:.0f} | {}".format(*row([f.refused_s for f in found], options.seconds))
        print(f"| {count} {accepted} {refused} | {dict(others) or 0} |")


def row(rounds: list[list[float]], seconds: float) -> tuple[float, str]:
    """Return the median rate, and the medians of the rounds' p50 and p99."""
    rate = statistics.median(len(times) / seconds for times in rounds)
    times = [sorted(times) for times in rounds if times]
    if not times:
        return rate, ""
    p50, p99 = (
        1000 * statistics.median(t[min(len(t) - 1, int(share * len(t)))] for t in times)
        for share in (0.5, 0.99)
    )
    return rate, f"{p50:.0f} / {p99:.0f}"


async def load(url: str, photos: list[bytes], clients: int, seconds: float) -> Found:
    """Return what so many clients see within a time, after two seconds that do not count."""
    found, begin = Found(), time.perf_counter() + 2
    await asyncio.gather(
        *(one_client(url, photos[n % len(photos)], begin, seconds, found) for n in range(clients))
    )
    return found


async def one_client(url: str, photo: bytes, begin: float, seconds: float, found: Found) -> None:
    """Send a photo again and again over one connection."""
    where = urlsplit(url)
    head = (
        f"POST /api/predict HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: image/jpeg\r\n"
        f"Content-Length: {len(photo)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    while (asked_at := time.perf_counter()) < begin + seconds:
        try:
            writer.write(head.encode() + photo)
            await writer.drain()
            status, headers = await read_head(reader)
            await reader.readexactly(int(headers["content-length"]))
        except (OSError, asyncio.IncompleteReadError) as error:
            found.others[type(error).__name__] += 1
            reader, writer = await asyncio.open_connection(where.hostname, where.port)
            continue
        if asked_at >= begin:
            took_s = time.perf_counter() - asked_at
            if status in (200, 429):
                (found.accepted_s if status == 200 else found.refused_s).append(took_s)
            else:
                found.others[str(status)] += 1
        if status == 429:
            await asyncio.sleep(float(headers["retry-after"]))
    writer.close()


async def read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of an answer."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    return int(lines[0].split()[1]), {name.lower(): value for name, value in headers.items()}


if __name__ == "__main__":
    main()
