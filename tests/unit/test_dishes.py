"""Made-up dishes: as large as asked for, from the seed, of many kinds, on every table."""

import numpy as np
from PIL import Image

from training.augment import draw_served
from training.dishes import draw_dish

PHOTOS = (np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8),)


def test_a_dish_is_as_large_as_asked_for_and_follows_from_the_seed() -> None:
    first, second = (
        [draw_dish(48, PHOTOS, np.random.default_rng(seed)) for seed in range(40)] for _ in range(2)
    )

    assert {(d.mode, d.size) for d in first} == {("RGB", (48, 48))}
    assert len({d.tobytes() for d in first}) == 40
    assert [d.tobytes() for d in first] == [d.tobytes() for d in second]


def test_most_have_a_table_around_them_and_some_are_near() -> None:
    """The border of the picture differs from its middle where there is a vessel."""
    rng = np.random.default_rng(0)
    made = [np.asarray(draw_dish(64, (), rng), float) for _ in range(80)]

    apart = [
        float(np.abs(m[24:40, 24:40].mean(axis=(0, 1)) - m[[0, -1]].mean(axis=(0, 1))).max())
        for m in made
    ]
    assert 0.5 < np.mean(np.array(apart) > 25) < 0.95


def test_food_is_in_pieces() -> None:
    rng = np.random.default_rng(0)
    made = [np.asarray(draw_dish(64, (), rng).convert("L"), float) for _ in range(60)]

    fine = [np.abs(np.diff(m[16:48, 16:48], axis=1)).mean() for m in made]
    assert np.median(fine) > 3


def test_it_is_lit_and_compressed_as_photos_are_and_needs_no_photos() -> None:
    for photos in ((), PHOTOS):
        served = draw_served(32, photos, np.random.default_rng(3))
        assert (served.shape, served.dtype) == ((32, 32, 3), np.dtype(np.uint8))


def test_the_smallest_side_has_room_for_it_too() -> None:
    rng = np.random.default_rng(0)

    assert {draw_dish(16, PHOTOS, rng).size for _ in range(60)} == {(16, 16)}
    assert isinstance(draw_dish(16, (np.zeros((1, 1, 3), np.uint8),), rng), Image.Image)
