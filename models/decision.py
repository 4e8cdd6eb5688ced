"""From probabilities to the answer: the one rule by which every caller names or refuses."""

import numpy as np
from numpy.typing import NDArray


def decide(
    probabilities: NDArray[np.float32], none_column: int | None, none_threshold: float | None
) -> NDArray[np.int64]:
    """Return the answered column of each image.

    It is none-of-these where its probability reaches the threshold, else the most probable class.

    Args:
        probabilities: float32 (N, K).
        none_column: the column of none-of-these; None for a model that cannot refuse.
        none_threshold: 0..1; None lets none-of-these win only as the most probable column.

    Returns:
        int64 (N,).
    """
    if none_column is None or none_threshold is None:
        return nearest(probabilities, None)
    answers = nearest(probabilities, none_column)
    answers[probabilities[:, none_column] >= none_threshold] = none_column
    return answers


def nearest(probabilities: NDArray[np.float32], none_column: int | None) -> NDArray[np.int64]:
    """Return the column of the most probable class of each image, none-of-these left aside."""
    named = probabilities.copy()
    if none_column is not None:
        named[:, none_column] = -1.0
    columns: NDArray[np.int64] = named.argmax(axis=1)
    return columns


def named_score(probabilities: NDArray[np.float32], none_column: int | None) -> NDArray[np.float32]:
    """Return how surely each image shows one of the classes, 0..1.

    That is what none-of-these leaves over; for a model without that column, the highest probability
    (D. Hendrycks, K. Gimpel, arXiv:1610.02136).
    """
    if none_column is None:
        highest: NDArray[np.float32] = probabilities.max(axis=1)
        return highest
    score: NDArray[np.float32] = 1 - probabilities[:, none_column]
    return score
