"""How a version answered each of its test images: what lies behind the figures of its manifest.

The figures say how many images of one class are taken for another; this file says which. It also
holds statistics of the pictures and how sure the version was, by which one can tell later whether
what people send still is like what the version was tested on. No picture is in it.
"""

import io
import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.arrays import read_arrays
from models.errors import InvalidVersion

EXAMINATION_NAME: Final = "examination.npz"
# Of the picture as the network sees it, each 0..1.
STATISTICS: Final = ("brightness", "contrast", "saturation", "white_border", "sharpness")
_FORMAT: Final = 1
_WHITE: Final = 230  # of 255: paper and studio grounds are above, light walls mostly below


@dataclass(frozen=True, slots=True)
class ExaminedImage:
    """One test image and what became of it.

    Attributes:
        digest: SHA-256 of the file.
        source: the data set.
        split: the part that it plays.
        label: what it shows; none-of-these for what the version has no class for.
        answer: what the version said.
    """

    digest: str
    source: str
    split: str
    label: str
    answer: str


@dataclass(frozen=True)
class Examination:
    """Every test image with its answer.

    Attributes:
        images: the N images.
        confidence: float32 (N,), the probability of each answer.
        statistics: float32 (N, S), of each picture; NaN where the picture was not there.
    """

    images: tuple[ExaminedImage, ...]
    confidence: NDArray[np.float32]
    statistics: NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """Return the content of an examination file."""
        names = sorted({n for i in self.images for n in (i.source, i.split, i.label, i.answer)})
        place = {name: number for number, name in enumerate(names)}
        columns = [
            [place[getattr(i, key)] for key in ("source", "split", "label", "answer")]
            for i in self.images
        ]
        text = json.dumps({"format": _FORMAT, "names": names, "statistics": list(STATISTICS)})
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            known=np.frombuffer(text.encode(), np.uint8),
            digests=np.frombuffer(
                bytes.fromhex("".join(i.digest for i in self.images)), np.uint8
            ).reshape(len(self.images), 32),
            columns=np.array(columns, np.uint16).reshape(len(self.images), 4),
            confidence=self.confidence.astype(np.float16),
            statistics=self.statistics.astype(np.float16),
        )
        return buffer.getvalue()

    @classmethod
    def read(cls, path: Path) -> "Examination":
        """Return the examination in the file.

        Raises:
            InvalidVersion: the file cannot be read or is no examination.
        """
        arrays = read_arrays(path)
        try:
            known: dict[str, Any] = json.loads(arrays["known"].tobytes())
            if known["format"] != _FORMAT or known["statistics"] != list(STATISTICS):
                raise ValueError("it is of another format")
            names = known["names"]
            images = tuple(
                ExaminedImage(digest.tobytes().hex(), *(names[place] for place in row))
                for digest, row in zip(arrays["digests"], arrays["columns"], strict=True)
            )
            confidence = arrays["confidence"].astype(np.float32)
            statistics = arrays["statistics"].astype(np.float32)
            if confidence.shape != (len(images),) or statistics.shape != (
                len(images),
                len(STATISTICS),
            ):
                raise ValueError("its parts do not fit together")
        except (LookupError, TypeError, ValueError) as error:
            raise InvalidVersion(f"{path} is no examination file: {error}") from error
        return cls(images, confidence, statistics)


@lru_cache(maxsize=4)
def read_examination(path: Path) -> Examination:
    """Return the examination in the file, from memory where it was read lately.

    Raises:
        InvalidVersion: the file cannot be read or is no examination.
    """
    return Examination.read(path)


def picture_statistics(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what a picture is like, whatever it shows: the ``STATISTICS``, each 0..1.

    Every fourth line is looked at; that takes less than a tenth of a millisecond.

    Args:
        image: uint8 (H, W, 3), RGB, 0..255, as the network sees it.

    Returns:
        float32 (S,): mean and deviation of the lightness, mean saturation, the share of the border
        that is white, and the mean step of lightness from one pixel to the next.
    """
    # Sums of whole numbers: this runs beside every prediction, and NumPy's own mean and deviation
    # take three times as long on so few.
    red, green, blue = image[::4].transpose(2, 0, 1).astype(np.int16, order="C")
    high = np.maximum(np.maximum(red, green), blue)  # (H / 4, W)
    low = np.minimum(np.minimum(red, green), blue)
    light = (high + low).astype(np.int64)  # 0..510
    n, lightness = light.size, int(light.sum())
    deviation = math.sqrt(max(0, n * int(np.vdot(light, light)) - lightness**2)) / n
    edges = (low[0], low[-1], low[:, 0], low[:, -1])
    white = sum(np.count_nonzero(edge >= _WHITE) for edge in edges)
    steps = np.abs(light[:, 1:] - light[:, :-1])
    found = (
        lightness / n / 510,
        deviation / 255,
        int((high - low).sum(dtype=np.int64)) / n / 255,
        white / (2 * sum(low.shape)),
        int(steps.sum()) / max(1, steps.size) / 128,
    )
    return np.minimum(np.array(found, np.float32), 1.0)
