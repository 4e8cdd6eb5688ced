"""What is in the store, and what about it should worry a person who trains on it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.labels import NONE_OF_THESE
from data.splits import Split
from data.store import DatasetStore, StoredImage

NEAR_DUPLICATE_BITS = 6  # of 64: stricter than joining a scene, because each is shown as a fault
_BLOCK = 1024


@dataclass(frozen=True)
class NearDuplicate:
    """A training or validation image, and a nearly identical one in another split."""

    image: StoredImage
    other: StoredImage
    distance_bits: int


@dataclass(frozen=True)
class Audit:
    """The state of a store.

    Attributes:
        counts: images by source, label and split.
        near_duplicates: for each image, its nearest in another split, where near enough.
        near_duplicate_counts: how many such images there are, by source and pair of splits.
        sides_px: smallest, median and largest of the shorter sides, by source.
        size_bytes: of all files.
        imbalance: training images of the largest class for one of the smallest.
        rare: classes without an image in some split.
    """

    counts: dict[tuple[str, str, Split], int]
    near_duplicates: list[NearDuplicate]
    near_duplicate_counts: Counter[tuple[str, Split, Split]]
    sides_px: dict[str, tuple[int, int, int]]
    size_bytes: int
    imbalance: float
    rare: dict[str, list[Split]]


def audit(store: DatasetStore) -> Audit:
    """Return what there is to know about the store; reads the index, no picture."""
    images = store.images()
    counts = store.counts()
    near = near_duplicates(images)
    labels = sorted({label for _, label, _ in counts if label != NONE_OF_THESE})
    training = {label: _total(counts, label, Split.TRAIN) for label in labels}
    return Audit(
        counts=counts,
        near_duplicates=near,
        near_duplicate_counts=Counter((n.image.source, n.image.split, n.other.split) for n in near),
        sides_px=_sides_px(images),
        size_bytes=sum(image.size_bytes for image in images),
        imbalance=max(training.values()) / max(1, min(training.values())) if training else 1.0,
        rare={
            label: missing
            for label in labels
            if (missing := [split for split in Split if not _total(counts, label, split)])
        },
    )


def near_duplicates(images: Sequence[StoredImage]) -> list[NearDuplicate]:
    """Return each training or validation image that nearly equals one of a stricter split.

    Compares every pair by the distance of their difference hashes: 20,000 images are 200 million
    comparisons of 64 bits, about a second.
    """
    order = {Split.TRAIN: 0, Split.VALIDATION: 1, Split.TEST: 2}
    found: list[NearDuplicate] = []
    for strict in (Split.VALIDATION, Split.TEST):
        others = [image for image in images if image.split == strict]
        candidates = [image for image in images if order[image.split] < order[strict]]
        if not others:
            continue
        known = _hashes(others)  # (M,)
        for start in range(0, len(candidates), _BLOCK):
            block = candidates[start : start + _BLOCK]
            distances = np.bitwise_count(_hashes(block)[:, None] ^ known[None, :])  # (N, M)
            nearest = distances.argmin(axis=1)
            for row, image in enumerate(block):
                distance = int(distances[row, nearest[row]])
                if distance <= NEAR_DUPLICATE_BITS:
                    found.append(NearDuplicate(image, others[nearest[row]], distance))
    return sorted(found, key=lambda pair: (pair.distance_bits, pair.image.digest))


def _hashes(images: Sequence[StoredImage]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array([int(image.difference_hash, 16) for image in images], dtype=np.uint64)


def _total(counts: dict[tuple[str, str, Split], int], label: str, split: Split) -> int:
    return sum(n for (_, name, part), n in counts.items() if (name, part) == (label, split))


def _sides_px(images: Sequence[StoredImage]) -> dict[str, tuple[int, int, int]]:
    sides: dict[str, list[int]] = {}
    for image in images:
        sides.setdefault(image.source, []).append(min(image.width_px, image.height_px))
    return {s: (min(v), int(np.median(v)), max(v)) for s, v in sorted(sides.items())}
