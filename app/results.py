"""What a prediction is: the answer to one image, in the one form that every caller gets."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# Not the system's source of secrets, which takes a hundredth of a busy server's time.
_ids: Final = random.Random()  # nosec B311
_SANE_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An encoded image and the name to show beside its answer."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the time of one prediction went, in milliseconds.

    Attributes:
        wait: for a worker.
        decode: from bytes to the model's input.
        inference: from the model's input to probabilities.
        total: from asking to the answer.
    """

    wait: float
    decode: float
    inference: float
    total: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to one image.

    Attributes:
        label: the most probable class, or none-of-these.
        probabilities: label and probability; the answer first, then the most probable.
        version: the model version that answered.
        timing_ms: where the time went.
        request_id: names the request in the log.
        name: the file's name, where it came as one of several.
        nearest: the most probable class where the answer is none-of-these, else None.
        heat_map: how strongly each place speaks for the answer, rows from the top, 0..1; None
            where it was not asked for.
        statistics: of the picture, in the order of ``models.examination.STATISTICS``, or empty
            where many others were looked at just before; told to nobody but the figures over time.
    """

    label: str
    probabilities: tuple[tuple[str, float], ...]
    version: str
    timing_ms: Timing
    request_id: str
    name: str | None = None
    nearest: str | None = None
    heat_map: tuple[tuple[float, ...], ...] | None = None
    statistics: tuple[float, ...] = ()

    @property
    def probability(self) -> float:
        """The probability of ``label``, 0..1."""
        return self.probabilities[0][1]

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as the REST route, the Gradio API and the command line give it."""
        named = {} if self.name is None else {"name": self.name}
        heat = {} if self.heat_map is None else {"heat_map": [list(r) for r in self.heat_map]}
        return named | {
            "label": self.label,
            "probability": self.probability,
            "nearest": self.nearest,
            "probabilities": [
                {"label": label, "probability": probability}
                for label, probability in self.probabilities
            ],
            "version": self.version,
            "timing_ms": {
                "wait": self.timing_ms.wait,
                "decode": self.timing_ms.decode,
                "inference": self.timing_ms.inference,
                "total": self.timing_ms.total,
            },
            "request_id": self.request_id,
            **heat,
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one of several files was not predicted; the others were.

    Attributes:
        name: the file's name.
        error: what ``app.errors.describe_error`` says: message, type, request_id.
    """

    name: str
    error: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return the refusal as an entry in a list of answers."""
        return {"name": self.name, "error": self.error}


def rank(
    labels: Sequence[str], row: NDArray[np.float32], answer: int, top_k: int | None = None
) -> tuple[tuple[str, float], ...]:
    """Return labels with their probabilities: the answer, then the others, most probable first.

    The answer need not be the most probable: none-of-these has a threshold of its own.

    Args:
        labels: the K labels, in the order of the columns.
        row: float32 (K,), probabilities.
        answer: the answer's column.
        top_k: how many to return; all by default.
    """
    falling = np.argsort(-row, kind="stable")
    order = [answer, *falling[falling != answer]][:top_k]
    # The shortest decimal that is this very float32: every caller prints the same digits.
    return tuple((labels[i], float(str(row[i]))) for i in order)


def new_request_id(proposed: str | None = None) -> str:
    """Return the caller's own request id where it is sane, else a new one.

    Args:
        proposed: what the caller sent; 1 to 64 of ``A-Z a-z 0-9 . _ : -`` is taken.
    """
    if proposed and _SANE_REQUEST_ID.fullmatch(proposed):
        return proposed
    return f"{_ids.getrandbits(64):016x}"
