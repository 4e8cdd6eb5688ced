"""Fit the last layer alone, on features: seconds instead of minutes.

In a quick retraining, columns of labels without new photos stay exactly as they are, so what was
known is kept but for what a new column takes away. The others are pulled towards where they began.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax

from training.epoch import Epoch

ITERATIONS: Final = 60
# How strongly a column is held where it begins; see training/EXPERIMENTS.md.
PULL_NEW: Final = 4e-3
PULL_KNOWN: Final = 5e-2
# Of a last layer that begins with nothing.
PULL_FIRST: Final = 5e-3
_TINY: Final = 1e-30

Head = tuple[NDArray[np.float32], NDArray[np.float32]]


def fit_head(
    features: NDArray[np.float32],
    targets: NDArray[np.int64],
    weights: NDArray[np.float64],
    start: Head,
    pulls: Mapping[int, float],
    label_smoothing: float = 0.0,
    classes: int | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    unknown_share: float = 0.0,
) -> tuple[Head, list[dict[str, float]]]:
    """Return the last layer that explains the targets best, and what each iteration gave.

    Weighted cross-entropy with half the squared distance of each column from its start, times its
    pull, added; minimised by L-BFGS.

    Args:
        features: float32 (N, D).
        targets: int64 (N,), columns; of a row of other things, whatever their kind, any of theirs.
        weights: float64 (N,), how much each row counts.
        start: kernel float32 (D, width) and bias float32 (width,).
        pulls: the columns that may change, at least one, and how strongly each is held.
        label_smoothing: as the network was trained with; without it the fit would sharpen every
            answer, and the calibration would no longer hold.
        classes: how many columns are of classes; those behind them, of kinds of other things, count
            as one. None tells every column from every other.
        on_epoch: told what each iteration gave.
        unknown_share: share of the loss in which a row of a kind is answered without the columns of
            kinds, as if none had been taught; the last column, which is of no kind, then learns to
            take what is new. Without ``classes`` there are no kinds.
    """
    kernel, bias = start
    columns, pull = np.array(list(pulls)), np.array(list(pulls.values()), np.float32)
    depth = kernel.shape[0]
    weights = weights / weights.sum()
    fixed = features @ kernel + bias  # (N, width)
    label_of = np.minimum(np.arange(len(bias)), len(bias) if classes is None else classes)
    starts = np.unique(label_of, return_index=True)[1]
    wanted = np.eye(len(starts), dtype=np.float32)[label_of[targets]] * (1 - label_smoothing)
    wanted += label_smoothing / len(starts)  # (N, K)
    hidden = np.zeros_like(fixed)
    if unknown_share and classes is not None:
        kinds = np.flatnonzero((targets >= classes) & (targets < len(bias) - 1))
        hidden[kinds, classes:-1] = -np.inf
    parts = [(1 - unknown_share, np.zeros_like(fixed)), (unknown_share, hidden)]
    history: list[dict[str, float]] = []
    began = time.perf_counter()
    last: dict[str, float] = {}

    def loss(settings: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        change = settings.reshape(depth + 1, len(columns)).astype(np.float32)
        logits = fixed.copy()
        logits[:, columns] += features @ change[:-1] + change[-1]
        found, right, slope = 0.0, 0.0, np.zeros((len(logits), len(columns)))
        for share, without in parts:
            if not share:
                continue
            probabilities = softmax(logits + without, axis=1)
            by_label = np.add.reduceat(probabilities, starts, axis=1).clip(_TINY)  # (N, K)
            found -= share * float(weights @ (wanted * np.log(by_label)).sum(axis=1))
            right += share * float(weights @ (by_label.argmax(axis=1) == label_of[targets]))
            # A column answers for its label by its share of that label's probability.
            due = (wanted / by_label)[:, label_of[columns]] * probabilities[:, columns]
            slope += share * weights[:, None] * (probabilities[:, columns] - due)  # (N, m)
        last["loss"], last["accuracy"] = found, right
        gradient = np.concatenate(
            [
                features.T @ slope.astype(np.float32) + pull * change[:-1],
                slope.sum(axis=0, keepdims=True),
            ]
        )
        total = found + float((pull / 2 * change[:-1] ** 2).sum())
        return total, gradient.ravel().astype(np.float64)

    def report(settings: NDArray[np.float64]) -> None:
        history.append(dict(last))
        elapsed = time.perf_counter() - began
        on_epoch(Epoch(len(history), ITERATIONS, dict(last), elapsed / len(history)))

    found = minimize(
        loss,
        np.zeros((depth + 1) * len(columns)),
        jac=True,
        method="L-BFGS-B",
        callback=report,
        options={"maxiter": ITERATIONS},
    )
    change = found.x.reshape(depth + 1, len(columns)).astype(np.float32)
    kernel, bias = kernel.copy(), bias.copy()
    kernel[:, columns] += change[:-1]
    bias[columns] += change[-1]
    return (kernel, bias), history
