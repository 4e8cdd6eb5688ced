"""Is each photo still what was added? Finds what is damaged or astray, and mends what it can.

Looking changes nothing and may be done while the app runs. Mending deletes nothing but what a
crash left half written: what is damaged or unknown is moved to ``store/set-aside``.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Final

from data.database import find_damage, rebuild_indexes
from data.errors import InvalidSnapshot
from data.images import STORED_LIMITS
from data.reviews import ReviewQueue
from data.snapshot import Snapshot, SnapshotImage, snapshots_by_age
from data.sources import PUBLIC_SOURCES
from data.state import reviews_dir, snapshots_dir, store_dir
from data.store import INDEX_NAME, AddResult, DatasetStore

# What is younger may be in the middle of being added: an import commits a thousand files at once.
SETTLED_S: Final = 600.0
SET_ASIDE_NAME: Final = "set-aside"
_LEFTOVER: Final = "tmp*"  # as ``tempfile`` names what is written before it is moved into place


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be.

    Attributes:
        where: the file, relative to the folder of all mutable state.
        message: what is wrong, in a sentence.
        remedy: what mending does, or what a person has to do.
        mend: does it; None where a person has to.
    """

    where: str
    message: str
    remedy: str
    mend: Callable[[], None] | None = None


@dataclass(frozen=True)
class Report:
    """What a look at the state found: how many photos are sound, and every problem."""

    sound: int
    problems: tuple[Problem, ...]


def check(
    state: Path,
    *,
    settled_s: float = SETTLED_S,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Compare every photo with its digest, and the indexes with the files, both ways.

    Args:
        state: folder of all mutable state.
        settled_s: age from which a file that no index knows is held for astray, in seconds; 0 where
            nothing else is running.
        on_progress: called with the photos looked at and in all.
    """
    problems = [*_database_problems(state), *_snapshot_problems(state, settled_s)]
    damaged = {problem.where for problem in problems}
    sound = 0
    for photos in (_Stored(state), _Waiting(state)):
        if _name(state, photos.index) in damaged:
            continue  # what it does not say proves nothing
        # First the files, then the index: what is added meanwhile is in the index at worst.
        files = {path.name: path for path in photos.files()}
        known = photos.known()
        total = len(files)
        for done, path in enumerate(files.values(), 1):
            found = _file_problem(photos, path, known.get(path.name), settled_s)
            problems += found
            sound += path.name in known and not found
            on_progress(done, total)
        for name, digest in known.items():
            if name not in files and photos.must_exist(digest) and not photos.path(name).exists():
                problems.append(
                    Problem(
                        _name(state, photos.path(name)),
                        "The index names it, but there is no such file.",
                        photos.forgetting,
                        partial(photos.forget, digest),
                    )
                )
    return Report(sound, tuple(problems))


class _Stored:
    """The photos of the store."""

    forgetting: Final = "The photo is taken out of the index, as if it had been removed by hand."

    def __init__(self, state: Path) -> None:
        self.state = state
        self.root = store_dir(state)
        self.index = self.root / INDEX_NAME
        self._present: set[str] = set()

    def files(self) -> Iterator[Path]:
        return (path for path in sorted((self.root / "images").glob("*/*")) if path.is_file())

    def known(self) -> dict[str, str]:
        """Return the digest of each file that the index names; of removed photos too."""
        if not self.index.exists():
            return {}
        with closing(DatasetStore(self.root)) as store:
            present, removed = store.files()
        self._present = set(present.values())
        return {Path(path).name: digest for path, digest in (removed | present).items()}

    @cached_property
    def _shown(self) -> Mapping[str, SnapshotImage]:
        return _from_snapshots(self.state)

    def must_exist(self, digest: str) -> bool:
        return digest in self._present

    def path(self, name: str) -> Path:
        return self.root / "images" / name[:2] / name

    def forget(self, digest: str) -> None:
        with closing(DatasetStore(self.root)) as store:
            store.remove([digest])
            store.drop_removed([digest])

    def take_in(self, path: Path) -> None:
        """Put a file back into the index as the newest snapshot describes it, or set it aside."""
        digest = path.stem
        with closing(DatasetStore(self.root)) as store:
            present, removed = store.files()
        # Opening an index that was lost made it anew from the journal; what was removed stays so.
        if digest in present.values() or digest in removed.values():
            return
        image = self._shown.get(digest)
        content = path.read_bytes()
        if image is None or hashlib.sha256(content).hexdigest() != digest:
            _set_aside(self.state, path)
            return
        licences = {source.name: source.licence for source in PUBLIC_SOURCES}
        with closing(DatasetStore(self.root, STORED_LIMITS)) as store:
            outcome = store.add(
                content,
                label=image.label,
                source=image.source,
                original_name=path.name,
                licence=licences.get(image.source, ""),
                variety=image.variety,
                scene=image.scene,
                split=image.split,
                joins_scenes=False,
            )
        if outcome.result is not AddResult.ADDED:  # the same pixels are there in another file
            _set_aside(self.state, path)


class _Waiting:
    """The photos that visitors sent and that wait for review."""

    forgetting: Final = "It no longer waits for review."

    def __init__(self, state: Path) -> None:
        self.state = state
        self.root = reviews_dir(state)
        self.index = self.root / "reviews.db"

    def files(self) -> Iterator[Path]:
        found = sorted(self.root.glob("*")) if self.root.is_dir() else []
        return (path for path in found if path.is_file() and self.index.name not in path.name)

    def known(self) -> dict[str, str]:
        if not self.index.exists():
            return {}
        with closing(ReviewQueue(self.root)) as queue:
            return {f"{review.digest}{review.suffix}": review.digest for review in queue.pending()}

    def must_exist(self, digest: str) -> bool:
        return True

    def path(self, name: str) -> Path:
        return self.root / name

    def forget(self, digest: str) -> None:
        with closing(ReviewQueue(self.root)) as queue:
            queue.remove([digest])

    def take_in(self, path: Path) -> None:
        _set_aside(self.state, path)


def _file_problem(
    photos: _Stored | _Waiting, path: Path, digest: str | None, settled_s: float
) -> list[Problem]:
    """Return what is wrong with one file, if anything."""
    where = _name(photos.state, path)
    try:
        age_s = time.time() - path.stat().st_mtime
        content = path.read_bytes() if digest else b""
    except FileNotFoundError:  # moved into place, or removed, meanwhile
        return []
    except OSError as error:
        return [Problem(where, f"It cannot be read: {error.strerror}.", "Look at the disk.")]
    if digest is None and age_s < settled_s:
        return []
    if digest is None and path.match(_LEFTOVER):
        remove = partial(path.unlink, missing_ok=True)
        return [Problem(where, "A crash left it half written.", "It is removed.", remove)]
    if digest is None:
        remedy = (
            "It is put back where a snapshot says what it shows; otherwise it is set aside."
            if isinstance(photos, _Stored)
            else "It is set aside."
        )
        take_in = partial(photos.take_in, path)
        return [Problem(where, "No index names this file.", remedy, take_in)]
    if hashlib.sha256(content).hexdigest() == digest:
        return []

    def replace() -> None:
        _set_aside(photos.state, path)
        photos.forget(digest)

    message = "Its bytes are not those that were added: the digest differs."
    return [Problem(where, message, f"It is set aside. {photos.forgetting}", replace)]


def _database_problems(state: Path) -> Iterator[Problem]:
    """Yield what SQLite finds wrong with the databases of the state."""
    for path in sorted(state.glob("*/*.db")):
        damage = find_damage(path)
        if damage:
            yield Problem(
                _name(state, path),
                f"SQLite finds it damaged: {damage}.",
                "Its indexes are built again. Where that is not enough, put back a copy of the "
                "file, or move it away: the photos' index is then made anew from its journal.",
                partial(rebuild_indexes, path),
            )


def _snapshot_problems(state: Path, settled_s: float) -> Iterator[Problem]:
    folder = snapshots_dir(state)
    for path in sorted(folder.glob("*.json")):
        try:
            Snapshot.load(path)
        except InvalidSnapshot as error:
            aside = partial(_set_aside, state, path)
            yield Problem(_name(state, path), str(error), "It is set aside.", aside)
    for path in sorted(folder.glob(_LEFTOVER)):
        if time.time() - path.stat().st_mtime >= settled_s:
            remove = partial(path.unlink, missing_ok=True)
            message = "A crash left it half written."
            yield Problem(_name(state, path), message, "It is removed.", remove)


def _from_snapshots(state: Path) -> Mapping[str, SnapshotImage]:
    """Return what the snapshots say of each image, by digest; the newest says it last."""
    found: dict[str, SnapshotImage] = {}
    for path in snapshots_by_age(snapshots_dir(state)):
        try:
            found |= {image.digest: image for image in Snapshot.load(path).images}
        except InvalidSnapshot:
            continue
    return found


def _set_aside(state: Path, path: Path) -> None:
    folder = store_dir(state) / SET_ASIDE_NAME
    folder.mkdir(parents=True, exist_ok=True)
    target, number = folder / path.name, 1
    while target.exists():
        number += 1
        target = folder / f"{path.name}.{number}"
    path.rename(target)


def _name(state: Path, path: Path) -> str:
    return path.relative_to(state).as_posix()
