"""Colours and light of made-up surfaces: float64, 0..255 and about 1."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]
Colour = tuple[int, int, int]

FULL_TURN: Final = 2 * np.pi


def near(colour: Colour, rng: np.random.Generator) -> Floats:
    """Return a colour like the given one, (3,)."""
    like: Floats = np.array(colour, float) * rng.uniform(0.88, 1.1) * rng.uniform(0.94, 1.06, 3)
    return like


def mixed(
    share: NDArray[np.floating[Any]] | NDArray[np.bool_], inner: Floats, outer: Floats
) -> Floats:
    """Return colours (H, W, 3): outer where the share, (H, W), is 1 or true."""
    colours: Floats = inner + (outer - inner) * np.clip(share, 0, 1)[..., None]
    return colours


def uneven(side_px: int, rng: np.random.Generator) -> Floats:
    """Return the light on a surface that is not quite even, (side_px, side_px, 1), about 1."""
    light = np.ones((side_px, side_px))
    for cells, depth in ((3, 0.2), (12, 0.1), (50, 0.08)):
        light += rng.uniform(0, 2) * depth * noise(side_px, cells, rng)
    return light[..., None]


def noise(side_px: int, cells: int, rng: np.random.Generator) -> Floats:
    """Return smooth noise, (side_px, side_px), about -0.5..0.5."""
    small = Image.fromarray(rng.random((cells, cells), dtype=np.float32) - 0.5)
    return np.asarray(small.resize((side_px, side_px), Image.Resampling.BICUBIC), float)
