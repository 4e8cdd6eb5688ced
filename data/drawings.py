"""Drawn fruit: one shaded picture per base class, made from numbers alone.

The page offers them as examples and the tests need pictures whose content is known, and neither
may ship photographs. Every fruit, stem and root is a solid of revolution around a bent spine,
wrapped in a painted skin and lit by one lamp: that looks filmed where flat shapes do not. This
module reads no file and knows nothing of models.

Symbols: R rows of a skin (along the spine, stem end first), C columns (around the visible half),
P pixels that a solid covers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from data.errors import InvalidLabel

Floats = NDArray[np.floating]
RGB = tuple[int, int, int]

SUPERSAMPLE: Final = 2  # for the skin; edges are softened by how much of a pixel they cover
FILL: Final = 0.91  # of the frame, as in Fruits-360
SKIN_SIDE: Final = 320
BACKGROUND: Final = np.array((252, 252, 251))
# The picture's axes: x right, y down, z towards the viewer. Chosen by eye: a lamp up on the left.
LIGHT: Final = np.array((-0.36, -0.52, 0.775), np.float32)
HALFWAY: Final = np.array((-0.191, -0.276, 0.942), np.float32)  # between LIGHT and the viewer
AMBIENT: Final = 0.34
DIFFUSE: Final = 0.72
_SHAPE_STEPS: Final = 1024
_STRIP_ROWS: Final = 64  # rendered together: few enough that the temporaries stay in the cache


@dataclass(frozen=True, eq=False)
class Solid:
    """A solid of revolution around a circular arc.

    Lengths are in units of the fruit, whose own body is about 2 long.

    Attributes:
        radii: radius at equal steps along the spine, before the ends are rounded off.
        skin: float32 (3, R, C), RGB, 0..255.
        relief: float32 (R, C), height of bumps, 0 for smooth.
        half_length: half of the spine's length.
        centre: the spine's middle, (x, y).
        angle: clockwise turn from "stem end up", radians.
        bend: curvature of the spine; positive bends both ends to the right.
        dimple: how far both ends sink in at the spine, as a share of the half length.
        gloss: strength of the highlight, 0..1.
        sharpness: how small the highlight is.
    """

    radii: tuple[float, ...]
    skin: Floats
    relief: Floats | None = None
    half_length: float = 1.0
    centre: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    bend: float = 0.0
    dimple: float = 0.0
    gloss: float = 0.3
    sharpness: float = 40.0

    @property
    def curvature(self) -> float:
        return self.bend or 0.01  # nearly straight, so that one formula serves all

    @cached_property
    def shape(self) -> Floats:
        """The radius before rounding, (_SHAPE_STEPS,), smooth between the given radii."""
        count = len(self.radii)
        steps = np.linspace(0, count - 1, _SHAPE_STEPS)
        knots = np.interp(steps, range(count), self.radii)
        width = _SHAPE_STEPS // (2 * count)
        kernel = np.hanning(2 * width + 1)
        padded = np.pad(knots, width, mode="reflect", reflect_type="odd")
        return np.convolve(padded, kernel / kernel.sum(), "valid").astype(np.float32)

    @cached_property
    def slopes(self) -> list[Floats]:
        """The steepness of the relief along and around, (R, C) each."""
        if self.relief is None:
            return [np.zeros(self.skin.shape[1:], np.float32)] * 2
        return list(np.gradient(self.relief))

    @cached_property
    def outline(self) -> Floats:
        """Points around the silhouette, (M, 2), in the fruit's coordinates."""
        s = -np.cos(np.linspace(0, np.pi, 64))
        across = self.shape[_shape_step(s)] * np.sqrt(1 - s * s)
        across, turn = np.r_[across, -across], np.r_[s, s] * self.half_length * self.curvature
        reach = 1 / self.curvature - across
        points = np.stack((1 / self.curvature - reach * np.cos(turn), reach * np.sin(turn)), 1)
        return (points @ _rotation(self.angle).T + self.centre).astype(np.float32)


def _shape_step(s: Floats) -> NDArray[np.int32]:
    last = _SHAPE_STEPS - 1
    steps: Floats = np.clip((s + 1) * (last / 2), 0, last)
    return steps.astype(np.int32)


def _rotation(angle: float) -> Floats:
    c, s = np.cos(angle), np.sin(angle)
    return np.array(((c, -s), (s, c)), np.float32)


def _render(
    solid: Solid, canvas: NDArray[np.uint8], angle: float, scale: float, origin: Floats
) -> None:
    """Paint the solid over the canvas, uint8 (4, side, side), premultiplied RGBA."""
    side = canvas.shape[-1]
    reach = solid.outline @ _rotation(angle).T * scale + origin
    x0, y0 = np.clip(reach.min(0) - 2, 0, side).astype(int)
    x1, y1 = np.clip(reach.max(0) + 3, 0, side).astype(int)
    for top in range(y0, y1, _STRIP_ROWS):
        strip = (x0, top, x1, min(top + _STRIP_ROWS, y1))
        _render_strip(solid, canvas, strip, angle, scale, origin)


def _render_strip(
    solid: Solid,
    canvas: NDArray[np.uint8],
    strip: tuple[int, int, int, int],
    angle: float,
    scale: float,
    origin: Floats,
) -> None:
    """Paint what the strip (left, top, right, bottom) of the canvas shows of the solid."""
    x0, y0, x1, y1 = strip
    side = canvas.shape[-1]

    # The picture -> the solid's own axes -> along and across its spine.
    turned = _rotation(angle + solid.angle)
    middle = _rotation(angle) @ np.array(solid.centre, np.float32) * scale + origin
    dx = (np.arange(x0, x1, dtype=np.float32)[None, :] - middle[0]) / scale
    dy = (np.arange(y0, y1, dtype=np.float32)[:, None] - middle[1]) / scale
    bend = solid.curvature
    from_pivot = 1 / bend - (dx * turned[0, 0] + dy * turned[1, 0])
    y = dx * turned[0, 1] + dy * turned[1, 1]
    across = 1 / bend - np.hypot(from_pivot, y)
    s = np.arctan2(y, from_pivot) / (bend * solid.half_length)
    if solid.dimple:
        s *= 1 + solid.dimple * np.exp(-((across / 0.3) ** 2))
    shape = solid.shape
    step = _shape_step(s)
    rounding = np.sqrt(np.maximum(1 - s * s, 1e-4))
    radius = shape[step] * rounding
    inside = np.flatnonzero((np.abs(s) < 1) & (np.abs(across) < radius))
    pixels = np.arange(y0, y1)[:, None] * side + np.arange(x0, x1)
    at = pixels.ravel()[inside]
    s, across, step, rounding, radius = (
        a.ravel()[inside] for a in (s, across, step, rounding, radius)
    )  # (P,) each

    # The normal of x*x + z*z = radius(s)**2, bent with the spine and roughened by the relief.
    u = across / radius
    slope = np.gradient(shape, 2 / (_SHAPE_STEPS - 1))[step] * rounding - s * shape[step] / rounding
    rows, columns = solid.skin.shape[1:]
    cell = ((s + 1) * (rows / 2 - 0.5)).astype(np.int32) * columns
    cell += ((np.arcsin(u) / np.pi + 0.5) * (columns - 1)).astype(np.int32)
    slope /= solid.half_length
    along, z = -slope, np.sqrt(1 - u * u)
    along -= solid.slopes[0].ravel()[cell]
    u -= solid.slopes[1].ravel()[cell]
    turn = s * (bend * solid.half_length)
    cos, sin = np.cos(turn), np.sin(turn)
    normal = np.stack((u * cos + along * sin, along * cos - u * sin, z))  # (3, P)
    normal /= np.sqrt((normal * normal).sum(0))

    lamps = np.stack((LIGHT, HALFWAY))
    lamps[:, :2] = lamps[:, :2] @ turned
    facing, mirroring = np.einsum("lk,kp->lp", lamps, normal)  # no BLAS: its threads only wait
    light = AMBIENT + DIFFUSE * np.maximum(facing, 0) + 0.1 * normal[2]
    shine = 255 * solid.gloss * np.exp(solid.sharpness * (mirroring - 1))
    edge = np.clip((radius - np.abs(across)) * scale / np.sqrt(1 + slope * slope), 0, 1)
    bands = canvas.reshape(4, -1)
    for band, paint in zip(bands, solid.skin.reshape(3, -1), strict=False):
        below = band[at]
        band[at] = below + (np.minimum(paint[cell] * light + shine, 255) - below) * edge
    bands[3, at] = bands[3, at] + (255.0 - bands[3, at]) * edge


# --- painting a skin ---

_STEPS: Final = np.linspace(-1, 1, SKIN_SIDE, dtype=np.float32)
_PHI, _S = np.meshgrid(_STEPS * np.pi / 2, _STEPS)  # (R, C): angle around, -1 at the stem end


def _noise(rng: np.random.Generator, along: int, around: int) -> Floats:
    """Return smooth noise with that many cells, (R, C), about -1..1."""
    cells = Image.fromarray(rng.uniform(-1, 1, (along, around)).astype(np.float32))
    return np.asarray(cells.resize((SKIN_SIDE, SKIN_SIDE), Image.Resampling.BICUBIC))


def _ramp(value: Floats, start: float, end: float) -> Floats:
    """Return 0 at ``start``, 1 at ``end`` and a smooth step between."""
    t: Floats = np.clip((value - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def _spot(s: float, phi: float, size: float) -> Floats:
    """Return a soft round spot, (R, C), 1 at its middle."""
    return np.exp(-(((_S - s) ** 2 + (_PHI - phi) ** 2) / size**2))


def _plain(colour: RGB, side: int = SKIN_SIDE) -> Floats:
    return np.full((side, side, 3), colour, np.float32).transpose(2, 0, 1).copy()


def _mix(skin: Floats, colour: RGB, share: Floats) -> Floats:
    share = np.clip(share, 0, 1)
    return np.stack([band + (c - band) * share for band, c in zip(skin, colour, strict=True)])


# --- the fruit: each function returns its solids, the furthest first ---


def _apple(rng: np.random.Generator) -> list[Solid]:
    streaks = 0.6 * _noise(rng, 5, 60) + 0.5 * _noise(rng, 3, 9)
    skin = _mix(_plain((196, 32, 36)), (232, 150, 70), _ramp(streaks, 0.0, 1.1))
    skin = _mix(skin, (140, 14, 26), _ramp(-streaks, 0.1, 1.0))
    skin = _mix(skin, (246, 205, 130), 0.5 * _ramp(_noise(rng, 90, 90), 0.8, 1.1))
    ends = _ramp(-_S + 0.06 * streaks, 0.7, 0.98) + 0.6 * _ramp(_S, 0.85, 1.0)
    skin = _mix(skin, (205, 190, 80), ends)
    cavity = np.exp(-(((_S + 0.97) / 0.09) ** 2) - (_PHI / 0.9) ** 2)
    skin = _mix(skin, (84, 62, 26), cavity)
    stem = _plain((104, 74, 42), 16)
    return [
        Solid((1.0, 1.08, 1.06, 0.98, 0.9, 0.84), skin, dimple=0.1, gloss=0.45, sharpness=45),
        Solid((0.05, 0.035, 0.05), stem, None, 0.2, (0.05, -1.0), 0.2, 1.5, gloss=0.1),
    ]


def _avocado(rng: np.random.Generator) -> list[Solid]:
    pebbles = _noise(rng, 64, 56)
    skin = _mix(_plain((66, 82, 32)), (104, 118, 48), _ramp(pebbles, 0.0, 1.0))
    skin = _mix(skin, (34, 40, 22), 0.8 * _ramp(_noise(rng, 40, 40), 0.45, 0.9))
    skin = _mix(skin, (112, 124, 44), 0.5 * _ramp(-_S, 0.4, 1.0))
    body = Solid((0.45, 0.46, 0.6, 0.78, 0.84, 0.8), skin, 1.2 * pebbles, gloss=0.3, sharpness=22)
    return [body, Solid((0.09, 0.09), _plain((120, 92, 52), 16), None, 0.06, (0, -1.0), gloss=0.0)]


def _banana(rng: np.random.Generator) -> list[Solid]:
    skin = _mix(_plain((246, 200, 44)), (222, 166, 30), _ramp(_noise(rng, 6, 5), 0.0, 1.0))
    ridge = np.exp(-(((_PHI - 0.35) / 0.07) ** 2)) + np.exp(-(((_PHI + 0.75) / 0.07) ** 2))
    skin = _mix(skin, (196, 140, 24), 0.45 * ridge)
    skin = _mix(skin, (178, 172, 60), 0.8 * _ramp(np.abs(_S), 0.72, 0.92))
    skin = _mix(skin, (104, 62, 24), 0.85 * _ramp(_noise(rng, 70, 26), 0.7, 0.95))
    skin = _mix(skin, (70, 50, 30), _ramp(_S, 0.93, 0.97) + _ramp(-_S, 0.93, 0.98))
    radii = (0.22, 0.085, 0.1, 0.25, 0.29, 0.3, 0.3, 0.3, 0.28, 0.22, 0.18)
    return [Solid(radii, skin, 3.0 * ridge, 1.3, bend=0.8, gloss=0.18, sharpness=16)]


def _cucumber(rng: np.random.Generator) -> list[Solid]:
    stripes = _noise(rng, 3, 16)
    skin = _mix(_plain((34, 84, 36)), (104, 146, 66), 0.7 * _ramp(stripes, 0.1, 0.9))
    skin = _mix(skin, (20, 52, 26), _ramp(_noise(rng, 40, 20), 0.1, 0.9))
    warts = _ramp(_noise(rng, 64, 20), 0.6, 0.95)
    skin = _mix(skin, (156, 182, 110), 0.6 * warts)
    skin = _mix(skin, (140, 164, 70), 0.7 * _ramp(_S, 0.75, 1.0))
    radii = (0.24, 0.2, 0.2, 0.21, 0.21, 0.2, 0.25)
    body = Solid(radii, skin, 2.0 * warts + 2 * stripes, bend=0.16, gloss=0.25, sharpness=25)
    stem = _plain((96, 122, 60), 16)
    return [Solid((0.05, 0.035, 0.04), stem, None, 0.1, (0.07, -1.04), 0.1), body]


def _eggplant(rng: np.random.Generator) -> list[Solid]:
    skin = _mix(_plain((58, 26, 56)), (92, 40, 76), _ramp(_noise(rng, 3, 14), 0.0, 1.2))
    lobes = -0.74 + 0.13 * np.abs(np.sin(2.5 * _PHI + 0.4)) ** 0.7 + 0.02 * _noise(rng, 4, 30)
    skin = _mix(skin, (150, 120, 120), 0.6 * _ramp(lobes + 0.05 - _S, 0, 0.03))
    calyx = _ramp(lobes - _S, 0.0, 0.02)
    green = _mix(_plain((98, 124, 58)), (66, 88, 40), _ramp(_noise(rng, 8, 40), -0.5, 1.0))
    skin = skin + (green - skin) * calyx
    radii = (0.3, 0.34, 0.36, 0.42, 0.52, 0.58, 0.58)
    stem = _mix(_plain((104, 128, 62)), (70, 88, 44), _ramp(_noise(rng, 4, 20), 0.0, 1.0))
    return [
        Solid(radii, skin, 10 * calyx, bend=0.3, gloss=0.7, sharpness=60),
        Solid((0.1, 0.08, 0.08, 0.12), stem, None, 0.2, (0.18, -1.08), 0.25, 1.0, gloss=0.1),
    ]


def _mango(rng: np.random.Generator) -> list[Solid]:
    clouds = 0.4 * _noise(rng, 5, 5)
    skin = _mix(_plain((242, 178, 48)), (120, 150, 50), _ramp(_S + 0.5 * _PHI + clouds, 0.3, 1.4))
    skin = _mix(skin, (206, 62, 40), 0.9 * _ramp(-_S - 0.5 * _PHI + clouds, 0.0, 1.1))
    skin = _mix(skin, (250, 220, 130), 0.5 * _ramp(_noise(rng, 70, 60), 0.7, 1.0))
    skin = _mix(skin, (90, 54, 30), 0.6 * _ramp(_noise(rng, 36, 30), 0.86, 1.0))
    body = Solid((0.74, 0.78, 0.8, 0.77, 0.7), skin, bend=0.3, gloss=0.28, sharpness=16)
    return [Solid((0.05, 0.05), _plain((90, 66, 40), 16), None, 0.08, (0.17, -0.98), 0.3), body]


def _onion(rng: np.random.Generator) -> list[Solid]:
    veins = 0.7 * _noise(rng, 2, 44) + 0.5 * _noise(rng, 3, 10)
    skin = _mix(_plain((158, 58, 78)), (212, 130, 130), 0.8 * _ramp(veins, 0.0, 1.0))
    skin = _mix(skin, (104, 28, 56), 0.9 * _ramp(-veins, 0.1, 1.0))
    skin = _mix(skin, (196, 140, 96), _ramp(-_S + 0.1 * veins, 0.52, 0.8) + _ramp(_S, 0.93, 1.0))
    dry = _plain((190, 142, 92), 16)
    roots = [
        Solid((0.012, 0.01), dry, None, 0.13, (0.5 * a, 0.86 + rng.uniform(0, 0.06)), -a, a)
        for a in rng.uniform(-0.5, 0.5, 10)
    ]
    tips = [
        Solid((0.05, 0.03, 0.015), dry, None, 0.16, (0.2 * a, -0.95), a + np.pi, 3 * a)
        for a in rng.uniform(-0.6, 0.6, 4)
    ]
    radii = (0.14, 0.13, 0.5, 0.93, 1.0, 1.0, 1.0, 0.98, 0.97, 0.95)
    body = Solid(radii, skin, 1.5 * veins, 0.95, gloss=0.35, sharpness=30)
    return [*roots, *tips, body]


def _orange(rng: np.random.Generator) -> list[Solid]:
    pores = _noise(rng, 90, 84)
    skin = _mix(_plain((246, 136, 16)), (224, 104, 8), _ramp(_noise(rng, 6, 6), -0.2, 1.2))
    skin = _mix(skin, (206, 92, 6), 0.5 * _ramp(pores, 0.3, 0.9))
    at = rng.uniform(-0.65, -0.45), rng.uniform(-0.4, 0.4)
    skin = _mix(skin, (150, 130, 40), 0.9 * _spot(*at, 0.09))
    skin = _mix(skin, (70, 62, 24), 1.2 * _spot(*at, 0.045))
    relief = -0.8 * pores - 9 * _spot(*at, 0.16)
    return [Solid((1.02, 1.03, 1.03, 1.02), skin, relief, gloss=0.3, sharpness=18)]


# label -> (painter, usual tilt, how far the seed may turn it), both in radians
_FRUIT: Final[dict[str, tuple[Callable[[np.random.Generator], list[Solid]], float, float]]] = {
    "apple": (_apple, 0.0, 0.2),
    "avocado": (_avocado, -0.2, 0.3),
    "banana": (_banana, -1.5, 0.25),
    "cucumber": (_cucumber, 0.25, 0.3),
    "eggplant": (_eggplant, 0.2, 0.25),
    "mango": (_mango, 0.2, 0.3),
    "onion": (_onion, 0.0, 0.2),
    "orange": (_orange, 0.0, 0.5),
}
EXAMPLE_LABELS: Final = tuple(_FRUIT)


def draw_fruit(label: str, side_px: int = 256, seed: int = 0) -> Image.Image:
    """Return a picture of one fruit on a nearly white background, RGB.

    Args:
        label: one of EXAMPLE_LABELS.
        side_px: side of the square picture, in pixels.
        seed: varies turn, size, place, hue and texture; the same seed gives the same pixels.

    Raises:
        InvalidLabel: there is no drawing for the label.
    """
    if label not in _FRUIT:
        raise InvalidLabel(f"No drawing of {label!r}; available: {', '.join(EXAMPLE_LABELS)}.")
    rng = np.random.default_rng((seed, EXAMPLE_LABELS.index(label)))
    paint, tilt, turn = _FRUIT[label]
    angle = tilt + turn * rng.uniform(-1, 1)
    fill = FILL * rng.uniform(0.95, 1.02)
    shift = rng.uniform(-0.015, 0.015, 2)
    tint = rng.uniform(0.95, 1.05, 3)
    solids = paint(rng)

    side = side_px * SUPERSAMPLE
    outline = np.concatenate([solid.outline for solid in solids]) @ _rotation(angle).T
    low, high = outline.min(0), outline.max(0)
    scale = fill * side / float((high - low).max())
    origin = ((0.5 + shift) * side - (low + high) / 2 * scale).astype(np.float32)
    canvas = np.zeros((4, side, side), np.uint8)
    for solid in solids:
        _render(solid, canvas, angle, scale, origin)

    bands = [Image.fromarray(band).reduce(SUPERSAMPLE) for band in canvas]
    shadow = ImageChops.offset(bands[3], round(side_px * 0.012), round(side_px * 0.018))
    shadow = shadow.filter(ImageFilter.GaussianBlur(side_px * 0.025))
    floor = BACKGROUND * (1 - 0.3 * np.asarray(shadow)[..., None] / 255)
    cover = np.asarray(bands[3])[..., None] / 255
    fruit = np.stack([np.asarray(band) for band in bands[:3]], -1) * tint
    return Image.fromarray(np.clip(fruit + floor * (1 - cover), 0, 255).astype(np.uint8))
