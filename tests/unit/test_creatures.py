"""Made-up creatures have many outlines, none of them a fruit's; coins are round and of metal."""

import numpy as np
from scipy import ndimage

from training.augment import draw_stranger
from training.creatures import draw_coin, draw_creature

BLUE = np.full((60, 80, 3), (20, 40, 200), np.uint8)


def test_a_creature_fills_its_frame_with_its_longer_side() -> None:
    rng = np.random.default_rng(0)

    made = [draw_creature(90, [BLUE], rng) for _ in range(40)]

    assert {m.mode for m in made} == {"RGBA"}
    assert {max(m.size) for m in made} <= {89, 90}
    assert min(min(m.size) for m in made) > 5


def test_it_has_parts_that_stand_out_from_its_body() -> None:
    rng = np.random.default_rng(0)
    made = [np.asarray(draw_creature(90, [], rng))[..., 3] > 0 for _ in range(40)]

    def solidity(shown: np.ndarray) -> float:
        # Of the shape with its dents filled; a round fruit has nearly 1.
        closed = ndimage.binary_closing(np.pad(shown, 30), iterations=25)
        return float(shown.sum() / closed.sum())

    assert np.median([solidity(m) for m in made]) < 0.85


def test_surfaces_of_photos_are_among_its_skins() -> None:
    rng = np.random.default_rng(0)

    def are_of_the_photo(surfaces: list[np.ndarray]) -> float:
        made = [np.asarray(draw_creature(60, surfaces, rng), float) for _ in range(40)]
        # Light and shade leave the mixture of the colours.
        mixed = [m[..., :2] - m[..., 2:3] * (BLUE[0, 0, :2] / BLUE[0, 0, 2]) for m in made]
        alike = [
            ((np.abs(rest) < 3).all(-1) & (pixels[..., 2] > 60)).mean()
            for rest, pixels in zip(mixed, made, strict=True)
        ]
        return float(np.mean(np.array(alike) > 0.02))

    assert are_of_the_photo([BLUE]) > are_of_the_photo([]) + 0.2


def test_a_part_of_them_has_lines_around_its_parts() -> None:
    rng = np.random.default_rng(0)
    made = [np.asarray(draw_creature(90, [], rng)) for _ in range(60)]

    ink = [((m == (20, 20, 20, 255)).all(axis=-1)).mean() > 0.03 for m in made]
    assert 0.05 < np.mean(ink) < 0.4


def test_a_coin_is_round_of_dull_colours_and_has_a_relief() -> None:
    rng = np.random.default_rng(0)
    made = [np.asarray(draw_coin(80, rng), float) for _ in range(40)]

    assert {m.shape for m in made} == {(80, 80, 4)}
    shown = np.array([(m[..., 3] > 0).mean() for m in made])
    assert shown.max() <= 0.8 < np.quantile(shown, 0.8) + 0.05  # of a disc pi / 4
    assert shown.min() < 0.75  # some have a hole
    within = [m[m[..., 3] > 0][:, :3] for m in made]
    assert all(colours[:, 0].mean() >= 0.95 * colours[:, 2].mean() for colours in within)
    assert np.median([colours.std(axis=0).mean() for colours in within]) > 8


def test_a_stranger_is_a_model_input_mostly_on_white_and_follows_from_the_seed() -> None:
    first, second = (
        [draw_stranger(64, [BLUE], np.random.default_rng(seed)) for seed in range(60)]
        for _ in range(2)
    )

    assert {(m.shape, m.dtype) for m in first} == {((64, 64, 3), np.dtype(np.uint8))}
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    on_paper = np.mean([np.median(m[[0, -1]].min(axis=-1)) > 120 for m in first])
    assert 0.5 < on_paper < 1


def test_the_smallest_side_has_room_for_one_too() -> None:
    rng = np.random.default_rng(0)

    assert {draw_stranger(16, [], rng).shape for _ in range(40)} == {(16, 16, 3)}
