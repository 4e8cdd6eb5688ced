"""What is served or kept on a table: the table, plates and bowls, and fruit on them.

Filmed fruit stands alone on white and fruit in shops lies in crates; at home it lies on a table or
in a bowl. A network that was shown plates and bowls only with cooked food on them refuses apples in
a bowl. What this gives is in ``training/EXPERIMENTS.md``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from training.outlines import Points, as_rgb, corners

_Pixels = NDArray[np.uint8]
_Floats = NDArray[np.float64]
_Rng = np.random.Generator

OVER: Final = 2  # drawn so many times as large, so that edges are smooth
_IN_VESSEL: Final = 0.55  # of the fruit on tables
_MOST_ON_TABLE: Final = 6
_MOST_IN_VESSEL: Final = 10
_VESSELS: Final = (
    (245, 245, 242),
    (235, 230, 220),
    (45, 45, 48),
    (90, 120, 150),
    (150, 110, 75),
    (170, 170, 170),
)


@dataclass(frozen=True)
class Vessel:
    """A plate, bowl or pan in a picture.

    Attributes:
        middle: (2,), x and y of the middle of its rim, in pixels.
        rim: (n, 2), the outline of its rim.
        radius: of the rim, along its longer side.
        flat: height of the rim as a share of its width: 1 is seen from above.
        inside: share of the rim that what it holds may cover.
        colour: (3,), RGB, 0..255.
    """

    middle: _Floats
    rim: Points
    radius: float
    flat: float
    inside: float
    colour: _Floats

    def within(self, share: float) -> Points:
        """Return the outline of its rim, made so much smaller."""
        outline: Points = (self.rim - self.middle) * share + self.middle
        return outline


def draw_on_table(
    thing: Image.Image, side_px: int, photos: Sequence[_Pixels], rng: _Rng
) -> Image.Image:
    """Return a thing on a table, once or several times, or in a bowl: RGB, side_px wide and high.

    Args:
        thing: RGBA, cut out.
        side_px: in pixels.
        photos: uint8 (H, W, 3), that some tables are made of; may be empty.
        rng: where every choice comes from.
    """
    size = side_px * OVER
    scene = draw_table(size, photos, rng)
    darkness = rng.uniform(0.3, 0.75)  # of the shadows
    if rng.random() < _IN_VESSEL:
        vessel = lay_vessel(scene, rng, alone=True)
        empty = scene.copy()
        count = int(rng.integers(1, _MOST_IN_VESSEL + 1))
        reach = vessel.radius * vessel.inside
        fills = rng.uniform(0.6, 0.95) if count == 1 else rng.uniform(0.8, 1.25) / math.sqrt(count)
        side = 2 * reach * fills
        angles, ways = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 1, count))
        ways *= max(0.0, reach - 0.35 * side)
        places = np.stack([np.cos(angles) * ways, np.sin(angles) * ways * vessel.flat], axis=1)
        # What is seen from the side stands up from where it lies.
        places += vessel.middle - (0, 0.25 * side * (1 - vessel.flat))
        _lay(scene, thing, side, places, darkness, rng)
        scene.paste(empty, mask=_front(vessel, size))
    else:
        count = int(rng.integers(1, _MOST_ON_TABLE + 1))
        side = size * (rng.uniform(0.45, 0.95) if count == 1 else rng.uniform(0.25, 0.5))
        places = size * rng.uniform((0.15, 0.2), (0.85, 0.85), (count, 2))
        if count == 1:
            places = size * rng.normal(0.5, 0.1, (1, 2))
        _lay(scene, thing, side, places, darkness, rng)
    return scene.resize((side_px, side_px), Image.Resampling.BOX)


def draw_table(size: int, photos: Sequence[_Pixels], rng: _Rng) -> Image.Image:
    """Return wood, cloth or something out of focus: RGB, size wide and high."""
    kind = rng.random()
    if kind < 0.25 and photos:
        photo = Image.fromarray(photos[int(rng.integers(len(photos)))])
        blurred = photo.resize((size, size)).filter(
            ImageFilter.GaussianBlur(size * rng.uniform(0.01, 0.05))
        )
        return Image.fromarray((np.asarray(blurred) * rng.uniform(0.4, 1)).astype(np.uint8))
    if kind < 0.6:  # wood
        colour = np.array([150, 100, 60]) * rng.uniform(0.3, 1.4) + rng.normal(0, 10, 3)
        cells = rng.uniform(0.7, 1.15, (int(rng.integers(6, 60)), int(rng.integers(1, 5)), 1))
        rows = Image.fromarray((colour * cells).clip(0, 255).astype(np.uint8))
        wood = rows.resize((size, size), Image.Resampling.BICUBIC)
        return wood.rotate(90) if rng.random() < 0.5 else wood
    grey = rng.uniform(15, 250) * np.array([1, rng.uniform(0.92, 1.02), rng.uniform(0.85, 1.05)])
    return Image.fromarray(mottled(size, grey, rng, strength=rng.uniform(0, 0.15)))


def lay_vessel(picture: Image.Image, rng: _Rng, *, alone: bool) -> Vessel:
    """Draw an empty plate, bowl or pan into the picture, with its shadow, and return it.

    Args:
        picture: RGB and square; it is drawn into.
        rng: where every choice comes from.
        alone: whether it is the only one; it is larger then, and in the middle.
    """
    size = picture.width
    radius = float(size * (rng.uniform(0.3, 0.62) if alone else rng.uniform(0.2, 0.45)))
    flat = float(rng.uniform(0.4, 1))
    middle = size / 2 + size * rng.normal(0, 0.06 if alone else 0.3, 2)
    rim = _outline(rng) * (radius, radius * flat) + middle
    colour = np.array(_VESSELS[int(rng.integers(len(_VESSELS)))]) * rng.uniform(0.85, 1.05)
    depth = radius * (1 - flat) * rng.uniform(0.1, 1)  # seen of the side, below the rim
    fallen = np.add(rim, (rng.normal(0, radius * 0.06), depth + radius * 0.08))
    shadow = Image.new("L", picture.size)
    ImageDraw.Draw(shadow).polygon(corners(fallen), fill=int(rng.uniform(60, 170)))
    picture.paste((0, 0, 0), mask=shadow.filter(ImageFilter.BoxBlur(radius * 0.07)))
    vessel = Vessel(middle, rim, radius, flat, float(rng.uniform(0.72, 0.95)), colour)
    draw = ImageDraw.Draw(picture)
    for step in np.linspace(1, 0, 6):  # narrower towards the foot
        side = np.add(vessel.within(1 - 0.45 * step), (0, depth * step))
        draw.polygon(corners(side), fill=as_rgb(colour * (0.6 + 0.25 * (1 - step))))
    for step in np.linspace(0, 1, 4):
        part = vessel.within(1 - (1 - vessel.inside) * step)
        draw.polygon(corners(part), fill=as_rgb(colour * (1 - 0.12 * step)))
    return vessel


def mottled(size: int, colour: _Floats, rng: _Rng, strength: float = 0.4) -> _Pixels:
    """Return an uneven surface of about a colour: uint8 (size, size, 3)."""
    noise = smooth_noise(size, int(rng.choice([4, 12, 40])), rng) + smooth_noise(size, 60, rng) - 1
    return (colour * (1 + strength * noise[..., None])).clip(0, 255).astype(np.uint8)


def smooth_noise(size: int, cells: int, rng: _Rng) -> _Floats:
    """Return noise of so many cells in a row, float64 (size, size), 0..1."""
    small = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC), float) / 255


def _lay(
    scene: Image.Image,
    thing: Image.Image,
    side: float,
    places: _Floats,
    darkness: float,
    rng: _Rng,
) -> None:
    """Lay the thing into the scene at each place, the nearer before the farther."""
    for x, y in places[places[:, 1].argsort()].tolist():
        piece = thing.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else thing
        long = side * rng.uniform(0.85, 1.15)
        width, height = (max(8, int(long * s)) for s in rng.uniform(0.85, 1.18, 2) ** 0.5)
        piece = piece.resize((width, height), Image.Resampling.BICUBIC)
        if rng.random() < 0.6:
            piece = piece.rotate(rng.uniform(-180, 180), Image.Resampling.BICUBIC, expand=True)
        left, top = int(x - piece.width / 2), int(y - piece.height / 2)
        shadow = Image.new("L", scene.size)
        fallen = (left + int(rng.normal(0, 0.05 * long)), top + int(0.07 * long))
        shadow.paste(piece.getchannel("A").point(lambda v: int(v * darkness)), fallen)
        scene.paste((0, 0, 0), mask=shadow.filter(ImageFilter.BoxBlur(0.06 * long)))
        scene.paste(piece, (left, top), piece)


def _front(vessel: Vessel, size: int) -> Image.Image:
    """Return what is before the things that lie in a vessel: its nearer wall, and all below it."""
    inner = vessel.within(vessel.inside)
    nearer = inner[inner[:, 1] >= vessel.middle[1]]
    nearer = nearer[nearer[:, 0].argsort()]
    below = np.array([(nearer[-1, 0], 2.0 * size), (nearer[0, 0], 2.0 * size)])
    mask = Image.new("L", (size, size))
    ImageDraw.Draw(mask).polygon(corners(np.concatenate([nearer, below])), fill=255)
    return mask.filter(ImageFilter.BoxBlur(1))


def _outline(rng: _Rng) -> Points:
    """Return the outline of a vessel, radius 1: round, or with rounded corners."""
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    power = 1.0 if rng.random() < 0.8 else rng.uniform(0.3, 0.7)  # a superellipse
    outline: Points = np.sign(circle) * np.abs(circle) ** power
    return outline
