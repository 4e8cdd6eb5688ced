"""What is mirrored: the photos and the versions, each as the files of a repository, and back.

The photos that wait for review are not. Visitors gave them for somebody to look at, not to keep,
and the history of a repository would outlive both their being discarded and the repository's being
made public. Figures, alerts and jobs are not either: they say how this server ran.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Final, Protocol

from app.hub import Kind
from data import imagefolder
from data.state import store_dir
from data.store import INDEX_NAME, JOURNAL_NAME, DatasetStore, StoredImage
from models import repository
from models.registry import POINTER_NAME, VERSIONS_NAME

Files = Mapping[str, Path | bytes]


class Part(Protocol):
    """One part of the state, which one repository holds."""

    @property
    def name(self) -> str:
        """What it is called in files and on the page."""

    @property
    def kind(self) -> Kind:
        """What kind of repository it takes."""

    @property
    def folders(self) -> tuple[str, ...]:
        """Those of the repository that are its own: what ``contents`` lacks there is deleted."""

    def is_fresh(self) -> bool:
        """Return whether there is nothing here yet, so that nothing is lost by a restore."""

    def fingerprint(self) -> Hashable:
        """Return something that is another after each change; None where there is nothing."""

    def count(self) -> int:
        """Return how many photos or versions there are."""

    def contents(self) -> AbstractContextManager[Files]:
        """Return all files, by path in the repository; they are there while it is open."""

    def is_fixed(self, path: str) -> bool:
        """Return whether a file of this path always has the same content."""

    def replace(self, download: Path, scratch: Path) -> int:
        """Put what was downloaded in place of what is here, whole or not at all.

        Args:
            download: all files of the repository.
            scratch: a folder that is not there, on the same disk.

        Returns:
            How many photos or versions there are now.
        """


class Photos:
    """The labelled store, as an image folder.

    Args:
        state_dir: everything the program writes.
    """

    name: Final = "photos"
    kind: Final[Kind] = "dataset"
    folders: Final = imagefolder.IMAGE_FOLDERS

    def __init__(self, state_dir: Path) -> None:
        self._root = store_dir(state_dir)
        self._index = self._root / INDEX_NAME
        self._watched: tuple[int, sqlite3.Connection] | None = None

    def is_fresh(self) -> bool:
        # Without its index, or with a damaged one, the store is made anew from these.
        journal = self._root / JOURNAL_NAME
        noted = journal.is_file() and journal.stat().st_size > 0
        if noted or any((self._root / "images").glob("*/*")):
            return False
        return not self._index.is_file() or self.count() == 0

    def fingerprint(self) -> Hashable:
        connection = self._watch()
        if connection is None:
            return None
        # SQLite's own count of what other connections, also of other processes, have changed.
        return id(connection), connection.execute("PRAGMA data_version").fetchone()[0]

    def count(self) -> int:
        if not self._index.is_file():
            return 0
        with closing(sqlite3.connect(f"{self._index.absolute().as_uri()}?mode=rw", uri=True)) as c:
            query = "SELECT (SELECT count(*) FROM images) + (SELECT count(*) FROM removed_images)"
            try:
                return int(c.execute(query).fetchone()[0])
            except sqlite3.DatabaseError:  # damaged, or ended before its tables were made
                return 0

    @contextmanager
    def contents(self) -> Iterator[Files]:
        with tempfile.TemporaryDirectory() as folder:
            imagefolder.copy_index(self._root, Path(folder))
            copy = DatasetStore(Path(folder))
            copy.drop_removed([i.digest for i in copy.removed() if not self._has(i)])
            placed = imagefolder.layout(copy)
            copy.close()
            images: Files = {
                path: self._root / "images" / image.path for path, image in placed.items()
            }
            yield {
                **images,
                **imagefolder.metadata(placed),
                imagefolder.CARD_NAME: imagefolder.CARD.encode(),
                INDEX_NAME: Path(folder) / INDEX_NAME,
            }

    def _has(self, image: StoredImage) -> bool:
        return (self._root / "images" / image.path).is_file()

    def is_fixed(self, path: str) -> bool:
        # An image is named by its digest. The card is the owner's to edit once it is there.
        return not path.endswith((imagefolder.METADATA_NAME, INDEX_NAME))

    def replace(self, download: Path, scratch: Path) -> int:
        scratch.mkdir()
        count = imagefolder.rebuild(download, scratch)
        self._forget()
        _put_in_place(scratch, self._root)
        return count

    def _watch(self) -> sqlite3.Connection | None:
        """Return a connection to the index that is there now."""
        try:
            inode = self._index.stat().st_ino
        except FileNotFoundError:
            self._forget()
            return None
        if self._watched is None or self._watched[0] != inode:
            self._forget()
            address = f"{self._index.absolute().as_uri()}?mode=rw"
            # Asked by one thread at a time, but not always by the one that was first.
            connection = sqlite3.connect(address, uri=True, check_same_thread=False)
            self._watched = (inode, connection)
        return self._watched[1]

    def _forget(self) -> None:
        if self._watched:
            self._watched[1].close()
            self._watched = None


class Versions:
    """The published model versions, and which of them is active.

    Args:
        state_dir: everything the program writes.
    """

    name: Final = "versions"
    kind: Final[Kind] = "model"
    folders: Final = (VERSIONS_NAME,)

    def __init__(self, state_dir: Path) -> None:
        self._root = state_dir / "models"

    def is_fresh(self) -> bool:
        return self.fingerprint() is None

    def fingerprint(self) -> Hashable:
        files = [folder / "manifest.json" for folder in repository.published_folders(self._root)]
        files.append(self._root / POINTER_NAME)
        found = []
        for file in files:
            try:
                found.append((str(file), file.stat().st_mtime_ns))
            except FileNotFoundError:
                continue  # nothing was chosen yet, or a version was deleted just now
        return tuple(found) or None

    def count(self) -> int:
        return len(repository.published_folders(self._root))

    @contextmanager
    def contents(self) -> Iterator[Files]:
        yield repository.contents(self._root)

    def is_fixed(self, path: str) -> bool:
        # On a new disk the number of a version that was deleted is given to another.
        return False

    def replace(self, download: Path, scratch: Path) -> int:
        scratch.mkdir()
        count = repository.rebuild(download, scratch)
        _put_in_place(scratch, self._root)
        return count


def _put_in_place(new: Path, target: Path) -> None:
    """Rename a folder to one that holds nothing of worth."""
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(new, target)
