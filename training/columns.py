"""The columns of a network's last layer: one a class, and one or more of other things.

None of these is one answer and many things. A network that learns a column for each kind of them
that its publishers tell apart (pear, milk, pepper, ...) keeps more of what ImageNet taught it, and
merges them where it answers. ``training/EXPERIMENTS.md`` says what that gives.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from data.labels import NONE_OF_THESE
from data.snapshot import SnapshotImage
from models.manifest import ModelManifest

OTHER: Final = "other"  # the kind of what has no name: textures, drawings, photos without a folder


@dataclass(frozen=True)
class Columns:
    """What the columns stand for, in their order.

    Attributes:
        classes: each has one column.
        kinds: of things that are none of the classes, behind them; empty for a network that cannot
            refuse.
    """

    classes: tuple[str, ...]
    kinds: tuple[str, ...] = ()

    @classmethod
    def of_labels(cls, labels: Sequence[str]) -> "Columns":
        """Return one column a label."""
        classes = tuple(label for label in labels if label != NONE_OF_THESE)
        return cls(classes, (NONE_OF_THESE,) if NONE_OF_THESE in labels else ())

    @classmethod
    def of_version(cls, manifest: ModelManifest, labels: Sequence[str] | None = None) -> "Columns":
        """Return the columns of a published version's network.

        Args:
            manifest: of the version.
            labels: of a network that goes on from it; the version's own by default.
        """
        single = cls.of_labels(labels or manifest.labels)
        return cls(single.classes, manifest.kinds or single.kinds)

    @classmethod
    def of_kinds(cls, labels: Sequence[str], images: Iterable[SnapshotImage]) -> "Columns":
        """Return a column for each class, and for each kind of other thing among the images."""
        kinds = {kind_of(image.variety) for image in images if image.label == NONE_OF_THESE}
        return cls(cls.of_labels(labels).classes, (*sorted(kinds - {OTHER}), OTHER))

    @property
    def width(self) -> int:
        """How many there are."""
        return len(self.classes) + len(self.kinds)

    @property
    def labels(self) -> tuple[str, ...]:
        """The K labels that answers have: none of these is the last."""
        return (*self.classes, NONE_OF_THESE) if self.kinds else self.classes

    def of(self, images: Sequence[SnapshotImage]) -> NDArray[np.int64]:
        """Return the column of each image: int64 (N,).

        Args:
            images: of the labels. What shows another kind of thing is counted to the last one.
        """
        column = {name: row for row, name in enumerate(self.classes)}
        kinds = {name: row for row, name in enumerate(self.kinds, len(self.classes))}
        rest = self.width - 1
        return np.array(
            [
                kinds.get(kind_of(image.variety), rest)
                if image.label == NONE_OF_THESE
                else column[image.label]
                for image in images
            ],
            dtype=np.int64,
        )

    def merge(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return float32 (N, K), a column a label, of float32 (N, width).

        The logit of none of these is such that its probability is the sum of those of its kinds.
        """
        if len(self.kinds) < 2:
            return logits
        classes = len(self.classes)
        others = logsumexp(logits[:, classes:], axis=1, keepdims=True)
        return np.concatenate([logits[:, :classes], others], axis=1).astype(np.float32)


def kind_of(variety: str) -> str:
    """Return what kind of thing a publisher's folder holds, as one word.

    Of a path, the second part tells: ``Vegetables/Red-Beet`` holds beets,
    ``Fruit/Pear/Conference`` pears. Otherwise the first word does: ``Zucchini dark 1``.
    """
    path = variety.casefold().split("/")
    words = re.findall(r"[^\W\d_]+", path[1] if len(path) > 1 else path[0])
    if not words:
        return OTHER
    word: str = words[-1] if len(path) > 1 else words[0]
    return word.removesuffix("s") if not word.endswith(("us", "ss")) else word
