"""Made-up fruit from its end stands on white in its own colours; knobs share its build."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("scipy")

from data.labels import BASE_LABELS
from training import fruit_ends
from training.augment import cut_out, is_on_white
from training.fruit_ends import END_LABELS, draw_fruit_end, draw_knob


def ends(label: str, count: int = 30) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [draw_fruit_end(label, 64, rng) for _ in range(count)]


def shown(picture: np.ndarray) -> np.ndarray:
    """Return the pixels that are no paper, (n, 3)."""
    return picture[cut_out(picture) > 250].astype(float)


def test_every_shipped_class_has_an_end() -> None:
    assert set(END_LABELS) == set(BASE_LABELS)


@pytest.mark.parametrize("label", END_LABELS)
def test_ends_stand_on_white_and_differ(label: str) -> None:
    made = ends(label)

    assert {(m.shape, m.dtype) for m in made} == {((64, 64, 3), np.dtype(np.uint8))}
    assert len({m.tobytes() for m in made}) == len(made)
    # So that other surroundings can take the paper's place.
    assert np.mean([is_on_white(m) for m in made]) > 0.8
    assert 0.4 < np.median([len(shown(m)) / 64**2 for m in made]) < 0.8


def test_the_seed_decides() -> None:
    first, second = (draw_fruit_end("onion", 64, np.random.default_rng(7)) for _ in range(2))

    assert (first == second).all()


def test_skins_have_the_colour_of_their_fruit() -> None:
    def median(label: str) -> np.ndarray:
        return np.asarray(np.median([np.median(shown(m), axis=0) for m in ends(label)], axis=0))

    orange, banana, cucumber, eggplant = map(median, ("orange", "banana", "cucumber", "eggplant"))
    assert orange[0] > 1.3 * orange[1] > 1.3 * orange[2]
    assert banana[:2].min() > 1.3 * banana[2]
    assert cucumber[1] > 1.2 * cucumber[[0, 2]].max()
    assert eggplant.max() < 80


def test_most_eggplants_show_a_calyx_in_their_middle() -> None:
    def lighter(picture: np.ndarray) -> float:
        return float(picture[22:42, 22:42].mean() / np.median(shown(picture)))

    calyx = [lighter(m) > 1.3 for m in ends("eggplant", 60)]
    assert 0.4 < np.mean(calyx) < 0.95
    assert np.mean([lighter(m) > 1.3 for m in ends("orange")]) < 0.1


def test_knobs_have_the_build_and_any_colours() -> None:
    rng = np.random.default_rng(0)
    made = [draw_knob(60, [], rng) for _ in range(60)]

    assert {(m.mode, m.size) for m in made} == {("RGBA", (60, 60))}
    opaque = [np.asarray(m)[np.asarray(m)[..., 3] == 255][:, :3] for m in made]
    assert 0.4 < np.median([len(pixels) / 60**2 for pixels in opaque]) < 0.8
    strongest = [int(np.argmax(np.median(pixels, axis=0))) for pixels in opaque]
    assert set(strongest) == {0, 1, 2}


def test_what_somebody_added_as_a_class_is_no_knob(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = set[str]()

    def spy(name: str) -> Callable[..., object]:
        looks = fruit_ends._OTHERS[name]
        return lambda ball, rng: (drawn.add(name), looks(ball, rng))[1]

    for name in list(fruit_ends._OTHERS):
        monkeypatch.setitem(fruit_ends._OTHERS, name, spy(name))
    rng = np.random.default_rng(0)

    for _ in range(60):
        draw_knob(16, ["apple", "cherry tomatoes", "bell pepper"], rng)
    assert drawn == {"pumpkin", "peach"}
    for _ in range(60):
        draw_knob(16, ["apple", "banana"], rng)
    assert drawn == {"tomato", "pepper", "pumpkin", "peach"}


def test_edges_are_smooth() -> None:
    opacity = np.asarray(draw_knob(120, [], np.random.default_rng(0)).getchannel("A"))

    assert 100 < ((opacity > 0) & (opacity < 255)).sum() < 3000


def test_the_smallest_sides_can_be_drawn() -> None:
    rng = np.random.default_rng(0)

    assert {draw_fruit_end(label, 16, rng).shape for label in END_LABELS * 9} == {(16, 16, 3)}
    assert all(isinstance(draw_knob(8, [], rng), Image.Image) for _ in range(60))
