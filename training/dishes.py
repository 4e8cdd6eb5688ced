"""Made-up dishes: food in pieces, strands and leaves, near by or on plates and in bowls.

The archives show fruit and packages, and no meal. A network that saw only those took four of ten
photographs of cooked dishes for bananas and onions. What dishes give is in
``training/EXPERIMENTS.md``.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from training.outlines import Points, as_rgb, corners, turned
from training.tables import OVER, draw_table, lay_vessel, mottled, smooth_noise

_Pixels = NDArray[np.uint8]
_Floats = NDArray[np.float64]
_Rng = np.random.Generator

_NEAR: Final = 0.25  # of the dishes: so near that food fills the picture
_SEVERAL: Final = 0.35  # of the others: more than one vessel
_LEFT_ON_IT: Final = 0.5  # of the plates: food in a heap, with the plate around it
# Roasted, fried, bread, cream, rice, sauces, meats, greens, pepper, egg, mushrooms, chocolate.
_FOODS: Final = (
    (95, 55, 30),
    (150, 90, 45),
    (200, 150, 90),
    (225, 200, 150),
    (240, 235, 220),
    (165, 60, 25),
    (200, 95, 30),
    (140, 75, 65),
    (215, 150, 130),
    (70, 110, 40),
    (120, 160, 60),
    (35, 60, 25),
    (190, 40, 30),
    (235, 190, 60),
    (170, 150, 125),
    (55, 35, 28),
)


def draw_dish(side_px: int, photos: Sequence[_Pixels], rng: _Rng) -> Image.Image:
    """Return a dish: RGB, side_px wide and high.

    Args:
        side_px: in pixels.
        photos: uint8 (H, W, 3), whose parts some tables and grains are cut from; may be empty.
        rng: where every choice comes from.
    """
    size = side_px * OVER
    if rng.random() < _NEAR:
        picture = _food(size, photos, rng)
    else:
        picture = draw_table(size, photos, rng)
        vessels = int(rng.integers(2, 5)) if rng.random() < _SEVERAL else 1
        for _ in range(vessels):
            _serve(picture, photos, rng, alone=vessels == 1)
    picture = picture.resize((side_px, side_px), Image.Resampling.BOX)
    if rng.random() < 0.4:  # what is behind is out of focus
        blurred = picture.filter(ImageFilter.GaussianBlur(side_px * rng.uniform(0.01, 0.03)))
        from_middle = np.abs(np.linspace(-1, 1, side_px) - rng.uniform(-0.3, 0.3))
        mask = np.broadcast_to(from_middle[:, None] * 255, (side_px, side_px)).clip(0, 255)
        picture.paste(blurred, mask=Image.fromarray(mask.astype(np.uint8)))
    return picture


def _serve(picture: Image.Image, photos: Sequence[_Pixels], rng: _Rng, *, alone: bool) -> None:
    """Put a plate, bowl or pan with food into the picture, with its shadow."""
    vessel = lay_vessel(picture, rng, alone=alone)
    radius, flat, inside = vessel.radius, vessel.flat, vessel.inside
    if rng.random() < _LEFT_ON_IT:
        heap = _blob(rng) * rng.uniform(0.45, 0.85)
        held = heap * (radius * inside, radius * inside * flat) + vessel.middle
        held = np.add(held, (0, -radius * rng.uniform(0, 0.12)))
    else:
        held = vessel.within(inside * rng.uniform(0.9, 1))
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).polygon(corners(held), fill=255)
    food = _food(max(8, int(2 * radius)), photos, rng)
    if flat < 0.8:
        food = food.resize((food.width, max(4, int(food.height * flat))))
    placed = Image.new("RGB", picture.size, as_rgb(vessel.colour * 0.8))
    left, top = (vessel.middle - np.array(food.size) / 2).astype(int).tolist()
    placed.paste(food, (left, top))
    picture.paste(placed, mask=mask.filter(ImageFilter.BoxBlur(1.5)))


def _food(size: int, photos: Sequence[_Pixels], rng: _Rng) -> Image.Image:
    """Return nothing but food, RGB, size wide and high."""
    chosen = rng.choice(len(_FOODS), int(rng.integers(1, 5)))
    colours = np.array(_FOODS, float)[chosen] * rng.uniform(0.75, 1.2, (len(chosen), 1))
    colours = colours + rng.normal(0, 12, colours.shape)
    picture = Image.fromarray(mottled(size, colours[0], rng))
    for _ in range(int(rng.integers(1, 4))):
        _strew(picture, colours, rng)
    shown = np.asarray(picture, float)
    if photos and rng.random() < 0.6:
        shown = shown * (1 + rng.uniform(0.2, 0.7) * (_grain(size, photos, rng) - 1))
    relief = smooth_noise(size, int(rng.choice([8, 16, 32])), rng)[..., None]
    shown = shown * (1 + rng.uniform(0.1, 0.6) * (relief - 0.5))
    return Image.fromarray(shown.clip(0, 255).astype(np.uint8))


def _strew(picture: Image.Image, colours: _Floats, rng: _Rng) -> None:
    """Strew one kind of piece over the picture: chunks, strands, leaves, grains or slices."""
    size = picture.width
    draw = ImageDraw.Draw(picture)
    kind = rng.random()
    length = size * rng.uniform(0.03, 0.16)
    count = int(min(260, rng.uniform(0.5, 1.6) * (size / length) ** 2 / 3))
    if kind < 0.2:
        length, count = size * rng.uniform(0.3, 0.8), int(rng.integers(30, 110))
    elif kind < 0.35:
        length, count = size * rng.uniform(0.008, 0.025), int(rng.integers(20, 250))
    colour = colours[int(rng.integers(len(colours)))]
    width = max(1, int(size * rng.uniform(0.006, 0.03)))
    gloss, darkest = rng.uniform(0, 0.8), rng.uniform(0.35, 0.75)
    toward = turned(np.array([[1.0, 0.0]]), rng.uniform(0, 2 * np.pi))[0]
    shape, slim = _blob(rng), rng.uniform(0.3, 1)
    for number in range(count):
        # Those that lie deeper come first, and are darker.
        light = darkest + (1.15 - darkest) * number / count + rng.normal(0, 0.08)
        fill = colour * light
        place, angle = rng.uniform(0, size, 2), rng.uniform(0, 2 * np.pi)
        if kind < 0.2:
            bent = turned(_strand(length, rng), angle) + place
            draw.line(corners(np.add(bent, (0, width))), fill=as_rgb(fill * 0.6), width=width)
            draw.line(corners(bent), fill=as_rgb(fill), width=width)
            continue
        if number % 8 == 0:
            shape = _blob(rng)
        piece = shape * (1, slim) * length / 2 * rng.uniform(0.6, 1.3)
        piece = turned(piece, angle)
        draw.polygon(
            corners(piece * 1.06 + place - toward * length * 0.08), fill=as_rgb(fill * 0.5)
        )
        draw.polygon(corners(piece + place), fill=as_rgb(fill))
        lit = piece * 0.6 + place + toward * length * 0.1
        draw.polygon(corners(lit), fill=as_rgb(fill * 1.12))
        if rng.random() < gloss:
            spot = piece * 0.15 + place + toward * length * 0.2
            draw.polygon(corners(spot), fill=as_rgb(fill * 0.4 + 150))


def _grain(size: int, photos: Sequence[_Pixels], rng: _Rng) -> _Floats:
    """Return the light and shade of a part of a photo, (size, size, 1), 1 on average."""
    photo = photos[int(rng.integers(len(photos)))]
    side = max(1, int(min(photo.shape[:2]) * rng.uniform(0.3, 1)))
    top, left = (int(rng.integers(edge - side + 1)) for edge in photo.shape[:2])
    part = Image.fromarray(photo[top : top + side, left : left + side]).convert("L")
    grain = np.asarray(part.resize((size, size)), float)[..., None]
    return grain / max(1.0, float(grain.mean()))


def _blob(rng: _Rng) -> Points:
    """Return an uneven closed outline, radius about 1."""
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    radius = 1 + sum(
        rng.normal(0, 0.25 / k) * np.cos(k * angles + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4)
    )
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def _strand(length: float, rng: _Rng) -> Points:
    """Return a bent line, (n, 2), around the origin."""
    angles = np.cumsum(rng.normal(0, 0.35, 9) + rng.normal(0, 0.25))
    line = np.cumsum(np.stack([np.cos(angles), np.sin(angles)], axis=1), axis=0) * length / 9
    around: Points = line - line.mean(axis=0)
    return around
