"""Paths to named images: what a person drops on the page or gives on the command line.

A path is an image, a zip or a folder. Nothing is unpacked to disk.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from app.errors import BadRequest, PayloadTooLarge, TooManyFiles, describe_error
from app.results import ImageFile, Refusal
from app.settings import Settings
from data.archives import ArchiveLimits, UnreadableMember, open_archive
from data.errors import InvalidArchive, InvalidImage

_ZIP_START: Final = b"PK\x03\x04"


def read_images(
    paths: Iterable[Path], settings: Settings, request_id: str
) -> list[ImageFile | Refusal]:
    """Return the images that the paths hold, in order; what cannot be read is a refusal.

    Args:
        paths: images, zips and folders.
        settings: its limits on bytes and counts apply.
        request_id: goes into the refusals.

    Raises:
        TooManyFiles: together they hold more images than one request may.
        PayloadTooLarge: together they hold more bytes than one zip may.
    """
    found: list[ImageFile | Refusal] = []
    total_bytes = 0
    for item in iterate_images(paths, settings, request_id):
        found.append(item)
        if len(found) > settings.max_files:
            raise TooManyFiles(None, settings.max_files)
        total_bytes += len(item.content) if isinstance(item, ImageFile) else 0
        if total_bytes > settings.max_zip_bytes:
            raise PayloadTooLarge("The selection", settings.max_zip_bytes)
    return found


def unpack(
    files: Iterable[ImageFile], settings: Settings, request_id: str
) -> list[ImageFile | Refusal]:
    """Return the images that the files are or, as zips, hold; what cannot be read is a refusal.

    Args:
        files: what a request brought, in memory.
        settings: its limits on bytes and counts apply.
        request_id: goes into the refusals.

    Raises:
        TooManyFiles, PayloadTooLarge: as ``read_images``.
    """
    with tempfile.TemporaryDirectory() as folder:
        found: list[ImageFile | Refusal] = []
        for number, file in enumerate(files):
            if not file.content.startswith(_ZIP_START):
                found.append(file)
                continue
            path = Path(folder) / f"{number}.zip"
            path.write_bytes(file.content)
            found += read_images([path], settings, request_id)
        if len(found) > settings.max_files:
            raise TooManyFiles(len(found), settings.max_files)
        return found


def iterate_images(
    paths: Iterable[Path], settings: Settings, request_id: str
) -> Iterator[ImageFile | Refusal]:
    """Yield the images that the paths hold, in order; what cannot be read is a refusal.

    One file is held at a time, so any number of them may come.

    Args:
        paths: images, zips and folders.
        settings: its limits apply to each file and each archive.
        request_id: goes into the refusals.
    """
    for path in paths:
        for item in _read(path, settings):
            if isinstance(item, ImageFile):
                yield item
            else:
                name, error = item
                yield Refusal(name, describe_error(error, request_id)[1])


def read_image(path: Path, settings: Settings) -> ImageFile:
    """Return one file and its name.

    Raises:
        PayloadTooLarge: it is larger than an image may be.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(settings.max_file_bytes + 1)
    if len(content) > settings.max_file_bytes:
        raise PayloadTooLarge(path.name, settings.max_file_bytes, path.stat().st_size)
    return ImageFile(path.name, content)


def _read(path: Path, settings: Settings) -> Iterator[ImageFile | tuple[str, Exception]]:
    if path.is_dir() or path.suffix.lower() == ".zip":
        try:
            yield from _read_archive(path, settings)
        except InvalidArchive as error:
            yield path.name, error
        return
    try:
        yield read_image(path, settings)
    except (OSError, PayloadTooLarge) as error:
        reason = f"{path} cannot be read: {error.strerror}." if isinstance(error, OSError) else ""
        yield path.name, BadRequest(reason) if reason else error


def _read_archive(path: Path, settings: Settings) -> Iterator[ImageFile | tuple[str, Exception]]:
    # Twice as many entries as images: macOS adds a hidden entry for each file.
    limits = ArchiveLimits(
        max_entries=2 * settings.max_files,
        max_total_bytes=settings.max_zip_bytes,
        max_member_bytes=settings.max_file_bytes,
    )
    with open_archive(path, limits) as archive:
        names = [name for name in archive.names() if not _is_hidden(name)]
        if len(names) > settings.max_files:
            raise InvalidArchive(
                f"{path.name} holds {len(names):,} files; the limit is {settings.max_files:,}. "
                "Split it into smaller parts."
            )
        if not names:
            raise InvalidArchive(f"{path.name} holds no files. Put some photos in it.")
        for name in names:
            try:
                yield ImageFile(name, archive.read(name))
            except UnreadableMember as error:
                yield name, InvalidImage(f"{name} was skipped: {error}.")


def _is_hidden(name: str) -> bool:
    """Return whether an operating system put the file there: ``__MACOSX/``, ``.DS_Store``."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
