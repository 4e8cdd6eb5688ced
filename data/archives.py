"""Reading many files out of a zip or a folder, within bounds, without ever unpacking to disk.

Members are handed on as bytes and stored under their digest, so no name from an archive becomes a
path. The bounds stop a small archive from inflating without end.
"""

import io
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from data.errors import InvalidArchive


@dataclass(frozen=True)
class ArchiveLimits:
    """Bounds on an archive.

    Attributes:
        max_entries: most members, folders not counted.
        max_total_bytes: most inflated bytes of all members together.
        max_member_bytes: largest inflated member; a larger one is skipped, not read.
    """

    max_entries: int = 500_000
    max_total_bytes: int = 20_000_000_000
    max_member_bytes: int = 20_000_000


DEFAULT_ARCHIVE_LIMITS: Final = ArchiveLimits()
# What a zip that lies about itself makes the standard library raise, besides what it documents.
_ZIP_ERRORS: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    ValueError,  # also a name that is not in the alphabet that it claims
    LookupError,
    ArithmeticError,
    RuntimeError,  # also a version or a packing that there is none of
    MemoryError,
)
# Of these the standard library inflates no more than it is asked for; of others a whole block.
_BOUNDED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UTF8_FLAG: Final = 0x800  # of a member: its name is UTF-8 (APPNOTE 4.4.4, bit 11)
# The directory of a zip is held in memory as a whole, some kilobyte for each entry, so its size
# is bounded before: 46 bytes and a name each.
_DIRECTORY_BYTES_PER_ENTRY: Final = 1000
_DIRECTORY_BYTES: Final = 100_000


class UnreadableMember(Exception):
    """One member cannot be taken; the message says why. The rest of the archive can."""


class Archive(Protocol):
    """Named members that can be listed, then read one at a time."""

    def names(self) -> list[str]:
        """Return the members' paths with forward slashes, sorted."""

    def read(self, name: str) -> bytes:
        """Return a member's bytes; raises UnreadableMember or InvalidArchive."""


@contextmanager
def open_archive(path: Path, limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS) -> Iterator[Archive]:
    """Open a zip file or a folder for reading.

    Args:
        path: the zip or the folder.
        limits: bounds on entries and inflated bytes.

    Raises:
        InvalidArchive: there is no such path, it is neither, or it breaks a bound as a whole.
    """
    if path.is_dir():
        yield _Folder(path, limits)
        return
    if not path.exists():
        raise InvalidArchive(f"There is no file or folder {str(path)!r}.")
    with path.open("rb", buffering=0) as file, open_zip(file, path.name, limits) as archive:
        yield archive


@contextmanager
def open_zip(
    file: io.RawIOBase | io.BytesIO, name: str, limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS
) -> Iterator[Archive]:
    """Open the bytes of a zip for reading.

    Args:
        file: the bytes; closed at the end.
        name: what errors call it.
        limits: bounds on entries and inflated bytes.

    Raises:
        InvalidArchive: it is no zip, or it breaks a bound as a whole.
    """
    most_bytes = _DIRECTORY_BYTES + _DIRECTORY_BYTES_PER_ENTRY * limits.max_entries
    with _PiecewiseReader(file, most_bytes) as reader:
        try:
            archive = zipfile.ZipFile(reader)
        except _TooMuchAtOnce as error:
            raise InvalidArchive(
                f"{name} lists more files than can be taken; the limit is {limits.max_entries:,}. "
                "Split it into smaller parts."
            ) from error
        except _ZIP_ERRORS as error:
            raise InvalidArchive(
                f"{name} is not a complete zip file ({error}). Give a zip or a folder that holds "
                "one folder of pictures per class."
            ) from error
        reader.most_bytes = sys.maxsize
        with archive:
            yield _Zip(archive, name, limits)


def safe_parts(name: str) -> tuple[str, ...] | None:
    """Return a member's path split at the slashes; None where it points outside the archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name or path.parts[:1] == ("~",):
        return None
    if path.parts and len(path.parts[0]) == 2 and path.parts[0][1] == ":":
        return None
    return path.parts


class _TooMuchAtOnce(Exception):
    """More bytes were asked for in one piece than may be."""


class _PiecewiseReader(io.BufferedReader):
    """Reads a file, and refuses to hand out more than some bytes in one piece.

    The standard library reads the directory of a zip in one piece, of whatever size it says.
    """

    def __init__(self, file: io.RawIOBase | io.BytesIO, most_bytes: int) -> None:
        super().__init__(file)
        self.most_bytes = most_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self.most_bytes:
            raise _TooMuchAtOnce
        return super().read(size)


class _Zip:
    def __init__(self, archive: zipfile.ZipFile, name: str, limits: ArchiveLimits) -> None:
        self._archive = archive
        self._limits = limits
        self._remaining_bytes = limits.max_total_bytes
        members = [info for info in archive.infolist() if not info.is_dir()]
        _check_entries(name, len(members), limits)
        self._members = {_name_of(info): info for info in members}

    def names(self) -> list[str]:
        return sorted(self._members)

    def read(self, name: str) -> bytes:
        info = self._members[name]
        if info.flag_bits & 0x1:
            raise UnreadableMember("it is encrypted; unpack it with its password first")
        if (info.external_attr >> 16) & 0o170000 == 0o120000:
            raise UnreadableMember("it is a link, not a file")
        if info.compress_type not in _BOUNDED:
            raise UnreadableMember("it is packed in an unusual way; zip it again with 'deflate'")
        try:
            # The size in the header is a claim, so the reading itself is bounded too.
            with self._archive.open(info) as member:
                content = member.read(self._limits.max_member_bytes + 1)
        except _ZIP_ERRORS as error:
            raise UnreadableMember(f"it is damaged in the archive ({error})") from error
        self._remaining_bytes -= len(content)  # what is too large was inflated too
        _check_remaining(self._remaining_bytes, self._limits)
        _check_member(len(content), self._limits)
        return content


def _name_of(info: zipfile.ZipInfo) -> str:
    """Return a member's name; macOS writes UTF-8 without the flag that says so."""
    if not info.flag_bits & _UTF8_FLAG:
        with suppress(UnicodeError):
            return info.filename.encode("cp437").decode()
    return info.filename


class _Folder:
    def __init__(self, root: Path, limits: ArchiveLimits) -> None:
        self._root = root
        self._limits = limits
        self._remaining_bytes = limits.max_total_bytes
        self._names = sorted(self._walk())

    def names(self) -> list[str]:
        return self._names

    def read(self, name: str) -> bytes:
        path = self._root / name
        if path.is_symlink():
            raise UnreadableMember("it is a link, not a file")
        try:
            with path.open("rb") as file:
                content = file.read(self._limits.max_member_bytes + 1)
        except OSError as error:
            raise UnreadableMember(f"it cannot be read ({error.strerror})") from error
        self._remaining_bytes -= len(content)  # what is too large was inflated too
        _check_remaining(self._remaining_bytes, self._limits)
        _check_member(len(content), self._limits)
        return content

    def _walk(self) -> Iterator[str]:
        count = 0
        for folder, folders, files in os.walk(self._root, onerror=_unreadable):
            for linked in (
                path for path in (Path(folder) / f for f in folders) if path.is_symlink()
            ):
                raise InvalidArchive(
                    f"The folder {linked} is a link, which is not followed. Put the folder "
                    "itself in its place, or take the link away."
                )
            for file in files:
                count += 1
                _check_entries(self._root.name, count, self._limits)
                yield (Path(folder) / file).relative_to(self._root).as_posix()


def _unreadable(error: OSError) -> None:
    raise InvalidArchive(
        f"The folder {error.filename} cannot be read ({error.strerror}). Make it readable, or "
        "leave it out."
    ) from error


def _check_entries(name: str, count: int, limits: ArchiveLimits) -> None:
    if count > limits.max_entries:
        raise InvalidArchive(
            f"{name} holds {count:,} files or more; the limit is {limits.max_entries:,}. "
            "Split it into smaller parts."
        )


def _check_member(size_bytes: int, limits: ArchiveLimits) -> None:
    if size_bytes > limits.max_member_bytes:
        raise UnreadableMember(f"it has more than {limits.max_member_bytes:,} bytes, the limit")


def _check_remaining(remaining_bytes: int, limits: ArchiveLimits) -> None:
    if remaining_bytes < 0:
        raise InvalidArchive(
            f"The archive inflates to more than {limits.max_total_bytes:,} bytes, the limit. "
            "Split it into smaller parts."
        )
