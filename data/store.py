"""The labelled store: image files named by their digest, and an index of what is known of them.

Knows labels, sources and splits; knows nothing of archives, models or pages. Files go first and
the index last, so an image that is in the index is on disk.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    UniqueConstraint,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    update,
)

from data.database import open_database
from data.errors import InvalidImage
from data.images import (
    DEFAULT_LIMITS,
    STORED_LIMITS,
    ImageLimits,
    Looks,
    load_model_input,
    look_at,
)
from data.journal import Journal, Row
from data.labels import normalise_label
from data.snapshot import Snapshot, SnapshotImage, snapshots_by_age
from data.splits import Split, split_of
from data.state import snapshots_dir, store_dir

T = TypeVar("T")
_log = logging.getLogger(__name__)

_NOTED_AT_ONCE: Final = 500  # SQLite takes some thousands of values in one question
# Of 64 bits. Unrelated pictures differ in 32 with a standard deviation of 4, so 12 is five of them
# away; successive photos of one bin mostly differ in fewer.
SCENE_DISTANCE_BITS = 12
# Of 64 bits: the same photo, saved again in another size or quality, or another round fruit on
# white: of 9,000 images of the public sets 80,893 pairs of different things are as near. So those
# that are near by that are compared in 16 x 16 colours: where they differ most, the same photo,
# saved again, differs by 46 of 255 at most (400 photos, six ways), and different things by 54 at
# least.
NEAR_DISTANCE_BITS = 3
NEAR_COLOURS: Final = 50
_COMPARED_PX: Final = 16
_COMPARED: Final = 50  # of those that are near, the nearest
_COMPARED_SCENES: Final = 8

_metadata = MetaData()


def _columns() -> list[Column[Any]]:
    return [
        Column("digest", String(64), primary_key=True),  # of the file
        Column("pixel_digest", String(64), nullable=False),  # of size and pixels
        Column("difference_hash", String(16), nullable=False),  # 64 bits, hexadecimal
        Column("label", String(40), nullable=False, index=True),
        Column("source", String(40), nullable=False, index=True),
        Column("variety", String(200), nullable=False),
        Column("scene", String(400), nullable=False, index=True),
        Column("split", String(10), nullable=False, index=True),
        Column("original_name", String(1000), nullable=False),
        Column("licence", String(200), nullable=False),
        Column("added_at", String(32), nullable=False),  # ISO 8601, UTC
        Column("width_px", Integer, nullable=False),
        Column("height_px", Integer, nullable=False),
        Column("size_bytes", Integer, nullable=False),
        Column("suffix", String(8), nullable=False),
    ]


_images = Table(
    "images",
    _metadata,
    *_columns(),
    UniqueConstraint("pixel_digest"),
    # Each answers one question from the index alone, so that none of them reads every row: how many
    # there are of each kind, those of a class and source, what is new, how much room they take.
    Index("ix_images_kind", "source", "label", "split"),
    Index("ix_images_label_source", "label", "source"),
    Index("ix_images_source_added_at", "source", "added_at"),
    Index("ix_images_size_bytes", "size_bytes"),
)
# Made once: they are asked for every image that is added.
_WITH_DIGEST = select(_images).where(_images.c.digest == bindparam("wanted"))
_WITH_PIXELS = select(_images).where(_images.c.pixel_digest == bindparam("wanted"))
_INSERT = insert(_images)
_NAMES = tuple(_images.columns.keys())
_row_number = text("images.rowid DESC")  # SQLite's own, which grows: the latest come first
# What was taken out and can be put back; the files stay where they are.
INDEX_NAME: Final = "index.db"
JOURNAL_NAME: Final = "index.jsonl"
KEPT_SNAPSHOTS: Final = 20  # from which a lost index can be told what an image showed
_removed = Table(
    "removed_images",
    _metadata,
    *_columns(),
    Column("removed_at", String(32), nullable=False),  # ISO 8601, UTC
)
# An image that was added again after it was taken out is in both; its last line says that it is
# there.
_AS_NOTED: Final = (_removed, _images)
_IS_USED = exists().where(_images.c.digest == _removed.c.digest)  # it was added again
_REMOVED_FILES = select(_removed.c.digest, _removed.c.suffix, _IS_USED)


class AddResult(StrEnum):
    """What became of an image that was offered to the store."""

    ADDED = "added"
    DUPLICATE = "duplicate"
    OTHER_LABEL = "other_label"  # the same pixels are there under another label
    RELABELLED = "relabelled"  # they were, and have the offered label now
    IS_TEST = "is_test"  # the same pixels judge the models, so they are never learned from


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One row of the index.

    Attributes:
        digest: SHA-256 of the file, which also names it.
        pixel_digest: SHA-256 of the size and the decoded pixels.
        difference_hash: 64 bits as 16 hexadecimal digits.
        label: the class, or ``none_of_these``.
        source: the data set it came from.
        variety: the publisher's folder; may be empty.
        scene: the group that shares one split.
        split: the part it plays, for ever.
        original_name: its path in the archive or the name it was uploaded under.
        licence: as the source states it; may be empty.
        added_at: ISO 8601, UTC.
        width_px, height_px: of the upright picture.
        size_bytes: of the file.
        suffix: of the file, such as ``.jpg``.
    """

    digest: str
    pixel_digest: str
    difference_hash: str
    label: str
    source: str
    variety: str
    scene: str
    split: Split
    original_name: str
    licence: str
    added_at: str
    width_px: int
    height_px: int
    size_bytes: int
    suffix: str

    @property
    def path(self) -> str:
        """Where the file is, relative to the store's ``images`` folder."""
        return _path(self.digest, self.suffix)


@dataclass(frozen=True, slots=True)
class AddOutcome:
    """What became of an offered image.

    Attributes:
        result: what became of it.
        image: the row that holds its pixels now.
        near: a row that is nearly the same picture, saved in another way; None without one.
    """

    result: AddResult
    image: StoredImage
    near: StoredImage | None = None


class DatasetStore:
    """The labelled images under ``root``; where several processes write, one waits for another.

    Args:
        root: folder of the store; made at once.
        limits: bounds on an image's bytes and pixels.
    """

    def __init__(self, root: Path, limits: ImageLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self.images_dir = root / "images"
        self.images_dir.mkdir(parents=True, exist_ok=True)
        self._engine = open_database(root / INDEX_NAME, _metadata)
        self._journal = Journal(root / JOURNAL_NAME)
        self._agree()

    def close(self) -> None:
        """Close the index."""
        self._engine.dispose()

    @contextmanager
    def batch(self, *, keep: bool = True) -> Iterator["StoreBatch"]:
        """Add many images in one transaction: all of them stay, or on an error none.

        Args:
            keep: False for a rehearsal, which says what would become of the images and then undoes
                everything.
        """
        batch: StoreBatch | None = None
        try:
            with self._engine.begin() as connection:
                # Another process waits here, before it looks for what is there already; its files
                # are gone again before this one looks.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                batch = StoreBatch(connection, self.images_dir, self._limits)
                try:
                    yield batch
                    if keep:
                        self._note(connection, batch.changed)
                except BaseException:
                    batch.remove_files()
                    raise
                if not keep:
                    batch.remove_files()
                    connection.rollback()
        except BaseException:
            # A commit may fail too; and it may have succeeded, where a signal came right after it.
            if batch is not None:
                with self._engine.connect() as connection:
                    query = select(_images.c.digest, _images.c.suffix)
                    committed = connection.execute(
                        query.where(_images.c.digest.in_(batch.changed))
                    ).all()
                batch.remove_files({_path(digest, suffix) for digest, suffix in committed})
            raise

    def add(self, content: bytes, **details: Any) -> AddOutcome:
        """Add one image; arguments and errors are those of ``StoreBatch.add``."""
        with self.batch() as batch:
            return batch.add(content, **details)

    def _note(self, connection: Connection, digests: Sequence[str]) -> None:
        """Write the new state of images into the journal, while the index may still be undone."""
        for start in range(0, len(digests), _NOTED_AT_ONCE):
            some = digests[start : start + _NOTED_AT_ONCE]
            for table in _AS_NOTED:
                rows = connection.execute(select(table).where(table.c.digest.in_(some))).mappings()
                self._journal.write(dict(row) for row in rows)

    def _agree(self) -> None:
        """Make an index that was lost anew from the journal; begin one for an earlier release's."""
        with self._engine.begin() as connection:
            firsts = [select(table.c.digest).limit(1) for table in (_images, _removed)]
            is_empty = not any(connection.execute(first).first() for first in firsts)
            if is_empty and self._journal.exists:
                count = sum(
                    _put_back(connection, row, self.images_dir) for row in self._journal.read()
                )
                if count:
                    _log.error(
                        "the index of the photos was lost; %d changes were read again", count
                    )
            elif not is_empty and not self._journal.exists:
                for table in _AS_NOTED:
                    rows = connection.execute(select(table)).mappings()
                    for some in rows.partitions(_NOTED_AT_ONCE):
                        self._journal.write(dict(row) for row in some)

    def get(self, digest: str) -> StoredImage | None:
        """Return the image whose file has that digest, or None."""
        with self._engine.connect() as connection:
            row = connection.execute(select(_images).where(_images.c.digest == digest)).first()
        return _stored(row._mapping) if row else None

    def read(self, image: StoredImage) -> bytes:
        """Return an image's file."""
        return (self.images_dir / image.path).read_bytes()

    def images(
        self,
        *,
        label: str | None = None,
        source: str | None = None,
        split: Split | None = None,
        limit: int | None = None,
    ) -> list[StoredImage]:
        """Return the images of that label, source and split, in the order of their digests."""
        query = select(_images).order_by(_images.c.digest).limit(limit)
        for column, value in (("label", label), ("source", source), ("split", split)):
            if value is not None:
                query = query.where(_images.c[column] == value)
        with self._engine.connect() as connection:
            return [_stored(row._mapping) for row in connection.execute(query)]

    def page(
        self, *, label: str | None, source: str | None, limit: int, offset: int = 0
    ) -> tuple[list[StoredImage], int]:
        """Return some images of that label and source, the latest first, and how many there are.

        Args:
            label, source: None for any.
            limit: how many at most.
            offset: how many to leave out.
        """
        chosen = [
            _images.c[column] == value
            for column, value in (("label", label), ("source", source))
            if value is not None
        ]
        query = select(_images).where(*chosen).order_by(_row_number).limit(limit).offset(offset)
        with self._engine.connect() as connection:
            found = [_stored(row._mapping) for row in connection.execute(query)]
            count = connection.execute(select(func.count()).select_from(_images).where(*chosen))
            return found, count.scalar_one()

    def relabel(self, digests: Iterable[str], label: str) -> int:
        """Give images another label, and return how many had a different one.

        Raises:
            InvalidLabel: the label breaks the rules.
        """
        label, wanted = normalise_label(label), list(digests)
        query = update(_images).where(_images.c.digest.in_(wanted), _images.c.label != label)
        with self._engine.begin() as connection:
            count = connection.execute(query.values(label=label)).rowcount
            self._note(connection, wanted)
        return count

    def remove(self, digests: Iterable[str]) -> int:
        """Take images out, and return how many; ``restore`` puts them back."""
        wanted = _images.c.digest.in_(list(digests))
        removed_at = datetime.now(UTC).isoformat(timespec="seconds")
        with self._engine.begin() as connection:
            rows = [dict(r) for r in connection.execute(select(_images).where(wanted)).mappings()]
            if rows:
                earlier = _removed.c.digest.in_([row["digest"] for row in rows])
                connection.execute(delete(_removed).where(earlier))
                connection.execute(
                    insert(_removed), [row | {"removed_at": removed_at} for row in rows]
                )
                connection.execute(delete(_images).where(wanted))
                self._note(connection, [row["digest"] for row in rows])
        return len(rows)

    def restore(self, digests: Iterable[str]) -> int:
        """Put removed images back, and return how many.

        One whose pixels are there again stays removed, and so does one whose file is gone.
        """
        wanted = _removed.c.digest.in_(list(digests))
        with self._engine.begin() as connection:
            rows = [dict(r) for r in connection.execute(select(_removed).where(wanted)).mappings()]
            present = set(connection.execute(select(_images.c.pixel_digest)).scalars())
            back = []
            for row in rows:
                there = (self.images_dir / _path(row["digest"], row["suffix"])).exists()
                if there and row["pixel_digest"] not in present:
                    present.add(row["pixel_digest"])
                    back.append({name: row[name] for name in _NAMES})
            digests = [row["digest"] for row in back]
            if back:
                connection.execute(insert(_images), back)
            connection.execute(delete(_removed).where(wanted, _IS_USED))
            self._note(connection, digests)
        return len(back)

    def removed(self, limit: int | None = None) -> list[StoredImage]:
        """Return the removed images, the latest first."""
        columns = [_removed.c[column.name] for column in _images.columns]
        query = select(*columns).order_by(_removed.c.removed_at.desc()).limit(limit)
        with self._engine.connect() as connection:
            return [_stored(row._mapping) for row in connection.execute(query)]

    def files(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the digests of the files by their path: of the images, and of removed ones."""
        found = []
        with self._engine.connect() as connection:
            for table in (_images, _removed):
                rows = connection.execute(select(table.c.digest, table.c.suffix))
                found.append({_path(digest, suffix): digest for digest, suffix in rows})
        return found[0], found[1]

    def counts(self) -> dict[tuple[str, str, Split], int]:
        """Return how many images there are by source, label and split."""
        columns = (_images.c.source, _images.c.label, _images.c.split)
        query = select(*columns, func.count()).group_by(*columns).order_by(*columns)
        with self._engine.connect() as connection:
            return {
                (source, label, Split(split)): count
                for source, label, split, count in connection.execute(query)
            }

    def drop_removed(self, digests: Collection[str]) -> None:
        """Forget removed images, of which the files are gone; they cannot be put back any more."""
        with self._engine.begin() as connection:
            connection.execute(delete(_removed).where(_removed.c.digest.in_(digests)))

    def erase_removed(self) -> int:
        """Delete all removed images and their files for good, and return how many.

        The file of one that was added again stays. Their lines stay in the journal, which holds no
        pictures and brings none back that has no file.
        """
        with self._engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # nobody adds one of them meanwhile
            rows = connection.execute(_REMOVED_FILES).all()
            connection.execute(delete(_removed))
            for digest, suffix, is_used in rows:
                if not is_used:
                    (self.images_dir / _path(digest, suffix)).unlink(missing_ok=True)
        return len(rows)

    def own_labels(self, public: Collection[str]) -> list[tuple[str, str, Split]]:
        """Return digest, label and split of the images of all sources but the public ones."""
        query = select(_images.c.digest, _images.c.label, _images.c.split).where(
            _images.c.source.not_in(public)
        )
        with self._engine.connect() as connection:
            return [(d, label, Split(split)) for d, label, split in connection.execute(query)]

    def size_bytes(self) -> int:
        """Return how many bytes the files of all images take, also of those that were removed."""
        query = select(func.coalesce(func.sum(_images.c.size_bytes), 0))
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one()) + self.removed_size()[1]

    def removed_size(self) -> tuple[int, int]:
        """Return how many images were removed, and how many bytes their files take.

        A file that an image uses which was added again counts there.
        """
        size = case((_IS_USED, 0), else_=_removed.c.size_bytes)
        query = select(func.count(), func.coalesce(func.sum(size), 0)).select_from(_removed)
        with self._engine.connect() as connection:
            count, size_bytes = connection.execute(query).one()
        return int(count), int(size_bytes)

    def added_since(self, moment: str, source: str) -> int:
        """Return how many images of a source were added after a moment, ISO 8601 in UTC."""
        query = (
            select(func.count())
            .select_from(_images)
            .where(_images.c.source == source, _images.c.added_at > moment)
        )
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def snapshot(self) -> Snapshot:
        """Return the store as it is now, as an immutable list."""
        names = ("digest", "suffix", "label", "split", "source", "variety", "scene")
        query = select(*(_images.c[name] for name in names))
        splits = {str(split): split for split in Split}
        with self._engine.connect() as connection:
            return Snapshot.of(
                self.images_dir,
                [
                    SnapshotImage(
                        _path(digest, suffix), label, digest, splits[split], source, variety, scene
                    )
                    for digest, suffix, label, split, source, variety, scene in (
                        connection.execute(query)
                    )
                ],
            )


def take_snapshot(state: Path) -> Snapshot:
    """Return the images of the state's store as they are now, and keep the list beside it.

    The newest twenty lists are kept (``KEPT_SNAPSHOTS``).
    """
    with closing(DatasetStore(store_dir(state))) as store:
        snapshot = store.snapshot()
    folder = snapshots_dir(state)
    snapshot.save(folder / f"{snapshot.digest[:16]}.json")
    for path in snapshots_by_age(folder)[:-KEPT_SNAPSHOTS]:
        path.unlink(missing_ok=True)
    return snapshot


class StoreBatch:
    """An open transaction on the store; made by ``DatasetStore.batch``."""

    def __init__(self, connection: Connection, images_dir: Path, limits: ImageLimits) -> None:
        self._connection = connection
        self._images_dir = images_dir
        self._limits = limits
        self._written: list[Path] = []
        self.changed: list[str] = []  # digests of images that are new, or have another label
        # Per source and label, what scene joining compares with; read once a batch.
        self._scenes: dict[tuple[str, str], _HashIndex[_Placed]] = {}
        # What a new picture may be nearly the same as: a test image first, then any.
        self._near: tuple[_HashIndex[str], _HashIndex[str]] | None = None
        self._colours: dict[str, NDArray[np.int16] | None] = {}  # of those that were compared

    def add(
        self,
        content: bytes,
        *,
        label: str,
        source: str,
        original_name: str,
        licence: str = "",
        variety: str = "",
        scene: str = "",
        split: Split | None = None,
        joins_scenes: bool = True,
        joins_by_form: bool = False,
        relabels: bool = False,
        guards_test: bool = False,
        looks: Looks | None = None,
    ) -> AddOutcome:
        """Add one image, unless its pixels are in the store already.

        Args:
            content: the encoded file, kept as it is.
            label: the class, or ``none_of_these``; normalised.
            source: the data set it comes from.
            original_name: its path or name there.
            licence: as the source states it.
            variety: the publisher's folder.
            scene: the group that shares one split; empty where the image is a scene of its own.
            split: the publisher's split; None to take it from the scene.
            joins_scenes: whether it takes the scene and split of a near-identical picture of the
                same label and source.
            joins_by_form: whether the difference hash alone says what is near-identical. All fruit
                of a kind that lies alone on white is, by that.
            relabels: whether pixels that are there under another label take this one.
            guards_test: whether to tell of nearly the same pictures, and to refuse what is one of
                the test split's.
            looks: what the batch's ``look_at`` found, where that was asked already.

        Returns:
            ADDED with the new row, or what else became of it with the row that was there before.

        Raises:
            InvalidImage: the bytes are not an acceptable picture.
            InvalidLabel: the label breaks the rules.
        """
        label = normalise_label(label)
        digest = hashlib.sha256(content).hexdigest()
        if looks is None:
            if existing := self._find(_WITH_DIGEST, digest):
                return self._already_there(existing, label, relabels, guards_test)
            looks = self.look_at(content)
        if existing := self._find(_WITH_PIXELS, looks.pixel_digest):
            return self._already_there(existing, label, relabels, guards_test)
        fingerprint = looks.difference_hash
        near = self._nearly_the_same(fingerprint, digest, content) if guards_test else None
        if near and near.split == Split.TEST:
            return AddOutcome(AddResult.IS_TEST, near, near)
        scene = scene or f"{source}/{digest}"
        published, split = split, split or split_of(scene)
        scenes = self._scene_index(source, label) if joins_scenes else None
        if scenes is not None and published != Split.TEST:
            near_by = scenes.within(fingerprint, SCENE_DISTANCE_BITS)[:_COMPARED_SCENES]
            for placed in near_by:
                if joins_by_form or self._is_like(digest, content, placed.digest):
                    scene, split = placed.scene, placed.split
                    break
        image = StoredImage(
            digest=digest,
            pixel_digest=looks.pixel_digest,
            difference_hash=f"{fingerprint:016x}",
            label=label,
            source=source,
            variety=variety,
            scene=scene,
            split=split,
            original_name=original_name[:1000],
            licence=licence,
            added_at=datetime.now(UTC).isoformat(timespec="seconds"),
            width_px=looks.width_px,
            height_px=looks.height_px,
            size_bytes=len(content),
            suffix=looks.suffix,
        )
        self._write(image, content)
        self._connection.execute(_INSERT, {name: getattr(image, name) for name in _NAMES})
        self.changed.append(digest)
        if scenes is not None:
            scenes.append(fingerprint, _Placed(digest, scene, split))
        if self._near is not None:
            for index in self._near[split != Split.TEST :]:
                index.append(fingerprint, digest)
        return AddOutcome(AddResult.ADDED, image, near)

    def knows(self, content: bytes) -> bool:
        """Return whether the store holds that very file."""
        return self._find(_WITH_DIGEST, hashlib.sha256(content).hexdigest()) is not None

    def look_at(self, content: bytes) -> Looks:
        """Return what ``add`` has to find out of the picture; any thread may do that ahead.

        Raises:
            InvalidImage: the bytes are not an acceptable picture.
        """
        return look_at(content, self._limits)

    def remove_files(self, kept: Collection[str] = ()) -> None:
        """Remove the files of a transaction that failed.

        Args:
            kept: paths of files that stay, relative to the folder of the images.
        """
        for path in self._written:
            if path.relative_to(self._images_dir).as_posix() not in kept:
                path.unlink(missing_ok=True)

    def _find(self, query: Select[Any], wanted: str) -> StoredImage | None:
        row = self._connection.execute(query, {"wanted": wanted}).first()
        return _stored(row._mapping) if row else None

    def _write(self, image: StoredImage, content: bytes) -> None:
        path = self._images_dir / image.path
        path.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            self._written.append(Path(file.name))  # it goes too where the disk is full
            file.write(content)
        os.chmod(file.name, 0o644)
        was_there = path.exists()  # that of a removed photo, which can be put back
        os.replace(file.name, path)
        if was_there:
            self._written.pop()
        else:
            self._written[-1] = path

    def _already_there(
        self, image: StoredImage, label: str, relabels: bool, guards_test: bool
    ) -> AddOutcome:
        if guards_test and image.split == Split.TEST:
            return AddOutcome(AddResult.IS_TEST, image)
        if image.label == label:
            return AddOutcome(AddResult.DUPLICATE, image)
        if not relabels:
            return AddOutcome(AddResult.OTHER_LABEL, image)
        query = update(_images).where(_images.c.digest == image.digest)
        self._connection.execute(query.values(label=label))
        self.changed.append(image.digest)
        return AddOutcome(AddResult.RELABELLED, replace(image, label=label))

    def _nearly_the_same(self, fingerprint: int, digest: str, content: bytes) -> StoredImage | None:
        if self._near is None:
            columns = (_images.c.difference_hash, _images.c.digest, _images.c.split)
            rows = self._connection.execute(select(*columns)).all()
            known = [(int(bits, 16), digest) for bits, digest, _ in rows]
            tests = [
                row for row, (_, _, split) in zip(known, rows, strict=True) if split == Split.TEST
            ]
            self._near = (_HashIndex(tests), _HashIndex(known))
        for index in self._near:
            for other in index.within(fingerprint, NEAR_DISTANCE_BITS)[:_COMPARED]:
                if self._is_like(digest, content, other):
                    return self._find(_WITH_DIGEST, other)
        return None

    def _is_like(self, digest: str, content: bytes, other: str) -> bool:
        """Return whether a new picture has the colours of one in the store, by its digest.

        One whose file is gone or damaged is like none.
        """
        if other not in self._colours:
            image = self._find(_WITH_DIGEST, other)
            try:
                stored = (self._images_dir / image.path).read_bytes() if image else b""
                self._colours[other] = _colours(stored)
            except (OSError, InvalidImage):
                self._colours[other] = None
        if digest not in self._colours:
            self._colours[digest] = _colours(content)
        mine, others = self._colours[digest], self._colours[other]
        return (
            mine is not None
            and others is not None
            and int(np.abs(mine - others).max()) <= NEAR_COLOURS
        )

    def _scene_index(self, source: str, label: str) -> "_HashIndex[_Placed]":
        key = (source, label)
        if key not in self._scenes:
            columns = (
                _images.c.difference_hash, _images.c.digest, _images.c.scene, _images.c.split,
            )  # fmt: skip
            rows = self._connection.execute(
                select(*columns).where(_images.c.source == source, _images.c.label == label)
            )
            self._scenes[key] = _HashIndex(
                [
                    (int(bits, 16), _Placed(digest, scene, Split(split)))
                    for bits, digest, scene, split in rows
                ]
            )
        return self._scenes[key]


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where a picture of the store belongs."""

    digest: str
    scene: str
    split: Split


class _HashIndex(Generic[T]):
    """Difference hashes and what belongs to them, in an array that grows by doubling."""

    def __init__(self, rows: Sequence[tuple[int, T]]) -> None:
        self._hashes = np.zeros(max(64, len(rows)), dtype=np.uint64)
        self._items: list[T] = []
        for fingerprint, item in rows:
            self.append(fingerprint, item)

    def append(self, fingerprint: int, item: T) -> None:
        if len(self._items) == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
        self._hashes[len(self._items)] = fingerprint
        self._items.append(item)

    def within(self, fingerprint: int, within_bits: int) -> list[T]:
        """Return what belongs to all hashes of which no more bits differ, the nearest first."""
        known = self._hashes[: len(self._items)]
        distances = np.bitwise_count(known ^ np.uint64(fingerprint))
        rows = np.flatnonzero(distances <= within_bits)
        return [self._items[row] for row in rows[distances[rows].argsort(kind="stable")]]


def _colours(content: bytes) -> NDArray[np.int16]:
    """Return what two pictures are compared by, int16 (16, 16, 3), RGB, 0..255."""
    return load_model_input(content, _COMPARED_PX, limits=STORED_LIMITS).astype(np.int16)


def _put_back(connection: Connection, row: Row, images_dir: Path) -> bool:
    """Put one line of the journal into the index, and return whether the image has its file."""
    known = {column.name for column in _removed.columns}
    row = {name: value for name, value in row.items() if name in known}
    if not (images_dir / _path(row["digest"], row["suffix"])).exists():
        return False
    for table in (_images, _removed):
        connection.execute(delete(table).where(table.c.digest == row["digest"]))
    if "removed_at" not in row:
        # The same pixels in another file: the later one was added after the earlier was taken out.
        connection.execute(delete(_images).where(_images.c.pixel_digest == row["pixel_digest"]))
    connection.execute(insert(_removed if "removed_at" in row else _images), row)
    return True


def _path(digest: str, suffix: str) -> str:
    return f"{digest[:2]}/{digest}{suffix}"


def _stored(row: Any) -> StoredImage:
    return StoredImage(**{**row, "split": Split(row["split"])})
