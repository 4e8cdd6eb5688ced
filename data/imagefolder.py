"""The store as a data set for others: the layout that ``datasets`` calls an image folder.

Layout, as https://huggingface.co/docs/datasets/image_dataset describes it::

    README.md                    what all of this is
    train/metadata.jsonl         one line an image: file_name, label, source, ...
    train/ab/abcd....jpg         the files, named by their digest; also validation/ and test/
    unlisted/ab/abcd....heic     formats that ``datasets`` cannot open, so no metadata names them
    removed/ab/abcd....jpg       images that were taken out and can be put back
    index.db                     the store's index, from which all of it can be rebuilt

The folders' names make the splits. A card that listed them would be wrong while one has no image,
which ``datasets`` takes for an error. An image's split never changes, and a label stands in the
metadata alone, so relabelling moves no file. Knows nothing of where the folder is kept.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from data.errors import InvalidBackup
from data.splits import Split
from data.store import INDEX_NAME, DatasetStore, StoredImage

CARD_NAME: Final = "README.md"
METADATA_NAME: Final = "metadata.jsonl"
IMAGE_FOLDERS: Final = (*(str(split) for split in Split), "unlisted", "removed")
_UNLISTED_SUFFIXES: Final = frozenset({".heic", ".heif"})

CARD: Final = """---
pretty_name: Fruit photos
task_categories: [image-classification]
---

# Fruit photos

The labelled photos of a running fruit classifier, written by the app itself. Each `metadata.jsonl`
says what its photos show (`label`), where they came from (`source`, `original_name`, `licence`) and
when they were added. Loads with `datasets.load_dataset("<owner>/<name>")`.

`index.db` is what the app restores itself from. `removed/` are photos that were taken out and can
be put back; `unlisted/` are HEIC files. Neither is part of the splits.

The files are as they were uploaded, with all that a camera writes into them, such as the place.
Look at that before you make this repository public; its history keeps what was removed.
"""


def copy_index(root: Path, target: Path) -> None:
    """Copy a store's index while it is in use, by SQLite's own backup.

    Args:
        root: folder of the store.
        target: folder of the copy, with nothing in it.

    Raises:
        InvalidBackup: there is no index, or it cannot be read.
    """
    source = root / INDEX_NAME
    # "rw": a store that is gone is an error, and not an empty store.
    address = f"{source.absolute().as_uri()}?mode=rw"
    try:
        with (
            closing(sqlite3.connect(address, uri=True)) as live,
            closing(sqlite3.connect(target / INDEX_NAME)) as copy,
        ):
            live.backup(copy)
    except sqlite3.Error as error:
        raise InvalidBackup(f"{source} cannot be copied: {error}") from error


def layout(store: DatasetStore) -> dict[str, StoredImage]:
    """Return where each image of a store lies in the data set, removed ones included."""
    images = store.images()
    placed = {image_path(image): image for image in images}
    present = {image.digest for image in images}
    removed = (image for image in store.removed() if image.digest not in present)
    return placed | {f"removed/{image.path}": image for image in removed}


def image_path(image: StoredImage) -> str:
    """Return where an image of a store lies in the data set."""
    listed = image.suffix not in _UNLISTED_SUFFIXES
    return f"{image.split if listed else 'unlisted'}/{image.path}"


def metadata(images: Mapping[str, StoredImage]) -> dict[str, bytes]:
    """Return the metadata file of each split that has images.

    Args:
        images: by their place in the data set; those of no split are left out.
    """
    lines: dict[str, list[str]] = {}
    splits = {str(split) for split in Split}
    for path, image in images.items():
        folder, _, name = path.partition("/")
        if folder in splits:
            lines.setdefault(folder, []).append(json.dumps(_row(name, image), ensure_ascii=False))
    return {
        f"{folder}/{METADATA_NAME}": ("\n".join(rows) + "\n").encode()
        for folder, rows in lines.items()
    }


def rebuild(download: Path, root: Path) -> int:
    """Make a store of a downloaded data set, and return how many images it has.

    The files are moved, not copied.

    Args:
        download: the data set.
        root: folder of the store to be, with nothing in it.

    Raises:
        InvalidBackup: a file is missing or is not what its name says.
    """
    if not (download / INDEX_NAME).is_file():
        raise InvalidBackup(f"The data set holds no {INDEX_NAME}, so no store can be made of it.")
    os.replace(download / INDEX_NAME, root / INDEX_NAME)
    store = DatasetStore(root)
    try:
        images = layout(store)
        for path, image in images.items():
            _check(download / path, image.digest)
            target = store.images_dir / image.path
            target.parent.mkdir(exist_ok=True)
            os.replace(download / path, target)
        return sum(not path.startswith("removed/") for path in images)
    finally:
        store.close()


def _row(file_name: str, image: StoredImage) -> dict[str, str | int]:
    return {
        "file_name": file_name,
        "label": image.label,
        "source": image.source,
        "split": str(image.split),
        "digest": image.digest,
        "original_name": image.original_name,
        "added_at": image.added_at,
        "variety": image.variety,
        "licence": image.licence,
        "width_px": image.width_px,
        "height_px": image.height_px,
    }


def _check(path: Path, digest: str) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InvalidBackup(f"{path.name} of the data set cannot be read: {error}") from error
    if found != digest:
        raise InvalidBackup(f"{path.name} of the data set is damaged: its SHA-256 is {found}.")
