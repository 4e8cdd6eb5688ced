"""Honest probabilities: temperature, shift and threshold, chosen on images not trained on."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from models.manifest import Calibration

# Which share of the pictures sent in will show one of the classes is not known. Training and
# validation hold more of everything else, and a network calibrated to that would doubt every fruit.
FRUIT_SHARE: Final = 0.75
# At most so many pictures of other things get a name.
NAMED_OTHERS: Final = 0.07
# And none gets one where none of these is likelier than all names together.
LIKELIER: Final = 0.5
# People photograph more kinds of other things than a threshold is chosen on. So it is lower than
# that while so much of the fruit still gets a name, but not lower than LEAST: few photos of a
# network that tells them well apart would say little about what else is refused.
FRUIT_NAMED: Final = 0.99
LEAST: Final = 0.4


def calibrate(
    logits: NDArray[np.float32],
    targets: NDArray[np.int64],
    none_column: int | None,
    chosen_on: str,
) -> Calibration:
    """Return the calibration with the lowest negative log-likelihood, and the best threshold.

    The temperature as in C. Guo et al., "On Calibration of Modern Neural Networks",
    arXiv:1706.04599. With a column for none-of-these the pictures are weighed so that
    ``FRUIT_SHARE`` of them show one of the classes, and that column may move by itself.

    Args:
        logits: float32 (N, K), N at least 1.
        targets: int64 (N,), the true columns.
        none_column: the column of none-of-these, None without one.
        chosen_on: the name of the images, for the manifest.
    """
    other = targets == (-1 if none_column is None else none_column)
    shifts = bool(other.any() and not other.all())
    weights = _weights(other)
    rows = np.arange(len(targets))

    def loss(settings: NDArray[np.float64]) -> float:
        shift = settings[1] if shifts else 0.0
        scaled = calibrated(logits, float(np.exp(settings[0])), none_column, float(shift))
        return float(-(weights * scaled[rows, targets]).sum())

    found = minimize(loss, np.zeros(1 + shifts), method="Nelder-Mead")
    temperature = float(np.clip(np.exp(found.x[0]), 0.2, 5.0))  # a few easy images have no minimum
    shift = float(found.x[1]) if shifts else 0.0
    threshold = None
    if shifts:
        refusal = np.exp(calibrated(logits, temperature, none_column, shift))[:, none_column]
        threshold = choose_threshold(refusal, other)
    return Calibration(
        temperature=temperature,
        none_shift=shift,
        none_threshold=threshold,
        chosen_on=chosen_on,
        images=len(targets),
    )


def calibrated(
    logits: NDArray[np.float32], temperature: float, none_column: int | None, shift: float
) -> NDArray[np.float64]:
    """Return the logarithms of the calibrated probabilities, as the exported graph has them.

    Args:
        logits: float32 (N, K).
        temperature: what they are divided by.
        none_column: the column that is shifted first, None for none.
        shift: what is added to it.

    Returns:
        float64 (N, K).
    """
    shifted = logits.astype(np.float64)
    if none_column is not None:
        shifted[:, none_column] += shift
    scaled: NDArray[np.float64] = log_softmax(shifted / temperature, axis=1)
    return scaled


def choose_threshold(refusal: NDArray[np.float64], other: NDArray[np.bool_]) -> float:
    """Return the probability of none-of-these from which on a picture is refused.

    It is the highest one at which no more than ``NAMED_OTHERS`` of the other pictures get a name,
    but not above ``LIKELIER``: a network that tells the other things of one source well apart would
    be allowed more, and would name most of what it was never shown. From there it goes down, in
    hundredths, as far as ``FRUIT_NAMED`` of the fruit gets a name, and to ``LEAST`` at most.

    Args:
        refusal: (N,), the probability of none-of-these.
        other: bool (N,), whether the picture shows none of the classes; both must occur.
    """
    rest, fruit = np.sort(refusal[other]), np.sort(refusal[~other])
    highest = min(float(rest[int(NAMED_OTHERS * len(rest))]), LIKELIER)
    doubted = fruit[math.ceil(FRUIT_NAMED * len(fruit)) - 1]
    above = (math.floor(100 * float(doubted)) + 1) / 100
    return min(highest, max(LEAST, above))


def _weights(other: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return one weight an image, summing to 1."""
    share = other.mean()
    if share in (0.0, 1.0):
        return np.full(len(other), 1 / len(other))
    weights: NDArray[np.float64] = np.where(
        other, (1 - FRUIT_SHARE) / other.sum(), FRUIT_SHARE / (~other).sum()
    )
    return weights
