"""From a snapshot to batches: decode once, keep the pixels in memory, shuffle, batch."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

from data.cores import available_cores
from data.images import STORED_LIMITS, load_model_input
from data.labels import NONE_OF_THESE
from data.snapshot import Snapshot, SnapshotImage
from data.splits import Split
from training.columns import Columns
from training.config import TrainConfig
from training.errors import NotEnoughData
from training.evaluate import columns_of, rows_by
from training.sampling import POOL_BYTES, PhotoPool, draw_batch, in_turn, load_pool

MIN_IMAGES_PER_CLASS = 2
TYPICAL_IMAGES = 150  # of each source
TYPICAL_SEED = 20
JUDGING_BYTES = 1_000_000_000  # of a split: 13,020 images of 160 px; the public sets have 3,978


@dataclass(frozen=True)
class LabelledImages:
    """Decoded images of one split.

    Attributes:
        pixels: uint8 (N, side_px, side_px, 3), RGB, 0..255.
        targets: int64 (N,), the column of each image's label.
        images: the N rows of the snapshot.
        left_out: how many more there are, for which there was no room.
    """

    pixels: NDArray[np.uint8]
    targets: NDArray[np.int64]
    images: tuple[SnapshotImage, ...]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class TrainingData:
    """What a network is fitted to.

    Attributes:
        batches: of uint8 (N, S, S, 3) and one-hot float32 (N, width), again each epoch; S is the
            configured ``learned_side_px``.
        steps: batches an epoch.
        images: how many different images there are.
        class_weights: of each column, None for equal ones.
        left_out: how many more there are, for which there was no room.
        pool: what the batches are drawn from; None where they pass over the images.
    """

    batches: "tf.data.Dataset | BalancedBatches"
    steps: int
    images: int
    class_weights: dict[int, float] | None
    left_out: int = 0
    pool: PhotoPool | None = None


class BalancedBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras has no types
    """Batches of uint8 (N, S, S, 3) and one-hot float32 (N, width), drawn from a pool.

    S is the configured ``learned_side_px``. A batch follows from the seed, the epoch and its number
    alone.

    Args:
        pool: what is drawn from.
        config: side, batch size, steps an epoch and seed.
    """

    def __init__(self, pool: PhotoPool, config: TrainConfig) -> None:
        super().__init__()
        self._pool = pool
        self._config = config
        self._steps = config.steps_per_epoch or math.ceil(len(pool) / config.batch_size)
        self._epoch = 0

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        config = self._config
        rng = np.random.default_rng((config.seed, self._epoch, step))
        images, targets = draw_batch(self._pool, config.batch_size, config.learned_side_px, rng)
        return images, np.eye(self._pool.columns.width, dtype=np.float32)[targets]

    def on_epoch_end(self) -> None:
        self._epoch += 1


def labels_of(snapshot: Snapshot, *, with_none: bool = False) -> tuple[str, ...]:
    """Return the classes that the snapshot can teach, in alphabetical order.

    Args:
        snapshot: images and their labels.
        with_none: put none-of-these behind them, if the snapshot can teach that too.

    Raises:
        NotEnoughData: fewer than two classes, or one of them with too few images to learn from or
            without one to choose the best epoch by.
    """
    counts: dict[str, dict[Split, int]] = {}
    for (_, label, split), count in snapshot.counts().items():
        if label != NONE_OF_THESE:
            by_split = counts.setdefault(label, {})
            by_split[split] = by_split.get(split, 0) + count
    if len(counts) < 2:
        raise NotEnoughData(
            f"The store holds {len(counts)} classes; at least 2 are needed. Import photographs "
            "first: python -m data fetch fruits-360, then python -m data fetch grocery."
        )
    for label, by_split in counts.items():
        if by_split.get(Split.TRAIN, 0) < MIN_IMAGES_PER_CLASS:
            raise NotEnoughData(
                f"Class {label!r} has {by_split.get(Split.TRAIN, 0)} training images; at least "
                f"{MIN_IMAGES_PER_CLASS} are needed. Add photographs of it, or remove the class."
            )
    if not any(by_split.get(Split.VALIDATION) for by_split in counts.values()):
        raise NotEnoughData(
            "The store holds no validation image, by which the best epoch is chosen. Import a "
            "source with independent scenes: python -m data fetch grocery."
        )
    others = [i.split for i in snapshot.images if i.label == NONE_OF_THESE]
    if with_none and not {Split.TRAIN, Split.VALIDATION} <= set(others):
        raise NotEnoughData(
            "To refuse pictures of nothing it knows, a network needs such pictures for training "
            f"and for validation; of {len(others):,} in the store one of the two has none. Import "
            "one of the public sets: python -m data fetch grocery."
        )
    return (*sorted(counts), NONE_OF_THESE) if with_none else tuple(sorted(counts))


def training_columns(config: TrainConfig, snapshot: Snapshot, labels: Sequence[str]) -> Columns:
    """Return what the outputs of a network that starts anew stand for.

    Args:
        config: whether kinds of other things are told apart.
        snapshot: all images; the kinds are those among them.
        labels: what ``labels_of`` returns.
    """
    if config.kinds and NONE_OF_THESE in labels:
        return Columns.of_kinds(labels, snapshot.images)
    return Columns.of_labels(labels)


def training_data(
    config: TrainConfig, root: Path, images: Sequence[SnapshotImage], columns: Columns
) -> TrainingData:
    """Return the batches that the configured augmentation makes of the images.

    No more than 2 GB of them (``POOL_BYTES``) are held in memory, whatever the store holds.

    Args:
        config: augmentation, batch size, seed.
        root: the snapshot's root folder.
        images: rows of a snapshot; those of other labels are left out.
        columns: what the network's outputs stand for.
    """
    if config.augmentation == "scenes":
        pool = load_pool(root, images, columns)
        balanced = BalancedBatches(pool, config)
        return TrainingData(balanced, len(balanced), len(pool), None, pool.left_out, pool)
    # TensorFlow copies them.
    data = _load_some(root, images, columns.labels, config.side_px, POOL_BYTES // 2)
    shuffled = batches(data, columns, config.batch_size, shuffle_seed=config.seed)
    weights = _class_weights(columns.of(data.images)) if config.class_weights else None
    steps = math.ceil(len(data) / config.batch_size)
    return TrainingData(shuffled, steps, len(data), weights, data.left_out)


def typical_images(snapshot: Snapshot, labels: Sequence[str], side_px: int) -> LabelledImages:
    """Return some training images of each source, by which the ranges of activations are set.

    Args:
        snapshot: the images.
        labels, side_px: as for ``load_images``.
    """
    train = [image for image in snapshot.select(split=Split.TRAIN) if image.label in labels]
    rng = np.random.default_rng(TYPICAL_SEED)
    chosen = [
        train[row]
        for _, rows in sorted(rows_by(image.source for image in train).items())
        for row in rng.permutation(rows)[:TYPICAL_IMAGES]
    ]
    mixed = [chosen[place] for place in rng.permutation(len(chosen))]
    return load_images(snapshot.root, mixed, labels, side_px)


def judging_images(
    snapshot: Snapshot, split: Split, labels: Sequence[str], side_px: int
) -> LabelledImages:
    """Return the images of a split of known classes, as many as fit into ``JUDGING_BYTES``.

    One takes 76,800 bytes at 160 px. Of more than fit, each source and label gives as many as the
    others, or all that it has; which ones is drawn with a seed.

    Args:
        snapshot: the images.
        split: that judges or chooses.
        labels, side_px: as for ``load_images``.
    """
    images = snapshot.select(split=split)
    return _load_some(snapshot.root, images, labels, side_px, JUDGING_BYTES)


def _load_some(
    root: Path,
    images: Sequence[SnapshotImage],
    labels: Sequence[str],
    side_px: int,
    most_bytes: int,
) -> LabelledImages:
    known = [image for image in images if image.label in labels]
    order = in_turn(f"{image.source}/{image.label}" for image in known)
    rows = np.sort(order[: most_bytes // (3 * side_px**2)])
    loaded = load_images(root, [known[row] for row in rows], labels, side_px)
    return replace(loaded, left_out=len(known) - len(rows))


def load_images(
    root: Path, images: Sequence[SnapshotImage], labels: Sequence[str], side_px: int
) -> LabelledImages:
    """Return the images of known classes, decoded as serving decodes them.

    Args:
        root: the snapshot's root folder.
        images: rows of a snapshot; those of no class are left out.
        labels: the K classes, in the order of the network's outputs.
        side_px: side of the network's input, in pixels.

    Raises:
        OSError: a file of the snapshot is gone.
        InvalidImage: a file of the snapshot is damaged.
    """
    known = tuple(image for image in images if image.label in labels)
    pixels = np.empty((len(known), side_px, side_px, 3), dtype=np.uint8)

    def load(index: int) -> None:
        pixels[index] = load_model_input(
            (root / known[index].path).read_bytes(), side_px, limits=STORED_LIMITS
        )

    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(load, range(len(known))))
    return LabelledImages(pixels, columns_of(known, labels), known)


def batches(
    data: LabelledImages, columns: Columns, batch_size: int, *, shuffle_seed: int | None = None
) -> tf.data.Dataset:
    """Return batches of uint8 (N, H, W, 3) and one-hot float32 (N, width).

    Args:
        data: the images, kept in memory once and gathered by index.
        columns: what the network's outputs stand for.
        batch_size: N, but for the last batch.
        shuffle_seed: None for the given order; else a new order each epoch.
    """
    pixels = tf.constant(data.pixels)
    targets = tf.one_hot(columns.of(data.images), columns.width)
    order = tf.data.Dataset.range(len(data))
    if shuffle_seed is not None:
        order = order.shuffle(len(data), seed=shuffle_seed, reshuffle_each_iteration=True)
    # Each iterator's tuning thread may sleep for seconds before it lets the iterator end
    # (TensorFlow 2.21), which made epochs of 5 s take 10; a gather needs no tuning.
    options = tf.data.Options()
    options.autotune.enabled = False
    return (
        order.batch(batch_size)
        .map(lambda rows: (tf.gather(pixels, rows), tf.gather(targets, rows)))
        .prefetch(2)
        .with_options(options)
    )


def _class_weights(targets: NDArray[np.int64]) -> dict[int, float]:
    present = np.unique(targets)
    weights = compute_class_weight("balanced", classes=present, y=targets)
    return dict(zip(present.tolist(), weights.tolist(), strict=True))
