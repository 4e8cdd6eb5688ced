"""Harder pictures: what is changed, what is not, and that a seed gives the same one again."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from data.drawings import draw_fruit
from training.augment import (
    augment,
    cut_out,
    draw_clutter,
    draw_texture,
    draw_unknown,
    foreshortened,
    is_on_white,
)

BLUE = np.full((120, 90, 3), (20, 40, 200), np.uint8)


def drawn(label: str = "orange") -> np.ndarray:
    return np.asarray(draw_fruit(label, 100))


def shop_photo() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (90, 140, 3)).astype(np.uint8)


def test_a_drawn_fruit_is_on_white_and_a_photo_is_not() -> None:
    assert is_on_white(drawn())
    assert not is_on_white(shop_photo())


def test_cut_out_keeps_the_fruit_and_drops_the_paper() -> None:
    opacity = cut_out(drawn())

    assert opacity[50, 50] == 255
    assert opacity[2, 2] == opacity[97, 97] == 0
    assert 0.3 < (opacity > 127).mean() < 0.9


def test_white_inside_the_fruit_stays() -> None:
    picture = np.full((40, 40, 3), 255, np.uint8)
    picture[10:30, 10:30] = (200, 30, 30)
    picture[18:22, 18:22] = 255  # a highlight

    assert cut_out(picture)[20, 20] == 255


@pytest.mark.parametrize("picture", [drawn(), shop_photo()], ids=["on white", "photo"])
def test_every_variation_is_a_model_input(picture: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    before = picture.copy()

    varied = [augment(picture, 64, [BLUE], rng) for _ in range(60)]

    assert {(v.shape, v.dtype) for v in varied} == {((64, 64, 3), np.dtype(np.uint8))}
    assert len({v.tobytes() for v in varied}) > 40
    assert (picture == before).all()


def test_a_fruit_on_white_is_set_before_other_backgrounds() -> None:
    rng = np.random.default_rng(0)

    corners = np.array([augment(drawn(), 64, [BLUE], rng)[0, 0] for _ in range(200)], int)

    blue = (corners[:, 2] > corners[:, 0] + 60).mean()
    assert 0.2 < blue < 0.6


def test_a_part_of_the_photos_is_set_back_whole_before_others() -> None:
    rng = np.random.default_rng(0)
    photo = np.zeros((64, 64, 3), np.uint8)
    photo[:, :32], photo[:, 32:] = (250, 20, 20), (20, 250, 20)

    varied = np.array([augment(photo, 64, [BLUE], rng) for _ in range(300)], int)
    blue = (varied[..., 2] > varied[..., :2].max(axis=-1) + 60).mean(axis=(1, 2))

    # A quarter of the 85 in a hundred that are varied at all, six in ten of them before a photo.
    assert 0.07 < (blue > 0.1).mean() < 0.2
    assert blue.max() < 0.95


def test_without_backgrounds_there_are_textures() -> None:
    rng = np.random.default_rng(0)

    assert augment(drawn(), 64, [], rng).shape == (64, 64, 3)


def test_the_same_seed_gives_the_same_picture() -> None:
    first, second = (
        [augment(drawn(), 64, [BLUE], np.random.default_rng(seed)) for seed in range(20)]
        for _ in range(2)
    )

    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_textures_differ_and_fill_the_square() -> None:
    rng = np.random.default_rng(0)
    textures = [draw_texture(48, rng) for _ in range(30)]

    assert {t.shape for t in textures} == {(48, 48, 3)}
    assert len({t.tobytes() for t in textures}) == 30


def test_clutter_has_filled_and_empty_shapes_on_white_and_on_surfaces() -> None:
    rng = np.random.default_rng(0)
    made = [draw_clutter(64, rng) for _ in range(60)]

    assert {(m.shape, m.dtype) for m in made} == {((64, 64, 3), np.dtype(np.uint8))}
    white = np.array([(m == 255).all(axis=-1).mean() for m in made])
    assert 0.3 < np.mean(white > 0.2) < 0.9
    assert np.ptp(white[white > 0.2]) > 0.5


def test_the_smallest_side_has_room_for_clutter() -> None:
    rng = np.random.default_rng(0)

    assert {draw_clutter(16, rng).shape for _ in range(100)} == {(16, 16, 3)}


def test_an_unknown_thing_has_the_form_of_one_picture_and_another_surface() -> None:
    rng = np.random.default_rng(0)

    made = [draw_unknown(drawn(), BLUE, 64, rng) for _ in range(60)]

    assert {(m.shape, m.dtype) for m in made} == {((64, 64, 3), np.dtype(np.uint8))}
    middle = np.array([m[32, 32] for m in made], int)
    blue = middle[:, 2] > middle[:, [0, 1]].max(axis=1) + 20
    assert 0.5 < blue.mean() < 0.95  # as the photo; the others are green, violet and the like
    orange = (middle[:, 0] > middle[:, 1] + 30) & (middle[:, 1] > middle[:, 2] + 30)
    assert not orange.any()
    corner = np.array([m[0, 0] for m in made], int)
    assert (corner.min(axis=1) > 120).all()  # on paper, in whatever light


def test_what_is_foreshortened_is_shorter_along_its_longer_side_alone() -> None:
    picture = np.full((100, 100, 3), 255, np.uint8)
    picture[40:60, 10:90] = (90, 30, 90)

    seen = foreshortened(picture, np.random.default_rng(1)).min(axis=2) < 228

    assert seen.shape == (100, 100)
    width, height = np.ptp(np.flatnonzero(seen.any(axis=0))), np.ptp(np.flatnonzero(seen.any(1)))
    assert 0.4 * 80 < width < 0.87 * 80
    assert 19 <= height <= 22


def test_an_empty_sheet_is_left_as_it_is() -> None:
    paper = np.full((20, 20, 3), 255, np.uint8)

    assert (foreshortened(paper, np.random.default_rng(0)) == paper).all()
