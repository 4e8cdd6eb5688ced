"""Photos whose label is probably wrong, by confident learning.

C. Northcutt, L. Jiang, I. Chuang, "Confident Learning", JAIR 70, 2021, as ``cleanlab`` does it.
"""

import warnings
from collections.abc import Sequence
from typing import Final

import numpy as np
from cleanlab.filter import find_label_issues
from numpy.typing import NDArray

from data.snapshot import SnapshotImage
from models.manifest import Suspect
from training.evaluate import columns_of

MOST: Final = 100
_FEWEST: Final = 10  # photos: of fewer, nothing can be said


def likely_mislabelled(
    images: Sequence[SnapshotImage], probabilities: NDArray[np.float32], labels: Sequence[str]
) -> list[Suspect]:
    """Return the photos whose label is probably wrong, the least believable first.

    Args:
        images: the N photos with their labels.
        probabilities: float32 (N, K), each row from a network that did not learn from that photo.
        labels: the K labels.
    """
    if len(images) < _FEWEST:
        return []
    targets = columns_of(images, labels)
    rows = _ranked(targets, probabilities)
    return [
        Suspect(
            digest=images[row].digest,
            label=images[row].label,
            suggested=labels[int(probabilities[row].argmax())],
            probability=float(probabilities[row].max()),
        )
        for row in rows[:MOST]
    ]


def _ranked(targets: NDArray[np.int64], probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    if len(np.unique(targets)) == 1:  # which cleanlab does not take; there is nothing to mix up
        own = probabilities[:, targets[0]]
        doubted: NDArray[np.int64] = np.flatnonzero(probabilities.argmax(axis=1) != targets)
        return doubted[np.argsort(own[doubted])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it warns of classes with few photos
        found: NDArray[np.int64] = find_label_issues(
            targets,
            probabilities.astype(np.float64),
            return_indices_ranked_by="self_confidence",
            filter_by="predicted_neq_given",
            n_jobs=1,
        )
    return found
