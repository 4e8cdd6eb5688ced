"""Paths to named images: what a person drops on the page or gives on the command line.

A path is an image, a zip or a folder. Nothing is unpacked to disk.
"""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from app.errors import BadRequest, PayloadTooLarge, TooManyFiles, describe_error
from app.results import ImageFile, Refusal
from app.settings import Settings
from data.archives import (
    Archive,
    ArchiveLimits,
    UnreadableMember,
    open_archive,
    open_zip,
    safe_parts,
)
from data.errors import InvalidArchive, InvalidImage

_ZIP_STARTS: Final = (b"PK\x03\x04", b"PK\x05\x06")  # the second of one that holds nothing


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
    return list(within_limits(iterate_images(paths, settings, request_id), settings))


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

    def members() -> Iterator[ImageFile | tuple[str, Exception]]:
        for file in files:
            if not is_zip(file.name, file.content):
                yield file
                continue
            name = file.name or "the zip"
            try:
                with open_zip(io.BytesIO(file.content), name, _limits(settings)) as archive:
                    yield from _members(archive, name, settings)
            except InvalidArchive as error:
                yield name, error

    return list(within_limits(_or_refusals(members(), request_id), settings))


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
        yield from _or_refusals(_read(path, settings), request_id)


def within_limits(
    files: Iterable[ImageFile | Refusal], settings: Settings
) -> Iterator[ImageFile | Refusal]:
    """Yield the files; they are counted while they come, so that no more than these are held.

    Raises:
        TooManyFiles, PayloadTooLarge: as ``read_images``.
    """
    total_bytes = 0
    for count, file in enumerate(files, 1):
        if count > settings.max_files:
            raise TooManyFiles(None, settings.max_files)
        total_bytes += len(file.content) if isinstance(file, ImageFile) else 0
        if total_bytes > settings.max_zip_bytes:
            raise PayloadTooLarge("The selection", settings.max_zip_bytes)
        yield file


def is_zip(name: str, content: bytes) -> bool:
    """Return whether a file is to be taken for a zip, if only to say what is wrong with it.

    Args:
        name: of the file; may be empty.
        content: at least its first bytes.
    """
    return content.startswith(_ZIP_STARTS) or name.lower().endswith(".zip")


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
    try:
        if path.is_dir() or is_zip(path.name, _first_bytes(path)):
            with open_archive(path, _limits(settings)) as archive:
                yield from _members(archive, path.name, settings)
        else:
            yield read_image(path, settings)
    except (InvalidArchive, PayloadTooLarge) as error:
        yield path.name, error
    except OSError as error:  # its own words would tell where the server keeps the file
        yield path.name, BadRequest(f"{path.name} cannot be read: {error.strerror}.")


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _limits(settings: Settings) -> ArchiveLimits:
    # Twice as many entries as images: macOS adds a hidden entry for each file.
    return ArchiveLimits(
        max_entries=2 * settings.max_files,
        max_total_bytes=settings.max_zip_bytes,
        max_member_bytes=settings.max_file_bytes,
    )


def _members(
    archive: Archive, archive_name: str, settings: Settings
) -> Iterator[ImageFile | tuple[str, Exception]]:
    names = [name for name in archive.names() if not _is_hidden(name)]
    if len(names) > settings.max_files:
        raise InvalidArchive(
            f"{archive_name} holds {len(names):,} files; the limit is {settings.max_files:,}. "
            "Split it into smaller parts."
        )
    if not names:
        raise InvalidArchive(f"{archive_name} holds no files. Put some photos in it.")
    for name in names:
        parts = safe_parts(name)
        # Some programs of Windows write backslashes; the folder is to name the class there too.
        path = "/".join(parts or ()) or name
        try:
            if parts is None:
                raise UnreadableMember("its name points outside the archive")
            yield ImageFile(path, archive.read(name))
        except UnreadableMember as error:
            yield path, InvalidImage(f"{path} was skipped: {error}.")


def _or_refusals(
    items: Iterable[ImageFile | tuple[str, Exception]], request_id: str
) -> Iterator[ImageFile | Refusal]:
    for item in items:
        if isinstance(item, ImageFile):
            yield item
        else:
            name, error = item
            yield Refusal(name, describe_error(error, request_id)[1])


def _is_hidden(name: str) -> bool:
    """Return whether an operating system put the file there: ``__MACOSX/``, ``.DS_Store``."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return any(part.startswith((".", "__MACOSX")) and part != ".." for part in parts)
