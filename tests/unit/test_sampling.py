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
from training.columns import OTHER, Columns
from training.sampling import (
    KEPT_SIDE_PX,
    PhotoPool,
    draw_batch,
    in_turn,
    load_pool,
    tell_left_out,
)

COLUMNS = Columns(("apple", "mango"), (NONE_OF_THESE,))
SIZE_BYTES = 3 * 40**2  # of a picture that ``save`` makes


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
    return load_pool(tmp_path, images(tmp_path), COLUMNS)


def test_a_film_counts_as_one_scene_however_many_frames_it_has(pool: PhotoPool) -> None:
    assert len(pool) == 11
    film, photo, mango, other = pool.share[:8].sum(), *pool.share[8:]
    assert (film, photo) == pytest.approx((0.165, 0.165))
    assert (mango, other) == pytest.approx((0.33, 0.34))


def test_more_scenes_are_worth_more_but_not_in_proportion(tmp_path: Path) -> None:
    found = images(tmp_path)
    for number in range(20, 23):
        save(tmp_path, f"{number}.png", (20, number, 90))
        found.append(
            SnapshotImage(f"{number}.png", "apple", f"{number:064d}", Split.TRAIN, "shop", "",
                          f"run {number}")
        )  # fmt: skip

    shares = load_pool(tmp_path, found, COLUMNS).share

    film, photos = shares[:8].sum(), shares[8] + shares[11:].sum()
    assert photos / film == pytest.approx(2.0)  # the root of four scenes


def test_without_none_of_these_the_classes_share_everything(tmp_path: Path) -> None:
    shares = load_pool(tmp_path, images(tmp_path), Columns(("apple", "mango"))).share

    assert shares[-1] == pytest.approx(0.5)


def test_large_photos_are_kept_small(tmp_path: Path) -> None:
    found = images(tmp_path)
    save(tmp_path, "0.png", (1, 2, 3), side_px=900)

    pool = load_pool(tmp_path, found, COLUMNS)

    assert pool.pixels[0].shape == (KEPT_SIDE_PX, KEPT_SIDE_PX, 3)
    assert pool.pixels[1].shape == (40, 40, 3)


def test_no_shape_of_a_photo_takes_more_than_four_squares(tmp_path: Path) -> None:
    found = images(tmp_path)
    for number, size in enumerate(((12, 30_000), (9_000, 450), (300, 1_200), (300, 400))):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")

    pictures = load_pool(tmp_path, found, COLUMNS).pixels

    assert [p.shape[:2] for p in pictures[:4]] == [(896, 12), (224, 896), (896, 224), (299, 224)]
    assert max(p.nbytes for p in pictures) == 602_112


def test_a_store_that_does_not_fit_gives_as_many_of_each_variety_as_fit(tmp_path: Path) -> None:
    found = images(tmp_path)

    pool = load_pool(tmp_path, found, COLUMNS, 6 * SIZE_BYTES)
    again = load_pool(tmp_path, found, COLUMNS, 6 * SIZE_BYTES)

    # One photo each of apple, mango and another thing, and three frames of the film.
    assert (len(pool), pool.left_out) == (6, 5)
    assert pool.targets.tolist() == [0, 0, 0, 0, 1, 2]
    assert pool.share[:3].sum() == pytest.approx(0.165)
    frames = [int(p[0, 0, 0]) for p in pool.pixels]
    assert frames == sorted(frames)  # in the order of the snapshot
    assert frames == [int(p[0, 0, 0]) for p in again.pixels]


def test_draws_from_a_store_that_fits_do_not_depend_on_the_room(tmp_path: Path) -> None:
    found = images(tmp_path)

    ample = load_pool(tmp_path, found, COLUMNS)
    just = load_pool(tmp_path, found, COLUMNS, 11 * SIZE_BYTES)

    assert (ample.left_out, just.left_out) == (0, 0)
    batches = [draw_batch(pool, 50, 16, np.random.default_rng(1))[0] for pool in (ample, just)]
    np.testing.assert_array_equal(*batches)


def test_of_a_hundred_thousand_photos_only_those_that_fit_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (400, 300)).save(tmp_path / "photo.jpg")
    found = [
        SnapshotImage("photo.jpg", label, f"{number:064d}", Split.TRAIN, "uploads", "")
        for number in range(50_000)
        for label in ("apple", "mango")
    ]
    decoded = list[int]()

    def decode(content: bytes, **options: object) -> np.ndarray:
        decoded.append(len(content))
        return np.zeros((300, 400, 3), np.uint8)

    monkeypatch.setattr("training.sampling.decode_image", decode)
    pool = load_pool(tmp_path, found, COLUMNS, 20_000_000)

    assert pool.pixels[0].nbytes == 200_928  # 224 x 299
    assert (len(pool), pool.left_out) == (99, 99_901)
    assert len(decoded) == 128  # 64 at once
    assert sorted(np.bincount(pool.targets).tolist()) == [49, 50]


def test_every_beginning_is_shared_among_the_names() -> None:
    names = "aaaaaaabcbb"
    order = in_turn(names).tolist()

    assert sorted(order) == list(range(11))
    assert sorted(names[row] for row in order[:3]) == ["a", "b", "c"]
    assert "".join(sorted(names[row] for row in order[:7])) == "aaabbbc"
    assert [row for row in order if names[row] == "a"] != [0, 1, 2, 3, 4, 5, 6]  # they are drawn
    assert in_turn("").tolist() == []


def test_what_is_left_out_is_told_and_nothing_where_all_fit() -> None:
    told = list[str]()

    (words,) = tell_left_out(told.append, "to learn from", 6_000, 94_000)

    assert tell_left_out(told.append, "to judge by", 500, 0) == []
    assert told == [words]
    assert words.startswith("Of 100,000 images to learn from, 6,000 fit into the memory")
    assert words.endswith("The other 94,000 are left out.")


def test_photos_of_other_things_are_the_backgrounds(pool: PhotoPool) -> None:
    assert [int(b[0, 0, 0]) for b in pool.backgrounds] == [200]


def test_what_is_made_up_counts_as_a_kind_of_its_own(tmp_path: Path) -> None:
    found = images(tmp_path)
    for number, variety in ((20, "Milk"), (21, "Pear 1")):
        save(tmp_path, f"{number}.png", (20, 90, 200))
        found.append(
            SnapshotImage(f"{number}.png", NONE_OF_THESE, f"{number:064d}", Split.TRAIN, "shop",
                          variety, f"run {number}")
        )  # fmt: skip
    paper = Image.new("RGB", (40, 40), (255, 255, 255))
    paper.paste((20, 90, 200), (8, 8, 30, 30))
    paper.save(tmp_path / "21.png")
    columns = Columns(("apple", "mango"), ("milk", "pear", OTHER))

    pool = load_pool(tmp_path, found, columns)
    _, drawn = draw_batch(pool, 600, 16, np.random.default_rng(0))

    assert (len(pool.forms), len(pool.backgrounds)) == (1, 2)
    shares = np.bincount(drawn, minlength=5) / 600
    assert shares[2:].sum() == pytest.approx(0.34, abs=0.06)
    # A third of the photos, of no folder, and what is made up.
    assert shares[4] == pytest.approx(0.34 * (0.45 + 0.55 / 3), abs=0.05)


def test_batches_follow_the_shares_and_the_seed(pool: PhotoPool) -> None:
    pictures, targets = draw_batch(pool, 400, 32, np.random.default_rng(3))
    again, _ = draw_batch(pool, 400, 32, np.random.default_rng(3))

    assert (pictures.shape, pictures.dtype) == ((400, 32, 32, 3), np.dtype(np.uint8))
    assert (pictures == again).all()
    assert np.bincount(targets) / 400 == pytest.approx([0.33, 0.33, 0.34], abs=0.07)


def test_cut_fruit_has_the_column_of_its_label(
    pool: PhotoPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.sampling.CUT_SHARE", 1.0)
    drawn = list[str]()

    def one_colour(label: str, side_px: int, rng: np.random.Generator) -> np.ndarray:
        drawn.append(label)
        return np.full((side_px, side_px, 3), 255 * ("apple", "mango").index(label), np.uint8)

    monkeypatch.setattr("training.sampling.draw_cut_fruit", one_colour)
    pictures, targets = draw_batch(pool, 60, 16, np.random.default_rng(0))

    # The page's own drawings are the rest.
    assert len(drawn) > 50
    assert set(drawn) == {"apple", "mango"}
    assert set(targets.tolist()) == {0, 1}
    light = pictures.mean(axis=(1, 2, 3))
    assert np.median(light[targets == 0]) < 60 < 150 < np.median(light[targets == 1])


def test_nothing_is_cut_of_classes_that_users_added(tmp_path: Path) -> None:
    found = [image for image in images(tmp_path) if image.label in ("kiwi", NONE_OF_THESE)]
    pool = load_pool(tmp_path, found, Columns(("kiwi",), (NONE_OF_THESE,)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.sampling.CUT_SHARE", 1.0)
        _, targets = draw_batch(pool, 200, 16, np.random.default_rng(0))

    assert set(targets.tolist()) == {0, 1}
