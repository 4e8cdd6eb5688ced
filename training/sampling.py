"""Training batches drawn in balance: how often a picture is seen is chosen, not inherited.

Sources differ in size by twenty to one, classes by fourteen to one, and a film has a hundred frames
of one object. So a label is drawn first, then a source that has it, a variety of that source, and
last a picture; each picture is then varied by ``augment``. Sources and varieties count by the root
of their scenes: more of them are worth more, but not in proportion.

The pictures are drawn from memory. Of a store that does not fit, as many of each variety are kept
as fit; one that fits is kept whole, and draws from it do not depend on the bound.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.cores import available_cores
from data.drawings import EXAMPLE_LABELS, draw_fruit
from data.images import STORED_LIMITS, decode_image
from data.labels import NONE_OF_THESE
from data.snapshot import SnapshotImage
from training.augment import (
    augment,
    draw_clutter,
    draw_served,
    draw_stranger,
    draw_texture,
    draw_unknown,
    is_on_white,
)
from training.columns import Columns
from training.cut_fruit import CUT_LABELS, draw_cut_fruit
from training.evaluate import rows_by
from training.scenery import draw_scenery

Key = TypeVar("Key", bound=tuple[str, ...])

KEPT_SIDE_PX: Final = 224  # a photo is kept no larger: room for crops, without filling the memory
KEPT_LENGTH_PX: Final = 4 * KEPT_SIDE_PX  # nor longer, or one panorama could take 190 MB
# Of decoded pictures: the public sets (0.7 GB) and 6,400 photos of 4:3 beside them. A thorough
# retraining draws 9,600 times.
POOL_BYTES: Final = 2_000_000_000
NONE_SHARE: Final = 0.34  # of the draws, for a network with a column for none-of-these
# Of the draws of none-of-these:
TEXTURE_SHARE: Final = 0.04  # surfaces with nothing on them
CLUTTER_SHARE: Final = 0.08  # shapes and letters
SCENERY_SHARE: Final = 0.05  # made-up land, leaves and flowers
STRANGER_SHARE: Final = 0.14  # made-up creatures, coins and pieces
DISH_SHARE: Final = 0.10  # made-up dishes
UNKNOWN_SHARE: Final = 0.04  # made-up things on white
DRAWN_SHARE: Final = 0.02  # of all draws: drawn fruit, which the page offers to try
_DRAWN_EACH: Final = 6  # drawings of a class
CUT_SHARE: Final = 0.02  # of all draws: halves and slices of fruit
_TURNS_SEED: Final = 20
_AT_ONCE: Final = 64  # pictures, of which the last may be decoded in vain


@dataclass(frozen=True)
class PhotoPool:
    """Decoded training pictures of different sizes, and how often each is drawn.

    Attributes:
        pixels: N of uint8 (H, W, 3), RGB, 0..255.
        targets: int64 (N,), the column of each.
        columns: what those stand for.
        share: float64 (N,), summing to 1.
        backgrounds: those of ``pixels`` that are photos of none of the classes.
        forms: those of ``pixels`` that show such a thing on white.
        drawings: drawn fruit and their columns.
        left_out: how many pictures more there are, for which there was no room.
    """

    pixels: tuple[NDArray[np.uint8], ...]
    targets: NDArray[np.int64]
    columns: Columns
    share: NDArray[np.float64]
    backgrounds: tuple[NDArray[np.uint8], ...]
    forms: tuple[NDArray[np.uint8], ...]
    drawings: tuple[tuple[NDArray[np.uint8], int], ...]
    left_out: int

    def __len__(self) -> int:
        return len(self.pixels)


def load_pool(
    root: Path, images: Sequence[SnapshotImage], columns: Columns, most_bytes: int = POOL_BYTES
) -> PhotoPool:
    """Return the pictures of the labels, each no larger than it is useful.

    A photo takes 150,528 bytes if it is square, 200,928 at 4:3, and never more than 602,112. Of a
    store that holds more than fits, each label, source and variety gives as many as the others, or
    all that it has; which ones is drawn with a seed, and the rest is not even decoded.

    Args:
        root: the snapshot's root folder.
        images: rows of a snapshot; those of other labels are left out.
        columns: what the network's outputs stand for.
        most_bytes: of all pictures together, as they are kept.

    Raises:
        OSError: a file of the snapshot is gone.
        InvalidImage: a file of the snapshot is damaged.
    """
    there = [image for image in images if image.label in columns.labels]
    kept = _decoded(root, there, most_bytes)
    known, pixels = [there[row] for row in kept], tuple(kept.values())
    targets = columns.of(known)
    others = [p for p, t in zip(pixels, targets, strict=True) if t >= len(columns.classes)]
    on_white = [is_on_white(picture) for picture in others]
    return PhotoPool(
        pixels,
        targets,
        columns,
        shares(known),
        tuple(p for p, white in zip(others, on_white, strict=True) if not white),
        tuple(p for p, white in zip(others, on_white, strict=True) if white),
        tuple(
            (np.asarray(draw_fruit(label, KEPT_SIDE_PX // 2, seed)), columns.classes.index(label))
            for label in EXAMPLE_LABELS
            if label in columns.classes
            # The page's own examples have seed 0; these are others of their kind.
            for seed in range(1, 1 + _DRAWN_EACH)
        ),
        len(there) - len(known),
    )


def in_turn(names: Iterable[str]) -> NDArray[np.int64]:
    """Return the rows in an order in which every beginning shares its places among the names.

    First one row of each name, then a second one, and so on until there are no more of it. Which
    row of a name comes first is drawn, always alike.
    """
    rng = np.random.default_rng(_TURNS_SEED)
    by_name = rows_by(names)
    turns = np.zeros(sum(map(len, by_name.values())), np.int64)
    for rows in by_name.values():
        turns[rng.permutation(rows)] = np.arange(len(rows))
    return turns.argsort(kind="stable")


def tell_left_out(
    on_stage: Callable[[str], None], purpose: str, kept: int, left_out: int
) -> list[str]:
    """Say in words what memory had no room for, if there is such a thing, and return what was said.

    Args:
        on_stage: told it.
        purpose: of the images, such as "to learn from".
        kept, left_out: how many of them.
    """
    if not left_out:
        return []
    words = (
        f"Of {kept + left_out:,} images {purpose}, {kept:,} fit into the memory set aside for "
        f"them, as many of each kind as there is room for. The other {left_out:,} are left out."
    )
    on_stage(words)
    return [words]


def decode_to_vary(content: bytes) -> NDArray[np.uint8]:
    """Return a stored picture no larger than is useful to vary it: uint8 (H, W, 3), RGB, 0..255.

    Raises:
        InvalidImage: the file is damaged.
    """
    return _shrunk(decode_image(content, limits=STORED_LIMITS, target_side_px=KEPT_SIDE_PX))


def draw_batch(
    pool: PhotoPool, size: int, side_px: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return varied pictures and their columns, drawn by the pool's shares.

    Args:
        pool: what is drawn from.
        size: N.
        side_px: side of the network's square input, in pixels.
        rng: where every choice comes from.

    Returns:
        uint8 (N, side_px, side_px, 3) and int64 (N,).
    """
    rows = rng.choice(len(pool), size, p=pool.share)
    drawn = [_draw(pool, row, side_px, rng) for row in rows]
    targets = np.array([target for _, target in drawn], dtype=np.int64)
    return np.stack([image for image, _ in drawn]), targets


def _draw(
    pool: PhotoPool, row: int, side_px: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], int]:
    picture, target = pool.pixels[row], int(pool.targets[row])
    classes, other = len(pool.columns.classes), pool.columns.width - 1
    cut = [label for label in CUT_LABELS if label in pool.columns.classes]
    if pool.drawings and rng.random() < DRAWN_SHARE:
        picture, target = pool.drawings[int(rng.integers(len(pool.drawings)))]
    elif cut and rng.random() < CUT_SHARE:
        label = cut[int(rng.integers(len(cut)))]
        picture, target = draw_cut_fruit(label, side_px, rng), pool.columns.classes.index(label)
    elif target >= classes:
        made_up = _draw_made_up(pool, side_px, rng)
        if made_up is not None:
            return made_up, other
    return augment(picture, side_px, pool.backgrounds, rng), target


def _draw_made_up(
    pool: PhotoPool, side_px: int, rng: np.random.Generator
) -> NDArray[np.uint8] | None:
    """Return a picture of none of the classes that is nobody's photo; None for most draws."""
    texture, clutter, scenery, stranger, dish, unknown = rng.random() < np.cumsum(
        [TEXTURE_SHARE, CLUTTER_SHARE, SCENERY_SHARE, STRANGER_SHARE, DISH_SHARE, UNKNOWN_SHARE]
    )
    if texture:
        return draw_texture(side_px, rng)
    if clutter:
        return draw_clutter(side_px, rng)
    if scenery:
        return np.asarray(draw_scenery(side_px, rng), dtype=np.uint8)
    if stranger:
        return draw_stranger(side_px, pool.backgrounds, rng)
    if dish:
        return draw_served(side_px, pool.backgrounds, rng)
    if unknown and pool.forms and pool.backgrounds:
        form = pool.forms[int(rng.integers(len(pool.forms)))]
        surface = pool.backgrounds[int(rng.integers(len(pool.backgrounds)))]
        return draw_unknown(form, surface, side_px, rng)
    return None


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
        # Of other things it matters how many kinds there are, not how often each was photographed.
        by_source[label, source] += 1 if label == NONE_OF_THESE else len(found)

    labels = {label for label, _, _ in sizes}
    of_none = NONE_SHARE if NONE_OF_THESE in labels else 0.0
    classes = len(labels - {NONE_OF_THESE})
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


def _decoded(
    root: Path, images: Sequence[SnapshotImage], most_bytes: int
) -> dict[int, NDArray[np.uint8]]:
    """Return the pictures that fit, by row and in the order of rows."""

    def load(row: int) -> NDArray[np.uint8]:
        return decode_to_vary((root / images[row].path).read_bytes())

    found: dict[int, NDArray[np.uint8]] = {}
    room = most_bytes
    order = in_turn(f"{i.label}/{i.source}/{i.variety}" for i in images).tolist()
    with ThreadPoolExecutor(available_cores()) as pool:
        for some in (order[at : at + _AT_ONCE] for at in range(0, len(order), _AT_ONCE)):
            for row, picture in zip(some, pool.map(load, some), strict=True):
                room -= picture.nbytes
                if room >= 0:
                    found[row] = picture
            if room < 0:
                break
    return {row: found[row] for row in sorted(found)}


def _shrunk(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = min(1.0, KEPT_SIDE_PX / min(height, width))
    # A panorama is squeezed; the network sees the whole of a picture as a square anyway.
    size = (
        min(round(width * scale), KEPT_LENGTH_PX),
        min(round(height * scale), KEPT_LENGTH_PX),
    )
    if size == (width, height):
        return image
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR), np.uint8)
