"""Made-up fruit seen from its end, stalk or blossom, and knobs of the same build that are no fruit.

The films turn each fruit about one axis, and shops lay it flat: hardly a picture shows a calyx from
above, or the hollow of an apple. A fruit here is a ball that is coloured by the way from its end
and around it, with a stalk where it has one. The figures are in ``training/EXPERIMENTS.md``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from training.namesakes import names_class
from training.surfaces import FULL_TURN, Colour, Floats, mixed, near, noise, uneven

_Rng = np.random.Generator

_MARGIN: Final = 1.08  # of the outline's radius, to the border of its picture
_MOST_TILT: Final = 0.9  # in radians: how far the end may look aside


@dataclass(frozen=True)
class _Ball:
    """Every pixel of a ball; float64 (H, W) each.

    Attributes:
        x: across, about -1..1.
        y: down, about -1..1.
        z: towards the eye, 0..1.
        away: from the end, in radians.
        around: the end, in radians.
        opacity: 1 where the ball covers the pixel, 0 beside it.
        end: where the end is, x and y, (2,).
    """

    x: Floats
    y: Floats
    z: Floats
    away: Floats
    around: Floats
    opacity: Floats
    end: Floats


@dataclass(frozen=True)
class _Stalk:
    """What stands on the end.

    Attributes:
        colour: (3,).
        top: the colour of its cut, (3,).
        length: in radii of the ball, as far as it is seen from aside.
        width: in radii of the ball.
    """

    colour: Floats
    top: Floats
    length: float
    width: float


_Looks = tuple[Floats, _Stalk | None]


def draw_fruit_end(label: str, side_px: int, rng: _Rng) -> NDArray[np.uint8]:
    """Return the fruit from its end on white: uint8 (side_px, side_px, 3).

    Args:
        label: one of END_LABELS.
        side_px: in pixels.
        rng: where every choice comes from.
    """
    paper = Image.new("RGB", (side_px, side_px), (255, 255, 255))
    corners = 0.06 if label == "banana" else 0.0
    fruit = _built(_ENDS[label], side_px, rng, corners=corners, glossy=label in _GLOSSY)
    paper.paste(fruit, (0, 0), fruit)
    return np.asarray(paper, dtype=np.uint8)


def draw_knob(side_px: int, classes: Sequence[str], rng: _Rng) -> Image.Image:
    """Return a thing of the same build that is none of the fruit, on nothing: RGBA.

    Balls in colours that none has, with rings, segments, stars and knobs; tomatoes, peppers,
    pumpkins and peaches, unless they are a class that somebody added.

    Args:
        side_px: its width and height, in pixels.
        classes: what it must not be.
        rng: where every choice comes from.
    """
    others = [
        looks for name, looks in _OTHERS.items() if not any(names_class(c, name) for c in classes)
    ]
    kinds = (_knob, _knob, *others)
    looks = kinds[int(rng.integers(len(kinds)))]
    corners = float(rng.uniform(0.05, 0.14)) if looks is _pepper else 0.0
    return _built(looks, side_px, rng, corners=corners, glossy=rng.random() < 0.5)


def _built(
    looks: Callable[[_Ball, _Rng], _Looks],
    side_px: int,
    rng: _Rng,
    *,
    corners: float,
    glossy: bool,
) -> Image.Image:
    """Return a ball that looks so, in some light, on nothing: RGBA.

    Args:
        looks: the colours of a ball, (H, W, 3), and its stalk.
        side_px: in pixels.
        rng: where every choice comes from.
        corners: how far five of them stand out, in radii.
        glossy: whether lamps are seen on it.
    """
    flat = rng.uniform(0.8, 1)
    ball = _ball(side_px, flat, corners, rng)
    colours, stalk = looks(ball, rng)
    toward = np.array([*rng.uniform(-0.6, 0.6, 2), 1.0])
    toward /= np.linalg.norm(toward)
    facing = (ball.x * toward[0] + ball.y * toward[1] + ball.z * toward[2]).clip(0, 1)
    shade = rng.uniform(0.35, 0.7)
    colours = colours * (shade + (1.1 - shade) * facing)[..., None] * uneven(side_px, rng)
    for _ in range(int(rng.integers(1, 3))):
        x, y = rng.uniform(-0.6, 0.6, 2)
        spot = np.exp(-((ball.x - x) ** 2 + (ball.y - y) ** 2) / rng.uniform(0.004, 0.04))
        colours = colours + 160 * rng.uniform(0, 1 if glossy else 0.4) * spot[..., None]
    opaque = np.dstack([colours, ball.opacity * 255.0]).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(opaque)
    if stalk:
        _put(stalk, picture, ball.end, flat, rng)
    picture = picture.filter(ImageFilter.GaussianBlur(side_px * 0.004))
    return picture.rotate(rng.uniform(0, 360), Image.Resampling.BICUBIC)


def _ball(side_px: int, flat: float, corners: float, rng: _Rng) -> _Ball:
    span = np.linspace(-_MARGIN, _MARGIN, side_px)
    x, y = np.meshgrid(span, span / flat)
    angle = np.arctan2(y, x)
    edge = 1 - corners * np.cos(5 * angle)
    for harmonic in (2, 3, 5):
        edge = edge + rng.normal(0, 0.015) * np.cos(harmonic * angle + rng.uniform(0, FULL_TURN))
    x, y = x / edge, y / edge
    z = np.sqrt((1 - x**2 - y**2).clip(0, 1))
    tilt, turn = min(abs(rng.normal(0, 0.4)), _MOST_TILT), rng.uniform(0, FULL_TURN)
    # The direction of the end, and two across it.
    end = np.array([np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)])
    side = np.array([np.cos(tilt) * np.cos(turn), np.cos(tilt) * np.sin(turn), -np.sin(tilt)])
    along, across, aside = (
        x * axis[0] + y * axis[1] + z * axis[2] for axis in (end, side, np.cross(end, side))
    )
    away, around = np.arccos(along.clip(-1, 1)), np.arctan2(aside, across) % FULL_TURN
    opacity = ((1 - np.hypot(x, y)) * side_px / 2 + 0.5).clip(0, 1)
    return _Ball(x, y, z, away, around, opacity, end[:2])


def _put(stalk: _Stalk, picture: Image.Image, end: Floats, flat: float, rng: _Rng) -> None:
    """Draw a stalk that leans outward from the end, and its cut."""
    scale = picture.width / (2 * _MARGIN)
    foot, top = (
        (place * (1, flat) + _MARGIN) * scale
        for place in (end, end * (1 + stalk.length) + rng.normal(0, 0.24, 2) * stalk.length)
    )
    width = stalk.width * scale
    draw = ImageDraw.Draw(picture)
    discs = 1 + max(3, int(np.hypot(*(top - foot)) / max(1.0, width / 3)))
    for part in np.linspace(0, 1, discs):
        radius = width / 2 * (1 + 0.15 * part)
        place = (foot + (top - foot) * part).tolist()
        draw.circle(place, radius, _rgb(stalk.colour * (0.7 + 0.3 * part)))
    draw.circle(top.tolist(), width * 0.55, _rgb(stalk.top))
    draw.circle(top.tolist(), width * 0.25, _rgb(stalk.top * rng.uniform(0.6, 1.1)))


def _rgb(colour: Floats) -> Colour:
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return red, green, blue


def _one_of(rng: _Rng, *colours: Colour) -> Floats:
    return near(colours[int(rng.integers(len(colours)))], rng)


def _streaks(ball: _Ball, count: int, rng: _Rng) -> Floats:
    """Return 0..1, (H, W): count random values around the end, one fading into the next."""
    values = rng.random(count)
    place = ball.around / FULL_TURN * count
    first, part = place.astype(int) % count, place % 1
    streaks: Floats = values[first] * (1 - part) + values[(first + 1) % count] * part
    return streaks


def _tips(ball: _Ball, count: int, rng: _Rng) -> Floats:
    """Return 0 where one of count tips of a star points to, and 1 between them, (H, W)."""
    place = (ball.around + rng.uniform(0, FULL_TURN)) / FULL_TURN * count
    between: Floats = np.abs(place - np.round(place)) * 2
    return between


def _hollow(ball: _Ball, width: float, depth: float) -> Floats:
    """Return how dark it is around the end, (H, W, 1), 1 far from it."""
    dark: Floats = 1 - depth * np.exp(-((ball.away / width) ** 2))
    return dark[..., None]


def _disc(ball: _Ball, width: float) -> Floats:
    """Return 1 on the end and 0 farther away than the width, fading, (H, W)."""
    disc: Floats = (1.5 - ball.away / width).clip(0, 1)
    return disc


def _apple(ball: _Ball, rng: _Rng) -> _Looks:
    skin = _one_of(rng, (185, 35, 40), (125, 165, 55), (215, 190, 85), (200, 80, 60))
    other = _one_of(rng, (215, 190, 90), (170, 185, 80), (225, 120, 60))
    striped = _streaks(ball, int(rng.integers(20, 90)), rng) * rng.uniform(0, 1)
    colours = mixed(striped + (1 - ball.away / 1.2) * rng.uniform(-0.2, 0.8), skin, other)
    width = rng.uniform(0.25, 0.5)
    colours = colours * _hollow(ball, width, rng.uniform(0.2, 0.6))
    if rng.random() < 0.6:
        reach = width * rng.uniform(0.4, 1.3) * (0.6 + 0.6 * _streaks(ball, 14, rng))
        russet = np.exp(-((ball.away / reach) ** 2)) * rng.uniform(0.2, 0.9)
        colours = mixed(russet, colours, near((150, 120, 60), rng))
        wood, cut = near((95, 70, 40), rng), near((120, 90, 55), rng)
        return colours, _Stalk(wood, cut, rng.uniform(0.2, 0.7), rng.uniform(0.05, 0.11))
    star = ball.away < rng.uniform(0.12, 0.22) * (1.3 - 0.8 * _tips(ball, 5, rng))
    return mixed(star * rng.uniform(0.5, 1), colours, near((60, 44, 28), rng)), None


def _avocado(ball: _Ball, rng: _Rng) -> _Looks:
    skin = _one_of(rng, (60, 80, 35), (40, 38, 30), (85, 115, 45))
    bumps = np.abs(noise(len(ball.x), 40, rng)) * 1.2
    colours = mixed(bumps, skin, skin * rng.uniform(1.2, 1.6))
    width = rng.uniform(0.1, 0.18)
    colours = mixed((ball.away < width * 1.4) * 0.6, colours, skin * 0.6)
    return mixed(ball.away < width, colours, near((130, 105, 60), rng)), None


def _banana(ball: _Ball, rng: _Rng) -> _Looks:
    ripe, green = near((235, 200, 70), rng), near((200, 190, 80), rng)
    colours = mixed(_streaks(ball, 5, rng) * 0.6, ripe, green)
    return mixed(_disc(ball, rng.uniform(0.15, 0.45)), colours, near((60, 45, 30), rng)), None


def _cucumber(ball: _Ball, rng: _Rng) -> _Looks:
    ribs = np.cos(ball.around * int(rng.integers(6, 12))) * rng.uniform(0, 0.5)
    paler = (1 - ball.away) * rng.uniform(0, 0.8)
    colours = mixed(ribs + paler, near((45, 95, 40), rng), near((110, 150, 70), rng))
    width = rng.uniform(0.1, 0.3)
    scar = _one_of(rng, (150, 140, 80), (190, 190, 130), (90, 110, 50))
    colours = mixed(_disc(ball, width), colours, scar)
    if rng.random() < 0.6:
        return colours, None
    stem, cut = near((100, 125, 60), rng), near((170, 170, 110), rng)
    return colours, _Stalk(stem, cut, rng.uniform(0.05, 0.4), width * rng.uniform(0.8, 1.4))


def _eggplant(ball: _Ball, rng: _Rng) -> _Looks:
    skin = _one_of(rng, (45, 22, 50), (75, 35, 80), (35, 25, 35))
    colours = mixed(noise(len(ball.x), 6, rng) * 0.6, skin, skin * 1.4 + 8)
    if rng.random() < 0.25:  # the blossom's end
        return mixed(_disc(ball, rng.uniform(0.05, 0.14)), colours, near((110, 80, 60), rng)), None
    leaf = _one_of(
        rng, (105, 125, 60), (130, 120, 80), (110, 95, 75), (80, 100, 50), (120, 110, 95)
    )
    between = _tips(ball, int(rng.integers(4, 8)), rng)
    reach = rng.uniform(0.55, 1.15)
    border = reach * (1 - rng.uniform(0.2, 0.55) * between ** rng.uniform(0.6, 1.6))
    border = border + 0.06 * noise(len(ball.x), 12, rng)
    rough = _streaks(ball, int(rng.integers(20, 60)), rng) * 0.7
    rough = rough + np.abs(noise(len(ball.x), 30, rng)) * 0.5
    calyx = mixed(rough, leaf, leaf * rng.uniform(0.6, 0.9))
    if rng.random() < 0.5:
        violet = ball.away / border * rng.uniform(0.2, 1) - 0.1
        calyx = mixed(violet, calyx, near((85, 60, 80), rng))
    calyx = calyx * (0.9 + rng.uniform(0, 0.25) * (between - 0.5))[..., None]
    colours = mixed((border - ball.away) / 0.03, colours, calyx)
    rim = np.exp(-(((ball.away - border) / 0.05) ** 2))
    cut = _one_of(rng, (150, 140, 95), (120, 105, 75), (95, 80, 60), (165, 160, 120))
    stalk = _Stalk(leaf * rng.uniform(0.8, 1.1), cut, rng.uniform(0, 0.8), rng.uniform(0.18, 0.4))
    return colours * (1 - 0.35 * rim)[..., None], stalk


def _mango(ball: _Ball, rng: _Rng) -> _Looks:
    skin = _one_of(rng, (225, 160, 60), (120, 140, 55), (205, 95, 55))
    blush = _one_of(rng, (230, 185, 80), (200, 80, 50), (140, 160, 70))
    sunny = 0.5 + 0.5 * np.cos(ball.around + rng.uniform(0, FULL_TURN)) * ball.away
    width = rng.uniform(0.06, 0.13)
    colours = mixed(sunny, skin, blush) * _hollow(ball, width * 2, 0.35)
    colours = mixed(_disc(ball, width), colours, near((95, 65, 40), rng))
    if rng.random() < 0.7:
        return colours, None
    wood, cut = near((100, 75, 50), rng), near((120, 95, 65), rng)
    return colours, _Stalk(wood, cut, rng.uniform(0.1, 0.4), width)


def _onion(ball: _Ball, rng: _Rng) -> _Looks:
    skin = _one_of(rng, (190, 125, 60), (120, 40, 75), (228, 222, 200), (205, 150, 85))
    veins = _streaks(ball, int(rng.integers(24, 70)), rng) * 0.7
    colours = mixed(veins, skin, skin * rng.uniform(0.65, 0.85) + 20)
    if rng.random() < 0.5:
        reach = rng.uniform(0.12, 0.35) * (0.7 + 0.6 * _streaks(ball, 30, rng))
        pale, dark = near((215, 200, 165), rng), near((140, 115, 80), rng)
        roots = mixed(_streaks(ball, 60, rng), pale, dark)
        return mixed((reach - ball.away) / 0.04, colours, roots), None
    width = rng.uniform(0.1, 0.25)
    colours = mixed(_disc(ball, width), colours, near((150, 120, 76), rng))
    neck, cut = near((200, 165, 110), rng), near((150, 120, 75), rng)
    return colours, _Stalk(neck, cut, rng.uniform(0.1, 0.8), width * rng.uniform(0.6, 1.2))


def _orange(ball: _Ball, rng: _Rng) -> _Looks:
    skin = _one_of(rng, (245, 145, 30), (235, 120, 25), (240, 165, 60))
    side_px = len(ball.x)
    pores = noise(side_px, max(2, side_px // 3), rng) * rng.uniform(0.05, 0.3)
    width = rng.uniform(0.1, 0.2)
    creases = 0.2 * np.exp(-((ball.away / (width * 2.2)) ** 2)) * (0.5 + _streaks(ball, 9, rng))
    colours = skin * ((1 + pores) * (1 - creases))[..., None]
    if rng.random() < 0.6:
        star = ball.away < width * (1.1 - 0.5 * _tips(ball, 5, rng))
        button = _one_of(rng, (90, 115, 55), (130, 110, 60), (165, 170, 110))
        return mixed(star, colours, button), None
    navel = np.exp(-(((ball.away - width) / 0.03) ** 2)) * 0.7
    return mixed(navel, colours, skin * 0.7), None


def _knob(ball: _Ball, rng: _Rng) -> _Looks:
    """Return the looks of a thing in two colours, one of them of no fruit here."""
    blue, grey = rng.random(2) < (0.6, 0.6)
    if blue:
        strange = np.array([rng.uniform(0, 120), rng.uniform(60, 200), rng.uniform(150, 250)])
    elif grey:
        strange = rng.uniform(90, 180) + rng.uniform(-6, 6, 3)
    else:
        strange = np.array([rng.uniform(220, 255), rng.uniform(60, 150), rng.uniform(150, 220)])
    beside = rng.uniform(0, 255, 3)
    count = int(rng.integers(2, 9))
    shown = (
        ball.around / FULL_TURN * count,
        ball.away / np.pi * 2 * count,
        np.where(ball.away < rng.uniform(0.3, 1) * (1.3 - _tips(ball, count, rng)), 0.9, 0.1),
        np.full_like(ball.x, 0.1),
    )[int(rng.integers(4))]
    colours = mixed(shown % 1 > 0.5, strange, beside)
    if rng.random() < 0.4:
        return colours, None
    stem, cut = rng.uniform(20, 235, (2, 3))
    return colours, _Stalk(stem, cut, rng.uniform(0, 0.7), rng.uniform(0.08, 0.4))


def _tomato(ball: _Ball, rng: _Rng) -> _Looks:
    skin = _one_of(rng, (205, 40, 30), (220, 80, 35), (230, 150, 40), (110, 40, 35))
    colours = skin * _hollow(ball, rng.uniform(0.2, 0.5), rng.uniform(0.1, 0.4))
    thin = 1.2 - rng.uniform(1, 1.6) * _tips(ball, int(rng.integers(5, 7)), rng)
    calyx = ball.away < rng.uniform(0.3, 0.8) * thin
    leaf = near((75, 115, 45), rng)
    colours = mixed(calyx, colours, leaf)
    return colours, _Stalk(leaf, leaf * 1.2, rng.uniform(0, 0.5), rng.uniform(0.06, 0.14))


def _pepper(ball: _Ball, rng: _Rng) -> _Looks:
    skin = _one_of(rng, (200, 35, 30), (60, 120, 45), (235, 190, 40), (230, 120, 30))
    folds = rng.uniform(0.3, 0.6) * np.cos(ball.around * int(rng.integers(3, 5))) * ball.away
    colours = skin * (1 + folds)[..., None] * _hollow(ball, rng.uniform(0.3, 0.6), 0.5)
    stem = near((85, 125, 55), rng)
    colours = mixed(ball.away < rng.uniform(0.2, 0.4), colours, stem * 0.9)
    return colours, _Stalk(stem, stem * 1.3, rng.uniform(0.1, 0.8), rng.uniform(0.14, 0.26))


def _pumpkin(ball: _Ball, rng: _Rng) -> _Looks:
    skin = _one_of(rng, (225, 115, 30), (205, 150, 70), (85, 110, 60), (225, 215, 190))
    ribs = np.abs(np.sin(ball.around * int(rng.integers(7, 13)) / 2)) ** 0.4
    colours = skin * (0.6 + 0.4 * ribs)[..., None]
    stem, cut = near((125, 115, 70), rng), near((165, 150, 100), rng)
    return colours, _Stalk(stem, cut, rng.uniform(0, 0.6), rng.uniform(0.12, 0.35))


def _peach(ball: _Ball, rng: _Rng) -> _Looks:
    skin, blush = near((240, 190, 110), rng), _one_of(rng, (200, 70, 60), (225, 120, 80))
    colours = mixed(noise(len(ball.x), 4, rng) * 1.5 + rng.uniform(0, 1), skin, blush)
    cleft = np.exp(-((np.sin((ball.around + rng.uniform(0, FULL_TURN)) / 2) / 0.04) ** 2))
    colours = colours * (1 - 0.35 * cleft)[..., None]
    return colours * _hollow(ball, rng.uniform(0.2, 0.4), rng.uniform(0.3, 0.7)), None


_ENDS: Final = {
    "apple": _apple,
    "avocado": _avocado,
    "banana": _banana,
    "cucumber": _cucumber,
    "eggplant": _eggplant,
    "mango": _mango,
    "onion": _onion,
    "orange": _orange,
}
_OTHERS: Final = {"tomato": _tomato, "pepper": _pepper, "pumpkin": _pumpkin, "peach": _peach}
END_LABELS: Final = tuple(_ENDS)
_GLOSSY: Final = {"apple", "eggplant"}
