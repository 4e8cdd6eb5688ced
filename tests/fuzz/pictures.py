"""Hostile pictures, made from drawn ones: every one is small, whatever it claims to hold."""

import io
import struct
import zipfile
import zlib
from functools import cache

import numpy as np
from hypothesis import strategies as st
from PIL import Image

import data.images  # noqa: F401  registers the HEIC encoder with Pillow
from data.drawings import draw_fruit

JPEG_START = b"\xff\xd8"


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    """Return the picture as a file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@cache
def good_picture() -> bytes:
    """Return a picture that every server names an apple."""
    return encoded(draw_fruit("apple", 160), "PNG")


def chunk(name: bytes, content: bytes) -> bytes:
    """Return one chunk of a PNG, with its checksum."""
    checked = name + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def png(width: int, height: int, *chunks: bytes, bits: int = 8, colour: int = 2) -> bytes:
    """Return a PNG of these chunks, which need not fit its size."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join((chunk(b"IHDR", header), *chunks, chunk(b"IEND", b"")))


@cache
def zeros(count: int) -> bytes:
    """Return so many zero bytes as a stream of zlib, without holding them."""
    packer = zlib.compressobj(9)
    block = bytes(1_000_000)
    whole, rest = divmod(count, len(block))
    parts = [packer.compress(block) for _ in range(whole)]
    return b"".join((*parts, packer.compress(block[:rest]), packer.flush()))


def tiff(entries: list[tuple[int, int, int, int]], tail: bytes = b"") -> bytes:
    """Return a TIFF whose one directory has these tags: number, type, count, value."""
    tags = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + tags + b"\0\0\0\0" + tail


def with_exif(exif: bytes, start: bytes = b"Exif\0\0") -> bytes:
    """Return a JPEG with that EXIF, spread over as many segments as it takes."""
    plain = encoded(draw_fruit("apple", 64), "JPEG")
    parts = [exif[at : at + 65_000] for at in range(0, max(1, len(exif)), 65_000)]
    segments = b"".join(
        b"\xff\xe1" + struct.pack(">H", len(start + part) + 2) + start + part for part in parts
    )
    return JPEG_START + segments + plain[2:]


def rotated(orientation: int) -> bytes:
    """Return a JPEG that says it is to be turned that way."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(draw_fruit("apple", 64), "JPEG", exif=exif.tobytes())


def _exif_cases() -> dict[str, bytes]:
    turned = tiff([(0x0112, 3, 1, 6)])
    return {
        **{f"exif orientation {n}": rotated(n) for n in range(10)},
        "exif cut": with_exif(turned[:11]),
        "exif of noise": with_exif(b"\x93\x01\xfe" * 2000),
        "exif huge": with_exif(turned + bytes(300_000)),
        "exif that points at itself": with_exif(tiff([(0x8769, 4, 1, 8), (0x0112, 3, 1, 6)])),
        "exif turned, with a tag of no known type": with_exif(
            tiff([(0x0112, 3, 1, 6), (0x010F, 99, 5, 1)])
        ),
        "exif turned, with a text of 4 GB": with_exif(
            tiff([(0x0112, 3, 1, 6), (0x010F, 2, 0xFFFFFFFF, 8)])
        ),
        "exif turned, with a fraction over nothing": with_exif(
            tiff([(0x0112, 3, 1, 6), (0x011A, 5, 1, 38)], struct.pack("<II", 1, 0))
        ),
        "exif orientation as text": with_exif(tiff([(0x0112, 2, 4, 0x36363636)])),
        "exif of many tags": with_exif(tiff([(n, 3, 1, 6) for n in range(0x0100, 0x0400)])),
        "xmp orientation": with_exif(
            b'<x tiff:Orientation="6"/>' * 50, b"http://ns.adobe.com/xap/1.0/\0"
        ),
    }


def _bombs() -> dict[str, bytes]:
    gif = encoded(Image.new("L", (16, 16)), "GIF")
    frame = gif[13 + 3 * 2 ** ((gif[10] & 7) + 1) : -1]  # behind the header and its palette
    black = Image.new("1", (4000, 3990))
    return {
        "png 50,000 x 50,000": png(50_000, 50_000, chunk(b"IDAT", zeros(10_000_000))),
        "png 2,000,000,000 x 2,000,000,000": png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", zeros(10))),
        "png at the limit of pixels": png(
            4000, 3990, chunk(b"IDAT", zeros((4000 // 8 + 1) * 3990)), bits=1, colour=0
        ),
        "png 16 bits at the limit": png(
            4000, 3990, chunk(b"IDAT", zeros((4000 * 2 + 1) * 3990)), bits=16, colour=0
        ),
        "png with a text that inflates": png(
            64, 64, chunk(b"zTXt", b"a\0\0" + zeros(60_000_000)), chunk(b"IDAT", zeros(12_352))
        ),
        "png with a profile that inflates": png(
            64, 64, chunk(b"iCCP", b"a\0\0" + zeros(60_000_000)), chunk(b"IDAT", zeros(12_352))
        ),
        "gif 65,535 x 65,535": b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0xF0, 0, 0)
        + bytes(6) + b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02D\x01\0;",
        "gif of 10,000 frames": gif[:-1] + frame * 9999 + b";",
        "webp 16,383 x 16,383": encoded(Image.new("1", (16, 16)).convert("RGB"), "WEBP",
                                        lossless=True).replace(b"\x0f\xc0\x03", b"\xff\xff\xff", 1),
        "webp of many frames": encoded(
            Image.new("RGB", (64, 64)), "WEBP", save_all=True,
            append_images=[Image.new("RGB", (64, 64), (n, 0, 0)) for n in range(60)],
        ),
        "tiff at the limit, packed": encoded(black, "TIFF", compression="group4"),
        "tiff 60,000 x 60,000": encoded(
            Image.new("1", (64, 64)), "TIFF", compression="group4"
        ).replace(struct.pack("<HHII", 256, 4, 1, 64), struct.pack("<HHII", 256, 4, 1, 60_000))
        .replace(struct.pack("<HHII", 257, 4, 1, 64), struct.pack("<HHII", 257, 4, 1, 60_000)),
        "tiff of 4 billion strips": tiff(
            [(256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
             (273, 4, 0xFFFFFFF0, 8), (277, 3, 1, 1), (278, 3, 1, 1), (279, 4, 0xFFFFFFF0, 8)]
        ),
        "bmp that claims 4 GB": b"BM" + struct.pack("<IHHI", 0xFFFFFFFF, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 30_000, -30_000, 1, 32, 0, 0, 0, 0, 0, 0),
        "jpeg 65,500 x 65,500": (lambda jpeg: jpeg.replace(
            struct.pack(">HH", 64, 64), struct.pack(">HH", 65_500, 65_500), 1
        ))(encoded(Image.new("L", (64, 64)), "JPEG")),
    }  # fmt: skip


def _odd_formats() -> dict[str, bytes]:
    apple = draw_fruit("apple", 64)
    grey = np.linspace(0, 65535, 64 * 64).reshape(64, 64)
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "white", "green")]
    pages = {"save_all": True, "append_images": frames}
    return {
        "16 bits": encoded(Image.fromarray(grey.astype(np.uint16)), "PNG"),
        "16 bits a colour": png(64, 64, chunk(b"IDAT", zeros((64 * 6 + 1) * 64)), bits=16),
        "32 bits, float, not all finite": encoded(
            Image.fromarray(np.where(grey > 30000, np.inf, np.nan).astype(np.float32)), "TIFF"
        ),
        "32 bits, negative": encoded(Image.fromarray((grey - 30000).astype(np.int32)), "TIFF"),
        "cmyk jpeg": encoded(apple.convert("CMYK"), "JPEG"),
        "cmyk tiff": encoded(apple.convert("CMYK"), "TIFF"),
        "lab tiff": encoded(apple.convert("RGB").convert("YCbCr"), "TIFF"),
        "palette": encoded(apple.convert("P"), "PNG"),
        "palette without one": png(64, 64, chunk(b"IDAT", zeros(65 * 64)), colour=3),
        "palette with transparency": encoded(apple.convert("P"), "PNG", transparency=3),
        "palette, transparency too long": png(
            64, 64, chunk(b"PLTE", b"abc"), chunk(b"tRNS", bytes(900)),
            chunk(b"IDAT", zeros(65 * 64)), colour=3,
        ),
        "1 bit": encoded(apple.convert("1"), "PNG"),
        "grey and alpha": encoded(apple.convert("LA"), "PNG"),
        "1 pixel": encoded(Image.new("RGB", (1, 1)), "PNG"),
        "1 pixel high": encoded(Image.new("RGB", (5000, 1)), "PNG"),
        "0 x 0": png(0, 0, chunk(b"IDAT", zeros(0))),
        "0 wide": png(0, 64, chunk(b"IDAT", zeros(64))),
        "gif 0 x 0": b"GIF89a" + bytes(7) + b";",
        "animated gif": encoded(frames[0], "GIF", **pages),
        "animated png": encoded(frames[0], "PNG", **pages),
        "animated webp": encoded(frames[0], "WEBP", **pages),
        "tiff of many pages": encoded(frames[0], "TIFF", **pages),
        "tiff lzw": encoded(apple, "TIFF", compression="tiff_lzw"),
        "tiff jpeg": encoded(apple, "TIFF", compression="jpeg"),
        "tiff packbits": encoded(apple, "TIFF", compression="packbits"),
        "tiff of a compression that there is not": tiff(
            [(256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 1, 8), (259, 3, 1, 64999), (262, 3, 1, 1),
             (273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, 64), (279, 4, 1, 4096)], bytes(4096),
        ),
        "tiff in tiles that lie outside": tiff(
            [(256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
             (277, 3, 1, 1), (322, 3, 1, 0), (323, 3, 1, 65535), (324, 4, 1, 0xFFFFFFFF),
             (325, 4, 1, 0xFFFFFFFF)], bytes(4096),
        ),
        "tiff whose next page is itself": tiff(
            [(256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
             (273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, 64), (279, 4, 1, 4096)]
        ).removesuffix(b"\0\0\0\0") + struct.pack("<I", 8) + bytes(4096),
        "heic": encoded(apple, "HEIF"),
        "heic of several": encoded(frames[0], "HEIF", **pages),
        "heic, its boxes cut": encoded(apple, "HEIF")[:200],
        "heic whose box is endless": struct.pack(">I", 0) + b"ftypheic" + bytes(64),
        "heic of a brand that there is not": struct.pack(">I", 24) + b"ftypnone" + bytes(300),
        "profile of noise": encoded(apple, "PNG", icc_profile=b"\xff\0noise" * 50),
        "profile, huge": encoded(apple, "JPEG", icc_profile=bytes(range(256)) * 1500),
    }  # fmt: skip


def _no_pictures() -> dict[str, bytes]:
    apple = good_picture()
    jpeg = encoded(draw_fruit("apple", 64), "JPEG")
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("../../evil.jpg", apple)
    return {
        "empty": b"",
        "one byte": b"\x89",
        "text": b"this is no picture at all",
        "text of 100,000 lines": b"line\n" * 100_000,
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "svg with an entity bomb": b"<!DOCTYPE a [<!ENTITY b '" + b"x" * 900 + b"'>]><svg>"
        + b"&b;" * 900 + b"</svg>",
        "html": b"<html><script>alert(1)</script></html>",
        "pdf": b"%PDF-1.7\n1 0 obj\n<< /JS (app.alert(1)) >>\nendobj\n",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\nsystemdict /run\n",
        "elf": b"\x7fELF\x02\x01\x01" + bytes(900),
        "only a jpeg's start": jpeg[:4],
        "only a png's start": apple[:8],
        "only an end": b"\xff\xd9",
        "jpeg and zip": jpeg + inner.getvalue(),
        "gif and javascript": b"GIF89a/*" + bytes(20) + b"*/=alert(1);",
        "png and html": apple + b"<script>alert(1)</script>",
        "png with html in a text": png(
            64, 64, chunk(b"tEXt", b"Comment\0<script>alert(1)</script>"),
            chunk(b"IDAT", zeros((64 * 3 + 1) * 64)),
        ),
        "zip named as a picture": inner.getvalue(),
        "png with a wrong checksum": apple[:40] + bytes([apple[40] ^ 255]) + apple[41:],
    }  # fmt: skip


@cache
def pictures() -> dict[str, bytes]:
    """Return every hostile picture by its name."""
    apple = draw_fruit("apple", 64)
    plain = {f"good {form}": encoded(apple, form) for form in
             ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF")}  # fmt: skip
    return plain | _no_pictures() | _odd_formats() | _exif_cases() | _bombs()


def changed(content: bytes, edits: list[tuple[str, float, int]]) -> bytes:
    """Return the file with some bytes changed, cut off, doubled or put in.

    Args:
        content: a file.
        edits: what to do, where (0..1 of its length), and with which number.
    """
    for kind, place, number in edits:
        at = int(place * len(content))
        if kind == "cut":
            content = content[:at]
        elif kind == "flip":
            content = content[:at] + bytes([number % 256]) + content[at + 1 :]
        elif kind == "drop":
            content = content[:at] + content[at + number % 64 :]
        elif kind == "double":
            content = content[:at] + content[at : at + number % 512] + content[at:]
        elif kind == "size":  # most formats keep sizes as two or four bytes
            content = content[:at] + struct.pack(">I", number % 2**32) + content[at + 4 :]
        elif kind == "append":
            content += bytes([number % 256]) * (number % 1000)
    return content


edits = st.lists(
    st.tuples(
        st.sampled_from(["cut", "flip", "flip", "flip", "drop", "double", "size", "append"]),
        # Most of what a reader trusts stands at the start.
        st.one_of(st.floats(0, 1), st.floats(0, 0.05)),
        st.integers(0, 2**32 - 1),
    ),
    max_size=4,
)


def picture_strategy() -> st.SearchStrategy[tuple[str, bytes]]:
    """Return a strategy for pictures with their names, as they are or changed."""
    corpus = pictures()
    return st.builds(
        lambda name, changes: (name, changed(corpus[name], changes)),
        st.sampled_from(sorted(corpus)),
        st.one_of(st.just([]), edits),
    )
