"""Made-up cut surfaces of the eight fruits, and things of the same build that are no fruit.

Nobody cut a fruit for the archives, and many a photo of an avocado shows its stone. A network that
saw only skins took half an orange for an onion. A surface here is a colour for each place between
the middle and the edge of an outline, with what lies in it: a stone, segments, rings, seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_Floats = NDArray[np.float64]
_Rng = np.random.Generator
_Colour = tuple[int, int, int]

_FULL_TURN: Final = 2 * np.pi
_MARGIN: Final = 1.12  # of the outline's radius, to the border of its picture


@dataclass(frozen=True)
class _Place:
    """Every pixel of a piece, as seen from the middle of its outline; float64 (H, W) each.

    Attributes:
        x: across, about -1..1.
        y: down, about -1..1.
        angle: in radians.
        depth: 0 in the middle, 1 on the edge.
    """

    x: _Floats
    y: _Floats
    angle: _Floats
    depth: _Floats


def draw_cut_fruit(label: str, side_px: int, rng: _Rng) -> NDArray[np.uint8]:
    """Return cut pieces of the fruit on white: uint8 (side_px, side_px, 3).

    Args:
        label: one of CUT_LABELS.
        side_px: in pixels.
        rng: where every choice comes from.
    """
    paper = Image.new("RGB", (side_px, side_px), (255, 255, 255))
    pieces = int(rng.choice([1, 1, 1, 2, 3, 5]))
    lengthwise = rng.random() < 0.5
    for _ in range(pieces):
        size = side_px * (0.92 if pieces == 1 else rng.uniform(0.4, 0.62))
        piece = _piece(label, int(size), rng, lengthwise=lengthwise)
        left, top = (int(rng.integers(max(1, side_px - side + 1))) for side in piece.size)
        paper.paste(piece, (left, top), piece)
    return np.asarray(paper, dtype=np.uint8)


def draw_other_piece(side_px: int, photos: Sequence[NDArray[np.uint8]], rng: _Rng) -> Image.Image:
    """Return a thing of the same build that is no fruit, on nothing: RGBA, no side longer.

    Tins, wheels, cakes and balls, as it were: networks that saw such bodies with cut fruit on them
    alone took twice as many renderings for fruit.

    Args:
        side_px: in pixels.
        photos: of none of the classes, uint8 (H, W, 3), that surfaces are cut from; may be empty.
        rng: where every choice comes from.
    """
    place = _place(side_px, rng.uniform(0.3, 1), _OUTLINES[int(rng.integers(len(_OUTLINES)))], rng)
    ball = rng.random() < 0.4
    if photos and rng.random() < 0.3:
        photo = Image.fromarray(photos[int(rng.integers(len(photos)))])
        colours = np.asarray(photo.resize((side_px, side_px)), float)
    else:
        # Rings, rays, stripes, or plain. A plain ball may well be a fruit; but a network that saw
        # none but blue ones named more drawings and renderings.
        count = int(rng.integers(3 if ball else 1, 9))
        shown = (
            place.depth * count / 2,
            place.angle / _FULL_TURN * count,
            place.x * count / 2,
            np.zeros_like(place.x),
        )[int(rng.integers(4))]
        first, second = rng.uniform(0, 255, (2, 3))
        colours = _mixed(np.where(shown % 1 > 0.5, 1.0, 0.0), first, second)
    if ball:
        toward = rng.uniform(-0.6, 0.6, 2)
        lit = 1.15 - np.hypot(place.x - toward[0], place.y - toward[1]) ** 2 * rng.uniform(0.2, 0.6)
        shine = np.exp(-((place.x - toward[0]) ** 2 + (place.y - toward[1]) ** 2) / 0.03)
        colours = colours * lit[..., None] + 200 * shine[..., None] * rng.uniform(0, 1)
        return _built(place, colours, rng.uniform(0, 255, 3), rng, thick=0)
    return _built(place, colours, rng.uniform(0, 255, 3), rng, thick=rng.uniform(0, 0.5))


def _piece(label: str, side_px: int, rng: _Rng, *, lengthwise: bool) -> Image.Image:
    """Return one piece of a fruit on nothing: RGBA, no side longer than side_px."""
    fruit = _FRUITS[label]
    skin = _near(fruit.skins[int(rng.integers(len(fruit.skins)))], rng)
    flat, outline = (fruit.flat, fruit.outline) if lengthwise else (1.0, _round)
    place = _place(side_px, flat, outline, rng)
    return _built(place, fruit.surface(place, skin, rng), skin, rng, thick=rng.uniform(0, 0.3))


def _built(
    place: _Place, colours: _Floats, skin: _Floats, rng: _Rng, *, thick: float
) -> Image.Image:
    """Return the surface as it is seen from a side, with the wall under it: RGBA.

    Args:
        place: (H, W), as high as wide.
        colours: (H, W, 3), of the surface.
        skin: the colour of the wall, (3,).
        rng: where every choice comes from.
        thick: height of the wall, as a share of the side; without one the surface is not tilted.
    """
    side_px = len(place.x)
    inside = (place.depth <= 1) & ~_bitten(place, rng)
    lit = colours * _uneven(side_px, rng)
    face = Image.fromarray(np.dstack([lit, inside * 255.0]).clip(0, 255).astype(np.uint8))
    face = face.rotate(rng.uniform(-180, 180), Image.Resampling.BICUBIC)
    tilt = rng.uniform(0.5, 1) * (1 - thick) if thick else 1.0
    face = face.resize((side_px, max(4, int(side_px * tilt))), Image.Resampling.BICUBIC)
    wall = Image.new("RGB", face.size, tuple(int(c) for c in (skin * 0.85).clip(0, 255)))
    piece = Image.new("RGBA", (side_px, side_px))
    for down in range(min(side_px - face.height, int(side_px * thick)), 0, -1):
        piece.paste(wall, (0, down), face.getchannel("A"))
    piece.paste(face, (0, 0), face)
    return piece.crop(piece.getbbox())


def _place(side_px: int, flat: float, outline: Callable[[_Floats], _Floats], rng: _Rng) -> _Place:
    span = np.linspace(-_MARGIN, _MARGIN, side_px)
    x, y = np.meshgrid(span, span)
    bend = rng.uniform(-0.35, 0.35) * (1 - flat)
    y = (y + bend * (x**2 - 0.5)) / (flat * rng.uniform(0.85, 1.1))
    x = x * rng.uniform(1, 1.1)
    angle = np.arctan2(y, x)
    edge = outline(angle)
    for harmonic in (2, 3, 5):
        edge = edge + rng.normal(0, 0.02) * np.cos(harmonic * angle + rng.uniform(0, _FULL_TURN))
    return _Place(x, y, angle, np.hypot(x, y) / edge)


def _round(angle: _Floats) -> _Floats:
    return np.ones_like(angle)


def _with_a_dip(angle: _Floats) -> _Floats:
    return 1 - 0.16 * np.exp(-((angle + np.pi / 2) ** 2) / 0.08) - 0.03 * np.sin(angle)


def _with_a_neck(angle: _Floats) -> _Floats:
    return 0.9 - 0.12 * np.cos(angle) + 0.12 * np.cos(angle) ** 2


def _with_a_tip(angle: _Floats) -> _Floats:
    return 0.88 + 0.12 * np.exp(-(angle**2) / 0.05)


def _bitten(place: _Place, rng: _Rng) -> NDArray[np.bool_]:
    """Return what is cut away of a piece: nothing mostly, or one side of a line."""
    if rng.random() < 0.75:
        return np.zeros(place.x.shape, dtype=bool)
    toward = rng.uniform(0, _FULL_TURN)
    away: NDArray[np.bool_] = place.x * np.cos(toward) + place.y * np.sin(toward) > rng.uniform(
        -0.1, 0.5
    )
    return away


def _near(colour: _Colour, rng: _Rng) -> _Floats:
    near: _Floats = np.array(colour, float) * rng.uniform(0.88, 1.1) * rng.uniform(0.94, 1.06, 3)
    return near


def _mixed(share: _Floats, inner: _Floats, outer: _Floats) -> _Floats:
    """Return colours (H, W, 3): outer where the share is 1."""
    mixed: _Floats = inner + (outer - inner) * share.clip(0, 1)[..., None]
    return mixed


def _uneven(side_px: int, rng: _Rng) -> _Floats:
    """Return the light on a wet surface, (H, W, 1), about 1."""
    light = np.ones((side_px, side_px))
    for cells, depth in ((3, 0.2), (12, 0.1), (50, 0.08)):
        noise = Image.fromarray(rng.random((cells, cells), dtype=np.float32) - 0.5)
        shown = noise.resize((side_px, side_px), Image.Resampling.BICUBIC)
        light += rng.uniform(0, 2) * depth * np.asarray(shown)
    return light[..., None]


def _with_skin(place: _Place, flesh: _Floats, skin: _Floats, width: float) -> _Floats:
    return _mixed((place.depth - 1 + width) / 0.015, flesh, skin)


def _spots(place: _Place, x: _Floats, y: _Floats, long: float, wide: float) -> _Floats:
    """Return 0..1, (H, W): ovals around the given places that point to the middle."""
    shown = np.zeros_like(place.x)
    for left, top in zip(x.tolist(), y.tolist(), strict=True):
        away = np.arctan2(top, left)
        along = (place.x - left) * np.cos(away) + (place.y - top) * np.sin(away)
        across = (place.y - top) * np.cos(away) - (place.x - left) * np.sin(away)
        shown = np.maximum(shown, 1 - (along / long) ** 2 - (across / wide) ** 2)
    return (shown * 4).clip(0, 1)


def _apple(place: _Place, skin: _Floats, rng: _Rng) -> _Floats:
    flesh = _mixed(place.depth**4, _near((244, 236, 205), rng), _near((240, 234, 180), rng))
    core = np.exp(-(((np.hypot(place.x, place.y * 0.8) - rng.uniform(0.28, 0.4)) / 0.03) ** 2))
    flesh = _mixed(core * rng.uniform(0, 0.6), flesh, _near((200, 200, 140), rng))
    aside = rng.uniform(0.07, 0.16)
    if rng.random() < 0.5:
        around = np.linspace(0, _FULL_TURN, 6)[:5]
        x, y = aside * np.cos(around), aside * np.sin(around)
    else:
        x, y = np.array([-aside, aside]), np.array([0.02, -0.03])
    seeds = _spots(place, x, y, rng.uniform(0.07, 0.13), rng.uniform(0.03, 0.06))
    if rng.random() < 0.8:
        flesh = _mixed(seeds, flesh, _near((90, 50, 25), rng))
    return _with_skin(place, flesh, skin, rng.uniform(0.02, 0.06))


def _avocado(place: _Place, skin: _Floats, rng: _Rng) -> _Floats:
    inner, outer = _near((238, 226, 140), rng), _near((160, 185, 70), rng)
    flesh = _mixed(place.depth ** rng.uniform(3, 8), inner, outer)
    size, aside = rng.uniform(0.3, 0.48), rng.uniform(-0.25, 0.05)
    away = np.hypot(place.x - aside, place.y)
    lit = np.hypot(place.x - aside + size / 3, place.y + size / 3) / size
    if rng.random() < 0.7:
        dark, light = _near((95, 50, 25), rng), _near((185, 120, 70), rng)
        stone = _mixed(lit, light, dark)
    else:
        stone = _mixed(1.4 - lit, _near((225, 205, 115), rng), _near((170, 150, 70), rng))
    flesh = np.where((away < size)[..., None], stone, flesh)
    return _with_skin(place, flesh, skin, rng.uniform(0.03, 0.07))


def _banana(place: _Place, skin: _Floats, rng: _Rng) -> _Floats:
    flesh = _mixed(place.depth**2, _near((238, 222, 165), rng), _near((246, 236, 200), rng))
    lobes = 0.22 + 0.08 * np.cos(3 * place.angle + rng.uniform(0, _FULL_TURN))
    middle = ((lobes - place.depth) / 0.08).clip(0, 1)
    flesh = _mixed(middle * rng.uniform(0.2, 0.9), flesh, _near((205, 175, 105), rng))
    around = rng.uniform(0, _FULL_TURN, 6)
    seeds = _spots(place, 0.15 * np.cos(around), 0.15 * np.sin(around), 0.05, 0.025)
    flesh = _mixed(seeds * rng.uniform(0, 0.8), flesh, _near((90, 65, 40), rng))
    if rng.random() < 0.4:  # peeled
        flesh = np.where((place.x > rng.uniform(-0.4, 0.4))[..., None], flesh, skin)
        return _with_skin(place, flesh, flesh, 0.05)
    return _with_skin(place, flesh, skin, rng.uniform(0.05, 0.14))


def _cucumber(place: _Place, skin: _Floats, rng: _Rng) -> _Floats:
    wet, firm = _near((196, 216, 140), rng), _near((214, 232, 165), rng)
    heart = rng.uniform(0.5, 0.72) + 0.05 * np.cos(3 * place.angle + rng.uniform(0, _FULL_TURN))
    flesh = _mixed((place.depth - heart) / 0.06, wet, firm)
    count = int(rng.integers(9, 24))
    around = np.linspace(0, _FULL_TURN, count, endpoint=False) + rng.normal(0, 0.1, count)
    away = rng.uniform(0.25, 0.45) * rng.uniform(0.8, 1.2, count)
    seeds = _spots(place, away * np.cos(around), away * np.sin(around), 0.11, 0.035)
    flesh = _mixed(seeds * rng.uniform(0.4, 1), flesh, _near((236, 240, 205), rng))
    return _with_skin(place, flesh, skin, rng.uniform(0.03, 0.09))


def _eggplant(place: _Place, skin: _Floats, rng: _Rng) -> _Floats:
    flesh = _mixed(place.depth**3, _near((238, 232, 205), rng), _near((228, 230, 190), rng))
    count = int(rng.integers(25, 70))
    around, away = rng.uniform(0, _FULL_TURN, count), rng.uniform(0.2, 0.75, count)
    seeds = _spots(place, away * np.cos(around), away * np.sin(around), 0.045, 0.022)
    flesh = _mixed(seeds * rng.uniform(0.3, 1), flesh, _near((165, 130, 75), rng))
    return _with_skin(place, flesh, skin, rng.uniform(0.03, 0.07))


def _mango(place: _Place, skin: _Floats, rng: _Rng) -> _Floats:
    flesh = _mixed(place.depth**3, _near((250, 178, 50), rng), _near((252, 200, 80), rng))
    kind = rng.random()
    if kind < 0.35:  # cut into cubes
        step, turn = rng.uniform(0.25, 0.45), rng.uniform(0, np.pi)
        for toward in (turn, turn + np.pi / 2):
            along = (place.x * np.cos(toward) + place.y * np.sin(toward)) / step
            groove = np.exp(-(((along - np.round(along)) / 0.08) ** 2))
            flesh = _mixed(groove * 0.7, flesh, _near((190, 110, 20), rng))
    elif kind < 0.65:  # the stone
        stone = (0.6 - np.hypot(place.x, place.y * 1.3)) / 0.1
        flesh = _mixed(stone, flesh, _near((232, 205, 140), rng))
    return _with_skin(place, flesh, skin, rng.uniform(0.03, 0.07))


def _onion(place: _Place, skin: _Floats, rng: _Rng) -> _Floats:
    tint = _near((250, 246, 232), rng) if rng.random() < 0.5 else skin * 0.5 + 125
    layers = int(rng.integers(4, 10))
    within = place.depth * layers + rng.uniform(0, 0.25) * np.cos(place.angle)
    line = np.exp(-(((within - np.round(within)) / rng.uniform(0.05, 0.14)) ** 2))
    flesh = _mixed(within % 1, _near((248, 245, 230), rng), tint)
    flesh = _mixed(line * rng.uniform(0.4, 1), flesh, tint * rng.uniform(0.65, 0.9))
    return _with_skin(place, flesh, skin, rng.uniform(0.02, 0.06))


def _orange(place: _Place, skin: _Floats, rng: _Rng) -> _Floats:
    pith = _near((248, 228, 180), rng)
    juicy = _near((250, 160, 40), rng) if rng.random() < 0.8 else _near((250, 185, 70), rng)
    fibres = rng.random(int(rng.integers(60, 160)))
    which = (place.angle / _FULL_TURN * len(fibres) + place.depth * 2).astype(int) % len(fibres)
    flesh = juicy * (0.85 + 0.3 * fibres[which])[..., None]
    count = int(rng.integers(8, 13))
    phase = (place.angle + rng.uniform(0, _FULL_TURN)) / _FULL_TURN * count
    wall = np.abs(phase - np.round(phase)) * place.depth * _FULL_TURN / count
    flesh = _mixed(1.3 - wall / rng.uniform(0.012, 0.035), flesh, pith)
    flesh = _mixed((rng.uniform(0.04, 0.12) - place.depth) / 0.03, flesh, pith)
    rind = rng.uniform(0.05, 0.1)
    flesh = _with_skin(place, flesh, pith, rind + rng.uniform(0.02, 0.08))
    return _with_skin(place, flesh, skin, rind)


@dataclass(frozen=True)
class _Fruit:
    """How a fruit is cut.

    Attributes:
        surface: the colours of a cut, (H, W, 3), of its places and the colour of its skin.
        skins: colours that its skin may have.
        flat: height of a piece that is cut lengthwise, as a share of its width.
        outline: of such a piece: the distance of its edge from its middle at each angle.
    """

    surface: Callable[[_Place, _Floats, _Rng], _Floats]
    skins: tuple[_Colour, ...]
    flat: float
    outline: Callable[[_Floats], _Floats]


_FRUITS: Final = {
    "apple": _Fruit(_apple, ((190, 35, 40), (120, 165, 50), (215, 190, 80)), 0.95, _with_a_dip),
    "avocado": _Fruit(_avocado, ((50, 65, 30), (35, 35, 25), (80, 110, 40)), 0.72, _with_a_neck),
    "banana": _Fruit(_banana, ((235, 205, 70), (225, 200, 100)), 0.22, _round),
    "cucumber": _Fruit(_cucumber, ((40, 95, 40), (60, 120, 50)), 0.28, _round),
    "eggplant": _Fruit(_eggplant, ((55, 25, 60), (90, 45, 95)), 0.45, _with_a_neck),
    "mango": _Fruit(_mango, ((225, 150, 50), (120, 140, 50), (200, 90, 50)), 0.65, _round),
    "onion": _Fruit(_onion, ((190, 130, 70), (120, 35, 75), (225, 220, 195)), 0.9, _with_a_tip),
    "orange": _Fruit(_orange, ((245, 145, 25), (235, 120, 20)), 0.95, _round),
}
CUT_LABELS: Final = tuple(_FRUITS)
_OUTLINES: Final = (_round, _round, _with_a_dip, _with_a_neck, _with_a_tip)
