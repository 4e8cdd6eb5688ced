"""From a snapshot to tensors: decode once, keep the pixels in memory, shuffle, batch."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from data.images import load_model_input
from data.labels import NONE_OF_THESE
from data.snapshot import Snapshot, SnapshotImage
from data.splits import Split
from training.errors import NotEnoughData

MIN_IMAGES_PER_CLASS = 2


@dataclass(frozen=True)
class LabelledImages:
    """Decoded images of one split.

    Attributes:
        pixels: uint8 (N, side_px, side_px, 3), RGB, 0..255.
        targets: int64 (N,), the column of each image's label.
        images: the N rows of the snapshot.
    """

    pixels: NDArray[np.uint8]
    targets: NDArray[np.int64]
    images: tuple[SnapshotImage, ...]

    def __len__(self) -> int:
        return len(self.images)


def labels_of(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the classes that the snapshot can teach, in alphabetical order.

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
    return tuple(sorted(counts))


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
    column = {label: index for index, label in enumerate(labels)}
    known = tuple(image for image in images if image.label in column)
    pixels = np.empty((len(known), side_px, side_px, 3), dtype=np.uint8)

    def load(index: int) -> None:
        pixels[index] = load_model_input((root / known[index].path).read_bytes(), side_px)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(load, range(len(known))))
    targets = np.array([column[image.label] for image in known], dtype=np.int64)
    return LabelledImages(pixels, targets, known)


def batches(
    data: LabelledImages, classes: int, batch_size: int, *, shuffle_seed: int | None = None
) -> tf.data.Dataset:
    """Return batches of uint8 (N, H, W, 3) and one-hot float32 (N, K).

    Args:
        data: the images, kept in memory once and gathered by index.
        classes: K.
        batch_size: N, but for the last batch.
        shuffle_seed: None for the given order; else a new order each epoch.
    """
    pixels, targets = tf.constant(data.pixels), tf.one_hot(data.targets, classes)
    order = tf.data.Dataset.range(len(data))
    if shuffle_seed is not None:
        order = order.shuffle(len(data), seed=shuffle_seed, reshuffle_each_iteration=True)
    return (
        order.batch(batch_size)
        .map(
            lambda rows: (tf.gather(pixels, rows), tf.gather(targets, rows)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .prefetch(tf.data.AUTOTUNE)
    )
