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

from training.outlines import Points, corners, turned

_Pixels = NDArray[np.uint8]
_Floats = NDArray[np.float64]
_Rng = np.random.Generator

_OVER: Final = 2  # drawn so many times as large, so that edges are smooth
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
_VESSELS: Final = (
    (245, 245, 242),
    (235, 230, 220),
    (45, 45, 48),
    (90, 120, 150),
    (150, 110, 75),
    (170, 170, 170),
)


def draw_dish(side_px: int, photos: Sequence[_Pixels], rng: _Rng) -> Image.Image:
    """Return a dish: RGB, side_px wide and high.

    Args:
        side_px: in pixels.
        photos: uint8 (H, W, 3), whose parts some tables and grains are cut from; may be empty.
        rng: where every choice comes from.
    """
    size = side_px * _OVER
    if rng.random() < _NEAR:
        picture = _food(size, photos, rng)
    else:
        picture = _table(size, photos, rng)
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
    size = picture.width
    radius = size * (rng.uniform(0.3, 0.62) if alone else rng.uniform(0.2, 0.45))
    flat = rng.uniform(0.4, 1)
    middle = size / 2 + size * rng.normal(0, 0.06 if alone else 0.3, 2)
    outline = _outline(rng)
    rim = outline * (radius, radius * flat) + middle
    colour = np.array(_VESSELS[int(rng.integers(len(_VESSELS)))]) * rng.uniform(0.85, 1.05)
    depth = radius * (1 - flat) * rng.uniform(0.1, 1)  # seen of the side, below the rim
    shadow = Image.new("L", picture.size)
    fallen = np.add(rim, (rng.normal(0, radius * 0.06), depth + radius * 0.08))
    ImageDraw.Draw(shadow).polygon(corners(fallen), fill=int(rng.uniform(60, 170)))
    picture.paste((0, 0, 0), mask=shadow.filter(ImageFilter.BoxBlur(radius * 0.07)))
    draw = ImageDraw.Draw(picture)
    for step in np.linspace(1, 0, 6):  # narrower towards the foot
        side = (rim - middle) * (1 - 0.45 * step) + middle + (0, depth * step)
        draw.polygon(corners(side), fill=_rgb(colour * (0.6 + 0.25 * (1 - step))))
    draw.polygon(corners(rim), fill=_rgb(colour))
    inside = rng.uniform(0.72, 0.95)
    for step in np.linspace(0, 1, 4):
        part = (rim - middle) * (1 - (1 - inside) * step) + middle
        draw.polygon(corners(part), fill=_rgb(colour * (1 - 0.12 * step)))
    if rng.random() < _LEFT_ON_IT:
        heap = _blob(rng) * rng.uniform(0.45, 0.85)
        held = heap * (radius * inside, radius * inside * flat) + middle
        held = np.add(held, (0, -radius * rng.uniform(0, 0.12)))
    else:
        held = (rim - middle) * inside * rng.uniform(0.9, 1) + middle
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).polygon(corners(held), fill=255)
    food = _food(max(8, int(2 * radius)), photos, rng)
    if flat < 0.8:
        food = food.resize((food.width, max(4, int(food.height * flat))))
    placed = Image.new("RGB", picture.size, _rgb(colour * 0.8))
    left, top = (middle - np.array(food.size) / 2).astype(int).tolist()
    placed.paste(food, (left, top))
    picture.paste(placed, mask=mask.filter(ImageFilter.BoxBlur(1.5)))


def _food(size: int, photos: Sequence[_Pixels], rng: _Rng) -> Image.Image:
    """Return nothing but food, RGB, size wide and high."""
    chosen = rng.choice(len(_FOODS), int(rng.integers(1, 5)))
    colours = np.array(_FOODS, float)[chosen] * rng.uniform(0.75, 1.2, (len(chosen), 1))
    colours = colours + rng.normal(0, 12, colours.shape)
    picture = Image.fromarray(_mottled(size, colours[0], rng))
    for _ in range(int(rng.integers(1, 4))):
        _strew(picture, colours, rng)
    shown = np.asarray(picture, float)
    if photos and rng.random() < 0.6:
        shown = shown * (1 + rng.uniform(0.2, 0.7) * (_grain(size, photos, rng) - 1))
    relief = _noise(size, int(rng.choice([8, 16, 32])), rng)[..., None]
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
            draw.line(corners(np.add(bent, (0, width))), fill=_rgb(fill * 0.6), width=width)
            draw.line(corners(bent), fill=_rgb(fill), width=width)
            continue
        if number % 8 == 0:
            shape = _blob(rng)
        piece = shape * (1, slim) * length / 2 * rng.uniform(0.6, 1.3)
        piece = turned(piece, angle)
        draw.polygon(corners(piece * 1.06 + place - toward * length * 0.08), fill=_rgb(fill * 0.5))
        draw.polygon(corners(piece + place), fill=_rgb(fill))
        lit = piece * 0.6 + place + toward * length * 0.1
        draw.polygon(corners(lit), fill=_rgb(fill * 1.12))
        if rng.random() < gloss:
            spot = piece * 0.15 + place + toward * length * 0.2
            draw.polygon(corners(spot), fill=_rgb(fill * 0.4 + 150))


def _table(size: int, photos: Sequence[_Pixels], rng: _Rng) -> Image.Image:
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
    return Image.fromarray(_mottled(size, grey, rng, strength=rng.uniform(0, 0.15)))


def _mottled(size: int, colour: _Floats, rng: _Rng, strength: float = 0.4) -> _Pixels:
    noise = _noise(size, int(rng.choice([4, 12, 40])), rng) + _noise(size, 60, rng) - 1
    return (colour * (1 + strength * noise[..., None])).clip(0, 255).astype(np.uint8)


def _noise(size: int, cells: int, rng: _Rng) -> _Floats:
    """Return smooth noise, (size, size), 0..1."""
    small = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC), float) / 255


def _grain(size: int, photos: Sequence[_Pixels], rng: _Rng) -> _Floats:
    """Return the light and shade of a part of a photo, (size, size, 1), 1 on average."""
    photo = photos[int(rng.integers(len(photos)))]
    side = max(1, int(min(photo.shape[:2]) * rng.uniform(0.3, 1)))
    top, left = (int(rng.integers(edge - side + 1)) for edge in photo.shape[:2])
    part = Image.fromarray(photo[top : top + side, left : left + side]).convert("L")
    grain = np.asarray(part.resize((size, size)), float)[..., None]
    return grain / max(1.0, float(grain.mean()))


def _outline(rng: _Rng) -> Points:
    """Return the outline of a vessel, radius 1: round, or with rounded corners."""
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    power = 1.0 if rng.random() < 0.8 else rng.uniform(0.3, 0.7)  # a superellipse
    outline: Points = np.sign(circle) * np.abs(circle) ** power
    return outline


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


def _rgb(colour: _Floats) -> tuple[int, int, int]:
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return red, green, blue
