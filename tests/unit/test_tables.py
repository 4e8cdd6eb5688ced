"""Fruit on made-up tables: as large as asked for, from the seed, bare or in a vessel."""

import numpy as np
from PIL import Image, ImageDraw

from training.tables import draw_on_table, draw_table, lay_vessel

PHOTOS = (np.full((60, 80, 3), 120, np.uint8),)


def red_ball() -> Image.Image:
    ball = Image.new("RGBA", (60, 60))
    ImageDraw.Draw(ball).ellipse((4, 4, 56, 56), fill=(255, 0, 0))
    return ball


def redness(picture: Image.Image) -> np.ndarray:
    red, green, blue = np.moveaxis(np.asarray(picture, int), 2, 0)
    return np.asarray(red - np.maximum(green, blue) > 200)


def test_a_scene_is_as_large_as_asked_for_and_follows_from_the_seed() -> None:
    first, second = (
        [draw_on_table(red_ball(), 48, PHOTOS, np.random.default_rng(seed)) for seed in range(40)]
        for _ in range(2)
    )

    assert {(scene.mode, scene.size) for scene in first} == {("RGB", (48, 48))}
    assert len({scene.tobytes() for scene in first}) == 40
    assert [scene.tobytes() for scene in first] == [scene.tobytes() for scene in second]


def test_the_fruit_is_seen_on_every_table_and_fills_none() -> None:
    rng = np.random.default_rng(0)

    seen = np.array([redness(draw_on_table(red_ball(), 64, (), rng)).mean() for _ in range(100)])

    assert seen.min() > 0.01
    assert seen.max() < 0.95
    assert seen.std() > 0.08  # one near by, a few, a bowl of many


def test_what_it_is_made_of_stays_as_it_was() -> None:
    ball = red_ball()

    draw_on_table(ball, 32, PHOTOS, np.random.default_rng(1))

    assert ball.tobytes() == red_ball().tobytes()
    assert (PHOTOS[0] == 120).all()


def test_a_vessel_is_drawn_where_it_is_said_to_be() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        picture = Image.new("RGB", (100, 100), (0, 200, 0))
        vessel = lay_vessel(picture, rng, alone=True)

        x, y = vessel.middle.astype(int)
        found = np.array(picture.getpixel((int(x), int(y))), float)
        np.testing.assert_allclose(found, np.clip(vessel.colour * 0.88, 0, 255), atol=1)
        width, height = np.ptp(vessel.within(0.5), axis=0)
        assert abs(width - vessel.radius) < 1
        assert abs(height - vessel.radius * vessel.flat) < 1


def test_there_is_a_table_without_photos_too() -> None:
    rng = np.random.default_rng(3)

    tables = [draw_table(40, photos, rng) for photos in ((), PHOTOS) for _ in range(20)]

    assert {(table.mode, table.size) for table in tables} == {("RGB", (40, 40))}
    assert np.std([np.asarray(table).mean() for table in tables]) > 20
