"""Balanced draws: by label, source and variety, and what is added to none-of-these."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("scipy")

from data.labels import NONE_OF_THESE
from data.snapshot import SnapshotImage
from data.splits import Split
from training.sampling import KEPT_SIDE_PX, PhotoPool, draw_batch, load_pool

LABELS = ("apple", "mango", NONE_OF_THESE)


def save(root: Path, name: str, colour: tuple[int, int, int], side_px: int = 40) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (side_px, side_px), colour).save(buffer, "PNG")
    (root / name).write_bytes(buffer.getvalue())


def images(root: Path) -> list[SnapshotImage]:
    """Apples: a film of eight frames and one photo; one mango; one other thing; one unknown."""
    rows = [("apple", "films", "Apple 1", "film")] * 8
    rows += [
        ("apple", "shop", "", "run 1"),
        ("mango", "shop", "", "run 2"),
        (NONE_OF_THESE, "shop", "", "run 3"),
        ("kiwi", "shop", "", "run 4"),
    ]
    found = []
    for number, (label, source, variety, scene) in enumerate(rows):
        save(root, f"{number}.png", (20 * number, 90, 90))
        digest = f"{number:064d}"
        found.append(
            SnapshotImage(f"{number}.png", label, digest, Split.TRAIN, source, variety, scene)
        )
    return found


@pytest.fixture
def pool(tmp_path: Path) -> PhotoPool:
    return load_pool(tmp_path, images(tmp_path), LABELS)


def test_a_film_counts_as_one_scene_however_many_frames_it_has(pool: PhotoPool) -> None:
    assert len(pool) == 11
    film, photo, mango, other = pool.share[:8].sum(), *pool.share[8:]
    assert (film, photo) == pytest.approx((0.175, 0.175))
    assert (mango, other) == pytest.approx((0.35, 0.3))


def test_more_scenes_are_worth_more_but_not_in_proportion(tmp_path: Path) -> None:
    found = images(tmp_path)
    for number in range(20, 23):
        save(tmp_path, f"{number}.png", (20, number, 90))
        found.append(
            SnapshotImage(f"{number}.png", "apple", f"{number:064d}", Split.TRAIN, "shop", "",
                          f"run {number}")
        )  # fmt: skip

    shares = load_pool(tmp_path, found, LABELS).share

    film, photos = shares[:8].sum(), shares[8] + shares[11:].sum()
    assert photos / film == pytest.approx(2.0)  # the root of four scenes


def test_without_none_of_these_the_classes_share_everything(tmp_path: Path) -> None:
    shares = load_pool(tmp_path, images(tmp_path), ("apple", "mango")).share

    assert shares[-1] == pytest.approx(0.5)


def test_large_photos_are_kept_small(tmp_path: Path) -> None:
    found = images(tmp_path)
    save(tmp_path, "0.png", (1, 2, 3), side_px=900)

    pool = load_pool(tmp_path, found, LABELS)

    assert pool.pixels[0].shape == (KEPT_SIDE_PX, KEPT_SIDE_PX, 3)
    assert pool.pixels[1].shape == (40, 40, 3)


def test_photos_of_other_things_are_the_backgrounds(pool: PhotoPool) -> None:
    assert [int(b[0, 0, 0]) for b in pool.backgrounds] == [200]


def test_batches_follow_the_shares_and_the_seed(pool: PhotoPool) -> None:
    pictures, targets = draw_batch(pool, 400, 32, 2, np.random.default_rng(3))
    again, _ = draw_batch(pool, 400, 32, 2, np.random.default_rng(3))

    assert (pictures.shape, pictures.dtype) == ((400, 32, 32, 3), np.dtype(np.uint8))
    assert (pictures == again).all()
    assert np.bincount(targets) / 400 == pytest.approx([0.35, 0.35, 0.3], abs=0.07)
