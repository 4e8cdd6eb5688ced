"""The evaluation as pictures: confusion matrices and the training curve, as PNG files."""

import io
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np

from models.manifest import EvaluationMetrics

matplotlib.use("Agg")
from matplotlib.figure import Figure  # after the choice of a backend without a screen


def confusion_picture(name: str, scores: EvaluationMetrics, labels: Sequence[str]) -> bytes:
    """Return the confusion matrix as PNG: shares of each true class, with the counts."""
    counts = np.array(scores.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="cividis", vmin=0.0, vmax=1.0)  # even for the colour-blind
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("answered")
    axes.set_ylabel("true")
    axes.set_title(f"{name}: {scores.images:,} images, {scores.accuracy:.1%} right")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "black" if shares[row, column] > 0.5 else "white"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    return _png(figure)


def confusion_pictures(
    metrics: Mapping[str, EvaluationMetrics], labels: Sequence[str]
) -> dict[str, bytes]:
    """Return the confusion matrix of each set of images as PNG, by the name of its file."""
    return {
        f"confusion-{name.replace('/', '-')}.png": confusion_picture(name, scores, labels)
        for name, scores in metrics.items()
    }


def history_picture(history: Sequence[dict[str, float]]) -> bytes:
    """Return loss and accuracy by epoch as PNG; of the validation only where there was one."""
    epochs = range(1, len(history) + 1)
    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axes.plot(epochs, [epoch[metric] for epoch in history], label="training")
        if all(f"val_{metric}" in epoch for epoch in history):
            values = [epoch[f"val_{metric}"] for epoch in history]
            axes.plot(epochs, values, "--", label="validation")
        axes.set_xlabel("epoch")
        axes.set_title(metric)
        axes.legend()
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
