"""What retraining gives with shop goods that the shipped model refuses. Run by hand.

    python -m tests.bench.new_classes
    python -m tests.bench.new_classes --thorough

Needs the extra ``train`` and a store with the two public archives (``FRUIT_STATE_DIR`` or
``var``). Of each class up to 40 shop photos are learned over an empty store, from the shipped
version; photos of other scenes, a fifth or more, are not. First each class by itself, then five in
a row, each from the version that the one before gave. Every version is asked about the shop photos
of the test split, and about the photos of its new classes that it did not learn. Thoroughly it is
three classes at a time, added to a copy of the store in which they were nothing else before, and a
part of the photos is set aside to judge by, as of all that is added.
"""

import argparse
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from data.labels import NONE_OF_THESE
from data.snapshot import Snapshot, SnapshotImage
from data.splits import Split
from data.state import state_dir, store_dir
from data.store import DatasetStore
from export.parity import onnx_predict
from models.decision import decide
from models.registry import ModelVersion, open_registry
from training.dataset import load_images
from training.evaluate import rows_by
from training.quick import quick_retrain
from training.thorough import thorough_retrain

SHOP: Final = "grocery"
GOODS: Final = {
    "kiwi": "Fruit/Kiwi",
    "lemon": "Fruit/Lemon",
    "pear": "Fruit/Pear/Conference",
    "tomato": "Vegetables/Tomato/Regular-Tomato",
    "satsuma": "Fruit/Satsumas",
    "watermelon": "Fruit/Melon/Watermelon",
}
IN_A_ROW: Final = ("kiwi", "lemon", "tomato", "satsuma", "pear")
AT_ONCE: Final = (("pear", "tomato", "satsuma"), ("kiwi", "lemon", "watermelon"))
LEARNED: Final = 40
UNSEEN_SHARE: Final = 0.2
SEED: Final = 20


class Bench:
    """The photos of the shops, and what is learned and asked of each class."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._root = snapshot.root
        shop = [image for image in snapshot.images if image.source == SHOP]
        varieties = rows_by(image.variety for image in shop)
        if missing := set(GOODS.values()) - set(varieties):
            raise SystemExit(
                f"The store has no photos of {', '.join(sorted(missing))}. Import the Grocery "
                "Store Dataset first: python -m data import GroceryStoreDataset-master.zip"
            )
        self._test = [image for image in shop if image.split == Split.TEST]
        self._dealt = {
            label: deal([shop[row] for row in varieties[variety]])
            for label, variety in GOODS.items()
        }

    def take_out(self, store: DatasetStore, labels: Sequence[str]) -> None:
        """Take all photos of the classes out of a copy of the store."""
        paths = {i.path for label in labels for dealt in self._dealt[label] for i in dealt}
        store.remove(image.digest for image in store.images(source=SHOP) if image.path in paths)

    def add(self, store: DatasetStore, label: str, split: Split | None = None) -> int:
        """Put the photos of a class that are to be learned into a store; return how many."""
        learned, _ = self._dealt[label]
        with store.batch() as batch:
            for image in learned:
                batch.add(
                    (self._root / image.path).read_bytes(), label=label, source="upload",
                    original_name=image.path, scene=image.scene, split=split,
                )  # fmt: skip
        return len(learned)

    def judge(self, version: ModelVersion, taught: Sequence[str]) -> str:
        """Return the cells of a row: unseen photos recognised, fruit right, other goods refused."""
        renamed = {GOODS[label] for label in taught}
        fruit = [i for i in self._test if i.label != NONE_OF_THESE]
        others = [i for i in self._test if i.label == NONE_OF_THESE and i.variety not in renamed]
        right = self._answers(version, fruit) == np.array([i.label for i in fruit])
        refused = self._answers(version, others) == NONE_OF_THESE
        found = [
            f"{label} {(self._answers(version, unseen) == label).sum()}/{len(unseen)}"
            for label, (_, unseen) in self._dealt.items()
            if label in taught
        ]
        return (
            f"{', '.join(found)} | {right.mean():.1%} of {len(fruit)} "
            f"| {refused.mean():.1%} of {len(others)}"
        )

    def _answers(self, version: ModelVersion, images: Sequence[SnapshotImage]) -> NDArray[np.str_]:
        manifest = version.manifest
        pixels = load_images(
            self._root, images, [i.label for i in images], manifest.input.side_px
        ).pixels
        probabilities = onnx_predict(version.model_path.read_bytes())(pixels)
        columns = decide(probabilities, manifest.none_column, manifest.none_threshold)
        return np.array(manifest.labels)[columns]


def main() -> None:
    """Teach, judge and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--thorough", action="store_true", help="instead of quick")
    options = parser.parse_args()
    with closing(DatasetStore(store_dir(state_dir()))) as store:
        bench = Bench(store.snapshot())
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print("| taught | photos | s | unseen recognised | shop test right | others refused | gate |")
    print("|---|---|---|---|---|---|---|")
    if options.thorough:
        for labels in AT_ONCE:
            teach_thoroughly(bench, labels)
        return
    for label in GOODS:
        teach(bench, [label])
    teach(bench, IN_A_ROW)


def teach(bench: Bench, labels: Sequence[str]) -> None:
    """Teach the shipped version classes, one after the other, and print a row for each."""
    with tempfile.TemporaryDirectory() as folder:
        registry = open_registry(Path(folder))
        with closing(DatasetStore(store_dir(Path(folder)))) as store:
            version = registry.active()
            print(f"| {version.version} | | | {bench.judge(version, [])} | |", flush=True)
            for number, label in enumerate(labels, start=1):
                learned = bench.add(store, label, Split.TRAIN)
                begun = time.perf_counter()
                version = quick_retrain(store.snapshot(), version, registry)
                took = time.perf_counter() - begun
                row(bench, version, labels[:number], label, learned, took)


def teach_thoroughly(bench: Bench, labels: Sequence[str]) -> None:
    """Teach the shipped version some classes at once, beside all that the store has."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        shutil.copytree(store_dir(state_dir()), store_dir(state))
        registry = open_registry(state)
        with closing(DatasetStore(store_dir(state))) as store:
            bench.take_out(store, labels)
            added = sum(bench.add(store, label) for label in labels)
            begun = time.perf_counter()
            version = thorough_retrain(store.snapshot(), registry.active(), registry)
            took = time.perf_counter() - begun
        row(bench, version, labels, ", ".join(labels), added, took)


def row(
    bench: Bench, version: ModelVersion, taught: Sequence[str], title: str, photos: int, took: float
) -> None:
    """Print what a retraining gave: what it added, how long it took, and what its version knows."""
    gate = version.manifest.gate
    verdict = "passed" if gate and gate.passed else "rejected"
    found = bench.judge(version, taught)
    print(f"| {title} | {photos} | {took:.0f} | {found} | {verdict} |", flush=True)


def deal(
    images: Sequence[SnapshotImage],
) -> tuple[list[SnapshotImage], list[SnapshotImage]]:
    """Return up to 40 photos that are learned, and those of other scenes."""
    scenes = rows_by(image.scene for image in images)
    order = np.random.default_rng(SEED).permutation(sorted(scenes))
    unseen: list[SnapshotImage] = []
    learned: list[SnapshotImage] = []
    for scene in order:
        wanted = len(unseen) < UNSEEN_SHARE * len(images)
        (unseen if wanted else learned).extend(images[row] for row in scenes[scene])
    return learned[:LEARNED], unseen


if __name__ == "__main__":
    main()
