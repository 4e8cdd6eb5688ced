"""Training pictures made harder: what lies between a fruit on white paper and a phone's photo.

Pure functions of pixels and a random generator. A fruit on white gets other surroundings; a photo
is cropped; then both get another light, blur and the traces of JPEG. Each step is left out for part
of the pictures, so that the network also sees them exactly as they are served.
"""

import io
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont
from scipy import ndimage

from data.images import to_model_input
from training.creatures import draw_coin, draw_creature
from training.cut_fruit import draw_other_piece
from training.dishes import draw_dish
from training.scenery import draw_scenery
from training.tables import draw_on_table

_Pixels = NDArray[np.uint8]
_Rng = np.random.Generator

_WHITE: Final = 228  # darkest channel of a pixel that may be paper
_BORDER_ON_WHITE: Final = 0.9  # share of the border that is paper in a picture on white
_UNTOUCHED: Final = 0.15  # of all pictures: resized as served and nothing else
_REPLACED: Final = 0.7  # of the pictures on white: another background
_ON_TABLE: Final = 0.3  # of those: a table, as it is at home
_ALONE: Final = 0.6  # of the made-up creatures, coins and pieces: on white
_COINS: Final = 0.1  # of those: coins
_PIECES: Final = 0.2  # of those: tins, wheels, balls
_NEAR: Final = 0.25  # of those: so near that they may leave the picture
_LEAST_CROP: Final = 0.35  # of the area
_SET_BACK: Final = 0.25  # of the photos: seen from farther away, before other things
_FORESHORTENED: Final = 0.3  # of the pictures on white: seen nearer to the end of the thing
_DARK: Final = 90  # a made-up thing is no darker on average
_TINY: Final = 1e-6
_RECOLOURED: Final = 0.4  # of the made-up things: their own surface in other colours


def augment(image: _Pixels, side_px: int, backgrounds: Sequence[_Pixels], rng: _Rng) -> _Pixels:
    """Return one random variation of the picture as a model input.

    Args:
        image: uint8 (H, W, 3), RGB, 0..255.
        side_px: side of the network's square input, in pixels.
        backgrounds: photos of none of the classes, that surroundings are cut from; may be empty.
        rng: where every choice comes from.

    Returns:
        uint8 (side_px, side_px, 3), RGB, 0..255.
    """
    if rng.random() < _UNTOUCHED:
        return to_model_input(_mirrored(image, rng), side_px)
    on_white = is_on_white(image)
    if on_white and rng.random() < _FORESHORTENED:
        image = foreshortened(image, rng)
    if on_white and rng.random() < _REPLACED:
        thing = thing_on_white(image)
        if rng.random() < _ON_TABLE:
            picture = draw_on_table(thing, side_px, backgrounds, rng)
        else:
            picture = _placed(thing, _background(side_px, backgrounds, rng), rng)
    else:
        picture = _cropped(image, side_px, rng, least=_LEAST_CROP)
        if backgrounds and not on_white and rng.random() < _SET_BACK:
            picture = _set_back(picture, _background(side_px, backgrounds, rng), rng)
    return np.asarray(_compressed(_lit(picture, rng), rng), dtype=np.uint8)


def is_on_white(image: _Pixels) -> bool:
    """Return whether nearly all of the picture's border is white."""
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    return bool((border.min(axis=1) >= _WHITE).mean() >= _BORDER_ON_WHITE)


def cut_out(image: _Pixels) -> NDArray[np.uint8]:
    """Return the opacity of what stands on the white: uint8 (H, W), 0 for the paper around it."""
    paper = _darkest(image) >= _WHITE
    edge = np.zeros_like(paper)
    edge[[0, -1]] = edge[:, [0, -1]] = True
    around = ndimage.binary_propagation(edge & paper, mask=paper)
    opaque = ndimage.binary_erosion(~around)  # one pixel less, without the white fringe
    return np.asarray(ndimage.gaussian_filter(opaque * 255.0, 0.7), dtype=np.uint8)


def thing_on_white(image: _Pixels) -> Image.Image:
    """Return a picture's size of RGBA: what stands on the white is opaque, the paper is not."""
    thing = Image.fromarray(image)
    thing.putalpha(Image.fromarray(cut_out(image)))
    return thing


def draw_texture(side_px: int, rng: _Rng) -> _Pixels:
    """Return a plain, shaded or mottled surface: uint8 (side_px, side_px, 3).

    Noise of a few random scales between two random colours.
    """
    cells = int(rng.choice([1, 2, 3, 6, 12, 40, side_px]))
    noise = rng.random((cells, cells, 1)) if rng.random() < 0.7 else rng.random((cells, cells, 3))
    ends = rng.integers(0, 256, (2, 3))
    colours = ends[0] + (ends[1] - ends[0]) * noise * rng.random()
    small = Image.fromarray(colours.clip(0, 255).astype(np.uint8))
    smooth = Image.Resampling.BICUBIC if rng.random() < 0.8 else Image.Resampling.NEAREST
    return np.asarray(small.resize((side_px, side_px), smooth), dtype=np.uint8)


def draw_clutter(side_px: int, rng: _Rng) -> _Pixels:
    """Return shapes, lines and letters on a surface: uint8 (side_px, side_px, 3).

    What icons, signs and screenshots look like. A network that saw only photos takes a dark shape
    on white for an eggplant or an avocado.
    """
    picture = Image.fromarray(draw_texture(side_px, rng))
    if rng.random() < 0.6:
        picture = Image.new("RGB", (side_px, side_px), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    one_colour = tuple(rng.integers(0, 256, 3).tolist() if rng.random() < 0.5 else (20, 20, 20))
    single = rng.random() < 0.5
    for _ in range(int(rng.integers(1, 14))):
        colour = one_colour if single else tuple(rng.integers(0, 256, 3).tolist())
        width = int(rng.integers(1, max(3, side_px // 10)))
        ends = np.sort(rng.uniform(0, side_px, (2, 2)), axis=0).ravel().tolist()
        kind = rng.integers(7)
        filled = colour if rng.random() < 0.5 else None
        if kind == 0:
            draw.ellipse(ends, fill=filled, outline=colour, width=width)
        elif kind == 1:
            draw.rectangle(ends, fill=filled, outline=colour, width=width)
        elif kind == 2:
            draw.line(rng.uniform(0, side_px, 8).tolist(), fill=colour, width=width)
        elif kind == 3:
            start, end = rng.uniform(0, 360, 2).tolist()
            draw.arc(ends, start, end, fill=colour, width=width)
        elif kind == 4:
            draw.polygon(rng.uniform(0, side_px, 6).tolist(), fill=colour)
        elif kind == 5:  # dots in a row
            radius, step = side_px * rng.uniform(0.03, 0.12), side_px * rng.uniform(0.1, 0.4, 2)
            for dot in range(3):
                x, y = ends[:2] + dot * step * (rng.random(2) < 0.7)
                draw.circle((x, y), radius, fill=colour)
        else:
            letters = "".join(chr(c) for c in rng.integers(33, 127, int(rng.integers(1, 12))))
            size = float(rng.uniform(8, side_px / 2))
            draw.text((ends[0], ends[1]), letters, fill=colour, font=ImageFont.load_default(size))
    return np.asarray(picture, dtype=np.uint8)


def draw_unknown(form: _Pixels, surface: _Pixels, side_px: int, rng: _Rng) -> _Pixels:
    """Return a thing on white that nobody grows: uint8 (side_px, side_px, 3).

    A thing has the outline and the shading of one picture and the surface of another, or, in part
    of the pictures, its own surface in other colours. A network that saw few unknown things on
    white names every other one, by its form or by its colour.

    Args:
        form: uint8 (H, W, 3), a thing on white that is none of the classes. With forms of the
            classes, too, the network refused some frames of those.
        surface: uint8 (H, W, 3), a photo of none of the classes.
        side_px: side of the network's square input, in pixels.
        rng: where every choice comes from.
    """
    height, width = form.shape[:2]
    opacity = cut_out(form)[..., None] / 255.0
    if rng.random() < _RECOLOURED:
        hsv = np.array(Image.fromarray(form).convert("HSV"))
        hsv[..., 0] += np.uint8(rng.integers(43, 214))  # 60 to 300 of 360 degrees
        skin = np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"), float)
    else:
        crop = _cropped(surface, max(height, width), rng, least=0.02, most=0.5)
        if rng.random() < 0.5:
            crop = crop.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2.5)))
        light = ndimage.gaussian_filter(form.mean(axis=2), min(height, width) / 30)
        light /= max(1.0, float(np.average(light, weights=opacity[..., 0] + _TINY)))
        skin = np.asarray(crop.resize((width, height)), float) * light[..., None]
    # A dark thing in an odd form may well be an eggplant.
    shown = float(np.average(skin.mean(axis=2), weights=opacity[..., 0] + _TINY))
    skin *= max(1.0, _DARK / max(1.0, shown))
    made = (skin * opacity + 255.0 * (1 - opacity)).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        made = foreshortened(made, rng)
    picture = _cropped(made, side_px, rng, least=0.6)
    return np.asarray(_compressed(_lit(picture, rng), rng), dtype=np.uint8)


def draw_stranger(side_px: int, backgrounds: Sequence[_Pixels], rng: _Rng) -> _Pixels:
    """Return a made-up creature, coin or piece, mostly on white: uint8 (side_px, side_px, 3).

    Args:
        side_px: side of the network's square input, in pixels.
        backgrounds: photos of none of the classes, that skins and surroundings are cut from; may be
            empty.
        rng: where every choice comes from.
    """
    alone, near = rng.random() < _ALONE, rng.random() < _NEAR
    longer = int(side_px * (rng.uniform(0.9, 2.2) if near else rng.uniform(0.5, 0.98)))
    kind = rng.random()
    if kind < _COINS:
        stranger = draw_coin(longer, rng)
    elif kind < _COINS + _PIECES:
        stranger = draw_other_piece(longer, backgrounds, rng)
    else:
        stranger = draw_creature(longer, backgrounds, rng)
    if alone:
        scene = Image.new("RGB", (side_px, side_px), (255, 255, 255))
    else:
        scene = _background(side_px, backgrounds, rng)
        if rng.random() < 0.5:  # out of focus, as what is behind a pet
            scene = scene.filter(ImageFilter.GaussianBlur(side_px * rng.uniform(0.005, 0.04)))
    room = [sorted((0, side_px - side)) for side in stranger.size]
    left, top = (int(rng.integers(low, high + 1)) for low, high in room)
    scene.paste(stranger, (left, top), stranger)
    if rng.random() >= _UNTOUCHED:
        scene = _compressed(_lit(scene, rng), rng)
    return np.asarray(scene, dtype=np.uint8)


def draw_served(side_px: int, backgrounds: Sequence[_Pixels], rng: _Rng) -> _Pixels:
    """Return a made-up dish: uint8 (side_px, side_px, 3).

    Args:
        side_px: side of the network's square input, in pixels.
        backgrounds: photos of none of the classes, that tables and grains are cut from; may be
            empty.
        rng: where every choice comes from.
    """
    dish = draw_dish(side_px, backgrounds, rng)
    if rng.random() >= _UNTOUCHED:
        dish = _compressed(_lit(dish, rng), rng)
    return np.asarray(dish, dtype=np.uint8)


def foreshortened(image: _Pixels, rng: _Rng) -> _Pixels:
    """Return the thing on white with its longer side squeezed, on paper of the same size."""
    rows, columns = (np.flatnonzero((_darkest(image) < _WHITE).any(axis=a)) for a in (1, 0))
    if not len(rows):
        return image
    height, width = image.shape[:2]
    part = rng.uniform(0.45, 0.85)
    lies = np.ptp(columns) > np.ptp(rows)
    size = (max(1, round(width * part)), height) if lies else (width, max(1, round(height * part)))
    squeezed = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    paper = Image.new("RGB", (width, height), (255, 255, 255))
    paper.paste(squeezed, ((width - size[0]) // 2, (height - size[1]) // 2))
    return np.asarray(paper)


def _darkest(image: _Pixels) -> _Pixels:
    # Ten times as fast as min(axis=2).
    return np.minimum(np.minimum(image[..., 0], image[..., 1]), image[..., 2])


def _background(side_px: int, backgrounds: Sequence[_Pixels], rng: _Rng) -> Image.Image:
    choice = rng.random()
    if choice < 0.6 and backgrounds:
        photo = backgrounds[int(rng.integers(len(backgrounds)))]
        return _cropped(photo, side_px, rng, least=0.1)
    if choice < 0.75:
        return Image.fromarray(draw_texture(side_px, rng))
    if choice < 0.9:
        return draw_scenery(side_px, rng)
    grey = tuple(int(c) for c in rng.integers(200, 256) - rng.integers(0, 12, 3))
    return Image.new("RGB", (side_px, side_px), grey)


def _placed(thing: Image.Image, scene: Image.Image, rng: _Rng) -> Image.Image:
    """Return the scene with the cut-out thing in it: once, or as often as in a bin."""
    side_px = scene.width
    several = rng.random() < 0.35
    for _ in range(int(rng.integers(2, 8)) if several else 1):
        side = int(side_px * (rng.uniform(0.3, 0.65) if several else rng.uniform(0.4, 1.5)))
        piece = thing.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else thing
        stretch = rng.uniform(0.8, 1.25, 2) ** 0.5
        piece = piece.resize(
            (max(8, int(side * stretch[0])), max(8, int(side * stretch[1]))),
            Image.Resampling.BICUBIC,
        )
        if rng.random() < 0.5:
            piece = piece.rotate(rng.uniform(-180, 180), Image.Resampling.BICUBIC)
        # A piece may leave the frame by a quarter of itself.
        low, high = -side // 4, side_px - 3 * side // 4
        left, top = rng.integers(low, high + 1, 2).tolist()
        scene.paste(piece, (left, top), piece)
    return scene


def _set_back(picture: Image.Image, scene: Image.Image, rng: _Rng) -> Image.Image:
    """Return the scene with the whole picture somewhere in it, as of a bin among others."""
    width = int(scene.width * rng.uniform(0.35, 0.8))
    height = min(scene.height, int(width * rng.uniform(3 / 4, 4 / 3)))
    left = int(rng.integers(0, scene.width - width + 1))
    top = int(rng.integers(0, scene.height - height + 1))
    scene.paste(picture.resize((width, height), Image.Resampling.BILINEAR), (left, top))
    return scene


def _cropped(
    image: _Pixels, side_px: int, rng: _Rng, least: float, most: float = 1.0
) -> Image.Image:
    """Return a random part of the picture, turned a little in one case of four.

    Shape and size as in the "Inception" crop (C. Szegedy et al., arXiv:1409.4842): between the
    given shares of the area, and sides between 3:4 and 4:3.
    """
    height, width = image.shape[:2]
    picture = Image.fromarray(_mirrored(image, rng))
    if rng.random() < 0.25:
        paper = tuple(int(c) for c in image[[0, -1]].mean(axis=(0, 1)))
        picture = picture.rotate(rng.uniform(-20, 20), Image.Resampling.BICUBIC, fillcolor=paper)
        least = max(least, 0.5)
    area = rng.uniform(least, max(least, most))
    stretch = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3))) ** 0.5
    part_width = width * min(1.0, np.sqrt(area) * stretch)
    part_height = height * min(1.0, np.sqrt(area) / stretch)
    left = rng.uniform(0, width - part_width)
    top = rng.uniform(0, height - part_height)
    return picture.resize(
        (side_px, side_px),
        Image.Resampling.BILINEAR,  # as served
        box=(left, top, left + part_width, top + part_height),
    )


def _lit(picture: Image.Image, rng: _Rng) -> Image.Image:
    if rng.random() < 0.8:
        picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.65, 1.35))
        picture = ImageEnhance.Contrast(picture).enhance(rng.uniform(0.7, 1.35))
        picture = ImageEnhance.Color(picture).enhance(rng.uniform(0.7, 1.35))
        balance = rng.uniform(0.92, 1.08, 3)  # lamps are yellow, shade is blue
        picture = Image.fromarray((np.asarray(picture) * balance).clip(0, 255).astype(np.uint8))
    return picture


def _compressed(picture: Image.Image, rng: _Rng) -> Image.Image:
    if rng.random() < 0.2:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    if rng.random() < 0.3:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=int(rng.integers(35, 90)))
        picture = Image.open(buffer)
    return picture


def _mirrored(image: _Pixels, rng: _Rng) -> _Pixels:
    return image[:, ::-1] if rng.random() < 0.5 else image
