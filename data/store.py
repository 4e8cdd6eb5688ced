"""The labelled store: image files named by their digest, and an index of what is known of them.

Knows labels, sources and splits; knows nothing of archives, models or pages. Files go first and
the index last, so an image that is in the index is on disk.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    func,
    insert,
    select,
)

from data.images import (
    DEFAULT_LIMITS,
    ImageLimits,
    decode_image,
    difference_hash,
    file_suffix,
    pixel_digest,
)
from data.labels import normalise_label
from data.snapshot import Snapshot, SnapshotImage
from data.splits import Split, split_of

# Of 64 bits. Unrelated pictures differ in 32 with a standard deviation of 4, so 12 is five of them
# away; successive photos of one bin mostly differ in fewer.
SCENE_DISTANCE_BITS = 12

_metadata = MetaData()
_images = Table(
    "images",
    _metadata,
    Column("digest", String(64), primary_key=True),  # of the file
    Column("pixel_digest", String(64), nullable=False, unique=True),  # of size and pixels
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
)


class AddResult(StrEnum):
    """What became of an image that was offered to the store."""

    ADDED = "added"
    DUPLICATE = "duplicate"
    OTHER_LABEL = "other_label"  # the same pixels are there under another label


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
        return f"{self.digest[:2]}/{self.digest}{self.suffix}"


@dataclass(frozen=True, slots=True)
class AddOutcome:
    """What became of an offered image, and the row that now holds its pixels."""

    result: AddResult
    image: StoredImage


class DatasetStore:
    """The labelled images under ``root``; the only writer is the process that holds it.

    Args:
        root: folder of the store; made at once.
        limits: bounds on an image's bytes and pixels.
    """

    def __init__(self, root: Path, limits: ImageLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self.images_dir = root / "images"
        self.images_dir.mkdir(parents=True, exist_ok=True)
        self._engine = _open_database(root / "index.db")

    def close(self) -> None:
        """Close the index."""
        self._engine.dispose()

    @contextmanager
    def batch(self) -> Iterator["StoreBatch"]:
        """Add many images in one transaction: all of them stay, or on an error none."""
        batch: StoreBatch | None = None
        try:
            with self._engine.begin() as connection:
                batch = StoreBatch(connection, self.images_dir, self._limits)
                yield batch
        except BaseException:
            if batch is not None:
                batch.remove_files()
            raise

    def add(self, content: bytes, **details: Any) -> AddOutcome:
        """Add one image; arguments and errors are those of ``StoreBatch.add``."""
        with self.batch() as batch:
            return batch.add(content, **details)

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

    def counts(self) -> dict[tuple[str, str, Split], int]:
        """Return how many images there are by source, label and split."""
        columns = (_images.c.source, _images.c.label, _images.c.split)
        query = select(*columns, func.count()).group_by(*columns).order_by(*columns)
        with self._engine.connect() as connection:
            return {
                (source, label, Split(split)): count
                for source, label, split, count in connection.execute(query)
            }

    def snapshot(self) -> Snapshot:
        """Return the store as it is now, as an immutable list."""
        return Snapshot.of(
            self.images_dir,
            (
                SnapshotImage(i.path, i.label, i.digest, i.split, i.source, i.variety, i.scene)
                for i in self.images()
            ),
        )


class StoreBatch:
    """An open transaction on the store; made by ``DatasetStore.batch``."""

    def __init__(self, connection: Connection, images_dir: Path, limits: ImageLimits) -> None:
        self._connection = connection
        self._images_dir = images_dir
        self._limits = limits
        self._written: list[Path] = []
        # Per source and label, what scene joining compares with; read once a batch.
        self._scenes: dict[tuple[str, str], _SceneIndex] = {}

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

        Returns:
            ADDED with the new row, or DUPLICATE or OTHER_LABEL with the row that was there before.

        Raises:
            InvalidImage: the bytes are not an acceptable picture.
            InvalidLabel: the label breaks the rules.
        """
        label = normalise_label(label)
        digest = hashlib.sha256(content).hexdigest()
        if existing := self._find(_images.c.digest == digest):
            return _already_there(existing, label)
        pixels = decode_image(content, limits=self._limits)
        same_pixels = pixel_digest(pixels)
        if existing := self._find(_images.c.pixel_digest == same_pixels):
            return _already_there(existing, label)
        fingerprint = difference_hash(pixels)
        scene = scene or f"{source}/{digest}"
        split = split or split_of(scene)
        scenes = self._scene_index(source, label) if joins_scenes else None
        if scenes and split != Split.TEST and (joined := scenes.nearest(fingerprint)):
            scene, split = joined
        image = StoredImage(
            digest=digest,
            pixel_digest=same_pixels,
            difference_hash=f"{fingerprint:016x}",
            label=label,
            source=source,
            variety=variety,
            scene=scene,
            split=split,
            original_name=original_name[:1000],
            licence=licence,
            added_at=datetime.now(UTC).isoformat(timespec="seconds"),
            width_px=pixels.shape[1],
            height_px=pixels.shape[0],
            size_bytes=len(content),
            suffix=file_suffix(content),
        )
        self._write(image, content)
        self._connection.execute(insert(_images), asdict(image))
        if scenes is not None:
            scenes.append(fingerprint, scene, split)
        return AddOutcome(AddResult.ADDED, image)

    def remove_files(self) -> None:
        """Remove the files of a transaction that failed."""
        for path in self._written:
            path.unlink(missing_ok=True)

    def _find(self, condition: Any) -> StoredImage | None:
        row = self._connection.execute(select(_images).where(condition)).first()
        return _stored(row._mapping) if row else None

    def _write(self, image: StoredImage, content: bytes) -> None:
        path = self._images_dir / image.path
        path.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
        self._written.append(path)

    def _scene_index(self, source: str, label: str) -> "_SceneIndex":
        key = (source, label)
        if key not in self._scenes:
            columns = (_images.c.difference_hash, _images.c.scene, _images.c.split)
            rows = self._connection.execute(
                select(*columns).where(_images.c.source == source, _images.c.label == label)
            )
            self._scenes[key] = _SceneIndex(
                [(int(bits, 16), scene, Split(split)) for bits, scene, split in rows]
            )
        return self._scenes[key]


class _SceneIndex:
    """Difference hashes of one source and label, in an array that grows by doubling."""

    def __init__(self, rows: Sequence[tuple[int, str, Split]]) -> None:
        self._hashes = np.zeros(max(64, len(rows)), dtype=np.uint64)
        self._scenes: list[tuple[str, Split]] = []
        for fingerprint, scene, split in rows:
            self.append(fingerprint, scene, split)

    def append(self, fingerprint: int, scene: str, split: Split) -> None:
        if len(self._scenes) == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
        self._hashes[len(self._scenes)] = fingerprint
        self._scenes.append((scene, split))

    def nearest(self, fingerprint: int) -> tuple[str, Split] | None:
        """Return the scene of the nearest picture, if it is near enough to be the same scene."""
        if not self._scenes:
            return None
        known = self._hashes[: len(self._scenes)]
        distances = np.bitwise_count(known ^ np.uint64(fingerprint))
        nearest = int(distances.argmin())
        return self._scenes[nearest] if distances[nearest] <= SCENE_DISTANCE_BITS else None


def _already_there(image: StoredImage, label: str) -> AddOutcome:
    same = image.label == label
    return AddOutcome(AddResult.DUPLICATE if same else AddResult.OTHER_LABEL, image)


def _stored(row: Any) -> StoredImage:
    return StoredImage(**{**row, "split": Split(row["split"])})


def _open_database(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # Readers are not blocked while an import writes, and a second writer waits.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA busy_timeout = 30000")

    _metadata.create_all(engine)
    return engine
