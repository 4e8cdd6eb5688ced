"""Drawn fruit: the same pixels for the same seed, and the colour that each fruit has."""

import numpy as np
import pytest

from data.drawings import EXAMPLE_LABELS, draw_fruit
from data.errors import InvalidLabel

# Hue of each fruit's skin, degrees: 0 red, 60 yellow, 120 green, 240 blue.
HUE_RANGES = {
    "apple": (-15, 10),
    "avocado": (60, 100),
    "banana": (40, 60),
    "cucumber": (105, 145),
    "eggplant": (280, 325),
    "mango": (30, 50),
    "onion": (330, 355),
    "orange": (20, 38),
}


def dominant_hue(label: str, seed: int) -> float:
    """Return the commonest hue among the coloured pixels, 0..360 degrees."""
    hue, saturation, _ = np.moveaxis(np.asarray(draw_fruit(label, 96, seed).convert("HSV")), -1, 0)
    counts = np.bincount(hue[saturation > 90], minlength=256)
    near = counts + np.roll(counts, 1) + np.roll(counts, -1)
    return float(near.argmax()) * 360 / 256


def test_there_is_one_drawing_per_base_class() -> None:
    assert EXAMPLE_LABELS == (
        "apple",
        "avocado",
        "banana",
        "cucumber",
        "eggplant",
        "mango",
        "onion",
        "orange",
    )


@pytest.mark.parametrize("label", EXAMPLE_LABELS)
def test_same_seed_gives_same_pixels_and_another_seed_does_not(label: str) -> None:
    first = draw_fruit(label, 64, seed=3)

    assert draw_fruit(label, 64, seed=3).tobytes() == first.tobytes()
    assert draw_fruit(label, 64, seed=4).tobytes() != first.tobytes()


@pytest.mark.parametrize("side_px", [32, 100, 256])
def test_picture_is_a_square_rgb_image_of_the_asked_side(side_px: int) -> None:
    picture = draw_fruit("banana", side_px)

    assert picture.mode == "RGB"
    assert picture.size == (side_px, side_px)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("label", EXAMPLE_LABELS)
def test_dominant_hue_is_the_fruits_own(label: str, seed: int) -> None:
    low, high = HUE_RANGES[label]

    hue = dominant_hue(label, seed)

    assert low <= hue <= high or low <= hue - 360 <= high


@pytest.mark.parametrize("label", EXAMPLE_LABELS)
def test_fruit_fills_the_frame_and_leaves_the_border_nearly_white(label: str) -> None:
    pixels = np.asarray(draw_fruit(label, 128, seed=5))
    rows, columns = np.nonzero(pixels.min(axis=-1) < 150)
    border = np.concatenate((pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))

    assert max(np.ptp(rows), np.ptp(columns)) > 0.8 * 128
    assert border.min() > 200  # the soft shadow may reach it


def test_unknown_label_names_the_drawings_that_exist() -> None:
    with pytest.raises(InvalidLabel) as caught:
        draw_fruit("durian")

    assert str(caught.value) == (
        "No drawing of 'durian'; available: "
        "apple, avocado, banana, cucumber, eggplant, mango, onion, orange."
    )
