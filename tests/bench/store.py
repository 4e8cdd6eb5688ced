"""How the store's costs grow with its size. Run by hand.

    python -m tests.bench.store --images 10000 100000 1000000

Rows are synthetic (eight classes, three sources, digests of their number); import is measured with
real drawn files on the disk of the temporary folder.
"""

import argparse
import hashlib
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from sqlalchemy import insert

from data.importer import import_archive
from data.store import DatasetStore, _images

LABELS = ("apple", "avocado", "banana", "cucumber", "eggplant", "mango", "onion", "orange")
SOURCES = ("fruits-360", "grocery", "uploads")


def main() -> None:
    """Print a column for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--imported", type=int, default=20_000)
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    for count, side_px in ((options.imported, 200), (options.imported // 50, 1600)):
        with tempfile.TemporaryDirectory() as folder:
            imports(Path(folder), count, side_px)
    rows: dict[str, list[str]] = {}
    for count in options.images:
        with tempfile.TemporaryDirectory() as folder:
            for name, value in sized(Path(folder), count).items():
                rows.setdefault(name, []).append(value)
    print("| | " + " | ".join(f"{count:,}" for count in options.images) + " |")
    print("|---" * (len(options.images) + 1) + "|")
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(values) + " |")


def sized(folder: Path, count: int) -> dict[str, str]:
    """Return what each question takes with so many images."""
    store = DatasetStore(folder)
    with store._engine.begin() as connection:
        for chunk in chunks(count):
            connection.execute(insert(_images), chunk)
    questions: dict[str, Callable[[], Any]] = {
        "counts": store.counts,
        "first page of the gallery": lambda: store.page(label=None, source=None, limit=48),
        "page of a class": lambda: store.page(label="mango", source=None, limit=48),
        "page of a class and source": lambda: store.page(label="mango", source="uploads", limit=48),
        "last page": lambda: store.page(label=None, source=None, limit=48, offset=count - 48),
        "new since yesterday": lambda: store.added_since("2026-11-22", "uploads"),
        "bytes": store.size_bytes,
    }
    found = {name: f"{median_ms(work, 5):.1f} ms" for name, work in questions.items()}
    found["snapshot, in the process of a retraining"] = f"{median_ms(store.snapshot, 1):,.0f} ms"
    found["index on disk"] = f"{(folder / 'index.db').stat().st_size / 1e6:,.0f} MB"
    store.close()
    return found


def imports(folder: Path, count: int, side_px: int) -> None:
    """Print how fast drawn files are imported, and what memory that takes.

    The floor is what no import can do without: each file is read, hashed and written again.
    """
    rng = np.random.default_rng(1)
    for number in range(count):
        path = folder / "photos" / LABELS[number % len(LABELS)] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 255, (side_px // 20, side_px // 20, 3), np.uint8)
        Image.fromarray(coarse).resize((side_px, side_px)).save(path, quality=85)
    files = list((folder / "photos").rglob("*.jpg"))
    begun_at = time.perf_counter()
    for path in files:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        copy = folder / "copies" / digest[:2] / digest
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
    floor_s = time.perf_counter() - begun_at

    store, process = DatasetStore(folder / "store"), psutil.Process()
    before, most = process.memory_info().rss, 0

    def watch(done: int, total: int) -> None:
        nonlocal most
        most = max(most, process.memory_info().rss - before)

    begun_at = time.perf_counter()
    report = import_archive(store, folder / "photos", on_progress=watch)
    took_s = time.perf_counter() - begun_at
    assert report.results.total() == count, report.results
    begun_at = time.perf_counter()
    import_archive(store, folder / "photos")
    again_s = time.perf_counter() - begun_at
    store.close()
    print(
        f"import of {count:,} JPEGs of {side_px} px ({len(content) / 1000:,.0f} kB): "
        f"{count / took_s:,.0f} images/s, {most / 1e6:.0f} MB more memory; the same again "
        f"{count / again_s:,.0f}/s; only reading, hashing and writing them {count / floor_s:,.0f}/s"
    )


def chunks(count: int) -> Iterator[list[dict[str, Any]]]:
    """Yield so many synthetic rows, some thousands at a time."""
    for start in range(0, count, 10_000):
        yield [row(number) for number in range(start, min(start + 10_000, count))]


def row(number: int) -> dict[str, Any]:
    """Return the row of an image that does not exist."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return {
        "digest": digest, "pixel_digest": digest[::-1], "difference_hash": digest[:16],
        "label": LABELS[number % 8], "source": SOURCES[number % 3], "variety": "",
        "scene": f"s{number // 4}", "split": "test" if number % 7 == 0 else "train",
        "original_name": f"{number}.jpg", "licence": "", "width_px": 640, "height_px": 480,
        "added_at": f"2026-{1 + number * 11 // 2_000_000:02d}-{1 + number % 28:02d}T00:00:00+00:00",
        "size_bytes": 20_000 + number % 9_000, "suffix": ".jpg",
    }  # fmt: skip


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
