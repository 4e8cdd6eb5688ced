"""Made-up creatures: a body with limbs and smaller parts, as animals, tools and toys have; coins.

Fruit is one round or long body, and so is nearly all else that the archives show on white. A
network that saw no other outline took a chimpanzee for an eggplant, and a duck for a banana. What
these outlines give is in ``training/EXPERIMENTS.md``.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from training.outlines import Points, corners, turned

_Pixels = NDArray[np.uint8]
_Rng = np.random.Generator

_HARMONICS: Final = range(2, 6)  # of a body's outline; the first would only move it
_FULL_TURN: Final = 2 * np.pi
_COATS: Final = (  # dark, brown and light ones, skins, grey, ginger
    (35, 30, 30),
    (70, 45, 30),
    (120, 85, 55),
    (180, 140, 95),
    (225, 195, 155),
    (235, 190, 165),
    (240, 235, 225),
    (130, 125, 120),
    (160, 85, 45),
)


def draw_creature(side_px: int, surfaces: Sequence[_Pixels], rng: _Rng) -> Image.Image:
    """Return a creature on nothing: RGBA, its longer side side_px.

    Args:
        side_px: in pixels.
        surfaces: photos, uint8 (H, W, 3), whose parts some of the skins are cut from; may be empty.
        rng: where every choice comes from.
    """
    outlines = _outlines(rng)
    low = np.min([points.min(axis=0) for points in outlines], axis=0)
    high = np.max([points.max(axis=0) for points in outlines], axis=0)
    scale = (side_px - 1) / float((high - low).max())
    width, height = (int(size) + 1 for size in (high - low) * scale)
    creature = Image.new("RGBA", (width, height))
    colours = _colours(rng)
    shaded, inked = rng.random() < 0.8, rng.random() < 0.2
    for points in outlines:
        colour = colours[int(rng.integers(len(colours)))]
        placed = (points - low) * scale
        _paint(creature, placed, colour, surfaces, rng, shaded=shaded)
        if inked:  # as cartoons are
            line = corners(np.concatenate([placed, placed[:1]]))
            ImageDraw.Draw(creature).line(line, fill=(20, 20, 20), width=1 + side_px // 60)
    return creature


def draw_coin(side_px: int, rng: _Rng) -> Image.Image:
    """Return a round piece of metal with a relief, on nothing: RGBA, side_px wide and high.

    Args:
        side_px: in pixels.
        rng: where every choice comes from.
    """
    middle = side_px / 2
    relief = Image.new("L", (side_px, side_px))
    draw = ImageDraw.Draw(relief)
    for points in _outlines(rng):
        shown = points * rng.uniform(0.15, 0.35) * middle + middle
        draw.polygon(corners(shown), fill=int(rng.integers(80, 256)))
    for inwards in (0.06, 0.1, 0.25)[: int(rng.integers(1, 4))]:
        edge = side_px * inwards / 2
        draw.ellipse([edge, edge, side_px - edge, side_px - edge], outline=255)
    depth = ndimage.gaussian_filter(np.asarray(relief, float), side_px / 120)
    slopes = np.gradient(depth)
    toward = rng.uniform(0, _FULL_TURN)
    lit = 1 + rng.uniform(0.004, 0.02) * (np.cos(toward) * slopes[0] + np.sin(toward) * slopes[1])
    metal = rng.uniform(70, 220) * np.array([1.0, rng.uniform(0.75, 1.02), rng.uniform(0.45, 1.02)])
    across = np.linspace(-0.5, 0.5, side_px) * rng.uniform(-0.8, 0.8)
    colours = metal * (lit * (1 + across))[..., None] + rng.normal(0, 5, (side_px, side_px, 1))
    coin = Image.fromarray(colours.clip(0, 255).astype(np.uint8)).convert("RGBA")
    mask = Image.new("L", coin.size)
    draw = ImageDraw.Draw(mask)
    draw.ellipse([0, 0, side_px - 1, side_px - 1], fill=255)
    if rng.random() < 0.25:
        hole = side_px * rng.uniform(0.05, 0.25)
        draw.ellipse([middle - hole, middle - hole, middle + hole, middle + hole], fill=0)
    coin.putalpha(mask)
    return coin


def _outlines(rng: _Rng) -> list[Points]:
    """Return the polygons of the parts, (n, 2) each, the body first; its radius is about 1."""
    outlines = [turned(_body(rng), rng.uniform(0, _FULL_TURN))]
    in_pairs = rng.random() < 0.5
    for _ in range(int(rng.integers(2, 8))):
        holder = outlines[int(rng.integers(len(outlines)))]
        joint = holder[int(rng.integers(len(holder)))]
        outwards = np.arctan2(*(joint - holder.mean(axis=0))[::-1]) + rng.normal(0, 0.5)
        if rng.random() < 0.65:
            part = _limb(rng) * rng.uniform(0.4, 1.3)
        else:
            part = _body(rng) * rng.uniform(0.2, 0.8)
            part[:, 0] -= 0.7 * part[:, 0].min()
        outlines.append(turned(part, outwards) + joint)
        if in_pairs:
            beside = rng.normal(0, (0.5, 0.2))
            outlines.append(turned(part, outwards + rng.normal(0, 0.25)) + joint + beside)
    if rng.random() < 0.5:  # eyes, buttons, wheels
        for _ in range(int(rng.integers(1, 5))):
            angles = np.linspace(0, _FULL_TURN, 12)
            circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
            place = outlines[0][int(rng.integers(len(outlines[0])))] * rng.uniform(0, 0.8)
            outlines.append(circle * rng.uniform(0.05, 0.2) + place)
    return outlines


def _body(rng: _Rng) -> Points:
    """Return a closed curve around the origin, longer along x."""
    angles = np.linspace(0, _FULL_TURN, 48, endpoint=False)
    radius = 1 + sum(
        rng.normal(0, 0.22 / k) * np.cos(k * angles + rng.uniform(0, _FULL_TURN))
        for k in _HARMONICS
    )
    flat = rng.uniform(0.12, 1)
    return np.stack([radius * np.cos(angles), radius * np.sin(angles) * flat], axis=1)


def _limb(rng: _Rng) -> Points:
    """Return a bent strip from the origin along x, about 2 long, wider at one end."""
    along = np.linspace(0, 1, 12)
    angles = np.cumsum(np.full(len(along), rng.normal(0, 1.2) / len(along)))
    middle = np.cumsum(np.stack([np.cos(angles), np.sin(angles)], axis=1), axis=0) / 6
    half_width = rng.uniform(0.05, 0.3) * (1 + rng.uniform(-0.8, 0.8) * along)
    across = np.stack([-np.sin(angles), np.cos(angles)], axis=1) * half_width[:, None]
    return np.concatenate([middle + across, (middle - across)[::-1]])


def _colours(rng: _Rng) -> NDArray[np.float64]:
    """Return three colours, (3, 3), 0..255: any, of coats, or with little colour as metal has."""
    if rng.random() < 0.4:
        colours = rng.uniform(0, 255, (3, 3))
    elif rng.random() < 0.4:  # of coats, hair and skin
        chosen = rng.choice(len(_COATS), 3)
        colours = np.array(_COATS, float)[chosen] * rng.uniform(0.75, 1.2, (3, 1))
    else:
        colours = rng.uniform(0, 230, (3, 1)) * rng.uniform(0.85, 1.15, (3, 3))
    if rng.random() < 0.5:
        colours = colours[0] * rng.uniform(0.6, 1.4, (3, 1))
    return colours


def _paint(
    creature: Image.Image,
    points: Points,
    colour: NDArray[np.float64],
    surfaces: Sequence[_Pixels],
    rng: _Rng,
    *,
    shaded: bool,
) -> None:
    left, top = np.floor(points.min(axis=0)).astype(int).tolist()
    width, height = (np.ceil(np.ptp(points, axis=0)).astype(int) + 2).tolist()
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).polygon(corners(points - (left, top)), fill=255)
    skin = _skin(width, height, colour, surfaces, rng)
    if shaded:
        depth = ndimage.distance_transform_edt(np.asarray(mask))
        across = np.linspace(-0.5, 0.5, width) * rng.uniform(-1, 1)
        down = np.linspace(-0.5, 0.5, height)[:, None] * rng.uniform(-1, 1)
        light = (0.75 + 0.5 * np.sqrt(depth / max(1.0, depth.max()))) * (1 + across + down)
        skin = skin * light[..., None]
    part = Image.fromarray(skin.clip(0, 255).astype(np.uint8))
    creature.paste(part, (left, top), mask)


def _skin(
    width: int,
    height: int,
    colour: NDArray[np.float64],
    surfaces: Sequence[_Pixels],
    rng: _Rng,
) -> NDArray[np.float64]:
    """Return a part's surface, (height, width, 3): of a photo, mottled, furry, or plain."""
    kind = rng.random()
    if kind < 0.5 and surfaces:
        photo = surfaces[int(rng.integers(len(surfaces)))]
        rows, columns = photo.shape[:2]
        size = max(1, int(min(rows, columns) * rng.uniform(0.2, 0.7)))
        y, x = int(rng.integers(rows - size + 1)), int(rng.integers(columns - size + 1))
        cut = Image.fromarray(photo[y : y + size, x : x + size]).resize((width, height))
        skin = np.asarray(cut, float)
        if rng.random() < 0.5:
            light = skin.mean(axis=2, keepdims=True)
            skin = colour * (light / max(1.0, float(light.mean())))
        return skin
    if kind < 0.7:
        cells = int(rng.choice([2, 4, 10, 30]))
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
        mottled = np.asarray(noise.resize((width, height)), float)[..., None] / 255 - 0.5
        return colour * (1 + mottled * rng.uniform(0.1, 1.2))
    if kind < 0.9:
        along = rng.permutation([0.5, 4])
        hairs = ndimage.gaussian_filter(rng.normal(0, rng.uniform(0.1, 1), (height, width)), along)
        furry: NDArray[np.float64] = colour * (1 + hairs[..., None])
        return furry
    return np.broadcast_to(colour, (height, width, 3))
