"""Small previews made by our own decoder, so that HEIC and TIFF show in every browser."""

import base64
import io
from typing import Final

from PIL import Image

from data.errors import InvalidImage
from data.images import ImageLimits, decode_image

LARGE_PX: Final = 480
SMALL_PX: Final = 96


def thumbnail_uri(content: bytes, side_px: int, limits: ImageLimits) -> str:
    """Return the image, shrunk to fit a square, as a data URI; empty where it is no image."""
    try:
        image = Image.fromarray(decode_image(content, limits=limits, target_side_px=side_px))
    except InvalidImage:
        return ""
    image.thumbnail((side_px, side_px), reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
