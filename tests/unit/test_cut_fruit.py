"""Made-up cut fruit stands on white in its own colours; tins, wheels and balls share its build."""

import numpy as np
import pytest

from data.labels import BASE_LABELS
from training.augment import cut_out, is_on_white
from training.cut_fruit import CUT_LABELS, draw_cut_fruit, draw_other_piece

BLUE = np.full((60, 80, 3), (20, 40, 200), np.uint8)


def cut(label: str, count: int = 30) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [draw_cut_fruit(label, 64, rng) for _ in range(count)]


def shown(picture: np.ndarray) -> np.ndarray:
    """Return the pixels that are no paper, (n, 3)."""
    return picture[cut_out(picture) > 250].astype(float)


def test_every_shipped_class_can_be_cut() -> None:
    assert set(CUT_LABELS) == set(BASE_LABELS)


@pytest.mark.parametrize("label", CUT_LABELS)
def test_pieces_lie_on_white_and_differ(label: str) -> None:
    made = cut(label)

    assert {(m.shape, m.dtype) for m in made} == {((64, 64, 3), np.dtype(np.uint8))}
    assert len({m.tobytes() for m in made}) == len(made)
    # So that other surroundings can take the paper's place.
    assert np.mean([is_on_white(m) for m in made]) > 0.8
    assert 0.1 < np.median([len(shown(m)) / 64**2 for m in made]) < 0.7


def test_the_seed_decides() -> None:
    first, second = (draw_cut_fruit("mango", 64, np.random.default_rng(7)) for _ in range(2))

    assert (first == second).all()


def test_flesh_has_the_colour_of_its_fruit() -> None:
    def median(label: str) -> np.ndarray:
        return np.asarray(np.median([np.median(shown(m), axis=0) for m in cut(label)], axis=0))

    orange, avocado, eggplant, cucumber = map(median, ("orange", "avocado", "eggplant", "cucumber"))
    assert orange[0] > 1.3 * orange[1] > 1.3 * orange[2]
    assert avocado[1] > 1.3 * avocado[2]
    assert cucumber[1] > cucumber[0] > cucumber[2]
    assert eggplant.min() > 120  # its skin is dark, its flesh is not


def test_most_avocados_show_a_brown_stone() -> None:
    def brown(picture: np.ndarray) -> float:
        red, green, blue = shown(picture).T
        return float(((red > 1.3 * green) & (green > blue) & (red > 60)).mean())

    assert 0.5 < np.mean([brown(m) > 0.05 for m in cut("avocado", 60)]) < 0.95
    assert max(brown(m) for m in cut("cucumber")) < 0.05


def test_other_pieces_have_the_build_and_any_colours() -> None:
    rng = np.random.default_rng(0)
    made = [draw_other_piece(60, [BLUE], rng) for _ in range(60)]

    assert {m.mode for m in made} == {"RGBA"}
    assert max(max(m.size) for m in made) <= 60
    opaque = [np.asarray(m)[np.asarray(m)[..., 3] == 255][:, :3] for m in made]
    strongest = [int(np.argmax(np.median(pixels, axis=0))) for pixels in opaque]
    assert set(strongest) == {0, 1, 2}
    of_the_photo = [
        (pixels[:, 2] > 3 * np.maximum(pixels[:, 0], 1)).mean() > 0.3 for pixels in opaque
    ]
    assert np.mean(of_the_photo) > 0.1


def test_the_smallest_side_has_room_for_pieces_too() -> None:
    rng = np.random.default_rng(0)

    assert {draw_cut_fruit(label, 16, rng).shape for label in CUT_LABELS * 9} == {(16, 16, 3)}
    assert max(max(draw_other_piece(8, [], rng).size) for _ in range(60)) <= 8
