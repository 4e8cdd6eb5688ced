"""The gate: may a candidate replace the active version? Both answer the same fixed test images.

Accuracy is compared in pairs, so that what is hard for both says nothing; only where they differ
counts (Q. McNemar, Psychometrika 12, 1947). Photos of one scene are right or wrong together, so the
test counts scenes: twenty frames of one apple are one loss.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from data.labels import spoken
from data.snapshot import SnapshotImage
from models.decision import decide
from models.manifest import (
    GateCheck,
    GateComparison,
    GateRecall,
    GateReport,
    ModelManifest,
    Suspect,
)
from training.evaluate import calibration_error, rows_by

SIGNIFICANCE: Final = 0.05
_COLLAPSE: Final = 0.20  # of a class's recall
_FEWEST_LOST: Final = 3  # photos: fewer say nothing of a class
# The expected error of so many photos moves by that much by chance, of fewer by more.
_CALIBRATION_ROOM: Final = 0.03
_CALIBRATION_IMAGES: Final = 82
_CALIBRATION_GOOD: Final = 0.05
_REFUSED: Final = 0.85  # of pictures of none of the classes
_NEW_CLASS_RECALL: Final = 0.70
_NEW_PHOTOS_RECALL: Final = 0.50  # of photos added to a class that was known


@dataclass(frozen=True)
class Judged:
    """What one version says of images.

    Attributes:
        probabilities: float32 (N, K).
        manifest: the K labels and the threshold.
    """

    probabilities: NDArray[np.float32]
    manifest: ModelManifest

    @property
    def answers(self) -> NDArray[np.str_]:
        """The answered label of each image."""
        manifest = self.manifest
        columns = decide(self.probabilities, manifest.none_column, manifest.none_threshold)
        return np.array(manifest.labels)[columns]

    def confidence(self, answers: NDArray[np.str_]) -> NDArray[np.float32]:
        """Return the probability of each answer."""
        found: NDArray[np.float32] = self.probabilities[
            np.arange(len(answers)), [self.manifest.labels.index(a) for a in answers]
        ]
        return found


@dataclass(frozen=True)
class NewPhotos:
    """Photos added since the public sets, answered by a network that did not learn from them.

    Attributes:
        images: the N photos.
        answers: of the candidate's recipe, each from a fit without that photo.
        active: of the active version.
    """

    images: Sequence[SnapshotImage]
    answers: NDArray[np.str_]
    active: NDArray[np.str_]


def judge(
    images: Sequence[SnapshotImage],
    candidate: Judged,
    active: Judged,
    new_photos: NewPhotos | None = None,
    suspects: Sequence[Suspect] = (),
) -> GateReport:
    """Return whether the candidate may replace the active version, and why.

    Args:
        images: the N test images; those of neither version's labels count as none of the classes.
        candidate, active: what both say of them.
        new_photos: what was added, None where nothing can be said of it.
        suspects: added photos whose label is probably wrong; they decide nothing.
    """
    comparisons: dict[str, GateComparison] = {}
    recalls: dict[str, dict[str, GateRecall]] = {}
    for name, rows in rows_by(f"{i.source}/{i.split}" for i in images).items():
        part = [images[row] for row in rows]
        both = (
            Judged(candidate.probabilities[rows], candidate.manifest),
            Judged(active.probabilities[rows], active.manifest),
        )
        recalls[name] = _recalls(part, *both)
        if any(image.label in active.manifest.classes for image in part):
            comparisons[name] = _compare(part, *both)
    added = _new_photos(new_photos, active.manifest) if new_photos else {}
    against = active.manifest.version
    checks = [
        _accuracy(comparisons, against),
        _collapse(recalls, against),
        _calibration(comparisons, against),
        _refusals(comparisons, against),
    ]
    if new_photos:
        checks.append(_recognised(added, new_photos))
    new = set(candidate.manifest.classes) - set(active.manifest.classes)
    if unseen := sorted(new - set(added)):
        checks.append(_new_classes(unseen, recalls))
    return GateReport(
        against=against,
        checks=checks,
        comparisons=comparisons,
        recalls=recalls,
        new_photos=added,
        suspects=list(suspects),
    )


def _compare(images: Sequence[SnapshotImage], candidate: Judged, active: Judged) -> GateComparison:
    labels = np.array([image.label for image in images])
    known = np.isin(labels, active.manifest.classes)
    other = ~np.isin(labels, (*active.manifest.classes, *candidate.manifest.classes))
    answers = candidate.answers, active.answers
    right, was_right = ((a == labels)[known] for a in answers)
    lost, gained = int((was_right & ~right).sum()), int((right & ~was_right).sum())
    scenes_lost, scenes_gained = _by_scenes(images, known, right, was_right)
    errors = [
        calibration_error(judged.confidence(found)[known], is_right)
        for judged, found, is_right in zip(
            (candidate, active), answers, (right, was_right), strict=True
        )
    ]
    refused, was_refused = (
        (found == judged.manifest.none_label)[other]
        for judged, found in zip((candidate, active), answers, strict=True)
    )
    return GateComparison(
        images=int(known.sum()),
        active_accuracy=float(was_right.mean()),
        accuracy=float(right.mean()),
        lost=lost,
        gained=gained,
        scenes_lost=scenes_lost,
        scenes_gained=scenes_gained,
        p_value=chance(scenes_lost, scenes_gained),
        active_calibration_error=errors[1],
        calibration_error=errors[0],
        others=int(other.sum()),
        active_refused=float(was_refused.mean()) if other.any() else None,
        refused=float(refused.mean()) if other.any() else None,
        refused_p_value=chance(*_by_scenes(images, other, refused, was_refused)),
    )


def _by_scenes(
    images: Sequence[SnapshotImage],
    chosen: NDArray[np.bool_],
    right: NDArray[np.bool_],
    was_right: NDArray[np.bool_],
) -> tuple[int, int]:
    """Return of how many scenes fewer photos are right than were, and of how many more."""
    scenes = rows_by(
        image.scene or image.digest for image, shown in zip(images, chosen, strict=True) if shown
    )
    balance = [int(right[rows].sum()) - int(was_right[rows].sum()) for rows in scenes.values()]
    return sum(b < 0 for b in balance), sum(b > 0 for b in balance)


def chance(lost: int, gained: int) -> float:
    """Return the chance of at least so many lost among those that differ, were it a coin toss.

    The exact one-sided McNemar test.
    """
    if lost + gained == 0:
        return 1.0
    return float(binomtest(lost, lost + gained, alternative="greater").pvalue)


def _recalls(
    images: Sequence[SnapshotImage], candidate: Judged, active: Judged
) -> dict[str, GateRecall]:
    answers, earlier = candidate.answers, active.answers
    return {
        label: _recall(label, rows, answers, earlier, active.manifest)
        for label, rows in rows_by(image.label for image in images).items()
        if label in candidate.manifest.classes
    }


def _new_photos(photos: NewPhotos, active: ModelManifest) -> dict[str, GateRecall]:
    return {
        label: _recall(label, rows, photos.answers, photos.active, active)
        for label, rows in rows_by(image.label for image in photos.images).items()
    }


def _recall(
    label: str,
    rows: NDArray[np.int64],
    answers: NDArray[np.str_],
    earlier: NDArray[np.str_],
    active: ModelManifest,
) -> GateRecall:
    return GateRecall(
        images=len(rows),
        active_recall=float((earlier[rows] == label).mean()) if label in active.labels else None,
        recall=float((answers[rows] == label).mean()),
    )


def _accuracy(comparisons: Mapping[str, GateComparison], against: str) -> GateCheck:
    worse = [
        f"On {name} it gets {c.lost} of {c.images} photos wrong that {against} gets right, and "
        f"{c.gained} the other way round; by scenes {c.scenes_lost} and {c.scenes_gained}, which "
        f"chance does {_how_seldom(c.p_value)}."
        for name, c in comparisons.items()
        if c.lost > c.gained and c.p_value < SIGNIFICANCE
    ]
    if not comparisons:
        return GateCheck(
            name="Accuracy", passed=False, message="There is no test image to compare them on."
        )
    shown = ", ".join(
        f"{name} {c.accuracy:.1%} (was {c.active_accuracy:.1%})" for name, c in comparisons.items()
    )
    return _check("Accuracy", worse, f"Not worse than {against}: {shown}.")


def _how_seldom(p_value: float) -> str:
    return f"once in {1 / p_value:,.0f} times" if p_value > 1e-9 else "practically never"


def _collapse(recalls: Mapping[str, Mapping[str, GateRecall]], against: str) -> GateCheck:
    collapsed = [
        f"Of {r.images} photos of {label} in {name} it recognises {r.recall:.0%}; {against} "
        f"recognises {r.active_recall:.0%}."
        for name, by_label in recalls.items()
        for label, r in by_label.items()
        if r.active_recall is not None
        and r.active_recall - r.recall > _COLLAPSE
        and (r.active_recall - r.recall) * r.images >= _FEWEST_LOST - 0.5
    ]
    return _check(
        "Every class is kept", collapsed, "No class lost more than a fifth of its photos."
    )


def _calibration(comparisons: Mapping[str, GateComparison], against: str) -> GateCheck:
    worse = [
        f"On {name} its confidence is off by {c.calibration_error:.3f} on average; that of "
        f"{against} by {c.active_calibration_error:.3f}."
        for name, c in comparisons.items()
        if c.calibration_error
        > max(_CALIBRATION_GOOD, c.active_calibration_error + _room(c.images))
    ]
    return _check("Honest confidence", worse, "It is about as sure as it is right.")


def _room(images: int) -> float:
    return _CALIBRATION_ROOM * max(1.0, math.sqrt(_CALIBRATION_IMAGES / max(1, images)))


def _refusals(comparisons: Mapping[str, GateComparison], against: str) -> GateCheck:
    worse = [
        f"Of {c.others} pictures of none of the classes in {name} it refuses {c.refused:.0%}; "
        f"{against} refuses {c.active_refused:.0%}."
        for name, c in comparisons.items()
        if c.refused is not None and c.refused < _REFUSED and c.refused_p_value < SIGNIFICANCE
    ]
    return _check("None of these", worse, "Pictures of other things are still refused.")


def _recognised(added: Mapping[str, GateRecall], photos: NewPhotos) -> GateCheck:
    missed = []
    for label, recall in added.items():
        is_new = recall.active_recall is None
        need = _NEW_CLASS_RECALL if is_new else _NEW_PHOTOS_RECALL
        missing = round((1 - recall.recall) * recall.images)
        if recall.recall < need and (is_new or missing >= _FEWEST_LOST):
            taken_for = Counter(
                str(answer)
                for answer, image in zip(photos.answers, photos.images, strict=True)
                if image.label == label and answer != label
            ).most_common(2)
            words = " and ".join(f"{n} for {spoken(name)}" for name, n in taken_for)
            missed.append(
                f"Of {recall.images} added photos labelled {spoken(label)}, {recall.recall:.0%} "
                f"are recognised after learning from the rest of them; it takes {words}. Are the "
                "labels right?"
            )
    shown = ", ".join(f"{spoken(n)} {r.recall:.0%} of {r.images}" for n, r in added.items())
    return _check("Added photos are recognised", missed, f"{shown}.")


def _new_classes(
    labels: Sequence[str], recalls: Mapping[str, Mapping[str, GateRecall]]
) -> GateCheck:
    missed = []
    for label in labels:
        found = [by_label[label] for by_label in recalls.values() if label in by_label]
        images = sum(r.images for r in found)
        if not images:
            missed.append(f"There is no photo of {spoken(label)} to judge it by.")
        elif sum(r.recall * r.images for r in found) < _NEW_CLASS_RECALL * images:
            missed.append(f"Of {images} test photos of {spoken(label)} too few are recognised.")
    return _check("New classes are recognised", missed, "They are.")


def _check(name: str, problems: Sequence[str], else_: str) -> GateCheck:
    return GateCheck(name=name, passed=not problems, message=" ".join(problems) or else_)
