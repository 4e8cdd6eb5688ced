"""Made-up scenery fills the picture, differs, and is not made of a fruit's round shapes alone."""

import numpy as np

from training.scenery import draw_scenery


def test_scenery_is_as_large_as_asked_for_and_follows_from_the_seed() -> None:
    first, second = (
        [draw_scenery(48, np.random.default_rng(seed)) for seed in range(40)] for _ in range(2)
    )

    assert {(s.mode, s.size) for s in first} == {("RGB", (48, 48))}
    assert len({s.tobytes() for s in first}) == 40
    assert [s.tobytes() for s in first] == [s.tobytes() for s in second]


def test_it_goes_to_the_edges() -> None:
    rng = np.random.default_rng(0)
    made = [np.asarray(draw_scenery(64, rng), int) for _ in range(60)]

    borders = [np.concatenate([m[0], m[-1], m[:, 0], m[:, -1]]) for m in made]
    on_white = [(border.min(axis=1) > 245).mean() for border in borders]
    assert np.mean(np.array(on_white) > 0.9) < 0.05


def test_it_has_details_of_many_sizes() -> None:
    rng = np.random.default_rng(0)
    made = [np.asarray(draw_scenery(64, rng).convert("L"), float) for _ in range(60)]

    fine = [np.abs(np.diff(m, axis=1)).mean() for m in made]
    coarse = [np.abs(m[:, 32:].mean() - m[:, :32].mean()) for m in made]
    assert np.median(fine) > 1 < np.quantile(coarse, 0.75)
    assert np.ptp(np.log(np.maximum(0.1, fine))) > 2  # from plain skies to grass


def test_the_smallest_side_has_room_for_it_too() -> None:
    rng = np.random.default_rng(0)

    assert {draw_scenery(16, rng).size for _ in range(40)} == {(16, 16)}
