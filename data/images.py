"""Bytes to pixels: the only decoding path, called by serving and by training alike.

Knows file formats, orientation and colour; knows nothing of labels, stores or models.
"""

import hashlib
import io
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from data.errors import ImageTooLarge, InvalidImage, UnsupportedImage

pillow_heif.register_heif_opener(thumbnails=False)

RGBImage: TypeAlias = NDArray[np.uint8]  # (H, W, 3), RGB, 0..255, upright

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF")
ACCEPTED: Final = "JPEG, PNG, WebP, GIF (first frame), BMP, TIFF or HEIC"
SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
    | {".heic", ".heif"}
)
_BAND_PIXELS: Final = 1_000_000
# Pillow's own reader of a damaged file may raise any of these (its documentation names OSError,
# SyntaxError and ValueError; struct and EOF errors come out of the format plugins; a palette that
# is missing fails one of its assertions).
_DECODER_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    EOFError,
    LookupError,
    TypeError,
    RuntimeError,
    AssertionError,
    AttributeError,
    struct.error,
    MemoryError,
)


@dataclass(frozen=True)
class ImageLimits:
    """What is checked before any pixel is inflated.

    Attributes:
        max_bytes: largest encoded file, in bytes.
        max_pixels: largest width x height; the default admits a 64-megapixel phone photo.
        min_side_px: smallest side that still shows anything.
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 64_000_000
    min_side_px: int = 8


DEFAULT_LIMITS: Final = ImageLimits()
# Of what lies in the store: it was checked on its way in, maybe against higher limits than these.
STORED_LIMITS: Final = ImageLimits(max_bytes=2_000_000_000, max_pixels=2_000_000_000)


def decode_image(
    content: bytes, *, limits: ImageLimits = DEFAULT_LIMITS, target_side_px: int | None = None
) -> RGBImage:
    """Return the picture in ``content``, upright and in RGB.

    EXIF orientation is applied, transparency is composited on white, 16-bit channels are scaled to
    8 bits, and of an animation the first frame is taken.

    Args:
        content: the encoded file.
        limits: bounds on bytes and pixels, checked before the pixels are inflated.
        target_side_px: the square side the caller will resize to, if any. A large JPEG is then
            decoded at the smallest DCT scale that still covers it, which halves the time.

    Returns:
        uint8 (H, W, 3), RGB, 0..255.

    Raises:
        InvalidImage: empty, too large, of another format, or damaged.
    """
    return decode_file(content, limits=limits, target_side_px=target_side_px)[0]


def decode_file(
    content: bytes, *, limits: ImageLimits = DEFAULT_LIMITS, target_side_px: int | None = None
) -> tuple[RGBImage, str]:
    """Return the picture in ``content``, and the usual suffix of such a file, such as ``.jpg``.

    Arguments and errors are those of ``decode_image``.
    """
    with _decoded(content, limits, target_side_px) as (image, suffix):
        return _to_array(image), suffix


@contextmanager
def _decoded(
    content: bytes, limits: ImageLimits, target_side_px: int | None
) -> Iterator[tuple[Image.Image, str]]:
    """Yield the picture, upright and in RGB, and the usual suffix of such a file.

    Arguments and errors are those of ``decode_image``; what goes wrong within the block is told as
    damage of the file, too.
    """
    _check_bytes(content, limits)
    with warnings.catch_warnings():
        # Our own pixel limit decides; Pillow's warning about large images would be noise.
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_pixels(image, limits)
                if target_side_px is not None:
                    image.draft("RGB", (target_side_px, target_side_px))
                ImageOps.exif_transpose(image, in_place=True)  # else it copies each picture
                yield _to_rgb(image), _suffix(image.format or "")
        except InvalidImage:
            raise
        except UnidentifiedImageError as error:
            raise UnsupportedImage(
                f"The file is not a picture that can be read ({_describe(content)}); "
                f"accepted: {ACCEPTED}. Save it as one of these and try again."
            ) from error
        except Image.DecompressionBombError as error:
            raise ImageTooLarge(
                f"The image has too many pixels; the limit is {limits.max_pixels:,}. "
                "Resize it and try again."
            ) from error
        except _DECODER_ERRORS as error:
            raise InvalidImage(
                f"The image is damaged or incomplete ({len(content):,} bytes): "
                f"{str(error).splitlines()[0] if str(error) else 'its parts do not fit'}. "
                "Save it again from the original and try once more."
            ) from error


def to_model_input(image: RGBImage, side_px: int) -> NDArray[np.uint8]:
    """Return the image as one model input: the whole picture stretched to a square.

    Args:
        image: uint8 (H, W, 3), RGB, 0..255, upright.
        side_px: side of the square that the model expects, in pixels.

    Returns:
        uint8 (side_px, side_px, 3), RGB, 0..255; the graph rescales it.

    Raises:
        InvalidImage: either side is zero.
    """
    height, width = image.shape[:2]
    if height == 0 or width == 0:
        raise InvalidImage(f"Image is {width} x {height} px; both sides must be at least 1 px.")
    if (height, width) == (side_px, side_px):
        return image
    return _squared(Image.fromarray(image), side_px)


def load_model_input(
    content: bytes, side_px: int, *, limits: ImageLimits = DEFAULT_LIMITS
) -> NDArray[np.uint8]:
    """Return encoded bytes as one model input: decode and resize, as served and as trained.

    Args:
        content: the encoded file.
        side_px: side of the square that the model expects, in pixels.
        limits: bounds on bytes and pixels.

    Returns:
        uint8 (side_px, side_px, 3), RGB, 0..255.

    Raises:
        InvalidImage: as ``decode_image``.
    """
    with _decoded(content, limits, side_px) as (image, _):
        return _squared(image, side_px)  # as to_model_input, without two copies of the picture


def _squared(image: Image.Image, side_px: int) -> NDArray[np.uint8]:
    # Pillow's bilinear filter widens with the scale, so shrinking does not alias.
    resized = image.resize((side_px, side_px), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Looks:
    """What a store keeps of a picture beside its file.

    Attributes:
        pixel_digest: SHA-256 of the size and the decoded pixels.
        difference_hash: 64 bits.
        width_px, height_px: of the upright picture.
        suffix: of the file, such as ``.jpg``.
    """

    pixel_digest: str
    difference_hash: int
    width_px: int
    height_px: int
    suffix: str


def look_at(content: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> Looks:
    """Decode an encoded file, and return what identifies its picture.

    Raises:
        InvalidImage: as ``decode_image``.
    """
    pixels, suffix = decode_file(content, limits=limits)
    height_px, width_px = pixels.shape[:2]
    return Looks(pixel_digest(pixels), difference_hash(pixels), width_px, height_px, suffix)


def pixel_digest(image: RGBImage) -> str:
    """Return the SHA-256 of the size and pixels, the same for any lossless copy of a picture."""
    digest = hashlib.sha256(f"{image.shape[1]}x{image.shape[0]}".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def difference_hash(image: RGBImage) -> int:
    """Return a 64-bit hash that differs in few bits between near-identical pictures.

    The horizontal difference hash: 9 x 8 grey, each bit tells whether brightness rises to the
    right (N. Krawetz, "Kind of Like That", The Hacker Factor Blog, 2013).
    """
    grey = Image.fromarray(image).convert("L").resize((9, 8), Image.Resampling.BILINEAR)
    pixels = np.asarray(grey, dtype=np.int16)  # (8, 9)
    bits = (pixels[:, 1:] > pixels[:, :-1]).ravel()  # (64,)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _suffix(image_format: str) -> str:
    # A camera's JPEG with a small picture behind it is MPO to Pillow.
    usual = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "HEIF": ".heic"}
    return usual.get(image_format, f".{image_format.lower()}")


def _check_bytes(content: bytes, limits: ImageLimits) -> None:
    if not content:
        raise InvalidImage(f"The file is empty; accepted: {ACCEPTED}.")
    if len(content) > limits.max_bytes:
        raise ImageTooLarge(
            f"The file has {len(content):,} bytes; the limit is {limits.max_bytes:,}. "
            "Resize the image and try again."
        )


def _check_pixels(image: Image.Image, limits: ImageLimits) -> None:
    width, height = image.size
    if width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"Image is {width} x {height} px; the limit is {limits.max_pixels:,} pixels. "
            "Resize it and try again."
        )
    if min(width, height) < limits.min_side_px:
        raise InvalidImage(
            f"Image is {width} x {height} px; each side must be at least "
            f"{limits.min_side_px} px. Use a larger picture."
        )


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_grey_to_rgb(image)
    if image.has_transparency_data:
        foreground = image.convert("RGBA")
        white = Image.new("RGBA", foreground.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, foreground).convert("RGB")
    return image.convert("RGB")


def _deep_grey_to_rgb(image: Image.Image) -> Image.Image:
    """Return 16-bit, 32-bit or float grey as RGB; ``convert`` would clip instead of scale."""
    to_grey = _float_scale(image) if image.mode == "F" else _integer_scale(image)
    grey = np.empty((image.height, image.width), dtype=np.uint8)
    for rows, deep in _bands(image):
        grey[rows] = to_grey(deep)
    return Image.fromarray(grey).convert("RGB")


def _float_scale(image: Image.Image) -> Callable[[NDArray[Any]], NDArray[Any]]:
    scale = 1.0 if any((deep > 1.0).any() for _, deep in _bands(image)) else 255.0
    # What is no number is black.
    return lambda deep: np.rint(np.fmin(np.fmax(deep.astype(np.float64) * scale, 0), 255))


def _integer_scale(image: Image.Image) -> Callable[[NDArray[Any]], NDArray[Any]]:
    is_deep = image.mode != "I" or any((deep > 255).any() for _, deep in _bands(image))
    levels = np.rint(np.arange(65_536) / (257 if is_deep else 1))  # 65535 -> 255
    table = np.clip(levels, 0, 255).astype(np.uint8)
    return lambda deep: table[np.clip(deep, 0, 65_535)]


def _to_array(image: Image.Image) -> RGBImage:
    """Return the pixels of an RGB picture."""
    if image.width * image.height <= _BAND_PIXELS:
        return np.asarray(image)
    pixels = np.empty((image.height, image.width, 3), dtype=np.uint8)
    for rows, band in _bands(image):
        pixels[rows] = band
    return pixels


def _bands(image: Image.Image) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield the pixels some rows at a time, each time with the rows that they are.

    Pillow hands its pixels over in pieces of 64 kB. All pieces of a large picture at once leave so
    many holes in the memory of the process that little of it is ever given back.
    """
    count = max(1, _BAND_PIXELS // image.width)
    if count >= image.height:
        yield slice(None), np.asarray(image)
        return
    for top in range(0, image.height, count):
        bottom = min(top + count, image.height)
        yield slice(top, bottom), np.asarray(image.crop((0, top, image.width, bottom)))


def _describe(content: bytes) -> str:
    start = content[:16].decode("latin-1")
    printable = "".join(c if c.isprintable() and c.isascii() else "." for c in start)
    return f"{len(content):,} bytes beginning with {printable!r}"
