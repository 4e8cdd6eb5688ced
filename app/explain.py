"""Why: where on the picture the answer comes from, as a heat map over it.

Knows arrays only; what a network gives for it, and what it costs, is ``heat_map``'s business.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.predictor import Predictor

OCCLUSION_CELLS: Final = 6  # a side
_GREY: Final = 127
_WARMEST: Final = 0.62  # opacity of the overlay where the heat is 1
# Yellow to red: told apart from fruit and leaves by the fade, and by the colour-blind by lightness.
_COLD: Final = np.array((255, 214, 10), np.float32)
_WARM: Final = np.array((214, 0, 28), np.float32)

Heat = NDArray[np.float32]


def heat_from_maps(maps: NDArray[np.float32], column: int) -> Heat:
    """Return how strongly each place speaks for the answer: float32 (h, w), 0..1.

    Class activation maps (B. Zhou et al., arXiv:1512.04150), each place's logit against the best
    other one, because what speaks for every class speaks for none.

    Args:
        maps: float32 (h, w, K), the logits of each place.
        column: the answer's.
    """
    others = np.delete(maps, column, axis=-1).max(axis=-1)
    return _scaled(np.maximum(maps[..., column] - others, 0.0))


def heat_from_occlusion(predictor: Predictor, image: NDArray[np.uint8], column: int) -> Heat:
    """Return by how much the answer suffers where the picture is covered: float32 (h, w), 0..1.

    For networks without activation maps; it costs one inference for each of 36 cells
    (M. Zeiler, R. Fergus, arXiv:1311.2901, section 4.2).

    Args:
        predictor: of the version that answered.
        image: uint8 (side, side, 3), as it was answered.
        column: the answer's.
    """
    edges = np.linspace(0, image.shape[0], OCCLUSION_CELLS + 1).astype(int)
    covered = np.repeat(image[None], OCCLUSION_CELLS**2, axis=0)  # (cells, side, side, 3)
    for cell in range(OCCLUSION_CELLS**2):
        row, place = divmod(cell, OCCLUSION_CELLS)
        covered[cell, edges[row] : edges[row + 1], edges[place] : edges[place + 1]] = _GREY
    drop = predictor.run(image[None])[0, column] - predictor.run(covered)[:, column]
    return _scaled(np.maximum(drop, 0.0).reshape(OCCLUSION_CELLS, OCCLUSION_CELLS))


def overlay(picture: Image.Image, heat: Heat) -> Image.Image:
    """Return the picture with the heat laid over it, as RGB.

    Args:
        picture: the whole picture, in any size; the heat is stretched over it.
        heat: float32 (h, w), 0..1.
    """
    grown = Image.fromarray((heat * 255).astype(np.uint8)).resize(
        picture.size, Image.Resampling.BICUBIC
    )
    share = (np.asarray(grown, np.float32) / 255)[..., None]  # (H, W, 1)
    colour = _COLD + (_WARM - _COLD) * share
    opacity = share * _WARMEST
    pixels = np.asarray(picture.convert("RGB"), np.float32)
    # What does not matter loses its colour, so that what does stands out.
    grey = pixels.mean(axis=2, keepdims=True) * 0.6 + 60
    faded = grey + (pixels - grey) * (0.25 + 0.75 * share)
    return Image.fromarray((faded + (colour - faded) * opacity).clip(0, 255).astype(np.uint8))


def _scaled(heat: NDArray[np.float32]) -> Heat:
    highest = float(heat.max())
    scaled: Heat = (heat / highest if highest > 0 else heat).astype(np.float32)
    return scaled
