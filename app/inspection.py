"""Looking into a version: its scores, its mistakes, and the very photos of them."""

import logging
from dataclasses import dataclass
from typing import Final

import numpy as np

from data.labels import NONE_OF_THESE
from data.store import DatasetStore, StoredImage
from models.card import card_text
from models.errors import ModelError
from models.examination import EXAMINATION_NAME, Examination, read_examination
from models.manifest import ModelManifest
from models.registry import ModelRegistry

_log = logging.getLogger(__name__)

RELIABILITY_BINS: Final = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers that were about equally sure.

    Attributes:
        images: how many.
        confidence: their mean probability, 0..1.
        accuracy: the share that was right, 0..1.
    """

    images: int
    confidence: float
    accuracy: float


class InspectionService:
    """Tells what is known of the published versions.

    Args:
        registry: the versions.
        store: the photos; None where strangers may look, who are not shown any.
    """

    def __init__(self, registry: ModelRegistry, store: DatasetStore | None = None) -> None:
        self._registry = registry
        self._store = store

    @property
    def is_operator(self) -> bool:
        """Whether who looks may see the photos behind the figures."""
        return self._store is not None

    def shows_photos(self, version: str, part: str) -> bool:
        """Return whether the photos of a test set may be shown and are known one by one.

        Raises:
            VersionNotFound: there is no such version.
        """
        examination = self._examination(version) if self.is_operator else None
        return examination is not None and any(
            f"{image.source}/{image.split}" == part for image in examination.images
        )

    def versions(self) -> list[str]:
        """Return the names of the versions, the newest first."""
        return [version.version for version in reversed(self._registry.list())]

    def manifest(self, version: str) -> ModelManifest:
        """Return what is written about a version.

        Raises:
            VersionNotFound: there is no such version.
        """
        return self._registry.get(version).manifest

    def card(self, version: str) -> str:
        """Return the model card of a version, as Markdown.

        Raises:
            VersionNotFound: there is no such version.
        """
        return card_text(self.manifest(version))

    def reliability(self, version: str, part: str) -> list[ReliabilityBin]:
        """Return how often answers were right, by how sure they were; empty where it is not known.

        Only pictures that show a class count, as in the calibration error; bins without any are
        left out.

        Args:
            version: of those published.
            part: ``<source>/<split>``.

        Raises:
            VersionNotFound: there is no such version.
        """
        examination = self._examination(version)
        rows = [
            row
            for row, image in enumerate(examination.images if examination else ())
            if f"{image.source}/{image.split}" == part and image.label != NONE_OF_THESE
        ]
        if not examination or not rows:
            return []
        confidence = examination.confidence[rows]
        right = np.array([(i := examination.images[row]).label == i.answer for row in rows])
        bins = np.minimum((confidence * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
        return [
            ReliabilityBin(
                int(mine.sum()), float(confidence[mine].mean()), float(right[mine].mean())
            )
            for place in range(RELIABILITY_BINS)
            if (mine := bins == place).any()
        ]

    def photos(
        self, version: str, part: str, label: str, answer: str, limit: int
    ) -> tuple[list[tuple[StoredImage, float]], int]:
        """Return the photos of one cell of the confusion matrix.

        Args:
            version: of those published.
            part: ``<source>/<split>``.
            label: what the photos show.
            answer: what the version said.
            limit: how many at most.

        Returns:
            The photos that are in the store, each with the probability of its answer, the surest
            first; and how many there are, also where they are not in the store.

        Raises:
            VersionNotFound: there is no such version.
        """
        examination = self._examination(version)
        if examination is None:
            return [], 0
        found = sorted(
            (
                (float(examination.confidence[row]), image.digest)
                for row, image in enumerate(examination.images)
                if (f"{image.source}/{image.split}", image.label, image.answer)
                == (part, label, answer)
            ),
            reverse=True,
        )
        shown: list[tuple[StoredImage, float]] = []
        for confidence, digest in found if self._store else ():
            if len(shown) < limit and self._store and (image := self._store.get(digest)):
                shown.append((image, confidence))
        return shown, len(found)

    def read(self, image: StoredImage) -> bytes:
        """Return a photo's file."""
        if self._store is None:
            raise PermissionError("Photos are not shown to strangers.")
        return self._store.read(image)

    def _examination(self, version: str) -> Examination | None:
        """Return what is known of the single images; None for nothing, as of one that is damaged.

        The version's scores stand in its manifest, and are shown all the same.
        """
        path = self._registry.get(version).folder / EXAMINATION_NAME
        try:
            return read_examination(path) if path.exists() else None
        except ModelError as error:
            _log.error("%s is shown without its photos: %s", version, error)
            return None
