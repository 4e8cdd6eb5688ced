"""What a quick retraining rehearses: features of known images, without the images.

A feature is what the network's backbone makes of an image, before the last layer. So a fresh clone
can learn a new class, and judge whether the others were kept, with no photograph but the new ones.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import read_arrays
from models.errors import InvalidVersion

_FORMAT = 1
_TEST = "test"


@dataclass(frozen=True, slots=True)
class RehearsedImage:
    """What is known of the image that a feature came from; as in a snapshot."""

    label: str
    split: str
    source: str
    variety: str
    scene: str
    digest: str


@dataclass(frozen=True)
class Rehearsal:
    """Features of images and what the images show.

    Attributes:
        backbone: digest of the layers that made the features; they fit no other.
        features: float16 (N, D).
        images: the N images.
    """

    backbone: str
    features: NDArray[np.float16]
    images: tuple[RehearsedImage, ...]

    def to_bytes(self) -> bytes:
        """Return the content of a rehearsal file."""
        known = {
            "format": _FORMAT,
            "backbone": self.backbone,
            "images": [list(asdict(image).values()) for image in self.images],
        }
        text = np.frombuffer(json.dumps(known).encode(), np.uint8)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, features=self.features, known=text)
        return buffer.getvalue()

    @classmethod
    def read(cls, path: Path) -> "Rehearsal":
        """Return the rehearsal in the file.

        Raises:
            InvalidVersion: the file cannot be read or is no rehearsal.
        """
        arrays = read_arrays(path)
        try:
            features = arrays["features"]
            known: dict[str, Any] = json.loads(arrays["known"].tobytes())
            images = tuple(RehearsedImage(*row) for row in known["images"])
            if known["format"] != _FORMAT or features.shape[0] != len(images):
                raise ValueError("its parts do not fit together")
        except (LookupError, TypeError, ValueError) as error:
            raise InvalidVersion(f"{path} is no rehearsal file: {error}") from error
        return cls(known["backbone"], features, images)


@lru_cache(maxsize=2)
def rehearsed_labels(path: Path, public: frozenset[str]) -> Mapping[str, str]:
    """Return what the images of all sources but the public ones show, by digest.

    Raises:
        InvalidVersion: the file cannot be read or is no rehearsal.
    """
    images = Rehearsal.read(path).images
    return MappingProxyType({i.digest: i.label for i in images if i.source not in public})


@lru_cache(maxsize=2)
def judging_digests(path: Path, classes: tuple[str, ...]) -> frozenset[str]:
    """Return the digests of the test images of some classes, of which a rehearsal file knows.

    Raises:
        InvalidVersion: the file cannot be read or is no rehearsal.
    """
    return frozenset(
        image.digest
        for image in Rehearsal.read(path).images
        if image.split == _TEST and image.label in classes
    )
