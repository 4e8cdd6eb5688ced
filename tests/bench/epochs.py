"""What an epoch costs beside plain Keras, and whether the input keeps up. Run by hand.

    python -m tests.bench.epochs

An epoch of `seed_cnn`, the default network, on synthetic pictures of 100 px: ours against Keras's
own `image_dataset_from_directory` and `fit` of the same network with the same settings, in turn,
each in a process of its own. Then for it and for the shipped network, each by its own settings
(but for --feature-pull, with which the network takes still longer): how many images a second the
input gives by itself, how many the network takes where the input costs nothing, and both together.
"""

import argparse
import itertools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from PIL import Image

from data.labels import BASE_LABELS, NONE_OF_THESE
from data.snapshot import SnapshotImage
from data.splits import Split
from training.columns import Columns
from training.config import TrainConfig
from training.dataset import training_data
from training.epoch import Epoch
from training.memory import keep_freed_memory
from training.network import build_network
from training.train import fit

PLAIN = TrainConfig(class_weights=False, schedule="cosine", epochs=2)  # cosine: no validation
SHIPPED = TrainConfig(
    network="efficientnet_lite0", side_px=160, frozen_stages=2, none_of_these=True,
    augmentation="scenes", schedule="cosine", learning_rate=4e-4, label_smoothing=0.05, epochs=1,
    steps_per_epoch=12,
)  # fmt: skip


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=480)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epoch", choices=EPOCHS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.epoch:
        print(*EPOCHS[options.epoch](options.folder))
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"Keras {keras.__version__}; {options.pictures:,} pictures, {options.rounds} rounds")
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small"), Path(folder, "large")
        draw(small, BASE_LABELS, options.pictures, (100, 100))
        draw(large, (*BASE_LABELS, NONE_OF_THESE), 450, (320, 240))
        compare_epochs(small, options.rounds)
        print("\n| images/s | the input alone | the network alone | both | input / network |")
        print("|---|---|---|---|---|")
        compare_input("seed_cnn, `turns`", PLAIN, small, options.rounds)
        compare_input("efficientnet_lite0, `scenes`", SHIPPED, large, options.rounds)


def draw(root: Path, labels: tuple[str, ...], count: int, size: tuple[int, int]) -> None:
    """Write pictures of nothing, one folder a label."""
    rng = np.random.default_rng(1)
    for number in range(count):
        path = root / labels[number % len(labels)] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 255, (12, 16, 3), np.uint8)
        Image.fromarray(coarse).resize(size).save(path, quality=90)


def snapshot_of(root: Path) -> list[SnapshotImage]:
    """Return the pictures as the rows of a snapshot."""
    return [
        SnapshotImage(
            path.relative_to(root).as_posix(), path.parent.name, f"{int(path.stem):064x}",
            Split.TRAIN, "drawn", path.parent.name,
        )
        for path in sorted(root.rglob("*.jpg"))
    ]  # fmt: skip


def compare_epochs(root: Path, rounds: int) -> None:
    """Print the seconds of a later epoch, and of everything before the first one."""
    found: dict[str, list[list[float]]] = {name: [] for name in EPOCHS}
    for _ in range(rounds):
        for name, times in found.items():
            command = [
                sys.executable,
                "-m",
                "tests.bench.epochs",
                "--epoch",
                name,
                "--folder",
                str(root),
            ]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            times.append([float(word) for word in printed.split()])
    print("\n| seed_cnn | s before the first epoch | s an epoch |\n|---|---|---|")
    for name, times in found.items():
        before, epoch = (statistics.median(values) for values in zip(*times, strict=True))
        print(f"| {name} | {before:.1f} | {epoch:.1f} |")
    ours, plain = found.values()
    ratios = [o[1] / p[1] for o, p in zip(ours, plain, strict=True)]
    print(f"\nours / plain Keras, an epoch: {statistics.median(ratios):.2f}", end=" ")
    print(f"({min(ratios):.2f} to {max(ratios):.2f})")


def our_epoch(root: Path) -> tuple[float, float]:
    """Return the seconds of reading the pictures, and of the last epoch."""
    keep_freed_memory()
    images = snapshot_of(root)
    begun_at = time.perf_counter()
    data = training_data(PLAIN, root, images, Columns(BASE_LABELS))
    before_s = time.perf_counter() - begun_at
    epochs: list[Epoch] = []
    fit(PLAIN, data, None, Columns(BASE_LABELS), epochs.append)
    return before_s, epochs[-1].duration_s


def plain_epoch(root: Path) -> tuple[float, float]:
    """Return the same of what Keras's documentation shows; it reads the pictures each epoch."""
    begun_at = time.perf_counter()
    data = keras.utils.image_dataset_from_directory(
        root, label_mode="categorical", batch_size=PLAIN.batch_size,
        image_size=(PLAIN.side_px, PLAIN.side_px), seed=PLAIN.seed, verbose=False,
    )  # fmt: skip
    before_s = time.perf_counter() - begun_at
    model = compiled(PLAIN, len(BASE_LABELS))
    times = [time.perf_counter()]
    each = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: times.append(time.perf_counter())
    )
    model.fit(data, epochs=PLAIN.epochs, verbose=0, callbacks=[each])
    return before_s, times[-1] - times[-2]


def compare_input(name: str, config: TrainConfig, root: Path, rounds: int) -> None:
    """Print how many images a second go through the input, the network, and both."""
    labels = (*BASE_LABELS, NONE_OF_THESE) if config.none_of_these else BASE_LABELS
    columns = Columns.of_labels(labels)
    data = training_data(config, root, snapshot_of(root), columns)
    model = compiled(config, columns.width)
    first = next(iter(data.batches))
    model.train_on_batch(*first)  # traced, and again as `fit` does it
    model.fit(data.batches, verbose=0)
    alone, taken, both = [], [], []
    for _ in range(rounds):
        alone.append(rate(config, data.steps, lambda: drain(data.batches, data.steps)))
        taken.append(rate(config, data.steps, lambda: repeat(model, first, data.steps)))
        both.append(rate(config, data.steps, lambda: model.fit(data.batches, verbose=0)))
    medians = [statistics.median(values) for values in (alone, taken, both)]
    print(f"| {name} | " + " | ".join(f"{value:,.0f}" for value in medians), end=" ")
    print(f"| {medians[0] / medians[1]:.1f} |")


def rate(config: TrainConfig, steps: int, work: Callable[[], object]) -> float:
    """Return how many images a second so many batches are."""
    begun_at = time.perf_counter()
    work()
    return steps * config.batch_size / (time.perf_counter() - begun_at)


def drain(batches: Any, steps: int) -> None:
    """Make so many batches, and drop them."""
    for _ in itertools.islice(batches, steps):
        pass


def repeat(model: keras.Model, batch: Any, steps: int) -> None:
    """Train on the same batch so many times."""
    for _ in range(steps):
        model.train_on_batch(*batch)


def compiled(config: TrainConfig, classes: int) -> keras.Model:
    """Return the network as ``fit`` compiles it."""
    keras.utils.set_random_seed(config.seed)
    model = build_network(config, classes)
    model.compile(
        optimizer=keras.optimizers.Adam(config.learning_rate),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=config.label_smoothing
        ),
        metrics=["accuracy"],
    )
    return model


EPOCHS: Final = {"this project": our_epoch, "plain Keras": plain_epoch}

if __name__ == "__main__":
    main()
