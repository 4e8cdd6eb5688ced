"""Hostile zips, made from good ones: bombs, lies, and names that lead elsewhere."""

import io
import struct
import warnings
import zipfile
from functools import cache

from hypothesis import strategies as st

from tests.fuzz.pictures import changed, edits, good_picture, zeros

EVIL_NAMES = {
    "that lead up": "../../../etc/cron.d/evil.jpg",
    "that are absolute": "/etc/evil.jpg",
    "of Windows": "C:\\Windows\\evil.jpg",
    "with backslashes": "..\\..\\evil.jpg",
    "of a device": "CON/nul.jpg",
    "with html": "<script>alert(1)<\uff0fscript>/<img src=x onerror=alert(1)>.jpg",
    "with lines": "apple/line\nbreak\r\n2026-11-23 ERROR forged.jpg",
    "with a bell": "apple/\x1b[31m\x07.jpg",
    "to be read backwards": "apple/\u202egpj.exe",
    "very long": "apple/" + "n" * 60_000 + ".jpg",
    "very deep": "a/" * 20_000 + "apple/x.jpg",
    "of dots": "apple/....jpg",
    "of formulas": "apple/=cmd|' /C calc'!A0.jpg",
    "hidden": ".apple/.x.jpg",
    "of a home": "~/evil.jpg",
    "in another script": "\u0420\u043e\u0434\u044e\u0447\u0456/\u68a8\U0001f350.jpg",
}


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of these members."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that comes twice
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content, method)
    return buffer.getvalue()


def central(content: bytes, at: int, form: str, value: int) -> bytes:
    """Return the zip with one number of its first central entry changed."""
    place = content.index(b"PK\x01\x02") + at
    return content[:place] + struct.pack(form, value) + content[place + struct.calcsize(form) :]


def ending(content: bytes, at: int, form: str, value: int) -> bytes:
    """Return the zip with one number of its end record changed."""
    place = content.rindex(b"PK\x05\x06") + at
    return content[:place] + struct.pack(form, value) + content[place + struct.calcsize(form) :]


@cache
def many_entries(count: int) -> bytes:
    """Return a zip whose directory names one member so many times."""
    one = zipped({"apple/00000": b"x"}, zipfile.ZIP_STORED)
    start = one.index(b"PK\x01\x02")
    entry = one[start : start + 46]
    directory = b"".join(entry + b"apple/%05d" % (n % 100_000) for n in range(count))
    counted = min(count, 65_535)
    record = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, counted, counted, len(directory), start, 0
    )
    return one[:start] + directory + record


def _bombs() -> dict[str, bytes]:
    picture = good_picture()
    inside = zipped({"apple/a.png": picture})
    for _ in range(6):
        inside = zipped({f"{n}.zip": inside for n in range(3)})
    big = zipped({"apple/a.jpg": b"x"})
    packed = zeros(60_000_000)[2:-4]  # a bare stream of deflate
    start = big.index(b"PK\x01\x02")
    local = bytearray(big[:30] + b"apple/a.jpg")
    local[18:26] = struct.pack("<II", len(packed), 60_000_000)
    entry = bytearray(big[start : start + 46] + b"apple/a.jpg")
    entry[20:28] = struct.pack("<II", len(packed), 60_000_000)
    record = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), len(local) + len(packed), 0
    )
    ratio = bytes(local) + packed + bytes(entry) + record
    return {
        "zip of 60 MB in 60 kB": ratio,
        "zip of 60 MB that claims 10 bytes": central(ratio, 24, "<I", 10),
        "zip in a zip, six deep": inside,
        "zip of 100,000 entries, all the same one": many_entries(100_000),
        "zip of 1,000 entries": zipped({f"apple/{n}.jpg": b"x" for n in range(1000)}),
    }


@cache
def archives() -> dict[str, bytes]:
    """Return every hostile zip by its name."""
    picture = good_picture()
    good = zipped({"apple/a.png": picture})
    stored = zipped({"apple/a.png": picture}, zipfile.ZIP_STORED)
    link = io.BytesIO()
    with zipfile.ZipFile(link, "w") as archive:
        info = zipfile.ZipInfo("apple/link.jpg")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    names = {f"zip of names {what}": zipped({name: picture}) for what, name in EVIL_NAMES.items()}
    first = good.index(b"PK\x01\x02")
    return (
        names
        | _bombs()
        | {
            "good zip": good,
            "empty zip": zipped({}),
            "zip of folders": zipped({"apple/": b"", "banana/": b""}),
            "zip with a link": link.getvalue(),
            "zip that is encrypted": central(good, 8, "<H", 1),
            "zip, encrypted strongly": central(good, 8, "<H", 0x41),
            "zip, patched": central(good, 8, "<H", 0x20),
            "zip of an odd version": central(good, 6, "<H", 999),
            "zip, utf-8 that is none": central(good, 8, "<H", 0x800).replace(
                b"apple/", b"\xff\xfe\xfd\xfc\xfb/"
            ),
            "zip, utf-8 that is none, local only": good[:6]
            + b"\x00\x08"
            + good[8:30]
            + b"\xff\xfe"
            + good[32:first]
            + central(good, 8, "<H", 0x800)[first:],
            "zip in an old alphabet": good.replace(b"apple/", b"\x8a\xe0\xa0\xa1\xff/"),
            "zip with a wrong checksum": central(good, 16, "<I", 0xDEADBEEF),
            "zip that lies about sizes": central(good, 20, "<I", 0xFFFFFFF0),
            "zip that lies about places": central(good, 42, "<I", 0xFFFFFFF0),
            "zip of no known packing": central(good, 10, "<H", 97),
            "zip packed as lzma, which it is not": central(good, 10, "<H", 14),
            "zip packed as bzip2, which it is not": central(good, 10, "<H", 12),
            "zip packed as lzma": zipped({"apple/a.png": picture}, zipfile.ZIP_LZMA),
            "zip packed as bzip2": zipped({"apple/a.png": picture}, zipfile.ZIP_BZIP2),
            "zip with a broken extra field": central(stored, 30, "<H", 60_000),
            "zip whose end lies about its start": ending(good, 16, "<I", 0xFFFFFFF0),
            "zip whose end lies about its size": ending(good, 12, "<I", 0x7FFFFFFF),
            "zip whose end counts 65,535": ending(good, 8, "<I", 0xFFFFFFFF),
            "zip of the large kind, without it": ending(good, 12, "<Q", 2**64 - 1),
            "zip with a comment that is cut": ending(good, 20, "<H", 65_535),
            "zip cut": good[: len(good) // 2],
            "zip without its end": good[: good.rindex(b"PK\x05\x06")],
            "zip without its start": good[30:],
            "only an end of a zip": good[good.rindex(b"PK\x05\x06") :],
            "the same name twice": zipped({"apple/a.png": picture})
            + zipped({"apple/a.png": b"other"}),
            "text named as a zip": b"this is no zip",
            "zip of a class that is no name": zipped({"<b>&\"'/a.png": picture}),
        }
    )


def archive_strategy() -> st.SearchStrategy[tuple[str, bytes]]:
    """Return a strategy for zips with their names, as they are or changed."""
    corpus = archives()
    return st.builds(
        lambda name, changes: (name, changed(corpus[name], changes)),
        st.sampled_from(sorted(corpus)),
        st.one_of(st.just([]), edits),
    )
