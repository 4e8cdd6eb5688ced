"""Training batches drawn in balance: how often a picture is seen is chosen, not inherited.

Sources differ in size by twenty to one, classes by fourteen to one, and a film has a hundred frames
of one object. So a label is drawn first, then a source that has it, a variety of that source, and
last a picture; each picture is then varied by ``augment``. Sources and varieties count by the root
of their scenes: more of them are worth more, but not in proportion.
"""

import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.drawings import EXAMPLE_LABELS, draw_fruit
from data.images import decode_image
from data.labels import NONE_OF_THESE
from data.snapshot import SnapshotImage
from training.augment import augment, draw_clutter, draw_texture, is_on_white
from training.evaluate import columns_of, none_column

Key = TypeVar("Key", bound=tuple[str, ...])

KEPT_SIDE_PX: Final = 224  # a photo is kept no larger: room for crops, without filling the memory
NONE_SHARE: Final = 0.3  # of the draws, for a network with a column for none-of-these
TEXTURE_SHARE: Final = 0.05  # of the draws of none-of-these: surfaces with nothing on them
CLUTTER_SHARE: Final = 0.10  # of the draws of none-of-these: shapes and letters
DRAWN_SHARE: Final = 0.02  # of all draws: drawn fruit, which the page offers to try
_DRAWN_EACH: Final = 6  # drawings of a class


@dataclass(frozen=True)
class PhotoPool:
    """Decoded training pictures of different sizes, and how often each is drawn.

    Attributes:
        pixels: N of uint8 (H, W, 3), RGB, 0..255.
        targets: int64 (N,), the column of each label.
        share: float64 (N,), summing to 1.
        backgrounds: those of ``pixels`` that are photos of none of the classes.
        drawings: drawn fruit and their columns.
    """

    pixels: tuple[NDArray[np.uint8], ...]
    targets: NDArray[np.int64]
    share: NDArray[np.float64]
    backgrounds: tuple[NDArray[np.uint8], ...]
    drawings: tuple[tuple[NDArray[np.uint8], int], ...]

    def __len__(self) -> int:
        return len(self.pixels)


def load_pool(root: Path, images: Sequence[SnapshotImage], labels: Sequence[str]) -> PhotoPool:
    """Return the pictures of the labels, each no larger than it is useful.

    Args:
        root: the snapshot's root folder.
        images: rows of a snapshot; those of other labels are left out.
        labels: the K classes, in the order of the network's outputs.

    Raises:
        OSError: a file of the snapshot is gone.
        InvalidImage: a file of the snapshot is damaged.
    """
    known = [image for image in images if image.label in labels]

    def load(image: SnapshotImage) -> NDArray[np.uint8]:
        return _shrunk(decode_image((root / image.path).read_bytes(), target_side_px=KEPT_SIDE_PX))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pixels = tuple(pool.map(load, known))
    targets = columns_of(known, labels)
    nothing = none_column(labels)
    return PhotoPool(
        pixels,
        targets,
        shares(known),
        tuple(
            picture
            for picture, target in zip(pixels, targets, strict=True)
            if target == nothing and not is_on_white(picture)
        ),
        tuple(
            (np.asarray(draw_fruit(label, KEPT_SIDE_PX // 2, seed)), list(labels).index(label))
            for label in EXAMPLE_LABELS
            if label in labels
            # The page's own examples have seed 0; these are others of their kind.
            for seed in range(1, 1 + _DRAWN_EACH)
        ),
    )


def draw_batch(
    pool: PhotoPool, size: int, side_px: int, none_column: int | None, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return varied pictures and their columns, drawn by the pool's shares.

    Args:
        pool: what is drawn from.
        size: N.
        side_px: side of the network's square input, in pixels.
        none_column: the column that bare surfaces and clutter are added to; None without it.
        rng: where every choice comes from.

    Returns:
        uint8 (N, side_px, side_px, 3) and int64 (N,).
    """
    rows = rng.choice(len(pool), size, p=pool.share)
    drawn = [_draw(pool, row, side_px, none_column, rng) for row in rows]
    targets = np.array([target for _, target in drawn], dtype=np.int64)
    return np.stack([image for image, _ in drawn]), targets


def _draw(
    pool: PhotoPool, row: int, side_px: int, none_column: int | None, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], int]:
    picture, target = pool.pixels[row], int(pool.targets[row])
    if pool.drawings and rng.random() < DRAWN_SHARE:
        picture, target = pool.drawings[int(rng.integers(len(pool.drawings)))]
    elif target == none_column:
        kind = rng.random()
        if kind < TEXTURE_SHARE:
            return draw_texture(side_px, rng), target
        if kind < TEXTURE_SHARE + CLUTTER_SHARE:
            return draw_clutter(side_px, rng), target
    return augment(picture, side_px, pool.backgrounds, rng), target


def shares(images: Sequence[SnapshotImage]) -> NDArray[np.float64]:
    """Return how often each picture is drawn: by label, source and variety, then evenly.

    Returns:
        float64 (N,), summing to 1.
    """
    parts = [(i.label, i.source, i.variety) for i in images]
    sizes = Counter(parts)
    scenes = {part: set[str]() for part in sizes}
    for part, image in zip(parts, images, strict=True):
        scenes[part].add(image.scene or image.digest)
    by_source: Counter[tuple[str, str]] = Counter()
    for (label, source, _), found in scenes.items():
        by_source[label, source] += len(found)

    labels = {label for label, _, _ in sizes}
    classes = len(labels - {NONE_OF_THESE})
    of_none = NONE_SHARE if NONE_OF_THESE in labels else 0.0
    of_label = dict.fromkeys(labels, (1 - of_none) / classes) | {NONE_OF_THESE: of_none}
    of_source = _by_root(by_source, lambda key: key[0])
    of_variety = _by_root({p: len(s) for p, s in scenes.items()}, lambda key: key[:2])
    drawn: NDArray[np.float64] = np.array(
        [of_label[p[0]] * of_source[p[:2]] * of_variety[p] / sizes[p] for p in parts]
    )
    drawn /= drawn.sum()
    return drawn


def _by_root(counts: Mapping[Key, int], within: Callable[[Key], Hashable]) -> dict[Key, float]:
    """Return the root of each count as a share of those that it stands beside."""
    totals: defaultdict[Hashable, float] = defaultdict(float)
    for key, count in counts.items():
        totals[within(key)] += math.sqrt(count)
    return {key: math.sqrt(count) / totals[within(key)] for key, count in counts.items()}


def _shrunk(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = KEPT_SIDE_PX / min(height, width)
    if scale >= 1:
        return image
    size = (round(width * scale), round(height * scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR), np.uint8)
