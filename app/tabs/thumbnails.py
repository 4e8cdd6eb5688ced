"""Small previews made by our own decoder, so that HEIC and TIFF show in every browser."""

import base64
import io
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from PIL import Image

from app.explain import overlay
from data.errors import InvalidImage
from data.images import STORED_LIMITS, ImageLimits, RGBImage, decode_image, load_model_input

LARGE_PX: Final = 480
SMALL_PX: Final = 96
_GREY: Final = 200  # stands where there is no picture to show; 0..255


def thumbnail_uri(content: bytes, side_px: int, limits: ImageLimits) -> str:
    """Return the image, shrunk to fit a square, as a data URI; empty where it is no image."""
    try:
        return _uri(_shrunk(content, side_px, limits))
    except InvalidImage:
        return ""


def stored_picture(read: Callable[[], bytes], side_px: int) -> RGBImage:
    """Return a stored photo as a square for a gallery; plain grey where it cannot be shown.

    A file that is missing or damaged then hides no other photo, and can be chosen and removed.

    Args:
        read: returns the encoded file.
        side_px: side of the square, in pixels.

    Returns:
        uint8 (side_px, side_px, 3), RGB, 0..255.
    """
    try:
        return load_model_input(read(), side_px, limits=STORED_LIMITS)
    except (InvalidImage, OSError):
        return _grey(side_px)


def grey_uri(side_px: int) -> str:
    """Return what stands for a photo that cannot be shown as a data URI."""
    return _uri(Image.fromarray(_grey(side_px)))


def photo_and_heat(
    content: bytes, heat_map: Sequence[Sequence[float]], limits: ImageLimits
) -> tuple[str, str]:
    """Return the image, and the same with the heat map over it, as data URIs; decoded once.

    Both are as large as ``LARGE_PX``, and empty where the bytes are no image within the limits.
    """
    try:
        image = _shrunk(content, LARGE_PX, limits)
    except InvalidImage:
        return "", ""
    return _uri(image), _uri(overlay(image, np.array(heat_map, np.float32)))


def _grey(side_px: int) -> RGBImage:
    return np.full((side_px, side_px, 3), _GREY, dtype=np.uint8)


def _shrunk(content: bytes, side_px: int, limits: ImageLimits) -> Image.Image:
    image = Image.fromarray(decode_image(content, limits=limits, target_side_px=side_px))
    image.thumbnail((side_px, side_px), reducing_gap=2.0)
    return image


def _uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
