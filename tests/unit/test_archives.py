"""Zips that lie about themselves: refused in words, and within bounds before they are believed."""

import io
import struct
import tracemalloc
import zipfile

import pytest

from data.archives import ArchiveLimits, UnreadableMember, open_zip
from data.errors import InvalidArchive

LIMITS = ArchiveLimits(max_entries=400)


def zipped(method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("apple/a.jpg", b"picture " * 100)
    return buffer.getvalue()


def with_entry(content: bytes, at: int, value: int) -> bytes:
    """Return the zip with two bytes of its directory's first entry changed."""
    place = content.index(b"PK\x01\x02") + at
    return content[:place] + struct.pack("<H", value) + content[place + 2 :]


def test_a_directory_of_a_million_entries_is_refused_before_it_is_read() -> None:
    one = zipped()
    start = one.index(b"PK\x01\x02")
    entry = one[start : start + 46 + len("apple/a.jpg")]
    directory = entry * 200_000  # 11 MB; as objects they would take 130
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, len(directory), start, 0)
    bomb = io.BytesIO(one[:start] + directory + end)

    tracemalloc.start()
    with pytest.raises(
        InvalidArchive, match="lists more files than can be taken; the limit is 400"
    ):
        open_zip(bomb, "a.zip", LIMITS).__enter__()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no zip", "is not a complete zip file"),
        (with_entry(zipped(), 6, 999), "zip file version"),
        (with_entry(zipped(), 8, 0x800).replace(b"apple/", b"\xff\xfe\xfd\xfc\xfb/"), "codec"),
    ],
)
def test_a_zip_that_cannot_be_opened_says_why(content: bytes, words: str) -> None:
    with pytest.raises(InvalidArchive, match=words):
        open_zip(io.BytesIO(content), "a.zip", LIMITS).__enter__()


def local_name_is_no_utf8(content: bytes) -> bytes:
    changed = with_entry(content, 8, 0x800)
    return changed[:30] + b"\xff\xfe\xfd" + changed[33:]


@pytest.mark.parametrize(
    "content",
    [
        local_name_is_no_utf8(zipped()),
        with_entry(zipped(), 8, 0x20),  # patched
        with_entry(zipped(), 44, 0xFFFF),  # begins where there is nothing
    ],
)
def test_a_member_that_cannot_be_unpacked_is_unreadable(content: bytes) -> None:
    with (
        open_zip(io.BytesIO(content), "a.zip", LIMITS) as archive,
        pytest.raises(UnreadableMember, match="damaged in the archive"),
    ):
        archive.read("apple/a.jpg")


@pytest.mark.parametrize(
    "content",
    [
        with_entry(zipped(), 10, 97),  # a packing that there is none of
        with_entry(zipped(), 10, 12),  # bzip2, which it is not
        zipped(zipfile.ZIP_LZMA),
        zipped(zipfile.ZIP_BZIP2),
    ],
)
def test_a_packing_of_which_whole_blocks_are_inflated_is_refused(content: bytes) -> None:
    with (
        open_zip(io.BytesIO(content), "a.zip", LIMITS) as archive,
        pytest.raises(UnreadableMember, match="zip it again"),
    ):
        archive.read("apple/a.jpg")


def test_members_that_are_too_large_count_towards_the_whole() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"apple/{number}.jpg", bytes(5_000))
    limits = ArchiveLimits(max_total_bytes=3_000, max_member_bytes=1_000)

    with open_zip(file, "a.zip", limits) as archive:
        for name in archive.names()[:2]:
            with pytest.raises(UnreadableMember, match="1,000 bytes"):
                archive.read(name)
        with pytest.raises(InvalidArchive, match="3,000 bytes"):
            archive.read("apple/2.jpg")
