"""Fruit in made-up crates: as large as asked for, from the seed, near or far, full or not."""

import numpy as np

from tests.bench.crates import draw_in_crate
from tests.unit.test_tables import PHOTOS, red_ball, redness


def test_a_scene_is_as_large_as_asked_for_and_follows_from_the_seed() -> None:
    first, second = (
        [draw_in_crate(red_ball(), 48, PHOTOS, np.random.default_rng(seed)) for seed in range(40)]
        for _ in range(2)
    )

    assert {(scene.mode, scene.size) for scene in first} == {("RGB", (48, 48))}
    assert len({scene.tobytes() for scene in first}) == 40
    assert [scene.tobytes() for scene in first] == [scene.tobytes() for scene in second]


def test_the_fruit_is_seen_in_every_crate_and_fills_none() -> None:
    rng = np.random.default_rng(0)

    seen = np.array([redness(draw_in_crate(red_ball(), 64, (), rng)).mean() for _ in range(100)])

    assert seen.min() > 0.005
    assert seen.max() < 0.95
    assert seen.std() > 0.08  # far and near, full and half empty


def test_what_it_is_made_of_stays_as_it_was() -> None:
    ball = red_ball()

    draw_in_crate(ball, 32, PHOTOS, np.random.default_rng(1))

    assert ball.tobytes() == red_ball().tobytes()
    assert (PHOTOS[0] == 120).all()


def test_there_are_crates_without_photos_too_and_they_differ() -> None:
    rng = np.random.default_rng(3)

    crates = [
        draw_in_crate(red_ball(), 40, photos, rng) for photos in ((), PHOTOS) for _ in "ab" * 10
    ]

    assert {(crate.mode, crate.size) for crate in crates} == {("RGB", (40, 40))}
    assert np.std([np.asarray(crate).mean() for crate in crates]) > 20
