"""Fruit as shops show it: many of a kind in a crate, on others perhaps, before other goods.

Photos from shops show few varieties of each class. Films show others, of which each stands alone:
are they known where many of them lie together? No shipped network learned from such crates; what
the first that did gave is in ``training/EXPERIMENTS.md``.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from training.outlines import Points, as_rgb, corners
from training.tables import OVER

_Pixels = NDArray[np.uint8]
_Floats = NDArray[np.float64]
_Rng = np.random.Generator

_COLOURS: Final = (
    (28, 26, 26),
    (35, 38, 42),
    (55, 60, 66),
    (165, 125, 85),
    (190, 160, 120),
    (40, 95, 60),
    (45, 80, 140),
    (170, 45, 45),
    (215, 215, 210),
)
_MOST_ACROSS: Final = 9
_PIECES: Final = 10  # that differ
_MOST_STACKED: Final = 5
_PAPER: Final = (245, 244, 238)
_INK: Final = (30, 30, 30)


def draw_in_crate(
    thing: Image.Image, side_px: int, photos: Sequence[_Pixels], rng: _Rng
) -> Image.Image:
    """Return a crate full of a thing: RGB, side_px wide and high.

    Args:
        thing: RGBA, cut out.
        side_px: in pixels.
        photos: uint8 (H, W, 3), that surroundings are cut from; may be empty.
        rng: where every choice comes from.
    """
    size = side_px * OVER
    scene = _surroundings(size, photos, rng)
    colour = np.array(_COLOURS[int(rng.integers(len(_COLOURS)))]) * rng.uniform(0.7, 1.2)
    opening = _opening(size, rng)
    draw = ImageDraw.Draw(scene)
    draw.polygon(corners(opening), fill=as_rgb(colour * rng.uniform(0.3, 0.7)))
    _fill(scene, thing, opening, rng)
    wall = float(np.ptp(opening[:, 0]) * rng.uniform(0.12, 0.35))
    _draw_walls(draw, opening, wall, colour, rng)
    if rng.random() < 0.4:
        _draw_tag(draw, opening, wall, rng)
    return scene.resize((side_px, side_px), Image.Resampling.BOX)


def _surroundings(size: int, photos: Sequence[_Pixels], rng: _Rng) -> Image.Image:
    """Return a part of a photo, sharp or not, or something plain: RGB, size wide and high."""
    if not photos or rng.random() < 0.2:
        grey = rng.uniform(20, 230) * np.array([1, rng.uniform(0.95, 1.02), rng.uniform(0.9, 1.05)])
        return Image.new("RGB", (size, size), as_rgb(grey))
    photo = Image.fromarray(photos[int(rng.integers(len(photos)))])
    part = rng.uniform(0.45, 1)
    left, top = (float(rng.uniform(0, side * (1 - part))) for side in photo.size)
    box = (left, top, left + photo.width * part, top + photo.height * part)
    shop = photo.resize((size, size), Image.Resampling.BILINEAR, box=box)
    if rng.random() < 0.3:
        shop = shop.filter(ImageFilter.GaussianBlur(size * rng.uniform(0.003, 0.02)))
    return shop


def _opening(size: int, rng: _Rng) -> Points:
    """Return the corners of a crate's opening: far left, far right, near right, near left."""
    width = size * rng.uniform(0.5, 1.6)
    depth = width * rng.uniform(0.3, 1)
    small = width < size
    middle = size * rng.normal(0.5, 0.15 if small else 0.08)
    near = size * (rng.uniform(0.4, 1.1) if small else rng.uniform(0.6, 1.2))
    far_width = width * rng.uniform(0.65, 1)
    far_middle = middle + width * rng.normal(0, 0.12)
    return np.array(
        [
            (far_middle - far_width / 2, near - depth),
            (far_middle + far_width / 2, near - depth),
            (middle + width / 2, near),
            (middle - width / 2, near),
        ]
    )


def _fill(scene: Image.Image, thing: Image.Image, opening: Points, rng: _Rng) -> None:
    """Heap the thing into the opening, what is far before what is near."""
    far_left, far_right, near_right, near_left = opening
    width = float(near_right[0] - near_left[0])
    across = int(rng.integers(2, _MOST_ACROSS + 1))
    rows = max(2, round(across * (near_left[1] - far_left[1]) / width * rng.uniform(1.2, 1.8)))
    side = width / across * rng.uniform(1.05, 1.25)
    full = rng.uniform(0.75, 1) if rng.random() < 0.8 else rng.uniform(0.4, 0.75)
    heap = rng.uniform(0, 0.35)
    pieces = _pieces(thing, side, rng)
    for way in (np.arange(rows) + 0.5) / rows:
        left = far_left + (near_left - far_left) * way
        right = far_right + (near_right - far_right) * way
        scale = (right[0] - left[0]) / width
        offset = rng.uniform(0.25, 0.75)
        for column in rng.permutation(across)[rng.random(across) < full]:
            along = min(0.97, max(0.03, (column + offset + rng.normal(0, 0.12)) / across))
            lifted = heap * (1 - abs(2 * along - 1)) + rng.normal(0, 0.08)
            x, y = left + (right - left) * along - (0, lifted * side * scale)
            piece = pieces[int(rng.integers(len(pieces)))]
            grown = scale * rng.uniform(0.92, 1.08)
            piece = piece.resize([max(4, int(s * grown)) for s in piece.size])
            scene.paste(piece, (int(x - piece.width / 2), int(y - piece.height / 2)), piece)


def _pieces(thing: Image.Image, side: float, rng: _Rng) -> list[Image.Image]:
    """Return the thing as it may lie in one crate: RGBA, about that side, dark around it."""
    darkness, uneven = rng.uniform(0.3, 0.75), rng.uniform(0, 0.12)
    way, spread = rng.uniform(-180, 180), 180 if rng.random() < 0.6 else 20
    found = []
    for _ in range(_PIECES):
        size = [max(6, int(side * s)) for s in rng.uniform(0.9, 1.1, 2)]
        piece = thing.resize(size, Image.Resampling.BILINEAR)
        if rng.random() < 0.5:
            piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        turn = way + rng.uniform(-spread, spread)
        piece = piece.rotate(turn, Image.Resampling.BILINEAR, expand=True)
        opacity = piece.getchannel("A")
        piece = ImageEnhance.Brightness(piece).enhance(float(rng.normal(1, uneven)))
        piece.putalpha(opacity)
        shade = opacity.filter(ImageFilter.BoxBlur(side * 0.08)).point(
            lambda a: min(255, int(2 * a * darkness))
        )
        whole = Image.new("RGBA", piece.size)
        whole.putalpha(shade)
        found.append(Image.alpha_composite(whole, piece))
    return found


def _draw_walls(
    draw: ImageDraw.ImageDraw, opening: Points, wall: float, colour: _Floats, rng: _Rng
) -> None:
    """Draw the rim, the near wall and those of crates below."""
    far_left, far_right, near_right, near_left = corners(opening)
    rim, edge = as_rgb(colour * 1.15), max(1, int(wall * rng.uniform(0.05, 0.2)))
    draw.line([near_left, far_left, far_right, near_right], fill=rim, width=edge)
    stacked = int(rng.integers(1, _MOST_STACKED + 1)) if rng.random() < 0.5 else 1
    holes, labelled = int(rng.integers(0, 4)), rng.random() < 0.4
    label = as_rgb(rng.uniform(0, 255, 3))
    (left, top), right = near_left, near_right[0]
    for _ in range(stacked):
        moved = rng.normal(0, wall * 0.06)
        a, b = left + moved, right + moved
        draw.rectangle((a, top, b, top + wall), fill=as_rgb(colour * rng.uniform(0.75, 0.95)))
        draw.line((a, top, b, top), fill=rim, width=edge)
        for middle in a + (b - a) * (np.arange(holes) + 0.5) / max(1, holes):
            hole = (middle - wall * 0.3, top + wall * 0.3, middle + wall * 0.3, top + wall * 0.55)
            draw.rounded_rectangle(hole, radius=wall * 0.1, fill=as_rgb(colour * 0.4))
        if labelled:
            at = a + (b - a) * rng.uniform(0.05, 0.8)
            draw.rectangle((at, top + wall * 0.3, at + wall * 0.4, top + wall * 0.7), fill=label)
        top += wall * 1.04


def _draw_tag(draw: ImageDraw.ImageDraw, opening: Points, wall: float, rng: _Rng) -> None:
    """Draw a price at the near edge or at the far one."""
    far_left, far_right, near_right, near_left = opening
    start, end = (near_left, near_right) if rng.random() < 0.6 else (far_left, far_right)
    x, y = start + (end - start) * rng.uniform(0.1, 0.7)
    high = wall * rng.uniform(0.5, 1)
    draw.rectangle((x, y - high * 0.2, x + high * 1.5, y + high * 0.8), fill=_PAPER)
    for line in range(2):
        top = y + high * (0.05 + 0.3 * line)
        end_x = x + high * (0.6 + 0.5 * line)
        draw.rectangle((x + high * 0.15, top, end_x, top + high * 0.15), fill=_INK)
