"""A snapshot: the immutable list of images that a model version is trained and judged on."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from data.errors import InvalidSnapshot
from data.files import write_whole
from data.splits import Split

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SnapshotImage:
    """One image: where it is, what it shows and which part it plays.

    Attributes:
        path: relative to the snapshot's root, with forward slashes.
        label: the class, or ``none_of_these``.
        digest: SHA-256 of the file.
        split: never changes for a digest.
        source: the data set it came from.
        variety: the publisher's folder, for reports; may be empty.
        scene: the filmed object or the run of photos, whose images belong together.
    """

    path: str
    label: str
    digest: str
    split: Split
    source: str
    variety: str
    scene: str = ""


@dataclass(frozen=True)
class Snapshot:
    """Images in the order of their digests, under one root folder."""

    root: Path
    images: tuple[SnapshotImage, ...]

    @classmethod
    def of(cls, root: Path, images: Iterable[SnapshotImage]) -> "Snapshot":
        """Return a snapshot of the images, in the order of their digests."""
        return cls(root, tuple(sorted(images, key=lambda image: image.digest)))

    @property
    def digest(self) -> str:
        """SHA-256 of what the snapshot says, wherever its root is."""
        lines = (f"{i.digest} {i.split} {i.label} {i.source}\n" for i in self.images)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def select(
        self, *, split: Split | None = None, source: str | None = None
    ) -> tuple[SnapshotImage, ...]:
        """Return the images of that split and source, None meaning any."""
        return tuple(
            image
            for image in self.images
            if (split is None or image.split == split)
            and (source is None or image.source == source)
        )

    def counts(self) -> Counter[tuple[str, str, Split]]:
        """Return how many images there are by source, label and split."""
        return Counter((image.source, image.label, image.split) for image in self.images)

    def save(self, path: Path) -> None:
        """Write the snapshot as JSON; the file is there whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "format": _FORMAT,
            "digest": self.digest,
            "root": str(self.root.resolve()),
            "images": [asdict(image) for image in self.images],
        }
        write_whole(path, json.dumps(content, indent=0).encode())

    @classmethod
    def load(cls, path: Path) -> "Snapshot":
        """Return the snapshot in the file.

        Raises:
            InvalidSnapshot: it cannot be read, or its content does not match its digest.
        """
        try:
            content = json.loads(path.read_bytes())
            if content["format"] != _FORMAT:
                raise ValueError(f"format {content['format']}, expected {_FORMAT}")
            snapshot = cls(
                Path(content["root"]),
                tuple(
                    SnapshotImage(**{**image, "split": Split(image["split"])})
                    for image in content["images"]
                ),
            )
            if snapshot.digest != content["digest"]:
                raise ValueError("the digest does not match the images")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidSnapshot(f"{path} is not a snapshot: {error}") from error
        return snapshot


def snapshots_by_age(folder: Path) -> list[Path]:
    """Return the snapshots in a folder, the oldest first."""
    return sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)


def thin(images: Sequence[SnapshotImage], max_per_variety: int) -> tuple[SnapshotImage, ...]:
    """Return the images with no more than so many of each source and variety.

    Neighbouring frames of a film teach little, and cost as much as any other image. Which ones stay
    follows from their digests; images without a variety all stay.

    Args:
        images: rows of a snapshot, in the order of their digests.
        max_per_variety: 0 to keep all.
    """
    if not max_per_variety:
        return tuple(images)
    seen: Counter[tuple[str, str]] = Counter()
    kept = []
    for image in images:
        key = (image.source, image.variety)
        seen[key] += 1
        if not image.variety or seen[key] <= max_per_variety:
            kept.append(image)
    return tuple(kept)
