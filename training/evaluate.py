"""How good a model is: scikit-learn's metrics, per source and split, never averaged together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from scipy.stats import binomtest, bootstrap, rankdata
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from data.labels import NONE_OF_THESE
from data.snapshot import SnapshotImage
from models.decision import decide, named_score
from models.manifest import ClassMetrics, EvaluationMetrics, GroupMetrics, OtherMetrics

CALIBRATION_BINS: Final = 15
_RESAMPLES: Final = 1000
# Of each kind, so that none of the resamples lacks one: each does with a probability of e to the
# power of minus so many.
_FEWEST_FOR_AUROC: Final = 30
_OTHER: Final = -1


def none_column(labels: Sequence[str]) -> int | None:
    """Return the column of none-of-these, None for a model that cannot refuse."""
    return list(labels).index(NONE_OF_THESE) if NONE_OF_THESE in labels else None


def columns_of(images: Sequence[SnapshotImage], labels: Sequence[str]) -> NDArray[np.int64]:
    """Return the true column of each image, -1 for what the model has no column for."""
    column = {label: index for index, label in enumerate(labels)}
    return np.array([column.get(image.label, _OTHER) for image in images], dtype=np.int64)


def evaluate(
    probabilities: NDArray[np.float32],
    targets: NDArray[np.int64],
    images: Sequence[SnapshotImage],
    labels: Sequence[str],
    none_threshold: float | None = None,
) -> EvaluationMetrics:
    """Return the scores of one source and split.

    All but ``others`` is about the images that show one of the classes; one that is refused counts
    as wrong. Averages run over the classes that occur among the targets.

    Args:
        probabilities: float32 (N, K).
        targets: int64 (N,), the columns of the true labels; at least one of a class. Pictures of
            none of them have the column of none-of-these, or -1 where the model has none.
        images: the N images, for the scores per variety.
        labels: the K labels.
        none_threshold: from which probability of none-of-these on an image is refused.
    """
    nothing = none_column(labels)
    decided = decide(probabilities, nothing, none_threshold)  # (N,)
    is_class = (targets != _OTHER) & (targets != nothing)
    true, answers = targets[is_class], decided[is_class]
    confidence = probabilities[np.arange(len(targets)), decided][is_class]
    present = np.unique(true)
    precision, recall, f1, support = precision_recall_fscore_support(
        true, answers, labels=present, zero_division=0.0
    )
    weights = support / support.sum()
    known = targets != _OTHER
    return EvaluationMetrics(
        images=len(true),
        accuracy=float((answers == true).mean()),
        macro_precision=float(precision.mean()),
        macro_recall=float(recall.mean()),
        macro_f1=float(f1.mean()),
        weighted_precision=float(precision @ weights),
        weighted_recall=float(recall @ weights),
        weighted_f1=float(f1 @ weights),
        mean_confidence=float(confidence.mean()),
        calibration_error=calibration_error(confidence, answers == true),
        named=float((answers != nothing).mean()) if nothing is not None else 1.0,
        others=_others(probabilities, decided, is_class, nothing),
        intervals=_intervals(true, answers, len(labels))
        | _auroc_interval(named_score(probabilities, nothing), is_class),
        per_class={
            labels[column]: ClassMetrics(
                precision=float(precision[row]),
                recall=float(recall[row]),
                f1=float(f1[row]),
                support=int(support[row]),
            )
            for row, column in enumerate(present)
        },
        confusion=confusion_matrix(
            targets[known], decided[known], labels=range(len(labels))
        ).tolist(),
        per_group=_per_variety(
            answers == true, [i for i, shown in zip(images, is_class, strict=True) if shown]
        ),
    )


def score(
    images: Sequence[SnapshotImage],
    probabilities: NDArray[np.float32],
    labels: Sequence[str],
    none_threshold: float | None,
) -> dict[str, EvaluationMetrics]:
    """Return the metrics of each source and split among the images, by ``<source>/<split>``.

    Those without an image of one of the classes have none.

    Args:
        images: the N images.
        probabilities: float32 (N, K).
        labels: the K labels.
        none_threshold: as for ``evaluate``.
    """
    targets, nothing = columns_of(images, labels), none_column(labels)
    return {
        name: evaluate(
            probabilities[rows],
            targets[rows],
            [images[row] for row in rows],
            labels,
            none_threshold,
        )
        for name, rows in rows_by(f"{i.source}/{i.split}" for i in images).items()
        if ((targets[rows] != nothing) & (targets[rows] != _OTHER)).any()
    }


def calibration_error(confidence: NDArray[np.float32], correct: NDArray[np.bool_]) -> float:
    """Return the expected calibration error over 15 bins of equal width, 0..1.

    As C. Guo et al., arXiv:1706.04599, equation 3: the gap between accuracy and mean confidence of
    each bin, weighed by how many images are in it.
    """
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, correct - confidence, CALIBRATION_BINS)  # count * (accuracy - mean)
    return float(np.abs(gaps).sum() / len(confidence))


def auroc(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Return the chance that a positive has a higher score than a negative, ties counting half."""
    positives = int(positive.sum())
    ranks = rankdata(score)[positive].sum() - positives * (positives + 1) / 2
    return float(ranks / (positives * (len(score) - positives)))


def _others(
    probabilities: NDArray[np.float32],
    decided: NDArray[np.int64],
    is_class: NDArray[np.bool_],
    nothing: int | None,
) -> OtherMetrics | None:
    if is_class.all():
        return None
    refused = decided[~is_class] == nothing if nothing is not None else np.zeros(1)
    return OtherMetrics(
        images=int((~is_class).sum()),
        refused=float(refused.mean()),
        auroc=auroc(named_score(probabilities, nothing), is_class),
    )


def _intervals(
    true: NDArray[np.int64], answers: NDArray[np.int64], columns: int
) -> dict[str, tuple[float, float]]:
    if len(true) < 2:
        return {}
    right = int((answers == true).sum())
    if right in (0, len(true)):  # every resample is like the whole, and would claim certainty
        low, high = binomtest(right, len(true)).proportion_ci(method="exact")
        return {"accuracy": (float(low), float(high))}
    present = np.unique(true)

    def accuracy(rows: NDArray[np.int64]) -> float:
        return float((answers[rows] == true[rows]).mean())

    def macro_f1(rows: NDArray[np.int64]) -> float:
        cells = true[rows] * columns + answers[rows]
        confusion = np.bincount(cells, minlength=columns**2).reshape(columns, columns)
        both = confusion.sum(axis=0) + confusion.sum(axis=1)
        # A class that a resample lacks altogether says nothing about it.
        seen = present[both[present] > 0]
        return float((2 * confusion.diagonal()[seen] / both[seen]).mean())

    return {"accuracy": _interval(accuracy, len(true)), "macro_f1": _interval(macro_f1, len(true))}


def _auroc_interval(
    score: NDArray[np.float32], is_class: NDArray[np.bool_]
) -> dict[str, tuple[float, float]]:
    if min(is_class.sum(), (~is_class).sum()) < _FEWEST_FOR_AUROC:
        return {}
    low, high = _interval(lambda rows: auroc(score[rows], is_class[rows]), len(score))
    return {"auroc": (low, high)} if low < high else {}


def _interval(statistic: Callable[[NDArray[np.int64]], float], images: int) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a statistic of rows."""
    found = bootstrap(
        (np.arange(images),),
        statistic,
        n_resamples=_RESAMPLES,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def rows_by(names: Iterable[str]) -> dict[str, NDArray[np.int64]]:
    """Return which rows have each of the names, in the order of the names."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return {name: np.array(found, dtype=np.int64) for name, found in sorted(rows.items())}


def summary_table(metrics: dict[str, EvaluationMetrics]) -> Table:
    """Return one column per source and split, for the terminal: three fit in 80 characters."""
    table = Table(title="Scores")
    table.add_column("")
    for name in metrics:
        table.add_column(name, justify="right")
    found = metrics.values()
    table.add_row("Images", *(f"{scores.images:,}" for scores in found))
    table.add_row("Got a name", *(f"{scores.named:.1%}" for scores in found))
    table.add_row(
        "Accuracy",
        *(f"{s.accuracy:.2%}" + _shown_interval(s, "accuracy", ".1%") for s in found),
    )
    table.add_row("Precision", *(f"{scores.macro_precision:.3f}" for scores in found))
    table.add_row("Recall", *(f"{scores.macro_recall:.3f}" for scores in found))
    table.add_row(
        "Macro F1", *(f"{s.macro_f1:.3f}" + _shown_interval(s, "macro_f1", ".2f") for s in found)
    )
    table.add_row("Weighted F1", *(f"{scores.weighted_f1:.3f}" for scores in found))
    table.add_row("Confidence", *(f"{scores.mean_confidence:.2f}" for scores in found))
    table.add_row("ECE", *(_shown_error(scores.calibration_error) for scores in found))
    return table


def _shown_error(calibration_error: float | None) -> str:
    return "" if calibration_error is None else f"{calibration_error:.3f}"


def others_table(
    others: Mapping[str, OtherMetrics], metrics: Mapping[str, EvaluationMetrics]
) -> Table:
    """Return how the pictures of none of the classes fared, for the terminal.

    Args:
        others: their scores by source and split.
        metrics: all scores by the same names, for the intervals.
    """
    table = Table(title="Pictures of none of the classes")
    table.add_column("Source and split")
    for name in ("Images", "Refused", "AUROC"):
        table.add_column(name, justify="right")
    for name, scores in others.items():
        interval = _shown_interval(metrics[name], "auroc", ".3f") if name in metrics else ""
        table.add_row(
            name,
            f"{scores.images:,}",
            f"{scores.refused:.1%}",
            "-" if scores.auroc is None else f"{scores.auroc:.4f}{interval}",
        )
    return table


def _shown_interval(scores: EvaluationMetrics, name: str, form: str) -> str:
    if name not in scores.intervals:
        return ""
    low, high = scores.intervals[name]
    return f"\n{low:{form}} to {high:{form}}"


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
