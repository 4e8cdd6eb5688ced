"""Made-up scenery that fills the picture: land under a sky, grass and leaves, flowers.

The archives show nothing that was photographed outdoors. A network that saw only shelves took a
meadow for cucumbers and an evening sky for an onion. Overlapping shapes and noise of all scales
stand for it, which are known to teach much of what photographs do (M. Baradad et al., "Learning to
See by Looking at Noise", arXiv:2106.05963). What they give is in ``training/EXPERIMENTS.md``.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from training.outlines import Points, as_rgb, corners, turned

_Floats = NDArray[np.float64]
_Rng = np.random.Generator

_CELLS: Final = (2, 4, 8, 16, 32, 64)  # of noise, in a row
# Leaves, earth, stone, sky, evening, water: lightest and darkest, RGB.
_PALETTES: Final = (
    ((140, 190, 60), (15, 40, 10)),
    ((190, 150, 100), (50, 30, 15)),
    ((200, 200, 195), (50, 50, 55)),
    ((225, 235, 250), (50, 110, 190)),
    ((255, 190, 90), (70, 30, 80)),
    ((120, 190, 200), (10, 40, 70)),
)


def draw_scenery(side_px: int, rng: _Rng) -> Image.Image:
    """Return scenery of a random kind: RGB, side_px wide and high.

    Args:
        side_px: in pixels.
        rng: where every choice comes from.
    """
    kind = rng.random()
    if kind < 0.4:
        return _land(side_px, rng)
    if kind < 0.75:
        return _foliage(side_px, rng)
    return _flowers(side_px, rng)


def _land(side_px: int, rng: _Rng) -> Image.Image:
    """Return layers one behind another, each with an uneven upper edge."""
    picture = _surface(side_px, rng)
    for top in np.sort(rng.uniform(0.15, 1, int(rng.integers(0, 4)))):
        edge = _noise(side_px, rng)[0] * rng.choice([0.02, 0.1, 0.4]) + top
        mask = np.arange(side_px)[:, None] / side_px > edge
        picture.paste(_surface(side_px, rng), mask=Image.fromarray(mask))
    return picture


def _foliage(side_px: int, rng: _Rng) -> Image.Image:
    """Return blades or leaves over one another, the ones behind darker."""
    picture = _surface(side_px, rng)
    draw = ImageDraw.Draw(picture)
    light, dark = _two_colours(rng)
    count = int(rng.choice([40, 120, 400]))
    length = side_px * rng.uniform(1.5, 4) / count**0.5
    slim = rng.uniform(0.02, 0.3)
    lean, spread = rng.uniform(0, 2 * np.pi), rng.choice([0.2, 0.6, 3.0])
    for depth in np.linspace(0.2, 1, count):
        shade = dark + (light - dark) * depth * rng.uniform(0.5, 1)
        size = length * rng.uniform(0.4, 1.2)
        leaf = _leaf(size, slim, rng.normal(lean, spread)) + rng.uniform(0, side_px, 2)
        half = len(leaf) // 2
        draw.polygon(corners(leaf), fill=as_rgb(shade))
        draw.polygon(corners(leaf[: half + 1]), fill=as_rgb(shade * rng.uniform(0.75, 1)))
    return _softened(picture, rng)


def _flowers(side_px: int, rng: _Rng) -> Image.Image:
    """Return flowers, one large or many small, before something blurred."""
    blur = ImageFilter.GaussianBlur(side_px / 40)
    picture = (_foliage if rng.random() < 0.5 else _surface)(side_px, rng).filter(blur)
    draw = ImageDraw.Draw(picture)
    light, dark = rng.uniform(0, 255, (2, 3))
    count = int(rng.choice([1, 1, 3, 12]))
    radius = side_px * rng.uniform(0.3, 0.7) / count**0.5
    petals, slim = int(rng.integers(5, 22)), rng.uniform(0.15, 0.6)
    for _ in range(count):
        middle = rng.uniform(0.1, 0.9, 2) * side_px
        for angle in np.linspace(0, 2 * np.pi, petals, endpoint=False):
            shade = light * rng.uniform(0.7, 1.1)
            petal = _leaf(radius * rng.uniform(0.85, 1.1), slim, angle + rng.normal(0, 0.08))
            draw.polygon(corners(petal + middle), fill=as_rgb(shade))
        size = radius * rng.uniform(0.1, 0.35)
        draw.ellipse([*(middle - size), *(middle + size)], fill=as_rgb(dark))
    return _softened(picture, rng)


def _surface(side_px: int, rng: _Rng) -> Image.Image:
    """Return noise between two colours, in part of the cases drawn out or lit from above."""
    shown = _noise(side_px, rng)
    if rng.random() < 0.5:
        shown = shown * rng.uniform(0.2, 0.8) + np.linspace(0.7, 0, side_px)[:, None]
    light, dark = _two_colours(rng)
    colours = dark + (light - dark) * shown[..., None]
    surface = Image.fromarray(colours.clip(0, 255).astype(np.uint8))
    if rng.random() < 0.4:  # waves, trunks
        part = max(1, int(side_px * rng.uniform(0.05, 0.3)))
        box = (0, 0, side_px, part) if rng.random() < 0.5 else (0, 0, part, side_px)
        surface = surface.resize((side_px, side_px), Image.Resampling.BICUBIC, box=box)
    return surface


def _noise(side_px: int, rng: _Rng) -> _Floats:
    """Return noise of many scales: float64 (side_px, side_px), mostly 0..1."""
    roughness = rng.uniform(0.3, 1.0)  # 1: all scales alike
    total = np.zeros((side_px, side_px))
    weights = roughness ** np.arange(len(_CELLS))
    for cells, weight in zip(_CELLS, weights / weights.sum(), strict=True):
        layer = Image.fromarray(rng.random((cells, cells), dtype=np.float32))
        total += weight * np.asarray(layer.resize((side_px, side_px), Image.Resampling.BICUBIC))
    noise: _Floats = (total - total.min()) / max(1e-6, float(np.ptp(total)))
    return noise


def _leaf(length: float, slim: float, angle: float) -> Points:
    """Return a pointed outline from the origin, (n, 2); its first half is one of its sides."""
    along = np.linspace(0, 1, 9)
    across = np.sin(np.pi * along**0.8) * slim / 2
    outline = np.stack([[*along, *along[::-1]], [*across, *-across[::-1]]], axis=1) * length
    return turned(outline, angle)


def _two_colours(rng: _Rng) -> tuple[_Floats, _Floats]:
    """Return a light and a dark colour, as of something outdoors or any."""
    if rng.random() < 0.25:
        light, dark = rng.uniform(0, 255, (2, 3))
    else:
        light, dark = np.array(_PALETTES[int(rng.integers(len(_PALETTES)))], float)
    return light * rng.uniform(0.75, 1.15, 3), dark * rng.uniform(0.75, 1.15, 3)


def _softened(picture: Image.Image, rng: _Rng) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(rng.uniform(0, picture.width / 100)))
