"""Photos that visitors gave with a right name, until somebody who may decides about them.

Knows nothing of the store: what is accepted is added there by its caller, and then forgotten here.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Column, Float, MetaData, String, Table, delete, func, insert, select

from data.database import open_database
from data.errors import QueueFull
from data.files import write_whole
from data.images import DEFAULT_LIMITS, ImageLimits, decode_file
from data.labels import normalise_label

MAX_PENDING: Final = 500

_metadata = MetaData()
_reviews = Table(
    "reviews",
    _metadata,
    Column("digest", String(64), primary_key=True),  # of the file
    Column("suffix", String(8), nullable=False),
    Column("name", String(200), nullable=False),
    Column("label", String(40), nullable=False),
    Column("answered", String(40), nullable=False),
    Column("probability", Float, nullable=False),
    Column("version", String(20), nullable=False),
    Column("created_at", String(32), nullable=False, index=True),  # ISO 8601, UTC
)


@dataclass(frozen=True, slots=True)
class Review:
    """One photo that waits for a decision.

    Attributes:
        digest: SHA-256 of the file, which also names it.
        suffix: of the file, such as ``.jpg``.
        name: as the visitor's file was called.
        label: what the visitor says it shows.
        answered: what the model said.
        probability: of that, 0..1.
        version: of the model.
        created_at: ISO 8601, UTC.
    """

    digest: str
    suffix: str
    name: str
    label: str
    answered: str
    probability: float
    version: str
    created_at: str


class ReviewQueue:
    """The waiting photos under ``root``.

    Args:
        root: folder of the queue; made at once.
        limits: bounds on an image's bytes and pixels.
        max_pending: most photos that may wait.
    """

    def __init__(
        self,
        root: Path,
        limits: ImageLimits = DEFAULT_LIMITS,
        max_pending: int = MAX_PENDING,
    ) -> None:
        self._root = root
        self._limits = limits
        self._max_pending = max_pending
        root.mkdir(parents=True, exist_ok=True)
        self._engine = open_database(root / "reviews.db", _metadata)

    def close(self) -> None:
        """Close the index."""
        self._engine.dispose()

    def add(
        self,
        content: bytes,
        *,
        label: str,
        answered: str,
        probability: float,
        version: str,
        name: str,
    ) -> Review:
        """Add a photo; the same file again replaces what was said of it before.

        Args:
            content: the encoded file.
            label: what it shows; normalised.
            answered, probability, version: what the model said.
            name: of the file.

        Raises:
            InvalidImage: the bytes are not an acceptable picture.
            InvalidLabel: the label breaks the rules.
            QueueFull: as many wait as may.
        """
        _, suffix = decode_file(content, limits=self._limits)
        review = Review(
            digest=hashlib.sha256(content).hexdigest(),
            suffix=suffix,
            name=name[:200],
            label=normalise_label(label),
            answered=answered,
            probability=probability,
            version=version,
            created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        with self._engine.begin() as connection:
            connection.execute(delete(_reviews).where(_reviews.c.digest == review.digest))
            waiting = connection.execute(select(func.count()).select_from(_reviews)).scalar_one()
            if waiting >= self._max_pending:
                raise QueueFull(waiting)
            write_whole(self._path(review), content)  # the same photo may wait already
            connection.execute(insert(_reviews), asdict(review))
        return review

    def pending(self, limit: int | None = None) -> list[Review]:
        """Return the waiting photos, the oldest first."""
        query = select(_reviews).order_by(_reviews.c.created_at).limit(limit)
        with self._engine.connect() as connection:
            return [Review(**row._mapping) for row in connection.execute(query)]

    def get(self, digests: Iterable[str]) -> list[Review]:
        """Return those of the photos that wait, the oldest first."""
        wanted = set(digests)
        return [review for review in self.pending() if review.digest in wanted]

    def read(self, review: Review) -> bytes:
        """Return a photo's file."""
        return self._path(review).read_bytes()

    def remove(self, digests: Iterable[str]) -> int:
        """Forget photos and their files, and return how many."""
        found = self.get(digests)
        with self._engine.begin() as connection:
            wanted = _reviews.c.digest.in_([review.digest for review in found])
            connection.execute(delete(_reviews).where(wanted))
        for review in found:
            self._path(review).unlink(missing_ok=True)
        return len(found)

    def _path(self, review: Review) -> Path:
        return self._root / f"{review.digest}{review.suffix}"
