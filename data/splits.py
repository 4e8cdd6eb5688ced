"""Which images train, which choose, and which judge: decided once, by the group's digest."""

import hashlib
from enum import StrEnum
from typing import Final


class Split(StrEnum):
    """The part an image plays; an image never changes its part."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


# Of a group's place on [0, 1): the lowest 15 % judge, the next 10 % choose, the rest train.
TEST_SHARE: Final = 0.15
VALIDATION_SHARE: Final = 0.10


# Runs of photos are dealt out in turn, so that every class with seven runs is judged on one.
_TURNS: Final = (Split.TEST, Split.VALIDATION, *[Split.TRAIN] * 5)


def split_of(group: str) -> Split:
    """Return the split of a group of images that show one scene.

    It depends on the group's name alone, so it never changes when images are added, and the frames
    of one scene never fall on both sides.

    Args:
        group: the name of the filmed object, the run of photos, or the single photo.
    """
    place = _digest(group) / 2**64
    if place < TEST_SHARE:
        return Split.TEST
    if place < TEST_SHARE + VALIDATION_SHARE:
        return Split.VALIDATION
    return Split.TRAIN


def split_of_run(series: str, run: int) -> Split:
    """Return the split of the ``run``-th run of photos in a published series.

    Dealing in turn, from a start that the series' digest gives, spares a small class the bad luck
    of a digest for each run: of seven runs one judges, one chooses and five train.

    Args:
        series: the name of the folder that the runs follow one another in.
        run: counted from 0 or 1.
    """
    return _TURNS[(_digest(series) + run) % len(_TURNS)]


def _digest(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
