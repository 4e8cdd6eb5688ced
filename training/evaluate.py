"""How good a model is: scikit-learn's metrics, per source and split, never averaged together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from data.snapshot import SnapshotImage
from models.manifest import ClassMetrics, EvaluationMetrics, GroupMetrics


def evaluate(
    probabilities: NDArray[np.float32],
    targets: NDArray[np.int64],
    images: Sequence[SnapshotImage],
    labels: Sequence[str],
) -> EvaluationMetrics:
    """Return the scores of one source and split.

    Averages run over the classes that occur among the targets.

    Args:
        probabilities: float32 (N, K), N at least 1.
        targets: int64 (N,), the columns of the true labels.
        images: the N images, for the scores per variety.
        labels: the K classes.
    """
    answers = probabilities.argmax(axis=1)  # (N,)
    present = np.unique(targets)
    precision, recall, f1, support = precision_recall_fscore_support(
        targets, answers, labels=present, zero_division=0.0
    )
    weights = support / support.sum()
    return EvaluationMetrics(
        images=len(targets),
        accuracy=float((answers == targets).mean()),
        macro_precision=float(precision.mean()),
        macro_recall=float(recall.mean()),
        macro_f1=float(f1.mean()),
        weighted_precision=float(precision @ weights),
        weighted_recall=float(recall @ weights),
        weighted_f1=float(f1 @ weights),
        mean_confidence=float(probabilities.max(axis=1).mean()),
        per_class={
            labels[column]: ClassMetrics(
                precision=float(precision[row]),
                recall=float(recall[row]),
                f1=float(f1[row]),
                support=int(support[row]),
            )
            for row, column in enumerate(present)
        },
        confusion=confusion_matrix(targets, answers, labels=range(len(labels))).tolist(),
        per_group=_per_variety(answers == targets, images),
    )


def by_source_and_split(images: Sequence[SnapshotImage]) -> dict[str, NDArray[np.int64]]:
    """Return the rows of the images by ``<source>/<split>``."""
    rows: dict[str, list[int]] = {}
    for row, image in enumerate(images):
        rows.setdefault(f"{image.source}/{image.split}", []).append(row)
    return {name: np.array(found, dtype=np.int64) for name, found in sorted(rows.items())}


def summary_table(metrics: dict[str, EvaluationMetrics]) -> Table:
    """Return one row per source and split, for the terminal."""
    table = Table(title="Scores")
    table.add_column("Source and split")
    for name in ("Images", "Accuracy", "Precision", "Recall", "Macro F1", "Weighted F1", "Conf."):
        table.add_column(name, justify="right")
    for name, scores in metrics.items():
        table.add_row(
            name,
            f"{scores.images:,}",
            f"{scores.accuracy:.2%}",
            f"{scores.macro_precision:.3f}",
            f"{scores.macro_recall:.3f}",
            f"{scores.macro_f1:.3f}",
            f"{scores.weighted_f1:.3f}",
            f"{scores.mean_confidence:.2f}",
        )
    return table


def class_table(name: str, scores: EvaluationMetrics) -> Table:
    """Return one row per class of a source and split, for the terminal."""
    table = Table(title=f"{name}, per class")
    table.add_column("Class")
    for column in ("Precision", "Recall", "F1", "Support"):
        table.add_column(column, justify="right")
    for label, row in scores.per_class.items():
        table.add_row(
            label, f"{row.precision:.3f}", f"{row.recall:.3f}", f"{row.f1:.3f}", f"{row.support:,}"
        )
    return table


def variety_table(name: str, scores: EvaluationMetrics) -> Table:
    """Return the publisher's folders with less than full accuracy, worst first."""
    worst = sorted(
        (row.accuracy, variety, row.images)
        for variety, row in scores.per_group.items()
        if row.accuracy < 1.0
    )
    full = len(scores.per_group) - len(worst)
    table = Table(title=f"{name}, per variety", caption=f"{full} more varieties at 100 %")
    table.add_column("Variety")
    table.add_column("Accuracy", justify="right")
    table.add_column("Images", justify="right")
    for accuracy, variety, images in worst:
        table.add_row(variety, f"{accuracy:.1%}", f"{images:,}")
    return table


def _per_variety(
    correct: NDArray[np.bool_], images: Sequence[SnapshotImage]
) -> dict[str, GroupMetrics]:
    found: dict[str, list[bool]] = {}
    for right, image in zip(correct.tolist(), images, strict=True):
        if image.variety:
            found.setdefault(image.variety, []).append(right)
    return {
        variety: GroupMetrics(accuracy=sum(rights) / len(rights), images=len(rights))
        for variety, rights in sorted(found.items())
    }
