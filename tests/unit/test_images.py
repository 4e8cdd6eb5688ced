"""Every accepted format comes out as upright RGB; everything else is refused in words."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from data.errors import InvalidImage
from data.images import (
    ImageLimits,
    decode_file,
    decode_image,
    difference_hash,
    load_model_input,
    pixel_digest,
    to_model_input,
)

RED = (200, 30, 40)


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def halves(size: tuple[int, int] = (64, 32)) -> Image.Image:
    """Left half red, right half white."""
    image = Image.new("RGB", size, "white")
    image.paste(RED, (0, 0, size[0] // 2, size[1]))
    return image


@pytest.mark.parametrize(
    ("image_format", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("GIF", {}, 2),
        ("JPEG", {"quality": 95, "subsampling": 0}, 4),
        ("HEIF", {"quality": 95}, 8),
    ],
)
def test_decode_gives_rgb_pixels_of_every_accepted_format(
    image_format: str, options: dict[str, object], tolerance: int
) -> None:
    pixels = decode_image(encoded(halves(), image_format, **options))

    assert pixels.shape == (32, 64, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels[16, 10].astype(int) - RED).max() <= tolerance
    assert pixels[16, 60].min() >= 255 - tolerance


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1"])
def test_decode_turns_other_colour_modes_into_rgb(mode: str) -> None:
    image_format = "TIFF" if mode == "CMYK" else "PNG"

    pixels = decode_image(encoded(halves().convert(mode), image_format))

    assert pixels.shape == (32, 64, 3)
    assert pixels[16, 60].tolist() == [255, 255, 255]


def test_decode_composites_transparency_on_white() -> None:
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    image.paste((*RED, 255), (0, 0, 8, 16))

    pixels = decode_image(encoded(image, "PNG"))

    assert pixels[8, 2].tolist() == list(RED)
    assert pixels[8, 14].tolist() == [255, 255, 255]


def test_decode_composites_a_transparent_colour_on_white() -> None:
    """A PNG without an alpha channel may say that one of its colours stands for nothing."""
    image = Image.new("RGB", (16, 16), (0, 0, 0))
    image.paste(RED, (0, 0, 8, 16))

    pixels = decode_image(encoded(image, "PNG", transparency=(0, 0, 0)))

    assert pixels[8, 2].tolist() == list(RED)
    assert pixels[8, 14].tolist() == [255, 255, 255]


def test_decode_scales_sixteen_bit_grey_instead_of_clipping() -> None:
    grey = Image.fromarray(np.full((16, 16), 32896, dtype=np.uint16))

    pixels = decode_image(encoded(grey, "PNG"))

    assert pixels[0, 0].tolist() == [128, 128, 128]


def test_decode_applies_exif_orientation() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise

    pixels = decode_image(encoded(halves(), "JPEG", exif=exif.tobytes(), quality=95))

    assert pixels.shape == (64, 32, 3)
    assert pixels[5, 16, 1] < 80  # the red half is on top now
    assert pixels[60, 16, 1] > 200


def test_decode_takes_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (16, 16), RED), Image.new("RGB", (16, 16), "white")]

    pixels = decode_image(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))

    assert np.abs(pixels[0, 0].astype(int) - RED).max() <= 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"just text", "beginning with 'just text'"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "accepted: JPEG, PNG"),
        (encoded(halves(), "PNG")[:60], "damaged or incomplete"),
        (encoded(halves((400, 400)), "JPEG")[:-900], "damaged or incomplete"),
    ],
)
def test_decode_refuses_what_is_no_picture_and_says_why(content: bytes, words: str) -> None:
    with pytest.raises(InvalidImage, match=words):
        decode_image(content)


def test_decode_refuses_too_many_pixels_before_inflating_them() -> None:
    bomb = encoded(Image.new("1", (20_000, 20_000)), "PNG")
    assert len(bomb) < 100_000

    with pytest.raises(InvalidImage, match="pixels"):
        decode_image(bomb)


def test_decode_refuses_too_many_bytes() -> None:
    with pytest.raises(InvalidImage, match="the limit is 100"):
        decode_image(encoded(halves(), "BMP"), limits=ImageLimits(max_bytes=100))


def test_decode_refuses_a_picture_too_small_to_show_anything() -> None:
    with pytest.raises(InvalidImage, match="1 x 1 px"):
        decode_image(encoded(Image.new("RGB", (1, 1)), "PNG"))


def test_model_input_is_the_whole_picture_stretched_to_the_square() -> None:
    pixels = load_model_input(encoded(halves((300, 120)), "PNG"), 100)

    assert pixels.shape == (100, 100, 3)
    assert pixels[50, 10].tolist() == list(RED)
    assert pixels[50, 90].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_a_file_is_the_same_model_input_as_its_decoded_picture(mode: str) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (90, 240, 3), dtype=np.uint8)
    grey = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    picture = grey if mode == "I;16" else Image.fromarray(noise).convert(mode)
    content = encoded(picture, "TIFF" if mode == "CMYK" else "PNG")

    expected = to_model_input(decode_image(content), 64)
    assert np.array_equal(load_model_input(content, 64), expected)


def test_model_input_of_the_right_size_is_left_alone() -> None:
    image = np.zeros((100, 100, 3), dtype=np.uint8)

    assert to_model_input(image, 100) is image


def test_model_input_refuses_an_empty_array() -> None:
    with pytest.raises(InvalidImage, match="0 x 5"):
        to_model_input(np.zeros((5, 0, 3), dtype=np.uint8), 100)


def test_pixel_digest_is_the_same_for_lossless_copies_only() -> None:
    png, bmp = (decode_image(encoded(halves(), f)) for f in ("PNG", "BMP"))
    other = decode_image(encoded(halves((32, 64)), "PNG"))

    assert pixel_digest(png) == pixel_digest(bmp)
    assert pixel_digest(png) != pixel_digest(other)


def test_difference_hash_moves_little_when_a_picture_is_compressed() -> None:
    rng = np.random.default_rng(1)
    noise = Image.fromarray(rng.integers(0, 255, (8, 9), dtype=np.uint8)).resize((180, 160))
    other = Image.fromarray(rng.integers(0, 255, (8, 9), dtype=np.uint8)).resize((180, 160))

    original = difference_hash(decode_image(encoded(noise.convert("RGB"), "PNG")))
    compressed = difference_hash(decode_image(encoded(noise.convert("RGB"), "JPEG", quality=40)))
    unrelated = difference_hash(decode_image(encoded(other.convert("RGB"), "PNG")))

    assert (original ^ compressed).bit_count() <= 4
    assert (original ^ unrelated).bit_count() > 16


@pytest.mark.parametrize(("image_format", "suffix"), [("JPEG", ".jpg"), ("TIFF", ".tif")])
def test_the_suffix_names_the_format(image_format: str, suffix: str) -> None:
    assert decode_file(encoded(halves(), image_format))[1] == suffix


def test_deep_grey_at_the_limit_takes_no_gigabytes() -> None:
    deep = np.full((2000, 2000), 32896, dtype=np.uint16)
    content = encoded(Image.fromarray(deep), "PNG")
    decode_image(encoded(Image.fromarray(deep[:16, :16]), "PNG"))  # what is imported on first use

    tracemalloc.start()
    pixels = decode_image(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert pixels[0, 0].tolist() == [128, 128, 128]
    assert peak < 12 * deep.size  # bytes; as floats at once it was 40 a pixel


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (np.array([0.0, 0.5, 1.0, np.nan], np.float32), [0, 128, 255, 0]),
        (np.array([-np.inf, 200.0, np.inf, 3e38], np.float32), [0, 200, 255, 255]),
        (np.array([-5, 0, 200, 255], np.int32), [0, 0, 200, 255]),
        (np.array([-5, 257, 65535, 2**31 - 1], np.int32), [0, 1, 255, 255]),
    ],
)
def test_deep_grey_of_any_number_becomes_eight_bits(values: np.ndarray, shown: list[int]) -> None:
    rows = np.repeat(values, 8)[None].repeat(8, axis=0)

    pixels = decode_image(encoded(Image.fromarray(rows), "TIFF"))

    assert pixels[0, ::8, 0].tolist() == shown


def test_a_palette_picture_without_its_palette_is_damaged() -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", 16, 16, 8, 3, 0, 0, 0)
    pixels = zlib.compress(bytes(17 * 16))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)

    with pytest.raises(InvalidImage, match="its parts do not fit"):
        decode_image(png + chunk(b"IEND", b""))
